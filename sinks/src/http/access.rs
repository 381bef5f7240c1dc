//! How a receiver knows us and we know it: credentials and certificates. Parsed, so that what contradicts itself has no form.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::HeaderValue;

use super::{file::File, tls::Security};

/// Who we are, and whom to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// How we log in.
    pub login: Login,
    /// How the connection is secured, if its URL says that it is.
    pub security: Security,
    /// What the setting of the authorities is called, for advice.
    pub authorities_setting: String,
    /// What the settings of the client's certificate and key are called.
    pub identity_setting: String,
}

/// How we log in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Login {
    /// Not at all.
    #[default]
    None,
    /// By name and password.
    Basic {
        /// The name.
        username: String,
        /// The password's file.
        password: File,
    },
    /// By a bearer token.
    Bearer(File),
}

impl Login {
    /// The header that says who we are; `None` when none is sent.
    ///
    /// # Errors
    /// The file cannot be read, or holds something else.
    pub(super) fn header(&self) -> Result<Option<HeaderValue>, String> {
        let (text, file) = match self {
            Self::None => return Ok(None),
            Self::Basic { username, password } => {
                let word = password.read_word("a password")?;
                (format!("Basic {}", BASE64_STANDARD.encode(format!("{username}:{word}"))), password)
            }
            Self::Bearer(token) => (format!("Bearer {}", token.read_word("a bearer token")?), token),
        };
        let mut value = HeaderValue::try_from(text).map_err(|_| {
            format!("got characters that no header may have in {}, expected printable ASCII", file.named())
        })?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn file(content: &str) -> (File, tempfile::NamedTempFile) {
        let kept = tempfile::NamedTempFile::new().unwrap();
        fs::write(kept.path(), content).unwrap();
        (File { setting: "--password-file".to_owned(), path: kept.path().to_owned() }, kept)
    }

    #[test]
    fn the_header_is_that_of_the_scheme_and_follows_the_file() {
        let (password, kept) = file("open sesame\n");
        let basic = Login::Basic { username: "Aladdin".to_owned(), password: password.clone() };
        // The example of RFC 7617.
        assert_eq!(basic.header().unwrap().unwrap(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        let bearer = Login::Bearer(password);
        fs::write(kept.path(), "another").unwrap();
        assert_eq!(bearer.header().unwrap().unwrap(), "Bearer another");
        assert_eq!(Login::None.header(), Ok(None));
    }

    #[test]
    fn a_token_that_fits_no_header_is_named_by_its_file() {
        let (token, _kept) = file("a\u{7f}b");
        let error = Login::Bearer(token).header().unwrap_err();
        assert!(error.contains("--password-file (") && !error.contains('\u{7f}'), "{error}");
    }
}
