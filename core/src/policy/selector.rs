//! Label selectors with Kubernetes' meaning, evaluated here so that they hold without Kubernetes as well.

use std::collections::BTreeMap;

/// The labels of a target.
pub type Labels = BTreeMap<String, String>;

/// Requirements that all have to hold; without any, everything matches.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selector(Vec<Requirement>);

/// What is required of one label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// The label's key.
    pub key: String,
    /// What has to hold for it.
    pub operator: Operator,
}

/// What has to hold for a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operator {
    /// It is there and has one of these values.
    In(Vec<String>),
    /// It is absent, or has none of these values.
    NotIn(Vec<String>),
    /// It is there.
    Exists,
    /// It is absent.
    DoesNotExist,
}

impl Selector {
    /// A selector of these requirements.
    pub const fn new(requirements: Vec<Requirement>) -> Self {
        Self(requirements)
    }

    /// The keys of the labels that something is required of.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|requirement| requirement.key.as_str())
    }

    /// Whether labels meet every requirement.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|requirement| requirement.holds(labels))
    }
}

impl Requirement {
    fn holds(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.key);
        match &self.operator {
            Operator::In(values) => value.is_some_and(|value| values.contains(value)),
            Operator::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn operators_mean_what_they_mean_in_kubernetes() {
        let values = || vec!["web".to_owned(), "api".to_owned()];
        let table = [
            (Operator::In(values()), [true, false, false]),
            (Operator::NotIn(values()), [false, true, true]),
            (Operator::Exists, [true, true, false]),
            (Operator::DoesNotExist, [false, false, true]),
        ];
        let targets = [labels(&[("app", "web")]), labels(&[("app", "db")]), labels(&[("tier", "web")])];
        for (operator, expected) in table {
            let selector = Selector::new(vec![Requirement { key: "app".to_owned(), operator }]);
            assert_eq!(targets.each_ref().map(|target| selector.matches(target)), expected, "{selector:?}");
        }
    }

    #[test]
    fn every_requirement_has_to_hold_and_none_matches_everything() {
        let require = |key: &str| Requirement { key: key.to_owned(), operator: Operator::Exists };
        let both = Selector::new(vec![require("a"), require("b")]);
        assert!(both.matches(&labels(&[("a", ""), ("b", "")])));
        assert!(!both.matches(&labels(&[("a", "")])));
        assert!(Selector::default().matches(&Labels::new()));
    }
}
