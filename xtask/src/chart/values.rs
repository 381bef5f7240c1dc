//! `values.yaml` as a list of documented values. Its form is our own: a value is a key under a comment that starts with
//! `# --`; a key without one is a section, or part of the value above it.

use anyhow::{Context as _, bail};
use serde_json::Value;

/// A documented value.
#[derive(Debug, PartialEq)]
pub(super) struct Entry {
    /// Keys from the top.
    pub(super) path: Vec<String>,
    /// The comment, on one line.
    pub(super) description: String,
    /// Its default.
    pub(super) default: Value,
}

impl Entry {
    /// As given to `--set`.
    pub(super) fn key(&self) -> String {
        self.path.join(".")
    }
}

/// A key of the block that encloses a line.
struct Open {
    indent: usize,
    key: String,
    is_entry: bool,
}

/// The values of a text, in its order.
///
/// # Errors
/// It is not YAML, or a key has neither a comment nor keys below it.
pub(super) fn read(text: &str) -> anyhow::Result<Vec<Entry>> {
    let defaults: Value = serde_saphyr::from_str(text).context("values.yaml")?;
    let mut entries = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    let mut comment: Option<String> = None;
    for (number, line) in text.lines().enumerate() {
        let content = line.trim_start();
        if let Some(start) = content.strip_prefix("# -- ") {
            comment = Some(start.to_owned());
            continue;
        }
        if let Some(more) = content.strip_prefix('#') {
            if let Some(comment) = &mut comment {
                comment.push(' ');
                comment.push_str(more.trim());
            }
            continue;
        }
        let Some((key, _)) = content.split_once(':').filter(|(key, _)| is_key(key)) else { continue };
        let indent = line.len() - content.len();
        open.retain(|outer| outer.indent < indent);
        let inside = open.iter().any(|outer| outer.is_entry);
        let description = comment.take();
        open.push(Open { indent, key: key.to_owned(), is_entry: description.is_some() });
        if inside {
            continue;
        }
        let path: Vec<String> = open.iter().map(|open| open.key.clone()).collect();
        let default = at(&defaults, &path).with_context(|| format!("values.yaml:{}: {key}", number + 1))?.clone();
        match description {
            Some(description) => entries.push(Entry { path, description, default }),
            None if default.as_object().is_some_and(|section| !section.is_empty()) => {}
            None => bail!(
                "values.yaml:{}: {} has no comment; expected `# -- what it does` above it",
                number + 1,
                path.join(".")
            ),
        }
    }
    Ok(entries)
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|letter| letter.is_ascii_alphanumeric())
}

fn at<'a>(value: &'a Value, path: &[String]) -> anyhow::Result<&'a Value> {
    path.iter()
        .try_fold(value, |value, key| value.get(key))
        .context("got a key that YAML does not see there; expected block style")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_comment_makes_a_value_of_the_key_below_it() {
        let text = "# About the file.\na:\n  # -- First line\n  # and second\n  b: {c: 1}\n# -- Whole\nd:\n  e: [x]\n";
        let entries = read(text).unwrap();
        let shown: Vec<_> =
            entries.iter().map(|entry| (entry.key(), entry.description.as_str(), entry.default.clone())).collect();
        assert_eq!(
            shown,
            [
                ("a.b".to_owned(), "First line and second", json!({"c": 1})),
                ("d".to_owned(), "Whole", json!({"e": ["x"]})),
            ]
        );
    }

    #[test]
    fn a_value_without_a_comment_is_named_with_its_line() {
        let error = read("a:\n  # -- Yes\n  b: 1\n  c: 2\n").unwrap_err().to_string();
        assert!(error.contains(":4:") && error.contains("a.c"), "{error}");
    }

    #[test]
    fn what_is_not_yaml_is_refused() {
        assert!(read("a: [").is_err());
    }
}
