//! Dashboards as they are described in `xtask/dashboards/`: what is shown of what, and in which words. How Grafana wants it
//! written is apart ([`super::grafana`]).

use std::collections::BTreeMap;

use anyhow::bail;
use netprecursor_metrics::query;
use serde::Deserialize;

use super::choice::{self, Variable, chosen};

/// A dashboard.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dashboard {
    pub(super) title: String,
    pub(super) about: String,
    /// What can be chosen, each of what the ones before it leave.
    pub(super) variables: Vec<Variable>,
    /// What is marked on all panels.
    pub(super) annotation: Option<Annotation>,
    pub(super) rows: Vec<Row>,
}

/// Panels under a heading.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    pub(super) title: String,
    pub(super) panels: Vec<Panel>,
}

/// A panel.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Panel {
    pub(super) title: String,
    pub(super) about: String,
    pub(super) form: Form,
    /// Grafana's name of the unit; a number by default.
    pub(super) unit: Option<String>,
    /// Of 24; by default as the form has it.
    pub(super) width: Option<u64>,
    pub(super) height: Option<u64>,
    /// The end of the axis, which then begins at 0.
    pub(super) max: Option<f64>,
    #[serde(default)]
    pub(super) stacked: bool,
    /// Colours from a value on.
    #[serde(default)]
    pub(super) steps: Vec<Step>,
    /// Words and colours of values.
    #[serde(default)]
    pub(super) mappings: BTreeMap<String, Mapping>,
    pub(super) link: Option<Link>,
    pub(super) queries: Vec<Query>,
}

/// What a panel looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum Form {
    /// One value.
    Stat,
    /// Values over time.
    Lines,
    /// Present values as bars.
    Bars,
    /// Present values, a column for each query.
    Table,
    /// Named values over time.
    States,
}

/// A query, or a column of a table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Query {
    expr: String,
    /// What a series, or the column, is called.
    pub(super) legend: Option<String>,
    /// The column's.
    pub(super) unit: Option<String>,
}

/// A colour from a value on; the first one has no value.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    pub(super) from: Option<f64>,
    pub(super) color: String,
}

/// The word for a value.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mapping {
    pub(super) text: String,
    pub(super) color: String,
}

/// A way from a series or row to another dashboard.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Link {
    pub(super) dashboard: String,
    pub(super) title: String,
    /// Variables there by labels of the series here.
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
    /// Variables there by columns of the table here.
    #[serde(default)]
    pub(super) fields: BTreeMap<String, String>,
}

/// A mark where a query has a value.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Annotation {
    pub(super) title: String,
    expr: String,
    pub(super) text: String,
}

impl Query {
    /// The query on a dashboard with these variables.
    pub(super) fn expr(&self, variables: &[Variable]) -> String {
        chosen(&self.expr, variables)
    }
}

impl Annotation {
    /// As [`Query::expr`].
    pub(super) fn expr(&self, variables: &[Variable]) -> String {
        chosen(&self.expr, variables)
    }
}

impl Dashboard {
    /// All panels.
    fn panels(&self) -> impl Iterator<Item = &Panel> {
        self.rows.iter().flat_map(|row| &row.panels)
    }

    /// Refuses queries of what no program exposes and no rule records, and links to what is on none of `all` dashboards.
    ///
    /// # Errors
    /// All of these, by panel.
    pub(super) fn check(&self, recorded: &[String], all: &BTreeMap<String, Self>) -> anyhow::Result<()> {
        let mut problems = Vec::new();
        for panel in self.panels() {
            let queries = panel.queries.iter().map(|query| query.expr(&self.variables));
            let found = queries.flat_map(|expr| expr_problems(&expr, recorded));
            let found = found.chain(panel.link.iter().flat_map(|link| link.problems(all)));
            problems.extend(found.map(|problem| format!("{}: {problem}", panel.title)));
        }
        let mark = self.annotation.iter().map(|mark| mark.expr(&self.variables));
        problems.extend(mark.flat_map(|expr| expr_problems(&expr, recorded)));
        for (at, variable) in self.variables.iter().enumerate() {
            problems.extend(expr_problems(&variable.values(&self.variables[..at]), recorded));
        }
        if !problems.is_empty() {
            bail!("{}", problems.join("\n"));
        }
        Ok(())
    }
}

impl Link {
    /// What its dashboard lacks.
    fn problems(&self, all: &BTreeMap<String, Dashboard>) -> Vec<String> {
        let Some(there) = all.get(&self.dashboard) else {
            return vec![format!("got a link to {}, expected one to {:?}", self.dashboard, all.keys())];
        };
        let names = self.labels.keys().chain(self.fields.keys());
        names
            .filter(|name| !there.variables.iter().any(|variable| variable.name() == name.as_str()))
            .map(|name| format!("got a link with {name}, expected a variable of {}", self.dashboard))
            .collect()
    }
}

fn expr_problems(expr: &str, recorded: &[String]) -> Vec<String> {
    let mut problems = query::problems(expr, recorded);
    if ["{<", ",<"].iter().any(|start| expr.contains(start)) {
        problems.push(format!("got {expr}, expected of what is in angles: {}", choice::words()));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dashboard(expr: &str, link: &str) -> Dashboard {
        let text = format!(
            "{{title: T, about: A, variables: [cluster, namespace], rows: [{{title: R, panels: [{{title: P, about: A, form: Stat, \
             link: {{dashboard: {link}, title: L, labels: {{namespace: namespace}}}}, queries: [{{expr: '{expr}'}}]}}]}}]}}"
        );
        serde_saphyr::from_str(&text).unwrap()
    }

    fn check(expr: &str, link: &str) -> Result<(), String> {
        let all = BTreeMap::from([("own".to_owned(), dashboard(expr, link))]);
        all["own"].check(&[], &all).map_err(|error| error.to_string())
    }

    #[test]
    fn a_panel_of_what_no_program_exposes_is_refused_by_title() {
        assert_eq!(check("max(netprecursor_rtt_max_seconds{<target>})", "own"), Ok(()));
        let problem = check("max(netprecursor_rtt_mean_seconds{<target>})", "own").unwrap_err();
        assert!(problem.contains("P: got netprecursor_rtt_mean_seconds"), "{problem}");
    }

    #[test]
    fn a_link_to_nowhere_and_an_unknown_choice_are_refused() {
        let problem = check("netprecursor_ticks_total{<agent>}", "nowhere").unwrap_err();
        assert!(problem.contains("link to nowhere"), "{problem}");
        let problem = check("netprecursor_ticks_total{<agents>}", "own").unwrap_err();
        assert!(problem.contains("expected of what is in angles: <target>"), "{problem}");
    }
}
