//! Custom resource definitions as templates. Helm installs a chart's `crds/` once and never touches them again; as
//! templates they are upgraded with the release, and an annotation keeps them when it goes.

use std::{fs, path::Path};

use anyhow::{Context as _, bail};

use super::{CHART, Generated};

/// Labels and annotations that the chart adds; goes below `metadata:`.
const METADATA: &str = r#"  labels:
    {{- include "netprecursor.labels" . | nindent 4 }}
  {{- if or .Values.crds.keep .Values.crds.annotations }}
  annotations:
    {{- $own := ternary (dict "helm.sh/resource-policy" "keep") dict .Values.crds.keep }}
    {{- include "netprecursor.merged" (list .Values.crds.annotations $own) | nindent 4 }}
  {{- end }}
"#;

/// A template for every definition in `directory`.
///
/// # Errors
/// There is none, or one has labels or annotations of its own.
pub(super) fn templates(directory: &Path) -> anyhow::Result<Vec<Generated>> {
    let reading = || format!("reading {}; expected generated definitions there", directory.display());
    let mut paths = fs::read_dir(directory)
        .with_context(reading)?
        .map(|entry| Ok(entry?.path()))
        .collect::<anyhow::Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    paths.sort();
    if paths.is_empty() {
        bail!("got no definition in {}; expected one file for each kind", directory.display());
    }
    paths.iter().map(|path| one(path)).collect()
}

fn one(path: &Path) -> anyhow::Result<Generated> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let template = template(&text).with_context(|| path.display().to_string())?;
    Ok(Generated::new(format!("{CHART}/templates/crds/{name}"), template))
}

/// The definition in `text` as a template.
fn template(text: &str) -> anyhow::Result<String> {
    let body: Vec<&str> = text.lines().filter(|line| !line.starts_with('#') && *line != "---").collect();
    let Some(metadata) = body.iter().position(|line| *line == "metadata:") else {
        bail!("got no line `metadata:`, expected block style");
    };
    let own = body[metadata + 1..].iter().take_while(|line| line.starts_with(' '));
    if own.clone().any(|line| matches!(line.trim_end(), "  labels:" | "  annotations:")) {
        bail!("got labels or annotations, expected none: the chart adds its own");
    }
    // Braces that Helm would interpret are escaped.
    let lines = |lines: &[&str]| lines.join("\n").replace("{{", "{{ \"{{\" }}") + "\n";
    Ok(format!(
        "{{{{- /* Made by cargo xtask bless from the types in crds/. */ -}}}}\n{{{{- if .Values.crds.enabled -}}}}\n{}{METADATA}{}{{{{- end }}}}\n",
        lines(&body[..=metadata]),
        lines(&body[metadata + 1..])
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_becomes_a_template_that_can_be_kept_and_switched_off() {
        let template = template("# generated\nkind: X\nmetadata:\n  name: a.b\nspec: {d: '{{x'}\n").unwrap();
        assert!(template.contains("if .Values.crds.enabled"), "{template}");
        assert!(template.contains("metadata:\n  labels:\n"), "{template}");
        assert!(template.contains("\"helm.sh/resource-policy\" \"keep\""), "{template}");
        assert!(template.contains("\n  name: a.b\nspec: {d: '{{ \"{{\" }}x'}\n{{- end }}\n"), "{template}");
        assert!(!template.contains("# generated"), "{template}");
    }

    #[test]
    fn a_definition_that_brings_labels_is_refused() {
        assert!(template("kind: X\nmetadata:\n  name: a\n  labels:\n    a: b\nspec: {}\n").is_err());
        assert!(template("kind: X\nspec:\n  labels: {}\n").is_err());
    }
}
