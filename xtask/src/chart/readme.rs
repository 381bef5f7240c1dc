//! The chart's README: `README.md.in` with versions and the table of values filled in.

use std::fmt::Write as _;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use serde_json::Value;

use super::values::Entry;

/// Where the table goes.
const TABLE: &str = "{{values}}";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chart {
    version: String,
    app_version: String,
    kube_version: String,
}

/// The README.
///
/// # Errors
/// The chart's description is not understood, or the template has no place for the table.
pub(super) fn render(template: &str, chart: &str, entries: &[Entry]) -> anyhow::Result<String> {
    if !template.contains(TABLE) {
        bail!("README.md.in: got no {TABLE}, expected the place of the table of values");
    }
    let chart: Chart = serde_saphyr::from_str(chart).context("Chart.yaml")?;
    Ok(template
        .replace("{{version}}", &chart.version)
        .replace("{{appVersion}}", &chart.app_version)
        .replace("{{kubeVersion}}", chart.kube_version.trim_end_matches("-0"))
        .replace(TABLE, table(entries).trim_end()))
}

fn table(entries: &[Entry]) -> String {
    let mut table = "| value | type | default | what it does |\n|---|---|---|---|\n".to_owned();
    for entry in entries {
        let (kind, default) = (kind(&entry.default), entry.default.to_string());
        // A bar ends a cell, even inside code.
        let description = entry.description.replace('|', "\\|");
        // Writing to a string cannot fail.
        let _ = writeln!(table, "| `{}` | {kind} | `{}` | {description} |", entry.key(), default.replace('|', "\\|"));
    }
    table
}

const fn kind(default: &Value) -> &'static str {
    match default {
        Value::Null => "any",
        Value::Bool(_) => "bool",
        Value::Number(_) => "int",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::values;

    const CHART: &str = "version: 1.2.3\nappVersion: 4.5.6\nkubeVersion: '>=1.32.0-0'\n";

    #[test]
    fn versions_and_values_are_filled_in() {
        let entries = values::read("# -- This | that\na: [x]\n").unwrap();
        let readme = render("{{version}} {{appVersion}} {{kubeVersion}}\n{{values}}\nend\n", CHART, &entries).unwrap();
        assert!(readme.starts_with("1.2.3 4.5.6 >=1.32.0\n| value"), "{readme}");
        assert!(readme.ends_with("| `a` | list | `[\"x\"]` | This \\| that |\nend\n"), "{readme}");
    }

    #[test]
    fn a_template_without_a_place_for_the_table_is_refused() {
        assert!(render("nothing", CHART, &[]).is_err());
    }
}
