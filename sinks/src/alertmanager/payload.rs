//! An alert as Alertmanager's API takes it. Pure.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use netprecursor_core::alert::Confirmed;
use serde::Serialize;

use crate::{
    link::Link,
    notice::{Labels, Notice},
    words,
};

/// An element of `postableAlerts` of the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PostableAlert<'a> {
    labels: &'a Labels,
    annotations: BTreeMap<&'static str, String>,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL", skip_serializing_if = "Option::is_none")]
    generator_url: Option<String>,
}

impl<'a> PostableAlert<'a> {
    /// The alert as it is sent at `unix`. One that is firing ends after `lasts` unless it is sent again.
    pub fn new(notice: &Notice, labels: &'a Labels, link: Option<&Link>, lasts: Duration, unix: u64) -> Self {
        let ends = match notice.resolved_unix.filter(|_| !notice.is_firing()) {
            // An end before the start would be refused, and two clocks may have made one.
            Some(resolved) => resolved.max(notice.fired_unix),
            None => unix.saturating_add(lasts.as_secs()).max(notice.fired_unix),
        };
        let generator_url = link.map(|link| link.of(notice, labels));
        Self {
            labels,
            annotations: annotations(notice, generator_url.as_deref()),
            starts_at: time(notice.fired_unix),
            ends_at: time(ends),
            generator_url,
        }
    }
}

fn annotations(notice: &Notice, link: Option<&str>) -> BTreeMap<&'static str, String> {
    let confirmed = match notice.confirmed {
        Confirmed::True => Some("true"),
        Confirmed::False => Some("false"),
        Confirmed::Unknown => None,
    };
    let all = [
        ("summary", Some(words::summary(notice))),
        ("description", Some(notice.description.clone())),
        ("threshold", Some(notice.threshold.clone())),
        ("forecast", notice.predicted.clone()),
        ("chance", notice.chance_percent.map(|chance| format!("{chance}%"))),
        ("measured", notice.measured.clone()),
        ("lead", notice.lead.clone()),
        ("confirmed", confirmed.map(str::to_owned)),
        ("causes", words::causes(notice)),
        ("model", Some(notice.model.clone())),
        ("alert", Some(notice.id.clone())),
        ("dashboard_url", link.map(str::to_owned)),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// Unix seconds by RFC 3339.
pub(crate) fn time(unix: u64) -> String {
    // Times beyond the year 9999 cannot be written, and do not occur.
    let time = i64::try_from(unix).ok().and_then(|unix| Timestamp::from_second(unix).ok());
    time.unwrap_or(Timestamp::MAX).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::notice::tests::{FIRED, notice, resolved};

    const LASTS: Duration = Duration::from_secs(240);

    fn posted(notice: &Notice, link: Option<&Link>, unix: u64) -> serde_json::Value {
        json!(PostableAlert::new(notice, &notice.labels(Some("c1")), link, LASTS, unix))
    }

    #[test]
    fn a_firing_alert_ends_unless_it_is_sent_again() {
        let link = Link::new("https://g/?w={workload}").unwrap();
        let posted = posted(&notice(), Some(&link), FIRED + 60);
        assert_eq!(
            posted,
            json!({
                "labels": {
                    "alertname": "PrecursorAlert",
                    "cluster": "c1",
                    "namespace": "shop",
                    "node": "node1",
                    "policy": "checkout",
                    "policy_kind": "PrecursorPolicy",
                    "rule": "rtt",
                    "severity": "warning",
                    "workload": "checkout",
                    "workload_kind": "Deployment",
                },
                "annotations": {
                    "summary": "Deployment shop/checkout on node1: RTT has a 74 % chance of exceeding 200ms within 10s",
                    "description": "RTT is forecast to reach 231ms within 10s.",
                    "threshold": "200ms",
                    "forecast": "231ms",
                    "chance": "74%",
                    "causes": "queue (61 %: standing_queue_max_10s is 182 kB, usually 9 kB)",
                    "model": "adaptive",
                    "alert": "shop/checkout-3f9a1c20be",
                    "dashboard_url": "https://g/?w=checkout",
                },
                "startsAt": "2023-11-14T22:13:20Z",
                "endsAt": "2023-11-14T22:18:20Z",
                "generatorURL": "https://g/?w=checkout",
            })
        );
    }

    #[test]
    fn a_resolved_alert_ends_when_it_resolved_whenever_it_is_sent() {
        for later in [30, 300] {
            let posted = posted(&resolved(), None, FIRED + later);
            assert_eq!(posted["endsAt"], "2023-11-14T22:13:50Z");
            assert_eq!(posted["annotations"]["confirmed"], "true");
            assert_eq!(posted["annotations"]["lead"], "6s");
            assert!(posted.get("generatorURL").is_none(), "{posted}");
        }
    }

    #[test]
    fn no_alert_ends_before_it_starts_whatever_the_clocks_say() {
        let early = Notice { resolved_unix: Some(FIRED - 5), ..resolved() };
        for notice in [early, notice()] {
            assert_eq!(posted(&notice, None, FIRED - 600)["endsAt"], "2023-11-14T22:13:20Z");
        }
    }
}
