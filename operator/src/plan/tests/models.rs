//! Users' models and the release's.

use std::sync::Arc;

use serde_json::json;

use super::super::Write;
use super::{
    cluster::{Cluster, at},
    condition, is, message,
};
use crate::models::{Payload, Trouble};

#[test]
fn the_forecaster_that_learns_in_place_is_a_builtin() {
    let mut cluster = Cluster::new();
    let of = |builtin: &str| {
        let threshold = json!({"threshold": "200ms"});
        json!([{"name": "rtt", "signal": "RttForecast", "rttForecast": threshold, "model": {"builtin": builtin}}])
    };
    cluster.policy("shop", "checkout", json!({"rules": of("adaptive")}));
    assert_eq!(condition(&cluster.plan(at(0)), "ModelReady"), is("True", "Builtin"));
    cluster.policy("shop", "checkout", json!({"rules": of("adaptiv")}));
    let plan = cluster.plan(at(0));
    assert_eq!(condition(&plan, "ModelReady"), is("False", "UnknownBuiltin"));
    assert!(message(&plan, "ModelReady").contains("expected one of adaptive, "), "{}", message(&plan, "ModelReady"));
}

#[test]
fn a_model_is_looked_at_published_and_swept_when_nobody_wants_it() {
    let mut cluster = Cluster::new();
    let sha256 = "ab".repeat(32);
    let model = json!({"configMapKeyRef": {"name": "models", "key": "m.onnx", "sha256": sha256}});
    let rule = json!({"name": "rtt", "signal": "RttForecast", "rttForecast": {"threshold": "200ms"}, "model": model});
    cluster.policy("shop", "checkout", json!({"rules": [rule]}));
    let first = cluster.plan(at(0));
    assert_eq!((first.looks.len(), condition(&first, "ModelReady")), (1, is("Unknown", "Checking")));
    let (source, generation) = first.looks[0].clone();
    let trouble = Trouble::NotFound(source.clone());
    cluster.looked(&source, generation, at(0), Err(trouble));
    let refused = cluster.plan(at(1));
    assert_eq!((refused.looks.len(), condition(&refused, "ModelReady")), (0, is("False", "NotFound")));
    // A model that appears is noticed soon: within the time until the next look, and that of the look.
    assert_eq!((cluster.plan(at(9)).looks.len(), cluster.plan(at(9)).again.as_secs()), (0, 1));
    assert_eq!(cluster.plan(at(10)).looks.len(), 1);
    let payload = Arc::new(Payload { stored: vec![1], is_gzip: false });
    cluster.looked(&source, generation, at(300), Ok(payload));
    assert!(matches!(cluster.settled(at(300))[0], Write::PublishModel { .. }));
    assert!(cluster.observed.models.is_empty(), "the bytes are kept");
    cluster.remove_policy("shop", "checkout");
    cluster.settled(at(400));
    assert!(!cluster.plan(at(999)).writes.iter().any(|write| matches!(write, Write::DeleteModel { .. })));
    assert!(cluster.plan(at(1_000)).writes.iter().any(|write| matches!(write, Write::DeleteModel { .. })));
}

#[test]
fn many_missing_models_are_looked_for_less_often_and_wrong_ones_rarely() {
    let looked = |outcome| crate::models::Looked { at: at(0), generation: 1, outcome: Err(outcome) };
    let source = crate::models::Source {
        namespace: "shop".to_owned(),
        name: "models".to_owned(),
        key: "m.onnx".to_owned(),
        sha256: "ab".repeat(32),
    };
    let missing = looked(Trouble::NotFound(source));
    let again = [1, 50, 500, 100_000].map(|missing_now| missing.again(missing_now));
    assert_eq!(again, [10, 10, 100, 300].map(|second| Some(at(second))));
    assert_eq!(looked(Trouble::NotGzip(String::new())).again(1), Some(at(300)));
}

#[test]
fn a_rule_that_falls_back_on_some_node_says_so() {
    let mut cluster = Cluster::with_policy();
    cluster.staffed_node("n1");
    cluster.fallback("n1", "no such file");
    let plan = cluster.plan(at(0));
    assert_eq!(condition(&plan, "ModelReady"), is("False", "NotLoaded"));
}
