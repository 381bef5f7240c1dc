//! The rules: by Prometheus' own tool, and in a Prometheus.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{
    files,
    prometheus::{Prometheus, promtool},
};

/// Every rule, by its field `record` or `alert`.
fn rules(field: &str) -> Vec<Value> {
    let text = fs::read_to_string(files().join("rules.yaml")).unwrap();
    let file: Value = serde_saphyr::from_str(&text).unwrap();
    let groups = file["groups"].as_array().unwrap();
    let rules = groups.iter().flat_map(|group| group["rules"].as_array().unwrap());
    let rules: Vec<Value> = rules.filter(|rule| rule[field].is_string()).cloned().collect();
    assert!(!rules.is_empty(), "no {field}");
    rules
}

fn unit_tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/observability/rules.test.yaml")
}

#[test]
fn promtool_finds_nothing_to_complain_of() {
    promtool(&["check", "rules", "--lint=all", "--lint-fatal"], &files().join("rules.yaml"));
}

#[test]
fn each_alert_fires_when_it_should_and_no_other_does() {
    promtool(&["test", "rules"], &unit_tests());
}

#[test]
fn each_alert_has_a_test_in_which_it_fires() {
    let tests = fs::read_to_string(unit_tests()).unwrap();
    for rule in rules("alert") {
        let alert = rule["alert"].as_str().unwrap();
        assert!(tests.contains(&format!("alertname=\"{alert}\"")), "no test expects {alert}");
    }
}

#[test]
fn every_recorded_series_is_there_and_every_alert_can_be_evaluated() {
    let prometheus = Prometheus::shared();
    let mut problems: Vec<String> = Vec::new();
    for rule in rules("record") {
        let record = rule["record"].as_str().unwrap();
        problems.extend(prometheus.expect("record", record).err());
    }
    for rule in rules("alert") {
        problems.extend(prometheus.query(rule["expr"].as_str().unwrap()).err());
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn an_alert_says_whose_rtt_it_is_about() {
    let firing = r#"ALERTS{alertname="NetprecursorForecastBreach",alertstate="firing"}"#;
    let found = Prometheus::shared().expect("alert", firing).unwrap();
    let labels = &found[0]["metric"];
    for (label, value) in [
        ("cluster", "east"),
        ("namespace", "shop"),
        ("workload_kind", "Deployment"),
        ("workload", "web"),
        ("policy", "checkout"),
        ("rule", "rtt"),
        ("severity", "critical"),
    ] {
        assert_eq!(labels[label], value, "{labels}");
    }
}
