//! `netprecursor model`: inspect and run agree, and the advice in errors works.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use netprecursor_core::features;
use netprecursor_models::builtin;
use serde_json::Value;

use crate::{netprecursor, stderr};

fn run(directory: &Path, arguments: &[&str]) -> Output {
    netprecursor(directory, &[&["model"][..], arguments].concat())
}

fn inspect(directory: &Path, file: &str) -> Value {
    serde_json::from_slice(&run(directory, &["inspect", "--json", file]).stdout).unwrap()
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/golden").join(name)
}

/// The model that ships with two features of names of equal length changing places.
fn permuted() -> (Vec<u8>, [&'static str; 2]) {
    let names = ["rtt_p90_us_mean4", "rtt_p99_us_mean4"];
    let mut model = builtin::model("rtt-xgboost").unwrap().to_vec();
    let quoted = names.map(|name| format!("\"{name}\""));
    let places =
        quoted.each_ref().map(|name| model.windows(name.len()).position(|part| part == name.as_bytes()).unwrap());
    for (place, name) in places.into_iter().zip(quoted.iter().rev()) {
        model[place..place + name.len()].copy_from_slice(name.as_bytes());
    }
    (model, names)
}

#[test]
fn inspect_and_run_refuse_a_model_with_permuted_names_for_the_same_reason() {
    let directory = tempfile::tempdir().unwrap();
    let (model, [expected, got]) = permuted();
    fs::write(directory.path().join("permuted.onnx"), model).unwrap();
    let names: Vec<&str> = features::all().iter().map(|feature| feature.name.as_str()).collect();
    let row = vec!["0.5"; names.len()].join(",");
    fs::write(directory.path().join("rows.csv"), format!("{}\n{row}\n", names.join(","))).unwrap();

    let verdict = inspect(directory.path(), "permuted.onnx");
    assert_eq!((&verdict["accepted"], &verdict["policy"]["accepted"]), (&true.into(), &false.into()), "{verdict:#}");
    let reason = verdict["policy"]["reason"].as_str().unwrap();
    let position = names.iter().position(|name| *name == expected).unwrap() + 1;
    for part in [format!("got \"{got}\""), format!("expected \"{expected}\""), format!("at position {position} of ")] {
        assert!(reason.contains(&part), "{part}: {reason}");
    }
    let output = run(directory.path(), &["run", "permuted.onnx", "--input", "rows.csv"]);
    assert!(!output.status.success() && stderr(&output).contains(reason), "{}", stderr(&output));
    assert!(output.stdout.is_empty());

    fs::write(directory.path().join("good.onnx"), builtin::model("rtt-xgboost").unwrap()).unwrap();
    let output = run(directory.path(), &["run", "good.onnx", "--input", "rows.csv"]);
    let outputs: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(outputs["outputs"]["quantiles"].as_array().unwrap().len(), 1, "{}", stderr(&output));
}

#[test]
fn the_wrapping_of_a_model_is_named_and_the_advice_unwraps_it() {
    let directory = tempfile::tempdir().unwrap();
    let shell = |script: &str| {
        let output = Command::new("sh").current_dir(directory.path()).args(["-ec", script]).output().unwrap();
        assert!(output.status.success(), "{script}: {}", stderr(&output));
    };
    fs::copy(golden("lightgbm-missing.onnx"), directory.path().join("m.onnx")).unwrap();
    let accepted = inspect(directory.path(), "m.onnx");
    for (wrap, name, advice) in [
        ("gzip -c m.onnx > FILE", "a gzip file", "gzip -dc < FILE > NEW"),
        ("base64 m.onnx > FILE", "base64 text", "base64 -d < FILE > NEW"),
        ("base64 -w 0 m.onnx > FILE", "base64 text", "base64 -d < FILE > NEW"),
        (
            "gzip -c m.onnx | base64 > FILE",
            "base64 text",
            "base64 -d < FILE > NEW && mv NEW FILE && gzip -dc < FILE > NEW",
        ),
        ("tar -cf FILE m.onnx && rm m.onnx", "a tar archive", "tar -xf FILE"),
    ] {
        shell(wrap);
        let refused = run(directory.path(), &["inspect", "--json", "FILE"]);
        let verdict: Value = serde_json::from_slice(&refused.stdout).unwrap();
        let reason = verdict["reason"].as_str().unwrap();
        let first = advice.split(" && ").next().unwrap();
        assert!(!refused.status.success() && reason.contains(name) && reason.contains(first), "{wrap}: {reason}");
        shell(advice);
        assert_eq!(
            inspect(directory.path(), if advice.contains("NEW") { "NEW" } else { "m.onnx" }),
            accepted,
            "{advice}"
        );
    }
}

#[test]
fn rows_without_a_header_lose_no_row_and_the_advice_works() {
    let directory = tempfile::tempdir().unwrap();
    let model = golden("lightgbm-missing.onnx");
    let rows = "0.5,,1,2,3,4\n0.25,inf,1,2,nan,4\n";
    let run_rows = |text: &str| {
        fs::write(directory.path().join("rows.csv"), text).unwrap();
        run(directory.path(), &["run", model.to_str().unwrap(), "--input", "rows.csv"])
    };
    let refused = run_rows(rows);
    assert!(!refused.status.success() && refused.stdout.is_empty());
    assert!(stderr(&refused).contains("no header: got numbers in the first line (0.5,,1,…)"), "{}", stderr(&refused));
    let accepted = run_rows(&format!("a,b,c,d,e,f\n{rows}"));
    let outputs: Value = serde_json::from_slice(&accepted.stdout).unwrap();
    assert_eq!(outputs["outputs"]["variable"].as_array().unwrap().len(), 2, "{}", stderr(&accepted));
}

#[test]
fn a_path_that_no_shell_has_expanded_is_refused_before_anything_is_opened() {
    let directory = tempfile::tempdir().unwrap();
    for arguments in [&["inspect", "~/m.onnx"][..], &["run", "m.onnx", "--input=~/rows.csv"]] {
        let refused = run(directory.path(), arguments);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&refused).contains("expected the whole path: write for example `/"), "{}", stderr(&refused));
    }
}
