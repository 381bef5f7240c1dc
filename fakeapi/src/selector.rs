//! Label and field selectors as written in queries.

use serde_json::Value;

use crate::{kind::Kind, refusal::Refusal};

/// A selector: every requirement must hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<(String, String, bool)>,
}

#[derive(Debug, Clone)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    DoesNotExist,
}

impl Selector {
    /// Reads both selectors of a query.
    pub(crate) fn read(labels: &str, fields: &str, kind: &Kind) -> Result<Self, Refusal> {
        let mut selector = Self::default();
        for part in split(labels) {
            selector.labels.push(requirement(part.trim())?);
        }
        for part in fields.split(',').filter(|part| !part.is_empty()) {
            let (key, value, is_equal) = if let Some((key, value)) = part.split_once("!=") {
                (key, value, false)
            } else if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
                (key, value, true)
            } else {
                return Err(Refusal::bad_request(format!("invalid field selector {part:?}")));
            };
            let path = match key {
                "metadata.name" | "metadata.namespace" => key,
                _ => match kind.selectable.iter().find(|(label, _)| label == key) {
                    Some((_, path)) => path,
                    None => return Err(Refusal::bad_request(format!("field label not supported: {key}"))),
                },
            };
            selector.fields.push((path.to_owned(), value.to_owned(), is_equal));
        }
        Ok(selector)
    }

    /// Whether an object meets it.
    pub(crate) fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.labels.iter().all(|requirement| requirement.holds(labels[requirement.key.as_str()].as_str()))
            && self.fields.iter().all(|(path, wanted, is_equal)| (text_at(object, path) == *wanted) == *is_equal)
    }

    /// Whether it selects anything away.
    pub(crate) fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }
}

impl Requirement {
    fn holds(&self, value: Option<&str>) -> bool {
        let is_among = |values: &[String]| value.is_some_and(|value| values.iter().any(|wanted| wanted == value));
        match &self.test {
            Test::In(values) => is_among(values),
            Test::NotIn(values) => !is_among(values),
            Test::Exists => value.is_some(),
            Test::DoesNotExist => value.is_none(),
        }
    }
}

fn text_at(object: &Value, path: &str) -> String {
    let value = path.split('.').fold(object, |value, step| &value[step]);
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Splits at commas outside of parentheses.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_i32, 0);
    for (index, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

fn requirement(text: &str) -> Result<Requirement, Refusal> {
    let made = |key: &str, test: Test| Ok(Requirement { key: key.trim().to_owned(), test });
    let one = |value: &str| vec![value.trim().to_owned()];
    let many =
        |values: &str| values.trim().trim_matches(['(', ')']).split(',').map(|value| value.trim().to_owned()).collect();
    if let Some((key, values)) = text.split_once(" notin ") {
        return made(key, Test::NotIn(many(values)));
    }
    if let Some((key, values)) = text.split_once(" in ") {
        return made(key, Test::In(many(values)));
    }
    if let Some((key, value)) = text.split_once("!=") {
        return made(key, Test::NotIn(one(value)));
    }
    if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return made(key, Test::In(one(value)));
    }
    match text.strip_prefix('!') {
        Some(key) => made(key, Test::DoesNotExist),
        None if text.contains(char::is_whitespace) => {
            Err(Refusal::bad_request(format!("unable to parse requirement {text:?}")))
        }
        None => made(text, Test::Exists),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kind::Kinds;

    #[test]
    fn selectors_select_as_documented() {
        let kinds = Kinds::builtin();
        let pods = kinds.at("", "v1", "pods").unwrap();
        let pod = json!({"metadata": {"name": "p", "labels": {"app": "a", "tier": "x"}}, "spec": {"nodeName": "n1"}});
        let table = [
            ("app=a", "", true),
            ("app==a,tier!=y", "", true),
            ("app in (a, b),tier", "", true),
            ("app notin (a)", "", false),
            ("!app", "", false),
            ("missing!=x", "", true),
            ("", "spec.nodeName=n1", true),
            ("", "spec.nodeName!=n1", false),
            ("", "metadata.name=p,spec.nodeName=n1", true),
        ];
        for (labels, fields, expected) in table {
            let selector = Selector::read(labels, fields, &pods).unwrap();
            assert_eq!(selector.matches(&pod), expected, "{labels} {fields}");
        }
        assert_eq!(Selector::read("", "spec.hostNetwork=true1,spec.x=y", &pods).unwrap_err().code, 400);
    }
}
