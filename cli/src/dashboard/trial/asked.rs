//! A request to try a rule, and what is wrong with one.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use netprecursor_core::policy::{Confidence, Hold, Identity, KeepFiring, Kind, Measure, Rule, Statistic, Thresholds};
use netprecursor_crds::{Refusal, policies_from_yaml, policy::Mode};
use netprecursor_models::builtin;
use serde::Deserialize;
use thiserror::Error;

use super::policy;

/// Characters of what a page calls itself.
const LONGEST_PAGE: usize = 64;

/// Targets that a request may name, and bytes of an identifier.
const MOST_UIDS: usize = 200;
const LONGEST_UID: usize = 512;

/// As it is sent.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Request {
    page: String,
    recording: Option<String>,
    uids: Option<Vec<String>>,
    rule: RuleRequest,
    policy: PolicyRequest,
}

/// The rule, as it is sent.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RuleRequest {
    pub(super) name: String,
    pub(super) threshold_us: u64,
    pub(super) confidence_percent: i64,
    /// By the name of a model of the release.
    pub(super) model: String,
    #[serde(default)]
    pub(super) measure: Measure,
    #[serde(default)]
    pub(super) statistic: Statistic,
    #[serde(default)]
    pub(super) hold_seconds: u64,
    #[serde(default)]
    pub(super) keep_firing_seconds: u64,
}

/// The policy around it, as it is sent.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PolicyRequest {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) namespace: Option<String>,
    #[serde(default)]
    pub(super) mode: Mode,
    /// Of the pods that it selects; none for all.
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
}

/// A request that can be tried.
#[derive(Debug)]
pub(super) struct Asked {
    page: String,
    /// None: what the dashboard keeps.
    pub(super) recording: Option<String>,
    /// None: all targets.
    pub(super) uids: Option<BTreeSet<String>>,
    pub(super) model: String,
    pub(super) policy: Identity,
    pub(super) rule: Rule,
    /// The policy, whose only rule is the one that is tried.
    pub(super) yaml: String,
}

/// What is wrong with a request, and in which field.
#[derive(Debug, Error)]
#[error("{0}")]
pub(super) struct Wrong(String);

impl Wrong {
    pub(super) fn at(field: &str, words: impl fmt::Display) -> Self {
        Self(format!("{field}: {words}"))
    }
}

impl Asked {
    /// Reads a request.
    pub(super) fn read(body: &[u8]) -> Result<Self, Wrong> {
        let mut json = serde_json::Deserializer::from_slice(body);
        let request: Request = serde_path_to_error::deserialize(&mut json).map_err(|error| Wrong(error.to_string()))?;
        json.end().map_err(|error| Wrong(error.to_string()))?;
        request.check()?;
        let Request { page, recording, uids, rule: wanted, policy } = request;
        let yaml = policy::yaml(&wanted, &policy).map_err(|error| Wrong::at("policy", error))?;
        let (policy, rule) = read_back(&yaml)?;
        let uids = uids.map(|uids| uids.into_iter().collect());
        Ok(Self { page, recording, uids, model: wanted.model, policy, rule, yaml })
    }

    /// Which page asks: its next request overtakes this one.
    pub(super) fn page(&self) -> &str {
        &self.page
    }
}

impl Request {
    /// What can be said with the names of the request's own fields.
    fn check(&self) -> Result<(), Wrong> {
        let Self { page, uids, rule, policy, .. } = self;
        if page.is_empty() || page.len() > LONGEST_PAGE || !page.bytes().all(|byte| byte.is_ascii_graphic()) {
            let words = format!("got {} bytes, expected 1 to {LONGEST_PAGE} printable characters", page.len());
            return Err(Wrong::at("page", words));
        }
        if let Some(uids) = uids {
            let got = uids.len();
            if got == 0 || got > MOST_UIDS {
                return Err(Wrong::at("uids", format_args!("got {got}, expected 1 to {MOST_UIDS}, or null for all")));
            }
            if let Some(at) = uids.iter().position(|uid| uid.is_empty() || uid.len() > LONGEST_UID) {
                let got = uids.get(at).map_or(0, String::len);
                return Err(Wrong::at(&format!("uids[{at}]"), format!("got {got} bytes, expected 1 to {LONGEST_UID}")));
            }
        }
        let fields = [
            ("rule.thresholdUs", Thresholds::new(rule.threshold_us, None).map(drop).map_err(|error| error.to_string())),
            (
                "rule.confidencePercent",
                Confidence::percent(rule.confidence_percent).map(drop).map_err(|error| error.to_string()),
            ),
            ("rule.holdSeconds", Hold::ticks(rule.hold_seconds).map(drop).map_err(|error| error.to_string())),
            (
                "rule.keepFiringSeconds",
                KeepFiring::ticks(rule.keep_firing_seconds).map(drop).map_err(|error| error.to_string()),
            ),
            ("rule.model", known_model(&rule.model)),
        ];
        for (field, checked) in fields {
            checked.map_err(|words| Wrong::at(field, words))?;
        }
        if let (Kind::Cluster, Some(_)) = (policy.kind, &policy.namespace) {
            let words = "got one, expected none: a ClusterPrecursorPolicy has no namespace";
            return Err(Wrong::at("policy.namespace", words));
        }
        Ok(())
    }
}

