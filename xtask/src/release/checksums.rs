//! `SHA256SUMS`, as `sha256sum --check` reads it.

use std::{fmt::Write as _, path::Path};

use crate::digest::sha256;

/// The file's name.
pub(super) const NAME: &str = "SHA256SUMS";

/// Writes the checksums of `files`, which are in `out`.
///
/// # Errors
/// A file cannot be read.
pub(super) fn write(files: &[String], out: &Path) -> anyhow::Result<()> {
    let mut sums = Vec::new();
    for file in files {
        sums.push((sha256(&out.join(file))?, file.as_str()));
    }
    super::write(&out.join(NAME), &text(&sums))
}

fn text(sums: &[(String, &str)]) -> String {
    let mut text = String::new();
    for (digest, file) in sums {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{digest}  {file}");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::{fs, process::Command};

    use super::*;

    #[test]
    fn what_is_written_is_what_sha256sum_checks() {
        let out = tempfile::tempdir().unwrap();
        fs::write(out.path().join("a"), "").unwrap();
        fs::write(out.path().join("b"), "b").unwrap();
        write(&["a".to_owned(), "b".to_owned()], out.path()).unwrap();
        let written = fs::read_to_string(out.path().join(NAME)).unwrap();
        assert!(
            written.starts_with("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a\n"),
            "{written}"
        );
        let checked = || {
            let mut check = Command::new("sha256sum");
            check.args(["--check", "--strict", NAME]).current_dir(out.path()).output().unwrap().status.success()
        };
        assert!(checked());
        fs::write(out.path().join("b"), "c").unwrap();
        assert!(!checked());
    }
}
