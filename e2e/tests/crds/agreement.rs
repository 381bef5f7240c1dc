//! Schema and conversion are two judges of one law: what the API server accepts converts, and the other way round.

use netprecursor_core::policy::Policy;
use netprecursor_crds::PrecursorPolicy;
use proptest::{
    prelude::{Just, Strategy, any},
    prop_oneof, sample,
    strategy::ValueTree as _,
    test_runner::TestRunner,
};
use serde_json::{Value, json};

use crate::{CHECKOUT, Cluster, VERSIONS, document};

/// Policies that each version of the server judges.
const POLICIES: usize = 1000;

/// Numbers in front of units, many of them near a bound.
fn duration() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        sample::select(vec!["0", "1", "2", "59", "60", "61", "899", "900", "901", "3599", "3600", "3601", "99999"])
            .prop_map(str::to_owned),
        "[0-9]{1,11}",
    ];
    let part = (number, sample::select(vec!["h", "m", "s", "s", "ms", "ms", "us", "µs", "ns", ""]))
        .prop_map(|(number, unit)| format!("{number}{unit}"));
    prop_oneof![
        6 => proptest::collection::vec(part, 1..=6).prop_map(|parts| parts.concat()),
        6 => sample::select(vec!["1s", "2s", "10s", "60s", "200ms", "160ms", "1m", "0s"]).prop_map(str::to_owned),
        1 => "[-+.0-9a-z ]{0,6}",
    ]
}

fn label() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => Just("app".to_owned()),
        1 => "[-a-zA-Z0-9._/]{0,6}",
        1 => sample::select(vec![63_usize, 64, 253]).prop_map(|length| "a".repeat(length)),
        1 => sample::select(vec![253_usize, 254]).prop_map(|length| format!("{}/b", "a".repeat(length))),
    ]
}

/// A field that is there, or not.
fn maybe(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Option<Value>> {
    proptest::option::weighted(0.4, value)
}

fn policy() -> impl Strategy<Value = Value> {
    let text = |strategy: proptest::strategy::BoxedStrategy<String>| strategy.prop_map(Value::from);
    let model = prop_oneof![
        3 => Just(json!({"builtin": "max-10"})),
        1 => Just(json!({})),
        1 => Just(json!({"builtin": "max-10", "sha256": "ab"})),
        1 => Just(json!({"file": "a.onnx"})),
        2 => ("[0-9a-fA-F]{64}|[0-9a-g]{62,66}")
            .prop_map(|sha256| json!({"configMapKeyRef": {"name": "a", "key": "b", "sha256": sha256}})),
    ];
    let expression = (
        label(),
        sample::select(vec!["In", "NotIn", "Exists", "DoesNotExist"]),
        proptest::option::of(proptest::collection::vec(label(), 0..3)),
    )
        .prop_map(|(key, operator, values)| json!({"key": key, "operator": operator, "values": values}));
    let rule = (
        prop_oneof![4 => Just("rtt".to_owned()), 1 => "[-a-zA-Z0-9.]{0,4}", 1 => Just("r".repeat(64))],
        duration(),
        maybe(text(duration().boxed())),
        maybe(text(duration().boxed())),
        maybe((0..62_u32, 0..62_u32).prop_map(|(k, of)| json!({"k": k, "of": of}))),
        maybe(text(duration().boxed())),
        maybe(model),
        maybe((0..3_u32).prop_map(Value::from)),
        maybe(prop_oneof![4 => 3..=101_i64, 1 => -9..=9_i64, 1 => any::<i64>()].prop_map(Value::from)),
    );
    (rule, label(), label(), maybe(expression), any::<bool>()).prop_map(
        |(
            (name, threshold, resolve, hold_for, debounce, keep, model, budget, confidence),
            key,
            value,
            expression,
            labelled,
        )| {
            let mut policy = document(CHECKOUT);
            let mut rule = json!({"name": name, "signal": "RttForecast", "rttForecast": {"threshold": threshold}});
            let mut put = |pointer: &str, field: &str, value: Option<Value>| {
                if let (Some(value), Some(parent)) = (value, rule.pointer_mut(pointer)) {
                    parent[field] = value;
                }
            };
            put("/rttForecast", "resolveThreshold", resolve);
            put("", "holdFor", hold_for);
            put("", "debounce", debounce);
            put("", "keepFiringFor", keep);
            put("", "model", model);
            put("", "maxFalseAlertsPerDay", budget);
            put("", "minConfidencePercent", confidence);
            policy["spec"]["rules"] = json!([rule]);
            let mut selector = json!({});
            if labelled {
                selector["matchLabels"] = json!({key: value});
            }
            if let Some(mut expression) = expression {
                if expression["values"].is_null() {
                    expression.as_object_mut().unwrap().remove("values");
                }
                selector["matchExpressions"] = json!([expression]);
            }
            policy["spec"]["target"]["podSelector"] = selector;
            policy
        },
    )
}

fn converts(policy: &Value) -> Result<(), String> {
    let mut policy = policy.clone();
    policy["metadata"]["uid"] = json!("0f1");
    let policy: PrecursorPolicy = serde_json::from_value(policy).map_err(|error| error.to_string())?;
    Policy::try_from(&policy).map(drop).map_err(|refusal| refusal.to_string())
}

#[tokio::test]
async fn what_the_server_accepts_converts_and_what_converts_is_accepted() {
    for version in VERSIONS {
        let cluster = Cluster::new(version).await;
        let (mut runner, strategy) = (TestRunner::deterministic(), policy());
        let (mut accepted, mut disagreements) = (0, Vec::new());
        for _ in 0..POLICIES {
            let policy = strategy.new_tree(&mut runner).unwrap().current();
            let server = cluster.try_out(&policy).await.map_err(crate::words);
            accepted += usize::from(server.is_ok());
            match (server, converts(&policy)) {
                (Ok(_), Err(ours)) => disagreements.push(format!("only we refuse {}: {ours}", policy["spec"])),
                (Err(theirs), Ok(())) => {
                    disagreements.push(format!("only the server refuses {}: {theirs}", policy["spec"]));
                }
                _ => {}
            }
        }
        assert!(disagreements.is_empty(), "{version}: {}", disagreements.join("\n"));
        // Most have at least one mistake; agreement on either side is only seen where there are some of it.
        let both = POLICIES / 40..POLICIES * 39 / 40;
        assert!(both.contains(&accepted), "{version}: {accepted} of {POLICIES} accepted say little");
    }
}
