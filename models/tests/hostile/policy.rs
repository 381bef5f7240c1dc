//! Models that are safe and yet do not fit a policy, by their metadata or their shape.

use netprecursor_models::contract::{KIND_RTT, PolicyContract};
use netprecursor_models::{Refusal, Scorer, Use};

use super::onnx::{Message, Trees, ints_attribute, node, value, wrap};
use super::{check, refusal, speaks_plainly, with_trees};

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn contract() -> PolicyContract {
    PolicyContract {
        kind: KIND_RTT.into(),
        schema_hash: "abc".into(),
        horizon_s: 10,
        feature_names: names(&["a", "b", "c", "d"]),
        quantiles: vec![0.5],
        ..PolicyContract::rtt()
    }
}

/// A model with metadata that fits, but for one entry: another value, or none.
fn with_metadata(changed: &str, to: Option<&str>) -> Message {
    metadata_entries(changed, to).fold(with_trees(|_| {}), |file, entry| file.message(14, entry))
}

fn metadata_entries(changed: &str, to: Option<&str>) -> impl Iterator<Item = Message> {
    let entries = [
        ("netprecursor.schema_hash", "abc"),
        ("netprecursor.kind", KIND_RTT),
        ("netprecursor.horizon_s", "10"),
        ("netprecursor.quantiles", "[0.5]"),
        ("netprecursor.feature_names", r#"["a","b","c","d"]"#),
    ];
    entries.into_iter().filter_map(move |(key, fits)| {
        let value = if key.ends_with(changed) { to } else { Some(fits) };
        value.map(|value| Message::new().bytes(1, key).bytes(2, value))
    })
}

#[track_caller]
fn policy_refusal(file: &Message) -> Refusal {
    let refusal = Scorer::load(&file.0, Use::Policy(&contract())).map(drop).expect_err("no policy may use this");
    speaks_plainly(&refusal);
    refusal
}

#[test]
fn a_policy_takes_a_model_that_fits() {
    Scorer::load(&with_metadata("none", None).0, Use::Policy(&contract())).expect("it fits");
}

#[test]
fn a_contract_refusal_refuses_only_the_policy() {
    let wrong = [("schema_hash", "def"), ("kind", "PortScan"), ("horizon_s", "30"), ("quantiles", "[0.9]")];
    for (key, value) in wrong {
        let file = with_metadata(key, Some(value));
        let refusal = policy_refusal(&file);
        assert!(refusal.is_contract(), "{key}: {refusal:?}");
        assert!(refusal.to_string().contains(value), "{refusal}");
        Scorer::load(&file.0, Use::Inspect).expect("safe all the same");
        let missing = policy_refusal(&with_metadata(key, None));
        assert!(matches!(missing, Refusal::MetadataMissing { key: got, .. } if got == key), "{missing:?}");
    }
    assert!(matches!(policy_refusal(&with_metadata("schema_hash", Some("def"))), Refusal::SchemaHash { .. }));
}

#[test]
fn names_are_compared_one_by_one_and_the_first_difference_is_named() {
    let table = [
        (r#"["b","a","c","d"]"#, 1, "\"b\"", "\"a\", which it has at position 2"),
        (r#"["a","b","c","e"]"#, 4, "\"e\"", "\"d\""),
        ("a, b, d, c", 3, "\"d\"", "\"c\", which it has at position 4"),
        (r#"["a","B","c","d"]"#, 2, "\"B\"", "\"b\""),
    ];
    for (value, at, got, wanted) in table {
        let file = with_metadata("feature_names", Some(value));
        let refusal = policy_refusal(&file);
        assert!(refusal.is_contract(), "{value}: {refusal:?}");
        assert!(
            matches!(&refusal, Refusal::FeatureName { position, got: name, expected, names: 4, features: 4 }
                if *position == at && name == got && expected == wanted),
            "{value}: {refusal:?}"
        );
        let scorer = Scorer::load(&file.0, Use::Inspect).expect("safe all the same");
        assert_eq!(scorer.info().check(&contract()), Err(refusal.clone()), "an inspected model is judged alike");
        assert_eq!(scorer.info().columns(&contract()), Err(refusal), "and not run with columns by other names");
    }
    let missing = policy_refusal(&with_metadata("feature_names", None));
    assert!(matches!(missing, Refusal::MetadataMissing { key: "feature_names", .. }), "{missing:?}");
    let fewer = PolicyContract { feature_names: names(&["a", "b", "c"]), ..contract() };
    let refusal = fewer.check_names(&contract().feature_names).expect_err("four names are not three");
    assert!(refusal.to_string().contains("got \"d\" at position 4 of 4, expected no more names"), "{refusal}");
    let refusal = contract().check_names(&fewer.feature_names).expect_err("three names are not four");
    assert!(refusal.to_string().contains("got no name at position 4 of 3, expected \"d\""), "{refusal}");
}

#[test]
fn metadata_that_cannot_be_meant_is_refused_for_every_use() {
    let table = [
        ("feature_names", r#"["a","b","a","d"]"#, "\"a\" at positions 1 and 3"),
        ("feature_names", r#"["a","b","","d"]"#, "not empty"),
        ("feature_names", r#"["a"]"#, "4 names, as the input has columns"),
        ("feature_names", r#"["a",["b"],"c","d"]"#, "a JSON list of names"),
        ("quantiles", "[0.9, 0.5]", "ascending"),
        ("quantiles", "50, 90", "between 0 and 1"),
        ("horizon_s", "10s", "whole seconds"),
    ];
    for (key, value, words) in table {
        let file = with_metadata(key, Some(value));
        let refusal = refusal(&file.0);
        assert!(matches!(&refusal, Refusal::MetadataWrong { key: got, .. } if *got == key), "{value}: {refusal:?}");
        assert!(refusal.to_string().contains(words) && !refusal.is_contract(), "{refusal}");
        speaks_plainly(&refusal);
    }
}

#[test]
fn names_that_contradict_those_of_the_inputs_are_refused() {
    let of_inputs = |inputs: [&str; 2], names: Option<&str>| {
        let graph = Message::new().message(1, node("Max", "", &inputs, &["y"], vec![]));
        let graph = inputs.iter().fold(graph, |graph, name| graph.message(11, value(name, 1)));
        let file = wrap(graph.message(12, value("y", 1)));
        names.map_or(file.clone(), |names| file.message(14, Message::new().bytes(1, "feature_names").bytes(2, names)))
    };
    let file = of_inputs(["a", "b"], Some(r#"["b","a"]"#));
    refused!(file, Refusal::MetadataWrong { key: "feature_names", got, .. } if got == "\"b\" at position 1");
    for (inputs, said, columns) in [
        (["a", "b"], Some(r#"["a","b"]"#), ["a", "b"]),
        (["input_0", "input_1"], Some(r#"["b","a"]"#), ["b", "a"]),
        (["a", "b"], None, ["a", "b"]),
    ] {
        let scorer = Scorer::load(&of_inputs(inputs, said).0, Use::Inspect).expect("no contradiction");
        assert_eq!(scorer.info().columns(&contract()), Ok(Some(names(&columns))));
    }
}

#[test]
fn a_model_of_this_schema_without_names_has_those_of_the_schema() {
    let scorer = Scorer::load(&with_metadata("feature_names", None).0, Use::Inspect).expect("a safe model");
    assert_eq!(scorer.info().columns(&contract()), Ok(Some(contract().feature_names)));
    let scorer = Scorer::load(&with_trees(|_| {}).0, Use::Inspect).expect("a safe model");
    assert_eq!(scorer.info().columns(&contract()), Ok(None), "only the order is known");
}

#[test]
fn the_features_of_a_model_that_ships_swapped_are_refused_by_the_release() {
    let shipped = netprecursor_models::builtin::model("rtt-xgboost").expect("it ships");
    let [one, other] = ["\"rtt_p90_us_mean4\"", "\"rtt_p99_us_mean4\""];
    let at = |name: &str| shipped.windows(name.len()).position(|window| window == name.as_bytes()).expect("a feature");
    let mut swapped = shipped.to_vec();
    swapped[at(one)..][..one.len()].copy_from_slice(other.as_bytes());
    swapped[at(other)..][..other.len()].copy_from_slice(one.as_bytes());
    let refusal = Scorer::load(&swapped, Use::Policy(&PolicyContract::rtt())).map(drop).expect_err("other columns");
    assert!(matches!(&refusal, Refusal::FeatureName { got, .. } if got == other), "{refusal:?}");
    speaks_plainly(&refusal);
}

#[test]
fn a_policy_refuses_another_shape() {
    let classes = {
        let mut trees = Trees::perfect(2, 1, 4);
        trees.targets[0] = 1;
        let node = trees.classifier(vec![ints_attribute("classlabels_int64s", &[3, 7])]);
        let graph = Message::new().message(1, node).message(11, value("x", 4)).message(12, value("label", 1));
        metadata_entries("none", None).fold(wrap(graph), |file, entry| file.message(14, entry))
    };
    let refusal = policy_refusal(&classes);
    assert!(refusal.to_string().contains("classes among them"), "a class is no quantile: {refusal}");
    let several = PolicyContract { quantiles: vec![0.5, 0.9], ..contract() };
    let file = with_metadata("quantiles", Some("[0.5, 0.9]"));
    let refusal = Scorer::load(&file.0, Use::Policy(&several)).map(drop).expect_err("one column is not two");
    assert!(matches!(refusal, Refusal::Shape { .. }), "{refusal:?}");
    speaks_plainly(&refusal);
}
