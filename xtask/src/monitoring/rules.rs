//! The rule file is written by hand, in the form that its readers know. Here it is held against the tables of families and
//! the page that says what to do. Whether Prometheus takes it, and which alert fires when, its own tool says.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, bail};
use netprecursor_metrics::query;
use serde::Deserialize;

/// Where the heading of an alert is found.
const RUNBOOK_URL: &str = "https://github.com/netprecursor/netprecursor/blob/main/docs/troubleshooting.md";
/// Headings of alerts, and of nothing else, start like this.
const HEADING: &str = "### Netprecursor";

#[derive(Debug, Deserialize)]
struct File {
    groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
struct Rule {
    record: Option<String>,
    alert: Option<String>,
    expr: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// The series that the rules of `text` record; `page` is the runbook.
///
/// # Errors
/// A rule names what nobody exposes or records, an alert lacks what its receiver needs, or the page has other alerts.
pub(super) fn check(text: &str, page: &str) -> anyhow::Result<Vec<String>> {
    let file: File = serde_saphyr::from_str(text).context("the rules")?;
    let rules: Vec<Rule> = file.groups.into_iter().flat_map(|group| group.rules).collect();
    let recorded: Vec<String> = rules.iter().filter_map(|rule| rule.record.clone()).collect();
    let mut problems = Vec::new();
    for rule in &rules {
        let name = rule.alert.as_ref().or(rule.record.as_ref()).context("got a rule without record or alert")?;
        let found = query::problems(&rule.expr, &recorded);
        problems.extend(found.into_iter().chain(lacks(rule)).map(|problem| format!("{name}: {problem}")));
    }
    let alerts: BTreeSet<&str> = rules.iter().filter_map(|rule| rule.alert.as_deref()).collect();
    let headings = page.lines().filter(|line| line.starts_with(HEADING));
    let described: BTreeSet<&str> = headings.map(|line| line.trim_start_matches("### ").trim_end()).collect();
    let only = |what: &str, name: &&str| format!("{name} is {what} alone, expected it in both");
    problems.extend(alerts.difference(&described).map(|name| only("among the rules", name)));
    problems.extend(described.difference(&alerts).map(|name| only("in docs/troubleshooting.md", name)));
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    Ok(recorded)
}

/// What an alert has not, in words.
fn lacks(rule: &Rule) -> Vec<String> {
    let Some(alert) = &rule.alert else { return Vec::new() };
    let mut problems = Vec::new();
    if !rule.labels.contains_key("severity") {
        problems.push("got no severity, expected one: routes go by it".to_owned());
    }
    for annotation in ["summary", "description"] {
        if !rule.annotations.contains_key(annotation) {
            problems.push(format!("got no {annotation}, expected one"));
        }
    }
    let runbook = format!("{RUNBOOK_URL}#{}", alert.to_lowercase());
    if rule.annotations.get("runbook_url") != Some(&runbook) {
        problems.push(format!("got runbook_url {:?}, expected {runbook}", rule.annotations.get("runbook_url")));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "### NetprecursorLate\nDo this.\n";

    fn rules(expr: &str, runbook: &str) -> String {
        format!(
            "groups: [{{name: a, rules: [{{record: 'a:b:c', expr: 'netprecursor_ticks_total'}}, {{alert: NetprecursorLate, \
             expr: '{expr}', labels: {{severity: info}}, annotations: {{summary: S, description: D, \
             runbook_url: '{RUNBOOK_URL}#{runbook}'}}}}]}}]"
        )
    }

    fn problem(text: &str, page: &str) -> String {
        format!("{:#}", check(text, page).unwrap_err())
    }

    #[test]
    fn a_rule_may_use_what_is_exposed_and_what_is_recorded() {
        assert_eq!(check(&rules("a:b:c > 1", "netprecursorlate"), PAGE).unwrap(), ["a:b:c"]);
    }

    #[test]
    fn a_rule_that_names_what_nobody_exposes_is_refused_by_name() {
        let found = problem(&rules("netprecursor_tick_total > 1", "netprecursorlate"), PAGE);
        assert!(found.contains("NetprecursorLate: got netprecursor_tick_total"), "{found}");
    }

    #[test]
    fn an_alert_leads_to_its_own_heading_which_is_there() {
        assert!(problem(&rules("a:b:c > 1", "late"), PAGE).contains("#netprecursorlate"));
        assert!(
            problem(&rules("a:b:c > 1", "netprecursorlate"), "").contains("NetprecursorLate is among the rules alone")
        );
        let more = format!("{PAGE}### NetprecursorGone\n");
        let found = problem(&rules("a:b:c > 1", "netprecursorlate"), &more);
        assert!(found.contains("NetprecursorGone is in docs/troubleshooting.md alone"), "{found}");
    }
}
