//! Policies as objects of a cluster, into the domain.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests say what they expect by unwrapping")]

use netprecursor_core::policy::{ModelRef, Policy, Scope};
use netprecursor_crds::{ClusterPrecursorPolicy, PrecursorPolicy, policies_from_yaml};

const CHECKOUT: &str = include_str!("../../examples/policies/checkout.yaml");
const OWN_MODEL: &str = include_str!("../../examples/policies/kubernetes/own-model.yaml");
const TRIAL: &str = include_str!("../../examples/policies/cluster-shadow.yaml");

fn object<T: serde::de::DeserializeOwned>(yaml: &str) -> T {
    serde_saphyr::from_str(&yaml.replace("metadata:\n", "metadata:\n  uid: 0f1\n")).unwrap()
}

fn told(yaml: &str) -> String {
    Policy::try_from(&object::<PrecursorPolicy>(yaml)).expect_err("it was accepted").to_string()
}

#[test]
fn an_object_means_what_the_same_text_means_outside_the_cluster() {
    let with_uid = CHECKOUT.replace("metadata:\n", "metadata:\n  uid: 0f1\n");
    let outside = policies_from_yaml("test", &with_uid).unwrap().remove(0);
    assert_eq!(Policy::try_from(&object::<PrecursorPolicy>(CHECKOUT)).unwrap(), outside);
}

#[test]
fn a_cluster_policy_looks_into_namespaces() {
    let first = TRIAL.split("---").next().unwrap();
    let policy = Policy::try_from(&object::<ClusterPrecursorPolicy>(first)).unwrap();
    assert!(matches!(policy.scope, Scope::Cluster(_)), "{policy:?}");
}

#[test]
fn a_model_in_a_config_map_is_known_by_its_digest() {
    let policy = Policy::try_from(&object::<PrecursorPolicy>(OWN_MODEL)).unwrap();
    let ModelRef::Published { name, sha256 } = &policy.rules.iter().next().unwrap().model else { panic!("{policy:?}") };
    assert_eq!((name.as_str(), sha256[0], sha256[31]), ("rtt-models/checkout.onnx.gz", 0x0d, 0x4d));
}

#[test]
fn what_cannot_be_had_in_a_cluster_is_told_without_a_document() {
    let standalone = include_str!("../../examples/policies/standalone/storage-lan.yaml")
        .replace("metadata:\n", "metadata:\n  namespace: lab\n");
    let text = told(&standalone);
    assert!(
        text.starts_with("PrecursorPolicy lab/storage-lan cannot be used:\n  spec.rules[0].model.file: got"),
        "{text}"
    );
    assert!(text.contains("configMapKeyRef: {name, key, sha256}"), "{text}");
}

#[test]
fn all_problems_of_an_object_are_told() {
    let broken = CHECKOUT.replace("200ms", "200").replace("holdFor: 2s", "holdFor: 90s").replace("app:", "'a b':");
    let text = told(&broken);
    for path in ["spec.target.podSelector.matchLabels", "spec.rules[0].rttForecast.threshold", "spec.rules[0].holdFor"]
    {
        assert!(text.contains(path), "{path}: {text}");
    }
    let text = told(&OWN_MODEL.replace("0d5e", "xyz"));
    assert!(text.contains("spec.rules[0].model.configMapKeyRef.sha256: got `xyz"), "{text}");
}
