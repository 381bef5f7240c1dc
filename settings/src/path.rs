//! Paths of files and directories, as a program finds them: no shell in front of it.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Deserializer, de};
use thiserror::Error;

/// A text that is no path, or one of another file than it seems.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PathError {
    /// Nothing.
    #[error("got an empty path, expected one such as `/var/lib/netprecursor`")]
    Empty,
    /// A home directory in a shell's words.
    #[error(
        "got `{got}`, in which only a shell replaces `~` (and none does in a file, a unit of systemd or behind `=`); expected \
         the whole path: write for example `{write}`, or `./{got}` for a directory of that name"
    )]
    Tilde {
        /// As written.
        got: String,
        /// With the home directory in its place.
        write: String,
    },
}

/// A path as it is given.
///
/// # Errors
/// It is empty, or begins with `~`.
pub fn path(text: OsString) -> Result<PathBuf, PathError> {
    of(text, std::env::var("HOME").ok().as_deref())
}

fn of(text: OsString, home: Option<&str>) -> Result<PathBuf, PathError> {
    let path = PathBuf::from(text);
    let Some(first) = path.components().next() else { return Err(PathError::Empty) };
    let first = first.as_os_str().to_string_lossy().into_owned();
    let Some(user) = first.strip_prefix('~') else { return Ok(path) };
    let home = match (user, home) {
        ("", Some(home)) if home.starts_with('/') => PathBuf::from(home),
        ("" | "root", _) => PathBuf::from("/root"),
        (user, _) => Path::new("/home").join(user),
    };
    let rest: PathBuf = path.components().skip(1).collect();
    let write = if rest.as_os_str().is_empty() { home } else { home.join(rest) };
    Err(PathError::Tilde { got: path.display().to_string(), write: write.display().to_string() })
}

/// A path in a YAML file, in which `~` alone means nothing at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written(pub PathBuf);

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else {
            return Err(de::Error::custom(
                "got nothing, which is what `~` means in YAML; expected a path: write it in full",
            ));
        };
        path(text.into()).map(Self).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_taken_as_it_is() {
        for good in ["/var/lib/x", "relative", "./~", "./~/a", "a~", "a/~/b", "/~/x", ".", "-", "ü/ñ"] {
            assert_eq!(of(good.into(), None), Ok(PathBuf::from(good)));
        }
        assert_eq!(of("".into(), None), Err(PathError::Empty));
    }

    #[test]
    fn a_home_directory_is_written_out_in_the_advice() {
        let table =
            [("~", "/home/me"), ("~/x/y", "/home/me/x/y"), ("~root/x", "/root/x"), ("~other/x", "/home/other/x")];
        for (text, expected) in table {
            let error = of(text.into(), Some("/home/me")).unwrap_err();
            assert!(matches!(&error, PathError::Tilde { write, .. } if write == expected), "{error}");
            assert!(error.to_string().contains(&format!("`./{text}`")), "{error}");
            for advised in [expected.to_owned(), format!("./{text}")] {
                assert_eq!(of(advised.clone().into(), None), Ok(PathBuf::from(advised)));
            }
        }
        // A service has no home.
        assert!(of("~/x".into(), None).unwrap_err().to_string().contains("`/root/x`"));
    }
}
