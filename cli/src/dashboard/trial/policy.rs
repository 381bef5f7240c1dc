//! The policy that a request describes, as YAML.

use netprecursor_core::policy::Kind;
use netprecursor_crds::{
    AnyPolicy, ClusterPrecursorPolicy, Duration, PrecursorPolicy,
    policy::{
        ClusterPrecursorPolicySpec, ClusterTarget, LabelSelector, ModelReference, PrecursorPolicySpec, RttForecast,
        Rule, Signal, Target,
    },
    policy_to_yaml,
};

use super::asked::{PolicyRequest, RuleRequest};

const US_PER_SECOND: u64 = 1_000_000;

/// A policy with this rule alone.
pub(super) fn yaml(wanted: &RuleRequest, policy: &PolicyRequest) -> Result<String, serde_json::Error> {
    let rules = vec![rule(wanted)];
    let pod_selector = LabelSelector { match_labels: policy.labels.clone(), ..LabelSelector::default() };
    policy_to_yaml(&match policy.kind {
        Kind::Namespaced => {
            let spec = PrecursorPolicySpec { mode: policy.mode, target: Target { pod_selector }, rules };
            let mut object = PrecursorPolicy::new(&policy.name, spec);
            object.metadata.namespace = policy.namespace.clone();
            AnyPolicy::Namespaced(Box::new(object))
        }
        Kind::Cluster => {
            let target = ClusterTarget { pod_selector, namespace_selector: None };
            let spec = ClusterPrecursorPolicySpec { mode: policy.mode, target, rules };
            AnyPolicy::Cluster(Box::new(ClusterPrecursorPolicy::new(&policy.name, spec)))
        }
    })
}

/// What is as by default is left out, but for the model: which one is the default may be another in the next release.
fn rule(wanted: &RuleRequest) -> Rule {
    let seconds = |count: u64| (count > 0).then(|| Duration::from_us(count.saturating_mul(US_PER_SECOND)));
    Rule {
        name: wanted.name.clone(),
        signal: Signal::RttForecast,
        rtt_forecast: Some(RttForecast {
            threshold: Duration::from_us(wanted.threshold_us),
            resolve_threshold: None,
            measure: some_unless_default(wanted.measure),
            statistic: some_unless_default(wanted.statistic),
            peers: None,
        }),
        hold_for: seconds(wanted.hold_seconds),
        debounce: None,
        keep_firing_for: seconds(wanted.keep_firing_seconds),
        severity: Default::default(),
        alert_per: Default::default(),
        model: Some(ModelReference { builtin: Some(wanted.model.clone()), ..ModelReference::default() }),
        min_confidence_percent: Some(wanted.confidence_percent),
        max_false_alerts_per_day: None,
    }
}

fn some_unless_default<T: Default + PartialEq>(value: T) -> Option<T> {
    (value != T::default()).then_some(value)
}
