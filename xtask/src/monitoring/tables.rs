//! The tables of families in `docs/telemetry.md`, between marks.

use std::{collections::BTreeSet, fmt::Write as _};

use anyhow::{Context as _, bail};
use netprecursor_metrics::{Family, Kind, agent, operator};

/// Where a table begins, with its name, and where it ends.
const BEGIN: &str = "<!-- made from metrics/src: ";
const END: &str = "<!-- end -->";

/// The page with its tables made anew.
///
/// # Errors
/// A mark has no end, or names no table; or a table has no place.
pub(super) fn fill(page: &str) -> anyhow::Result<String> {
    let mut parts = page.split(BEGIN);
    let mut text = parts.next().unwrap_or_default().to_owned();
    let mut filled = Vec::new();
    for part in parts {
        let (name, rest) = part.split_once(" -->\n").context("got a mark without an end of its line")?;
        let (_, rest) = rest.split_once(END).with_context(|| format!("{name}: got no {END} after the table"))?;
        let table = match name {
            "agent" => agent_table(),
            "labels" => label_table(),
            "operator" => operator_table(),
            other => bail!("got a table of {other}, expected agent, labels or operator"),
        };
        // Writing to a string cannot fail.
        let _ = write!(text, "{BEGIN}{name} -->\n{table}{END}{rest}");
        filled.push(name);
    }
    if filled.len() != 3 {
        bail!("got tables of {}, expected each of agent, labels and operator once", filled.join(", "));
    }
    Ok(text)
}

fn agent_table() -> String {
    let mut table =
        "| OpenTelemetry | `/metrics` | kind | unit | labels | meaning |\n|---|---|---|---|---|---|\n".to_owned();
    for family in agent::FAMILIES {
        let _ = writeln!(table, "| `{}` | {}", family.name, row(&family));
    }
    table
}

fn operator_table() -> String {
    let mut table = "| `/metrics` | kind | unit | labels | meaning |\n|---|---|---|---|---|\n".to_owned();
    for family in operator::FAMILIES {
        let _ = writeln!(table, "| {}", row(&family));
    }
    table
}

/// Attributes of telemetry beside labels of `/metrics`.
fn label_table() -> String {
    let labels: BTreeSet<_> = agent::FAMILIES.iter().flat_map(|family| family.labels).collect();
    let mut table = "| OpenTelemetry | `/metrics` |\n|---|---|\n".to_owned();
    for label in labels {
        let _ = writeln!(table, "| `{}` | `{}` |", label.attribute, label.label);
    }
    table
}

/// The cells that both have.
fn row(family: &Family) -> String {
    let (kind, suffix) = match family.kind {
        Kind::Gauge => ("gauge", ""),
        Kind::Counter => ("counter", "_total"),
        Kind::Histogram => ("histogram", ""),
    };
    let labels: Vec<String> = family.labels.iter().map(|label| format!("`{}`", label.label)).collect();
    let labels = if labels.is_empty() { "–".to_owned() } else { labels.join(" ") };
    let name = family.prometheus();
    format!("`netprecursor_{name}{suffix}` | {kind} | `{}` | {labels} | {} |", family.unit, family.help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_between_marks_is_made_anew_and_the_rest_stays() {
        let mark = |name: &str| format!("{BEGIN}{name} -->\nOUTDATED\n{END} after {name}\n");
        let page = format!("before\n{}{}{}", mark("agent"), mark("labels"), mark("operator"));
        let text = fill(&page).unwrap();
        assert!(
            text.starts_with("before\n") && text.ends_with(" after operator\n") && !text.contains("OUTDATED"),
            "{text}"
        );
        assert!(text.contains(
            "| `netprecursor.ticks` | `netprecursor_ticks_total` | counter | `{tick}` | – | Ticks completed |"
        ));
        assert!(text.contains("| `netprecursor_operator_writes_total` | counter | `{request}` | `kind` `outcome` |"));
        assert!(text.contains("| `k8s.namespace.name` | `namespace` |\n"));
        assert_eq!(fill(&text).unwrap(), text);
    }

    #[test]
    fn a_table_without_a_place_is_named() {
        let page = format!("{BEGIN}agent -->\n{END}");
        assert!(fill(&page).unwrap_err().to_string().contains("expected each of agent, labels and operator"));
    }
}
