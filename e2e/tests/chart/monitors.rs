//! The Prometheus operator's own definitions of what the chart makes of its kinds, from its Go module: what would refuse ours.

use std::{fs, path::PathBuf, process::Command};

use serde::Deserialize;
use serde_json::Value;

use crate::objects;

const MODULE: &str = "github.com/prometheus-operator/prometheus-operator@v0.85.0";
/// Checksum of the module, as `go.sum` has it.
const SUM: &str = "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Download {
    dir: PathBuf,
    sum: String,
}

/// The definitions.
pub(crate) fn definitions() -> Vec<Value> {
    let output = Command::new("go").args(["mod", "download", "-json", MODULE]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let module: Download = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(module.sum, SUM);
    let read = |plural: &str| {
        let path = module.dir.join(format!("example/prometheus-operator-crd/monitoring.coreos.com_{plural}.yaml"));
        objects::read(&fs::read_to_string(path).unwrap()).remove(0)
    };
    ["servicemonitors", "podmonitors", "prometheusrules"].map(read).into()
}
