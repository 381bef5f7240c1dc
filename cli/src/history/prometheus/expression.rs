//! What a chart asks a Prometheus for, in the names of the agent's own table of families. Pure.

use std::fmt::Write as _;

use netprecursor_metrics::{Family, agent};

use crate::history::point::Point;

/// Microseconds of a second.
const US: f32 = 1e6;

/// Seconds that a value is looked for at least: scrapes come every 15 to 60 seconds, so a shorter step would mostly find none.
const SCRAPES: u64 = 60;

/// What is looked at to find the highest of a step of so many seconds, s.
pub(super) const fn window(step: u64) -> u64 {
    if step < SCRAPES { SCRAPES } else { step }
}

/// A figure of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Figure {
    Measured,
    Forecast,
    Chance,
    Threshold,
    Firing,
}

impl Figure {
    pub(super) const ALL: [Self; 5] = [Self::Measured, Self::Forecast, Self::Chance, Self::Threshold, Self::Firing];

    /// Name of its family.
    const fn family(self) -> &'static str {
        match self {
            Self::Measured => "netprecursor.rtt.max",
            Self::Forecast => "netprecursor.rtt.forecast",
            Self::Chance => "netprecursor.rtt.breach.chance",
            Self::Threshold => "netprecursor.rule.threshold",
            Self::Firing => "netprecursor.alerts.firing",
        }
    }

    /// Puts a number of Prometheus into a point. Times are seconds there.
    pub(super) fn put(self, point: &mut Point, number: f32) {
        match self {
            Self::Measured => point.measured_us = US * number,
            Self::Forecast => point.quantiles_us[0] = US * number,
            Self::Chance => point.chance = number,
            Self::Threshold => point.threshold_us = US * number,
            Self::Firing => point.firing = number > 0.0,
        }
    }
}

/// The rule whose threshold is drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) policy_kind: String,
    pub(crate) policy_namespace: String,
    pub(crate) policy: String,
    pub(crate) rule: String,
}

/// Who is asked about. In a cluster the pods of a workload share series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Series {
    pub(crate) target: String,
    pub(crate) namespace: Option<String>,
    /// `Kind/name`, or a name.
    pub(crate) workload: Option<String>,
    pub(crate) rule: Option<Rule>,
}

impl Series {
    /// The query for the highest of a figure; none where it is about a rule and there is none.
    pub(super) fn query(&self, figure: Figure, window: u64) -> Option<String> {
        let family = agent::FAMILIES.iter().find(|family| family.name == figure.family())?;
        let labels = match figure {
            Figure::Threshold => self.rule.as_ref()?.labels(),
            _ => self.labels(),
        };
        Some(format!("max(max_over_time({}{}[{window}s]))", series(family), selector(&labels)))
    }

    fn labels(&self) -> Vec<(&'static str, &str)> {
        let target = self.target.as_str();
        let Some(namespace) = self.namespace.as_deref() else { return vec![("target", target)] };
        let Some(workload) = self.workload.as_deref() else {
            // A target is named after its namespace and its pod; the label has the pod alone.
            let pod = target.rsplit_once('/').map_or(target, |(_, pod)| pod);
            return vec![("namespace", namespace), ("pod", pod)];
        };
        match workload.split_once('/') {
            Some((kind, name)) => vec![("namespace", namespace), ("workload_kind", kind), ("workload", name)],
            None => vec![("namespace", namespace), ("workload", workload)],
        }
    }
}

impl Rule {
    fn labels(&self) -> Vec<(&'static str, &str)> {
        let Self { policy_kind, policy_namespace, policy, rule } = self;
        vec![
            ("policy_kind", policy_kind.as_str()),
            ("policy_namespace", policy_namespace.as_str()),
            ("policy", policy.as_str()),
            ("rule", rule.as_str()),
        ]
    }
}

/// The one series of a gauge.
fn series(family: &Family) -> String {
    family.series().into_iter().next().unwrap_or_default()
}

/// Labels in braces. A label without a value is left out by the agent, and is equal to an empty one here.
fn selector(labels: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in labels {
        let escaped = value.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n");
        let comma = if text.is_empty() { "" } else { "," };
        // Writing into a string never fails.
        let _ = write!(text, "{comma}{name}=\"{escaped}\"");
    }
    format!("{{{text}}}")
}

#[cfg(test)]
mod tests {
    use netprecursor_metrics::query;

    use super::*;

    fn rule() -> Rule {
        let [policy_kind, policy_namespace, policy, rule] =
            ["PrecursorPolicy", "shop", "checkout", "rtt"].map(str::to_owned);
        Rule { policy_kind, policy_namespace, policy, rule }
    }

    fn series(namespace: Option<&str>, workload: Option<&str>) -> Series {
        let [namespace, workload] = [namespace, workload].map(|text| text.map(str::to_owned));
        Series { target: "web1".to_owned(), namespace, workload, rule: Some(rule()) }
    }

    #[test]
    fn every_query_names_series_and_labels_that_the_agent_exposes() {
        for series in
            [series(None, None), series(Some("shop"), Some("Deployment/checkout")), series(Some("shop"), None)]
        {
            for figure in Figure::ALL {
                let text = series.query(figure, 60).unwrap();
                assert_eq!(query::problems(&text, &[]), Vec::<String>::new(), "{text}");
                assert_eq!(query::families(&text).len(), 1, "{text}");
            }
        }
    }

    #[test]
    fn a_target_is_found_by_its_name_and_in_a_cluster_by_its_workload() {
        let query = |series: Series| series.query(Figure::Measured, 300).unwrap();
        let rtt = "max(max_over_time(netprecursor_rtt_max_seconds";
        assert_eq!(query(series(None, None)), format!("{rtt}{{target=\"web1\"}}[300s]))"));
        let workload = r#"{namespace="shop",workload_kind="Deployment",workload="checkout"}"#;
        assert_eq!(query(series(Some("shop"), Some("Deployment/checkout"))), format!("{rtt}{workload}[300s]))"));
    }

    #[test]
    fn a_name_is_only_ever_a_text() {
        let hostile = Series { target: "a\"} or vector(1) # \\\n".to_owned(), ..series(None, None) };
        let query = hostile.query(Figure::Chance, 60).unwrap();
        assert!(query.contains(r#"{target="a\"} or vector(1) # \\\n"}[60s]"#), "{query}");
    }

    #[test]
    fn without_a_rule_there_is_no_threshold() {
        let series = Series { rule: None, ..series(None, None) };
        assert_eq!(series.query(Figure::Threshold, 60), None);
        assert!(series.query(Figure::Firing, 60).is_some());
    }
}
