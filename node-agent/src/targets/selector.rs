//! `--target netns:NAME[,label=value…]`: which network namespaces are watched, and the labels that policies select by.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a target could not be read.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SelectorError {
    /// No kind, or one that there is not.
    #[error("got target {0:?}, expected netns:NAME (NAME may be a glob such as web*)")]
    Kind(String),
    /// No name.
    #[error("got target {0:?} without a name, expected netns:NAME")]
    NoName(String),
    /// A name that no namespace can have.
    #[error("got namespace name {0:?}, expected a file name without '/': names as `ip netns list` prints them")]
    Name(String),
    /// A label that is none.
    #[error("got label {0:?}, expected KEY=VALUE")]
    Label(String),
}

/// A pattern over namespace names with the labels of what it matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Selector {
    pattern: String,
    /// What policies' selectors match.
    pub labels: BTreeMap<String, String>,
}

impl Selector {
    /// Whether a namespace of this name is watched. `*` stands for any run of characters, `?` for one.
    pub fn matches(&self, name: &str) -> bool {
        glob(self.pattern.as_bytes(), name.as_bytes())
    }
}

/// Iterative matching with one point of return: linear in practice, quadratic at worst, never exponential.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    p = at + 1;
                    t = from + 1;
                    star = Some((at, t));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let mut parts = text.split(',');
        let target = parts.next().unwrap_or_default();
        let pattern = target.strip_prefix("netns:").ok_or_else(|| SelectorError::Kind(text.to_owned()))?;
        if pattern.is_empty() {
            return Err(SelectorError::NoName(text.to_owned()));
        }
        if pattern.contains('/') || pattern.starts_with('.') {
            return Err(SelectorError::Name(pattern.to_owned()));
        }
        let labels = parts
            .map(|label| match label.split_once('=') {
                Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.trim().to_owned())),
                _ => Err(SelectorError::Label(label.to_owned())),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { pattern: pattern.to_owned(), labels })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "netns:{}", self.pattern)?;
        self.labels.iter().try_for_each(|(key, value)| write!(f, ",{key}={value}"))
    }
}

impl TryFrom<String> for Selector {
    type Error = SelectorError;

    fn try_from(text: String) -> Result<Self, SelectorError> {
        text.parse()
    }
}

impl From<Selector> for String {
    fn from(selector: Selector) -> Self {
        selector.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_matches_names_and_carries_labels() {
        let selector: Selector = "netns:web*,app=checkout,tier=front".parse().unwrap();
        assert!(selector.matches("web") && selector.matches("web-12") && !selector.matches("aweb"));
        assert_eq!(selector.labels["app"], "checkout");
        assert_eq!(selector.to_string(), "netns:web*,app=checkout,tier=front");
    }

    #[test]
    fn globs_backtrack() {
        let matches = |pattern: &str, text: &str| glob(pattern.as_bytes(), text.as_bytes());
        assert!(matches("npl*-web*", "npl3f-a-web0") && matches("a?c", "abc") && matches("*", ""));
        assert!(!matches("npl*-web*", "npl3f-client0") && !matches("a?c", "ac"));
        assert!(!matches(&"*a".repeat(30), &"b".repeat(3000)));
    }

    #[test]
    fn what_is_no_target_says_what_one_is() {
        let error = |text: &str| text.parse::<Selector>().unwrap_err();
        assert_eq!(error("pod:web"), SelectorError::Kind("pod:web".into()));
        assert_eq!(error("netns:"), SelectorError::NoName("netns:".into()));
        assert_eq!(error("netns:../x"), SelectorError::Name("../x".into()));
        assert_eq!(error("netns:web,app"), SelectorError::Label("app".into()));
    }
}
