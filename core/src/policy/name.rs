//! Names as Kubernetes allows them, so that an alert can be an object there.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Letters of a label (RFC 1123) and of a whole name (RFC 1123 subdomain), as Kubernetes bounds them.
const MAX_LABEL: usize = 63;
const MAX_SUBDOMAIN: usize = 253;

/// A name of lower-case letters, digits and `-`, in parts joined by `.`, each beginning and ending with a letter or
/// digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// A text that is no name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "got `{got}`, expected at most {max} lower-case letters, digits and `-`, beginning and ending with a letter or digit: \
     write for example `{write}`"
)]
pub struct NameError {
    got: String,
    max: usize,
    /// The nearest name.
    write: String,
}

impl Name {
    /// A name of one part and at most 63 letters (rules, namespaces).
    ///
    /// # Errors
    /// [`NameError`] when it is not.
    pub fn label(text: &str) -> Result<Self, NameError> {
        if text.len() <= MAX_LABEL && is_part(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::of(text, MAX_LABEL))
        }
    }

    /// A name of one or more parts and at most 253 letters (policies).
    ///
    /// # Errors
    /// [`NameError`] when it is not.
    pub fn subdomain(text: &str) -> Result<Self, NameError> {
        if text.len() <= MAX_SUBDOMAIN && text.split('.').all(is_part) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::of(text, MAX_SUBDOMAIN))
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_part(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

impl NameError {
    fn of(text: &str, max: usize) -> Self {
        let kept = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' };
        let nearest: String = text.chars().map(kept).skip_while(|letter| *letter == '-').take(max).collect();
        let nearest = nearest.trim_end_matches('-');
        let write = if nearest.is_empty() { "rtt-slow" } else { nearest }.to_owned();
        Self { got: text.chars().take(max).collect(), max, write }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        Self::subdomain(&text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_kubernetes_takes_for_names() {
        for good in ["a", "checkout-2", "0x", &"a".repeat(63)] {
            assert!(Name::label(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a_b", "a.b", "ä", &"a".repeat(64)] {
            assert!(Name::label(bad).is_err(), "{bad}");
        }
        assert!(Name::subdomain("shop.checkout").is_ok());
        for bad in ["a..b", ".a", &"a".repeat(254)] {
            assert!(Name::subdomain(bad).is_err(), "{bad}");
        }
    }
}
