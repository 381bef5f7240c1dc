//! What Prometheus and Grafana are given: rules, which are checked, and dashboards and tables, which are made. All of them
//! take their names from the tables of families in `metrics/`.

mod choice;
mod dashboard;
mod grafana;
mod rules;
mod tables;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use dashboard::Dashboard;

/// The rules, in the chart because Helm reads no file outside.
const RULES: &str = "charts/netprecursor/files/rules.yaml";
/// What to do about each alert.
const RUNBOOK: &str = "docs/troubleshooting.md";
/// The tables of families.
const TABLES: &str = "docs/telemetry.md";
/// Where dashboards are described, and where they go.
const DESCRIPTIONS: &str = "xtask/dashboards";
const DASHBOARDS: &str = "charts/netprecursor/files/dashboards";

/// Path and text of every file that is made.
///
/// # Errors
/// A source cannot be read, or names what no program exposes.
pub(crate) fn files(checkout: &Path) -> anyhow::Result<Vec<(PathBuf, String)>> {
    let read = |path: &str| {
        let path = checkout.join(path);
        fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
    };
    let recorded = rules::check(&read(RULES)?, &read(RUNBOOK)?).context(RULES)?;
    let dashboards = dashboards(&checkout.join(DESCRIPTIONS))?;
    let mut files = vec![(TABLES.into(), tables::fill(&read(TABLES)?).context(TABLES)?)];
    for (name, dashboard) in &dashboards {
        let made = dashboard.check(&recorded, &dashboards).and_then(|()| grafana::render(name, dashboard));
        let text = made.with_context(|| format!("{DESCRIPTIONS}/{name}.yaml"))?;
        files.push((Path::new(DASHBOARDS).join(format!("{name}.json")), text));
    }
    Ok(files)
}

/// The described dashboards by name.
fn dashboards(directory: &Path) -> anyhow::Result<BTreeMap<String, Dashboard>> {
    let entries = fs::read_dir(directory).with_context(|| format!("reading {}", directory.display()))?;
    let mut dashboards = BTreeMap::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let dashboard = serde_saphyr::from_str(&text).with_context(|| path.display().to_string())?;
        dashboards.insert(name, dashboard);
    }
    Ok(dashboards)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use netprecursor_metrics::{agent, operator, query};
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_page_lists_every_alert_and_every_dashboard() {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let read = |path: &str| fs::read_to_string(checkout.join(path)).unwrap();
        let (page, runbook) = (read("docs/monitoring.md"), read(RUNBOOK));
        let alerts = runbook.lines().filter_map(|line| line.strip_prefix("### Netprecursor"));
        let alerts = alerts.map(|alert| format!("| `Netprecursor{alert}` |"));
        let dashboards = dashboards(&checkout.join(DESCRIPTIONS)).unwrap();
        let titles = dashboards.values().map(|dashboard| format!("| *{}* |", dashboard.title));
        let unlisted: Vec<String> = alerts.chain(titles).filter(|row| !page.contains(row.as_str())).collect();
        assert_eq!(unlisted, Vec::<String>::new());
    }

    /// The queries of a rule file or a dashboard.
    fn queries(file: &Value) -> Vec<&str> {
        match file {
            Value::Object(fields) => {
                let own = fields.get("expr").and_then(Value::as_str);
                own.into_iter().chain(fields.values().flat_map(queries)).collect()
            }
            Value::Array(entries) => entries.iter().flat_map(queries).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn every_family_is_in_a_rule_or_on_a_dashboard() {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let rules = fs::read_to_string(checkout.join(RULES)).unwrap();
        let mut shown: Vec<Value> = vec![serde_saphyr::from_str(&rules).unwrap()];
        for (path, text) in files(&checkout).unwrap() {
            if path.starts_with(DASHBOARDS) {
                shown.push(serde_json::from_str(&text).unwrap());
            }
        }
        let named = shown.iter().flat_map(queries).flat_map(query::families);
        let named: BTreeSet<&str> = named.map(|family| family.name).collect();
        let families = agent::FAMILIES.into_iter().chain(operator::FAMILIES);
        let unseen: Vec<&str> = families.map(|family| family.name).filter(|name| !named.contains(name)).collect();
        assert_eq!(unseen, Vec::<&str>::new());
    }
}
