//! Paths on the command line. A shell expands `~` only at the beginning of a word, so `--out=~/data` arrives as it is
//! and would name a directory `~` in the working directory.

use std::path::{Path, PathBuf};

use clap::builder::{PathBufValueParser, TypedValueParser};

/// A path that begins with `~`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "got {got}, which no shell has expanded, expected a path; fix: write {fix}, or ./{got} for a directory of that name"
)]
pub(crate) struct Unexpanded {
    got: String,
    fix: String,
}

/// Parses a path for clap.
pub(crate) fn parser() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| check(&path).map(|()| path))
}

/// Refuses a path whose first part begins with `~`.
///
/// # Errors
/// [`Unexpanded`], with the path as it was probably meant.
pub(crate) fn check(path: &Path) -> Result<(), Unexpanded> {
    let got = path.display().to_string();
    let Some(rest) = got.strip_prefix('~') else { return Ok(()) };
    let fix = match rest.strip_prefix('/') {
        Some(rest) => format!("\"$HOME/{rest}\""),
        None if rest.is_empty() => "\"$HOME\"".into(),
        None => format!("the home directory of {} in full", rest.split('/').next().unwrap_or_default()),
    };
    Err(Unexpanded { got, fix })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_no_shell_has_expanded_is_refused_with_what_was_meant() {
        for (path, advice) in [
            ("~", "\"$HOME\""),
            ("~/a/b.csv", "\"$HOME/a/b.csv\""),
            ("~ann/m.onnx", "the home directory of ann in full"),
        ] {
            let said = check(Path::new(path)).unwrap_err().to_string();
            assert!(said.contains(advice) && said.contains(&format!("./{path}")), "{path}: {said}");
        }
    }

    #[test]
    fn the_advice_and_every_other_path_is_taken() {
        for path in ["/root/a.csv", "./~", "./~/a", "a~", "a/~/b", "", "-"] {
            assert_eq!(check(Path::new(path)), Ok(()), "{path}");
        }
    }
}
