//! What each of the three received, as text and as JSON.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::Serialize;

use super::{collector::Received, on_call::Heard, prometheus::Asked};

/// The name under which agents send precursors.
const PRECURSOR: &str = "PrecursorAlert";
/// Reasons that are printed; all are in the JSON.
const SHOWN: usize = 3;

/// All of it.
#[derive(Debug, Serialize)]
pub(in crate::demo) struct Report {
    prometheus: Asked,
    alertmanager: Notified,
    #[serde(skip_serializing_if = "Option::is_none")]
    collector: Option<Received>,
    /// Why nothing is known of the Collector.
    #[serde(skip_serializing_if = "Option::is_none")]
    collector_failed: Option<String>,
}

/// What Alertmanager notified of.
#[derive(Debug, Serialize)]
struct Notified {
    notifications: u64,
    unreadable: u64,
    /// Different alerts, by name.
    alerts: BTreeMap<String, u64>,
    /// Mentions of alerts beyond those that are told apart.
    uncounted: u64,
}

impl Report {
    pub(super) fn new(prometheus: Asked, heard: Heard, received: Result<Received, String>) -> Self {
        let (collector, collector_failed) = match received {
            Ok(received) => (Some(received), None),
            Err(error) => (None, Some(error)),
        };
        let alertmanager = Notified {
            notifications: heard.notifications,
            unreadable: heard.unreadable,
            alerts: heard.by_name(),
            uncounted: heard.uncounted,
        };
        Self { prometheus, alertmanager, collector, collector_failed }
    }

    /// Whether every query and every rule found what it should, and nothing was lost on the way.
    pub(in crate::demo) fn is_sound(&self) -> bool {
        let Asked { without_data, not_recorded, failed, .. } = &self.prometheus;
        let is_complete = [without_data, not_recorded, failed].into_iter().all(Vec::is_empty);
        is_complete && self.alertmanager.unreadable == 0 && self.collector.is_some()
    }

    /// The report in words, some lines.
    pub(in crate::demo) fn text(&self) -> String {
        let mut text = self.prometheus.words();
        text += &self.alertmanager.words();
        match (&self.collector, &self.collector_failed) {
            (Some(received), _) => text += &received.words(),
            (None, why) => {
                // Writing to a String cannot fail.
                let _ = writeln!(text, "Collector     nothing is known: {}", why.as_deref().unwrap_or("not asked"));
            }
        }
        text
    }
}

impl Asked {
    fn words(&self) -> String {
        let Self { queries, with_data, elsewhere, without_data, rules, fired, not_recorded, failed } = self;
        let elsewhere: String = elsewhere.iter().map(|(about, count)| format!("; {count} {about}")).collect();
        let mut text = format!(
            "Prometheus    {with_data} of {queries} queries of the dashboards found data{elsewhere}; {rules} rules\n"
        );
        let mut list = |what: &str, all: &[String], most: usize| {
            if !all.is_empty() {
                let more = all.len().saturating_sub(most);
                let more = if more > 0 { format!("; and {more} more") } else { String::new() };
                let shown: Vec<&str> = all.iter().take(most).map(String::as_str).collect();
                let _ = writeln!(text, "              {what}: {}{more}", shown.join("; "));
            }
        };
        list("alerts that fired", fired, usize::MAX);
        list("NO DATA for", without_data, usize::MAX);
        list("NOTHING RECORDED for", not_recorded, usize::MAX);
        list("FAILED", failed, SHOWN);
        text
    }
}

impl Notified {
    fn words(&self) -> String {
        let precursors = self.alerts.get(PRECURSOR).copied().unwrap_or_default();
        let others = self.alerts.iter().filter(|(name, _)| *name != PRECURSOR);
        let others: String = others.map(|(name, count)| format!("; {name} {count}")).collect();
        let unreadable = match self.unreadable {
            0 => String::new(),
            count => format!("; {count} NOTIFICATIONS THAT CANNOT BE READ"),
        };
        format!("Alertmanager  {} notifications, of {precursors} precursors{others}{unreadable}\n", self.notifications)
    }
}

impl Received {
    fn words(&self) -> String {
        let total: u64 = self.records.values().sum();
        let by: Vec<String> = self.records.iter().map(|(happened, count)| format!("{happened} {count}")).collect();
        let by = if by.is_empty() { String::new() } else { format!(" ({})", by.join(", ")) };
        let Self { exports, points, metrics, is_cut, .. } = self;
        let cut = if *is_cut { "; of the last part alone: earlier files were rotated" } else { "" };
        format!("Collector     {total} log records{by}; {metrics} metrics in {exports} exports, {points} points{cut}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Asked {
        Asked {
            queries: 98,
            with_data: 80,
            elsewhere: BTreeMap::from([("about a cluster", 16), ("about the model adaptive", 2)]),
            rules: 30,
            fired: vec!["NetprecursorForecastBreach".to_owned()],
            ..Asked::default()
        }
    }

    #[test]
    fn each_has_its_line_and_what_is_missing_is_named() {
        let records = BTreeMap::from([("fired".to_owned(), 20), ("resolved".to_owned(), 19)]);
        let received = Received { records, exports: 48, points: 9000, metrics: 40, is_cut: false };
        let report = Report::new(asked(), Heard::default(), Ok(received));
        assert_eq!(
            report.text(),
            "Prometheus    80 of 98 queries of the dashboards found data; 16 about a cluster; 2 about the model \
             adaptive; 30 rules\n              alerts that fired: NetprecursorForecastBreach\nAlertmanager  0 notifications, of \
             0 precursors\n\
             Collector     39 log records (fired 20, resolved 19); 40 metrics in 48 exports, 9000 points\n"
        );
        assert!(report.is_sound());
    }

    #[test]
    fn a_panel_that_should_have_data_and_has_none_is_a_failure() {
        let without_data = vec!["Fleet: Precision".to_owned()];
        let report = Report::new(Asked { without_data, ..asked() }, Heard::default(), Ok(Received::default()));
        assert!(!report.is_sound() && report.text().contains("NO DATA for: Fleet: Precision\n"), "{}", report.text());
    }

    #[test]
    fn what_failed_is_not_hidden_and_not_a_page_long() {
        let failed = (0..90).map(|number| format!("panel {number}: connection refused")).collect();
        let report = Report::new(Asked { failed, ..asked() }, Heard::default(), Err("got line 2".to_owned()));
        let text = report.text();
        assert!(text.contains("FAILED: panel 0: connection refused; ") && text.contains("; and 87 more\n"), "{text}");
        assert!(text.ends_with("Collector     nothing is known: got line 2\n"), "{text}");
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["prometheus"]["failed"].as_array().unwrap().len(), 90);
        assert_eq!(json["collector_failed"], "got line 2");
    }
}
