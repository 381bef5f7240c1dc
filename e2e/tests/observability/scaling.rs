//! What `docs/scaling.md` has Prometheus asked for: each query finds one number for a workload, which autoscalers take as it is.

use std::{fs, path::Path};

use netprecursor_metrics::query;
use serde_json::Value;

use crate::prometheus::Prometheus;

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file)).unwrap()
}

/// The YAML of the page.
fn blocks() -> Vec<String> {
    let page = read("docs/scaling.md");
    page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

/// The one of the page's documents that has this field.
fn with(field: &str) -> Value {
    let mut documents = blocks().into_iter().map(|block| serde_saphyr::from_str::<Value>(&block).unwrap());
    documents.find(|document| document.get(field).is_some()).unwrap()
}

/// The one number that a query finds.
fn number(place: &str, expr: &str) -> f64 {
    assert_eq!(query::problems(expr, &[]), Vec::<String>::new(), "{place}: {expr}");
    let found = Prometheus::shared().expect(place, expr).unwrap();
    assert_eq!(found.len(), 1, "{place}: {expr}: an autoscaler adds up {found:?}");
    found[0]["value"][1].as_str().unwrap().parse().unwrap()
}

#[test]
fn the_adapters_rules_find_the_highest_chance_and_the_highest_forecast_of_a_workload() {
    let rules = with("externalRules")["externalRules"].clone();
    let matchers = r#"namespace="shop",workload_kind="Deployment",workload="web""#;
    let values = rules.as_array().unwrap().iter().map(|rule| {
        let series = rule["seriesQuery"].as_str().unwrap();
        Prometheus::shared().expect("seriesQuery", series).unwrap();
        let name = series.split('{').next().unwrap();
        let template = rule["metricsQuery"].as_str().unwrap();
        let expr = template.replace("<<.Series>>", name).replace("<<.LabelMatchers>>", matchers);
        (rule["name"]["as"].as_str().unwrap().to_owned(), number("metricsQuery", &expr).round())
    });
    let values: Vec<(String, f64)> = values.collect();
    let expected = [("netprecursor_breach_chance_percent", 75.0), ("netprecursor_rtt_forecast_milliseconds", 231.0)];
    assert_eq!(values, expected.map(|(name, value)| (name.to_owned(), value)));
}

#[test]
fn kedas_trigger_finds_the_highest_chance_of_a_workload() {
    let spec = with("spec")["spec"].clone();
    assert_eq!(spec["minReplicaCount"], 1, "KEDA would take the last pod away");
    let trigger = spec["triggers"][0].clone();
    let expr = trigger["metadata"]["query"].as_str().unwrap().replace("\"checkout\"", "\"web\"");
    assert_eq!(number("query", &expr).round(), 75.0);
}

#[test]
fn the_page_shows_the_example_as_it_is() {
    let (example, blocks) = (read("examples/autoscaler.yaml"), blocks());
    assert!(example.contains(&blocks[0]), "examples/autoscaler.yaml has not what the page shows:\n{}", blocks[0]);
}
