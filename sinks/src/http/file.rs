//! Files that settings name: secrets and certificates, which others replace while we run. They are read anew for each attempt,
//! for they are small, and a stamp of a file says less than its content.

use std::{
    fs,
    io::{self, Read as _},
    path::PathBuf,
};

/// The largest such file.
const LARGEST: u64 = 1 << 20;

/// A file with the setting that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// The setting: a flag, a field or a variable.
    pub setting: String,
    /// The file.
    pub path: PathBuf,
}

impl File {
    /// Its content.
    ///
    /// # Errors
    /// It is not there, no regular file (another could keep us waiting), or too large.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        if !fs::metadata(&self.path)?.is_file() {
            return Err(io::Error::other("got something else than a regular file"));
        }
        let mut bytes = Vec::new();
        fs::File::open(&self.path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > LARGEST {
            return Err(io::Error::other(format!("got more than {LARGEST} bytes")));
        }
        Ok(bytes)
    }

    /// Its content as one word: a password, a token, a URL.
    ///
    /// # Errors
    /// It cannot be read, or holds something else. No error has anything of the content.
    pub fn read_word(&self, expected: &str) -> Result<String, String> {
        let bytes =
            self.read().map_err(|error| format!("cannot read {}: {error}; expected {expected}", self.named()))?;
        let text = String::from_utf8(bytes).unwrap_or_default();
        let word = text.trim();
        if word.is_empty() || word.contains(|c: char| c.is_control()) {
            let got = if word.is_empty() { "nothing readable" } else { "several lines" };
            return Err(format!("got {got} in {}, expected {expected} on one line", self.named()));
        }
        Ok(word.to_owned())
    }

    /// The setting with the file.
    pub fn named(&self) -> String {
        format!("{} ({})", self.setting, self.path.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(content: &[u8]) -> Result<String, String> {
        let kept = tempfile::NamedTempFile::new().unwrap();
        fs::write(kept.path(), content).unwrap();
        File { setting: "--token-file".to_owned(), path: kept.path().to_owned() }.read_word("a token")
    }

    #[test]
    fn a_word_is_taken_without_the_end_of_its_line() {
        assert_eq!(word(b" secret word\r\n").as_deref(), Ok("secret word"));
    }

    #[test]
    fn what_is_no_word_is_named_and_never_shown() {
        for content in [&b""[..], b"\n \n", b"secret\nsecret", b"secret\xff"] {
            let error = word(content).unwrap_err();
            assert!(error.contains("--token-file (") && error.contains("a token"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
        assert!(word(&vec![b'a'; 2 << 20]).unwrap_err().contains("more than"));
    }

    #[test]
    fn what_is_no_regular_file_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let file = File { setting: "--x".to_owned(), path: directory.path().to_owned() };
        assert!(file.read().unwrap_err().to_string().contains("regular file"));
        let missing = File { path: directory.path().join("missing"), ..file };
        assert_eq!(missing.read().unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
