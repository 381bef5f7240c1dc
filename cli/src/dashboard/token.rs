//! The token that opens a dashboard that others can connect to, and the cookie that stands for it in a browser.

use std::{fs::File, io::Read as _, path::Path};

use netprecursor_core::hex;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// Shorter ones can be guessed.
const SHORTEST: usize = 16;
const LONGEST: usize = 4096;

/// A secret. Only digests of it are kept and compared, so that the time of a comparison says nothing about it.
#[derive(Clone)]
pub(super) struct Token {
    digest: [u8; 32],
    cookie: String,
}

/// Why a file has no token.
#[derive(Debug, Error)]
pub(super) enum TokenError {
    #[error(
        "cannot read the token in {path} ({source}), expected a file with one line: write one with `openssl rand -hex 32 >{path}`"
    )]
    Unreadable { path: String, source: std::io::Error },
    #[error(
        "got a token of {got} characters in {path}, expected {} to {} printable ones without spaces: write one with `openssl rand \
         -hex 32 >{path}`",
        SHORTEST,
        LONGEST
    )]
    Unfit { path: String, got: usize },
}

impl Token {
    /// The token in a file, without the end of its line.
    pub(super) fn read(path: &Path) -> Result<Self, TokenError> {
        let shown = path.display().to_string();
        let mut text = String::new();
        let read = File::open(path).and_then(|file| file.take(LONGEST as u64 + 2).read_to_string(&mut text));
        read.map_err(|source| TokenError::Unreadable { path: shown.clone(), source })?;
        let token = text.trim_end();
        Self::of(token).ok_or(TokenError::Unfit { path: shown, got: token.chars().count() })
    }

    /// A token; `None` where it is too short, too long, or could not stand in a header.
    pub(super) fn of(text: &str) -> Option<Self> {
        let is_fit = (SHORTEST..=LONGEST).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_fit.then(|| Self { digest: digest(text), cookie: hex(&digest(&format!("cookie of a dashboard\0{text}"))) })
    }

    /// Whether a text is this token.
    pub(super) fn is(&self, text: &str) -> bool {
        digest(text) == self.digest
    }

    /// What a browser presents instead, so that the token itself is neither stored there nor sent again.
    pub(super) fn cookie(&self) -> &str {
        &self.cookie
    }

    /// Whether a text is the value of this token's cookie.
    pub(super) fn is_cookie(&self, text: &str) -> bool {
        digest(text) == digest(&self.cookie)
    }
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_the_token_on_its_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        std::fs::write(&path, "0123456789abcdef0123\n").unwrap();
        let token = Token::read(&path).unwrap();
        assert!(token.is("0123456789abcdef0123") && !token.is("0123456789abcdef012"));
        assert!(
            token.is_cookie(token.cookie()) && !token.is_cookie("0123456789abcdef0123") && !token.is(token.cookie())
        );
    }

    #[test]
    fn what_is_no_token_is_refused_with_what_to_write() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let long = "x".repeat(LONGEST + 1);
        for (text, why) in [
            ("short\n", "of 5 characters"),
            ("", "of 0 characters"),
            ("two words, long enough", "of 22"),
            (&long, "of 4097"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = Token::read(&path).map(drop).unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("openssl rand"), "{error}");
        }
        let error = Token::read(&directory.path().join("none")).map(drop).unwrap_err().to_string();
        assert!(error.contains("cannot read the token"), "{error}");
    }
}
