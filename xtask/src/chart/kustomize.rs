//! The base for `kubectl apply -k`: the chart as it renders by default, in a namespace that may run agents.

use std::{path::Path, process::Command};

use anyhow::{Context as _, bail};

use super::{CHART, Generated};

const BASE: &str = "deploy/kustomize";
const NAMESPACE: &str = "netprecursor-system";

const NAMESPACE_YAML: &str = "# Made by cargo xtask bless.
# Agents load BPF programs, which the other levels of Pod Security refuse.
apiVersion: v1
kind: Namespace
metadata:
  name: netprecursor-system
  labels:
    app.kubernetes.io/part-of: netprecursor
    pod-security.kubernetes.io/enforce: privileged
";

const KUSTOMIZATION: &str = "# Made by cargo xtask bless. Change what it makes in an overlay of your own.
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
- namespace.yaml
- crds.yaml
- netprecursor.yaml
";

/// Annotations and labels that only Helm uses.
const OF_HELM: &[&str] =
    &["\"helm.sh/chart\":", "\"helm.sh/resource-policy\":", "\"app.kubernetes.io/managed-by\": \"Helm\""];

/// The base's files.
///
/// # Errors
/// Helm is missing, or refuses the chart.
pub(super) fn render(helm: &Path) -> anyhow::Result<Vec<Generated>> {
    let rendered = template(helm)?;
    let (definitions, rest): (Vec<_>, Vec<_>) =
        documents(&rendered).into_iter().partition(|document| document.contains("\nkind: CustomResourceDefinition\n"));
    if definitions.is_empty() || rest.is_empty() {
        bail!(
            "got {} definitions and {} other objects from helm template, expected some of both",
            definitions.len(),
            rest.len()
        );
    }
    let file = |name: &str, text: String| Generated::new(format!("{BASE}/{name}"), text);
    Ok(vec![
        file("kustomization.yaml", KUSTOMIZATION.to_owned()),
        file("namespace.yaml", NAMESPACE_YAML.to_owned()),
        file("crds.yaml", joined(&definitions)),
        file("netprecursor.yaml", joined(&rest)),
    ])
}

fn template(helm: &Path) -> anyhow::Result<String> {
    let output = Command::new(helm)
        // The oldest cluster that the chart accepts.
        .args(["template", "netprecursor", CHART, "--namespace", NAMESPACE, "--kube-version", "1.32.0", "--no-hooks"])
        .output()
        .with_context(|| format!("starting {}; expected Helm: give it by --helm", helm.display()))?;
    if !output.status.success() {
        bail!("helm template: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout).context("helm template: expected UTF-8")
}

/// The objects of a rendered chart without Helm's marks, ordered by kind, namespace and name as they come.
fn documents(rendered: &str) -> Vec<String> {
    let cleaned = rendered.split("\n---\n").map(|document| {
        let is_kept = |line: &&str| {
            let content = line.trim_start();
            *line != "---" && !content.starts_with("# Source:") && !OF_HELM.iter().any(|mark| content.starts_with(mark))
        };
        without_empty_maps(&document.lines().filter(is_kept).collect::<Vec<_>>())
    });
    cleaned.filter(|document| document.contains("kind:")).collect()
}

/// A key whose only content was Helm's would be left with nothing.
fn without_empty_maps(lines: &[&str]) -> String {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut text = "\n".to_owned();
    for (at, line) in lines.iter().enumerate() {
        let is_annotations = line.trim() == "annotations:";
        let has_content = lines.get(at + 1).is_some_and(|next| indent(next) > indent(line));
        if !is_annotations || has_content {
            text.push_str(line);
            text.push('\n');
        }
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}

fn joined(documents: &[String]) -> String {
    let bodies: Vec<_> = documents.iter().map(|document| document.trim_start()).collect();
    format!("# Made by cargo xtask bless from {CHART}.\n{}", bodies.join("---\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_helm_looks_at_is_left_out() {
        let rendered = "---\n# Source: a\nkind: A\nmetadata:\n  annotations:\n    \"helm.sh/resource-policy\": \"keep\"\n  \
                        labels:\n    \"helm.sh/chart\": \"x\"\n    \"app.kubernetes.io/managed-by\": \"Helm\"\n    a: b\n\n---\n# \
                        Source: b\n";
        assert_eq!(documents(rendered), ["\nkind: A\nmetadata:\n  labels:\n    a: b\n"]);
    }
}
