//! Every golden model scores as onnxruntime does: |Δ| ≤ 1e-5 · max(1, |y|). golden/make_golden.py made them.

#![expect(clippy::expect_used, reason = "a test says what it expects by unwrapping")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use netprecursor_models::contract::PolicyContract;
use netprecursor_models::forest::Labels;
use netprecursor_models::{Scorer, Use};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    rows: Vec<Vec<Number>>,
    outputs: BTreeMap<String, Vec<Vec<Number>>>,
}

#[derive(Deserialize, Clone)]
#[serde(untagged)]
enum Number {
    Finite(f32),
    /// An infinity, or the name of a class after "class ".
    Word(String),
    Missing(()),
}

impl Number {
    fn value(&self) -> f32 {
        match self {
            Self::Finite(value) => *value,
            Self::Word(text) => text.parse().expect("inf or -inf"),
            Self::Missing(_) => f32::NAN,
        }
    }

    fn label(&self) -> String {
        match self {
            Self::Word(text) => text.strip_prefix("class ").expect("the name of a class").to_owned(),
            number => number.value().to_string(),
        }
    }
}

/// The name of the class at a position, as golden files write it.
fn name(labels: &Labels, position: f32) -> String {
    match labels {
        Labels::Ints(names) => names[position as usize].to_string(),
        Labels::Strings(names) => names[position as usize].clone(),
    }
}

fn models() -> Vec<(String, Vec<u8>, Golden)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden");
    let mut models = Vec::new();
    for entry in fs::read_dir(&folder).expect("models/golden") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "onnx") {
            let golden = fs::read(path.with_extension("json")).expect("vectors beside the model");
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            models.push((name, fs::read(&path).expect("the model"), serde_json::from_slice(&golden).expect("vectors")));
        }
    }
    models.sort_by(|a, b| a.0.cmp(&b.0));
    models
}

/// The first difference beyond the tolerance, in words.
fn difference(scorer: &mut Scorer, golden: &Golden, rows: usize) -> Option<String> {
    let flat: Vec<f32> = golden.rows[..rows].iter().flatten().map(Number::value).collect();
    let outputs = scorer.score_all(&flat).expect("rows of the model's width");
    assert_eq!(outputs.len(), golden.outputs.len());
    for (port, values) in outputs {
        let expected = &golden.outputs[&port.name];
        assert_eq!(values.len(), rows * port.width, "one row out per row in");
        assert_eq!(expected[0].len(), port.width, "columns of {}", port.name);
        for (row, (got, expected)) in values.chunks(port.width).zip(expected).enumerate() {
            if let Some(labels) = &port.labels {
                let (got, expected) = (name(labels, got[0]), expected[0].label());
                if got != expected {
                    return Some(format!("{} row {row}: class {got}, expected {expected}", port.name));
                }
                continue;
            }
            for (column, (got, expected)) in got.iter().zip(expected.iter().map(Number::value)).enumerate() {
                let same = (got.is_nan() && expected.is_nan())
                    || *got == expected
                    || (got - expected).abs() <= 1e-5 * expected.abs().max(1.0);
                if !same {
                    return Some(format!("{} row {row} column {column}: {got}, expected {expected}", port.name));
                }
            }
        }
    }
    None
}

#[test]
fn every_golden_model_scores_as_onnxruntime_does() {
    let models = models();
    assert!(models.len() > 50, "only {} golden models found", models.len());
    let mut wrong = Vec::new();
    for (name, bytes, golden) in &models {
        let mut scorer = match Scorer::load(bytes, Use::Inspect) {
            Ok(scorer) => scorer,
            Err(refusal) => {
                wrong.push(format!("{name} is refused: {refusal}"));
                continue;
            }
        };
        // Blocks cut off anywhere must not change a row: all rows, one, and one more than a block.
        for rows in [golden.rows.len(), 1, golden.rows.len().min(17)] {
            wrong.extend(difference(&mut scorer, golden, rows).map(|what| format!("{name} with {rows} rows: {what}")));
        }
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_example_of_the_documentation_may_be_used_by_a_policy_of_this_release() {
    let bytes = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/golden/documented.onnx")).expect("the model");
    let loaded = Scorer::load(&bytes, Use::Policy(&PolicyContract::rtt())).map(drop);
    assert_eq!(loaded, Ok(()), "the schema changed: run make_golden.py");
}

#[derive(Deserialize)]
struct Refused {
    code: String,
    words: String,
}

#[test]
fn exports_that_lost_trees_are_refused_and_score_once_their_targets_are_corrected() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden/refused");
    let mut seen = 0;
    for entry in fs::read_dir(&folder).expect("models/golden/refused") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "onnx") {
            continue;
        }
        seen += 1;
        let said = fs::read(path.with_extension("json")).expect("the refusal beside the model");
        let expected: Refused = serde_json::from_slice(&said).expect("code and words");
        let refusal = Scorer::load(&fs::read(&path).expect("the model"), Use::Inspect).map(drop);
        let refusal = refusal.expect_err("it lost trees");
        let text = refusal.to_string();
        assert!(refusal.code() == expected.code && text.contains(&expected.words), "{}: {text}", path.display());
        // The advice, followed: make_golden.py corrects the list that the refusal names, and what comes out is golden.
        assert!(text.contains("correct target_ids"), "{text}");
        let corrected = folder.with_file_name(path.file_name().expect("a name"));
        Scorer::load(&fs::read(corrected).expect("the corrected model"), Use::Inspect)
            .expect("every target has leaves");
    }
    assert!(seen >= 2, "only {seen} refused models found");
}

#[test]
fn a_changed_weight_is_seen_as_a_difference() {
    let (_, bytes, mut golden) = models().into_iter().find(|(name, ..)| name == "xgboost-squared").expect("the model");
    let mut scorer = Scorer::load(&bytes, Use::Inspect).expect("a good model");
    let output = golden.outputs.values_mut().next().expect("an output");
    output[0][0] = Number::Finite(output[0][0].value() + 1e-3);
    assert!(difference(&mut scorer, &golden, golden.rows.len()).is_some());
}