fn known_model(name: &str) -> Result<(), String> {
    if builtin::names().any(|known| known == name) {
        return Ok(());
    }
    let shown: String = name.chars().take(80).collect();
    let known = builtin::names().collect::<Vec<_>>().join(", ");
    Err(format!("got {shown:?}, expected one of {known}"))
}

/// The only rule of a policy, as every reader of policies has it.
fn read_back(yaml: &str) -> Result<(Identity, Rule), Wrong> {
    let words = |refusal: &Refusal| {
        let problems = refusal.problems.iter().map(|problem| format!("{}: {}", problem.path, problem.fault));
        problems.collect::<Vec<_>>().join("; ")
    };
    let policies = policies_from_yaml("policy", yaml).map_err(|refusal| Wrong::at("policy", words(&refusal)))?;
    let rule = policies.first().and_then(|policy| Some((policy.identity(), policy.rules.iter().next()?.clone())));
    rule.ok_or_else(|| Wrong::at("policy", "got no rule"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn request() -> Value {
        json!({
            "page": "p1", "recording": null, "uids": ["u-1"],
            "rule": {
                "name": "rtt", "thresholdUs": 231_500, "confidencePercent": 35, "model": "damped-holt", "measure": "Inflation",
                "statistic": "P90", "holdSeconds": 2, "keepFiringSeconds": 30
            },
            "policy": {
                "kind": "PrecursorPolicy", "name": "checkout-tried", "namespace": "shop", "mode": "Shadow",
                "labels": {"app": "on"}
            }
        })
    }

    fn read(request: &Value) -> Result<Asked, Wrong> {
        Asked::read(&serde_json::to_vec(request).unwrap())
    }

    #[test]
    fn the_rule_that_is_tried_is_the_one_of_the_yaml() {
        let asked = read(&request()).unwrap();
        let rule = &asked.rule;
        assert_eq!((rule.thresholds.breach_us(), rule.confidence.get(), rule.hold.delay()), (231_500, 35, 1));
        assert_eq!((rule.view.measure, rule.view.statistic), (Measure::Inflation, Statistic::P90));
        assert_eq!(rule.keep_firing.get(), 30);
        assert_eq!(asked.policy.to_string(), "PrecursorPolicy shop/checkout-tried");
        let policy = policies_from_yaml("test", &asked.yaml).unwrap().remove(0);
        assert_eq!(policy.rules.iter().next(), Some(rule));
        assert_eq!(policy.mode, netprecursor_core::policy::Mode::Shadow);
        for part in ["threshold: 231ms500us", "holdFor: 2s", "app: \"on\"", "builtin: damped-holt", "namespace: shop"] {
            assert!(asked.yaml.replace('\'', "\"").contains(part), "{part} in\n{}", asked.yaml);
        }
    }

    #[test]
    fn a_policy_of_a_cluster_selects_every_pod_unless_labels_say_otherwise() {
        let mut wanted = request();
        wanted["policy"] = json!({"kind": "ClusterPrecursorPolicy", "name": "everything"});
        let asked = read(&wanted).unwrap();
        assert!(asked.yaml.contains("kind: ClusterPrecursorPolicy") && asked.yaml.contains("podSelector: {}"));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_field() {
        let table = [
            ("/page", json!(""), "page: got 0 bytes, expected 1 to 64"),
            ("/page", json!(7), "page: invalid type"),
            ("/uids", json!([]), "uids: got 0"),
            ("/uids", json!(vec!["u"; MOST_UIDS + 1]), "uids: got 201"),
            ("/uids/0", json!("x".repeat(LONGEST_UID + 1)), "uids[0]: got"),
            ("/rule/thresholdUs", json!(0), "rule.thresholdUs: got 0us, expected more than 0"),
            ("/rule/thresholdUs", json!(-1), "rule.thresholdUs: invalid value"),
            ("/rule/thresholdUs", json!("1ms"), "rule.thresholdUs: invalid type"),
            ("/rule/confidencePercent", json!(100), "rule.confidencePercent: got 100, expected whole percent"),
            ("/rule/holdSeconds", json!(61), "rule.holdSeconds: got 61s"),
            ("/rule/keepFiringSeconds", json!(3_601), "rule.keepFiringSeconds: got 3601s"),
            ("/rule/model", json!("max10"), "rule.model: got \"max10\", expected one of adaptive"),
            ("/rule/measure", json!("Jitter"), "rule.measure: unknown variant"),
            ("/rule/name", json!("No name"), "policy: spec.rules[0].name"),
            ("/policy/name", json!("-"), "policy: metadata.name"),
            ("/policy/namespace", json!("a b"), "policy: metadata.namespace"),
            ("/policy/kind", json!("Policy"), "policy.kind: unknown variant"),
            ("/policy/labels", json!({"app": "a b"}), "policy: spec.target.podSelector"),
        ];
        for (field, value, words) in table {
            let mut wanted = request();
            *wanted.pointer_mut(field).unwrap() = value;
            let error = read(&wanted).unwrap_err().to_string();
            assert!(error.contains(words), "{field}: {error}");
        }
        let mut wanted = request();
        wanted["policy"]["kind"] = json!("ClusterPrecursorPolicy");
        assert!(read(&wanted).unwrap_err().to_string().starts_with("policy.namespace: got one"));
        wanted["surplus"] = json!(1);
        assert!(read(&wanted).unwrap_err().to_string().contains("unknown field `surplus`"));
        assert!(Asked::read(b"{} {}").is_err() && Asked::read(b"").is_err());
    }
}
