//! Policies as text, for `kubectl apply` and for files: what [`read`](crate::read) reads back.

use serde::{Serialize, ser::Error as _};

use crate::{ClusterPrecursorPolicy, PrecursorPolicy};

/// A policy of either kind.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum AnyPolicy {
    /// For one namespace.
    Namespaced(Box<PrecursorPolicy>),
    /// For several namespaces.
    Cluster(Box<ClusterPrecursorPolicy>),
}

/// One document. Texts that a reader of YAML 1.1 would take for truth or numbers, such as `on` and `010`, are in quotes.
///
/// # Errors
/// A value that YAML cannot hold, of which the policy types have none.
pub fn policy_to_yaml(policy: &AnyPolicy) -> Result<String, serde_json::Error> {
    serde_saphyr::to_string(policy).map_err(serde_json::Error::custom)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        Duration, policies_from_yaml,
        policy::{LabelSelector, Mode, PrecursorPolicySpec, RttForecast, Rule, Signal, Target},
    };

    fn policy(name: &str, labels: &[(&str, &str)]) -> AnyPolicy {
        let rule = Rule {
            name: name.to_owned(),
            signal: Signal::RttForecast,
            rtt_forecast: Some(RttForecast {
                threshold: Duration::from_us(231_500),
                resolve_threshold: None,
                measure: None,
                statistic: None,
                peers: None,
            }),
            hold_for: Some(Duration::from_us(2_000_000)),
            debounce: None,
            keep_firing_for: None,
            severity: Default::default(),
            alert_per: Default::default(),
            model: None,
            min_confidence_percent: Some(35),
            max_false_alerts_per_day: None,
        };
        let match_labels: BTreeMap<String, String> =
            labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let pod_selector = LabelSelector { match_labels, ..LabelSelector::default() };
        let spec = PrecursorPolicySpec { mode: Mode::Active, target: Target { pod_selector }, rules: vec![rule] };
        AnyPolicy::Namespaced(Box::new(PrecursorPolicy::new(name, spec)))
    }

    #[test]
    fn what_is_written_is_read_back() {
        let table: [(&str, &[(&str, &str)]); 4] = [
            ("checkout", &[("app", "checkout")]),
            ("everything", &[]),
            // Truth, numbers and nothing for a reader of YAML 1.1.
            ("yes", &[("on", "off"), ("app", "010"), ("tier", "1e3"), ("version", "null"), ("empty", "")]),
            ("7", &[("app", "1_000")]),
        ];
        for (name, labels) in table {
            let yaml = policy_to_yaml(&policy(name, labels)).unwrap();
            let read =
                policies_from_yaml("test", &yaml).unwrap_or_else(|refusal| panic!("{refusal}\n{yaml}")).remove(0);
            let rule = read.rules.iter().next().unwrap();
            assert_eq!((read.name.as_str(), rule.name.as_str()), (name, name));
            assert_eq!((rule.thresholds.breach_us(), rule.hold.delay(), rule.confidence.get()), (231_500, 1, 35));
            let yaml = yaml.replace('\'', "\"");
            let written = |(key, value): &(&str, &str)| {
                let key = if *key == "on" { "\"on\"" } else { key };
                let value = if *value == "checkout" { (*value).to_owned() } else { format!("\"{value}\"") };
                yaml.contains(&format!("{key}: {value}"))
            };
            assert!(labels.iter().all(written), "{yaml}");
        }
    }
}
