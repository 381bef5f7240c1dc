//! Label selectors as written in queries, read into kube's own, which has no parser. A label that no alert has is refused: it
//! would select nothing, and an autoscaler would never hear why. Pure.

use std::collections::BTreeSet;

use kube::core::{Expression, Selector};
use thiserror::Error;

use super::firing::LABELS;

/// The longest value of a label.
const MAX_VALUE: usize = 63;

/// The longest selector that is read.
const MAX_TEXT: usize = 4_096;

/// Why a text selects nothing.
#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum SelectorError {
    /// No alert has this label.
    #[error("got the label `{got}` in labelSelector, expected some of {labels}", labels = LABELS.join(", "))]
    Label {
        /// As written.
        got: String,
    },
    /// A value that no label can have.
    #[error(
        "got `{got}` as a value in labelSelector, expected at most {max} letters, digits, `-`, `_` and `.`: longer names cannot \
         be selected",
        max = MAX_VALUE
    )]
    Value {
        /// As written.
        got: String,
    },
    /// A value that this label never has.
    #[error("got `{got}` as {label} in labelSelector, expected one of {expected}")]
    Unknown {
        /// The label.
        label: &'static str,
        /// As written.
        got: String,
        /// What there is.
        expected: String,
    },
    /// No requirement.
    #[error(
        "got `{got}` in labelSelector, expected `label=value`, `label!=value`, `label in (a,b)`, `label notin (a,b)`, `label` \
         or `!label`"
    )]
    Form {
        /// As written.
        got: String,
    },
    /// Too much to read.
    #[error("got a labelSelector of {got} bytes, expected at most {max}", max = MAX_TEXT)]
    Long {
        /// Its length.
        got: usize,
    },
}

/// Reads a selector; an empty one selects everything.
///
/// # Errors
/// It is none, or names a label that no alert has.
pub(super) fn parse(text: &str) -> Result<Selector, SelectorError> {
    if text.len() > MAX_TEXT {
        return Err(SelectorError::Long { got: text.len() });
    }
    if text.trim().is_empty() {
        return Ok(Selector::default());
    }
    split(text).into_iter().map(|part| requirement(part.trim())).collect()
}

/// Splits at commas outside of parentheses.
fn split(text: &str) -> Vec<&str> {
    let mut is_inside = false;
    text.split(|letter: char| {
        match letter {
            '(' => is_inside = true,
            ')' => is_inside = false,
            _ => {}
        }
        letter == ',' && !is_inside
    })
    .collect()
}

/// Of a label and what it is compared with.
type Make<V> = fn(String, V) -> Expression;

