//! The queries of dashboards, as Grafana would send them.

use std::{fs, path::Path};

use anyhow::{Context as _, bail};
use netprecursor_metrics::{Family, query};
use serde::Deserialize;

/// What Grafana shows by default, and how far back it has rates look then.
const RANGE: &str = "1h";
const RATE_INTERVAL: &str = "1m";
/// What a demonstration has no data about: metrics that begin so are about something else.
const ELSEWHERE: [(&str, &str); 7] = [
    ("netprecursor.operator.", "about a cluster"),
    ("netprecursor.identity.", "about a cluster"),
    ("netprecursor.metrics.requests", "about a cluster"),
    ("netprecursor.rule.skill", "about the model adaptive"),
    ("netprecursor.rule.expert.", "about the model adaptive"),
    ("netprecursor.rule.source.", "about the model adaptive"),
    ("netprecursor.handover.gap", "about a restart of the agent"),
];

/// A query, and where it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Query {
    /// Dashboard and panel.
    pub(super) place: String,
    pub(super) expr: String,
    /// Why it may find nothing.
    pub(super) excuse: Option<&'static str>,
}

#[derive(Debug, Deserialize)]
struct Dashboard {
    title: String,
    panels: Vec<Panel>,
    #[serde(default)]
    annotations: Annotations,
}

#[derive(Debug, Deserialize)]
struct Panel {
    title: String,
    /// Rows have none.
    #[serde(default)]
    targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
struct Target {
    expr: String,
}

#[derive(Debug, Default, Deserialize)]
struct Annotations {
    #[serde(default)]
    list: Vec<Mark>,
}

#[derive(Debug, Deserialize)]
struct Mark {
    name: String,
    /// Grafana's own have none.
    expr: Option<String>,
}

/// Every query of the dashboards in `directory`, by file.
///
/// # Errors
/// There is none, or one cannot be read.
pub(super) fn read(directory: &Path) -> anyhow::Result<Vec<Query>> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let mut paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let mut queries = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let read: Result<Dashboard, _> = serde_json::from_str(&text);
        queries.extend(of(read.with_context(|| format!("{} is no dashboard of this release", path.display()))?));
    }
    if queries.is_empty() {
        bail!("got no dashboard in {}", directory.display());
    }
    Ok(queries)
}

fn of(dashboard: Dashboard) -> Vec<Query> {
    let Dashboard { title, panels, annotations } = dashboard;
    let panels = panels
        .into_iter()
        .flat_map(|Panel { title, targets }| targets.into_iter().map(move |target| (title.clone(), target.expr)));
    let marks = annotations.list.into_iter().filter_map(|mark| Some((mark.name, mark.expr?)));
    let query = |(panel, expr): (String, String)| Query {
        place: format!("{title}: {panel}"),
        excuse: excuse(&expr),
        expr: query::filled(&expr, RATE_INTERVAL, RANGE),
    };
    panels.chain(marks).map(query).collect()
}

/// That of all metrics that a query names; none when one of them should be there.
fn excuse(expr: &str) -> Option<&'static str> {
    let of =
        |family: &Family| ELSEWHERE.into_iter().find(|(begin, _)| family.name.starts_with(begin)).map(|(_, why)| why);
    let mut excuses = query::families(expr).into_iter().map(of);
    let first = excuses.next()??;
    excuses.all(|other| other == Some(first)).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped() -> Vec<Query> {
        read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/netprecursor/files/dashboards")).unwrap()
    }

    #[test]
    fn every_query_of_the_charts_dashboards_is_read_and_filled_in() {
        let queries = shipped();
        assert!(queries.len() > 80, "{}", queries.len());
        assert!(queries.iter().all(|query| !query.expr.contains('$')), "{queries:#?}");
        let precision = queries.iter().find(|query| query.place == "netprecursor / Fleet: Precision").unwrap();
        assert!(precision.expr.contains("[1h]") && precision.expr.contains(r#"policy=~".*""#), "{precision:?}");
    }

    #[test]
    fn a_query_has_an_excuse_when_all_that_it_names_is_elsewhere() {
        for (panel, expected) in [
            ("Operators that lead", Some("about a cluster")),
            ("Scrapes", Some("about a cluster")),
            ("Weights of the experts", Some("about the model adaptive")),
            ("Highest RTT", None),
            // By `up`, which is nobody's.
            ("Agents", None),
        ] {
            let place = format!(": {panel}");
            let found: Vec<Query> = shipped().into_iter().filter(|query| query.place.ends_with(&place)).collect();
            assert!(!found.is_empty(), "{panel}");
            assert!(found.iter().all(|query| query.excuse == expected), "{found:?}");
        }
        assert_eq!(excuse("netprecursor_operator_leading + netprecursor_targets"), None);
    }

    #[test]
    fn a_directory_without_a_dashboard_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let error = format!("{:#}", read(directory.path()).unwrap_err());
        assert!(error.contains(&directory.path().display().to_string()), "{error}");
        fs::write(directory.path().join("fleet.json"), "{}").unwrap();
        let error = format!("{:#}", read(directory.path()).unwrap_err());
        assert!(error.contains("fleet.json is no dashboard of this release"), "{error}");
    }
}