fn requirement(text: &str) -> Result<Expression, SelectorError> {
    if let Some(name) = text.strip_prefix('!') {
        return Ok(Expression::DoesNotExist(label(name.trim(), text)?));
    }
    let end = text.find(|letter: char| letter.is_whitespace() || "=!(".contains(letter)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let (name, rest) = (label(name, text)?, rest.trim());
    if rest.is_empty() {
        return Ok(Expression::Exists(name));
    }
    let one: [(&str, Make<String>); 3] =
        [("==", Expression::Equal), ("!=", Expression::NotEqual), ("=", Expression::Equal)];
    for (sign, expression) in one {
        if let Some(value) = rest.strip_prefix(sign) {
            let value = self::value(&name, value)?;
            return Ok(expression(name, value));
        }
    }
    let many: [(&str, Make<BTreeSet<String>>); 2] = [("notin", Expression::NotIn), ("in", Expression::In)];
    for (sign, expression) in many {
        if let Some(values) = rest.strip_prefix(sign) {
            let values = values.trim().strip_prefix('(').and_then(|values| values.strip_suffix(')'));
            let Some(values) = values else { break };
            let values = values.split(',').map(|text| value(&name, text)).collect::<Result<_, _>>()?;
            return Ok(expression(name, values));
        }
    }
    Err(SelectorError::Form { got: cut(text) })
}

fn label(name: &str, requirement: &str) -> Result<String, SelectorError> {
    match name {
        "" => Err(SelectorError::Form { got: cut(requirement) }),
        known if LABELS.contains(&known) => Ok(known.to_owned()),
        other => Err(SelectorError::Label { got: cut(other) }),
    }
}

/// Labels that have few values, and those.
const CLOSED: [(&str, &[&str]); 2] =
    [("policy_kind", &["PrecursorPolicy", "ClusterPrecursorPolicy"]), ("severity", &["Info", "Warning", "Critical"])];

fn value(label: &str, text: &str) -> Result<String, SelectorError> {
    let text = text.trim();
    if let Some((label, known)) = CLOSED.into_iter().find(|(closed, known)| *closed == label && !known.contains(&text))
    {
        return Err(SelectorError::Unknown { label, got: cut(text), expected: known.join(", ") });
    }
    let is_lawful = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    if text.len() <= MAX_VALUE && text.chars().all(is_lawful) {
        return Ok(text.to_owned());
    }
    Err(SelectorError::Value { got: cut(text) })
}

/// What a message shows of a text.
fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use kube::core::SelectorExt as _;
    use proptest::prelude::*;

    use super::*;

    fn selects(text: &str) -> bool {
        let labels = [("workload", "checkout"), ("workload_kind", "Deployment"), ("rule", "rtt")];
        let labels: BTreeMap<String, String> = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        parse(text).unwrap().matches(&labels)
    }

    #[test]
    fn every_form_of_kubernetes_is_understood() {
        for (text, expected) in [
            ("", true),
            (" ", true),
            ("workload=checkout", true),
            ("workload==checkout", true),
            ("workload = checkout,rule=rtt", true),
            ("workload=checkout,rule=other", false),
            ("workload!=checkout", false),
            ("pod!=a", true),
            ("workload in (cart, checkout)", true),
            ("workload in (cart),rule", false),
            ("workload notin (cart,basket),rule in (rtt)", true),
            ("pod notin (a)", true),
            ("pod", false),
            ("!pod", true),
            ("! workload", false),
            ("workload=", false),
        ] {
            assert_eq!(selects(text), expected, "{text}");
        }
    }

    #[test]
    fn what_would_select_nothing_for_ever_is_refused() {
        let refusal = |text: &str| parse(text).unwrap_err().to_string();
        let unknown = refusal("app=checkout");
        assert!(unknown.contains("`app`") && unknown.contains("workload_kind"), "{unknown}");
        for text in ["workload=checkout,", "=a", "workload in a", "workload in (a", "workload>1", "workload a", "!"] {
            assert!(refusal(text).contains("expected"), "{text}");
        }
        assert!(refusal("workload=a/b").contains("`a/b`"));
        assert!(refusal("severity=critical").contains("Critical"));
        assert!(refusal("policy_kind in (Policy)").contains("ClusterPrecursorPolicy"));
        assert!(refusal(&format!("workload={}", "a".repeat(64))).contains("63"));
        assert!(refusal(&"a".repeat(5_000)).contains("5000"));
    }

    proptest! {
        #[test]
        fn what_kube_writes_is_read_as_it_was_meant(values in proptest::collection::btree_set("[a-z0-9.-]{0,9}", 1..4)) {
            let one = values.first().unwrap().clone();
            let written: Selector = [
                Expression::In("rule".to_owned(), values.clone()),
                Expression::NotIn("node".to_owned(), values),
                Expression::NotEqual("policy".to_owned(), one.clone()),
                Expression::Equal("workload".to_owned(), one),
                Expression::DoesNotExist("pod".to_owned()),
                Expression::Exists("severity".to_owned()),
            ].into_iter().collect();
            prop_assert_eq!(parse(&written.to_string()).unwrap(), written);
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}") {
            drop(parse(&text));
        }
    }
}
