//! How the agent of a node is, by what it says and by how long ago it said it.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use netprecursor_crds::report::PrecursorNodeReport;
use serde::Serialize;

use super::moment;

/// A report that is older is of an agent that does not work: three times the five minutes between two.
pub(super) const STALE_SECONDS: i64 = 3 * 5 * 60;

/// How the agent of a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) enum Standing {
    /// There should be an agent, and there is no report.
    Missing,
    /// Nothing was heard for too long.
    Stale,
    /// It says itself that it does not work.
    NotReady,
    /// It works.
    Ready,
    /// No agent is wanted here.
    Unwanted,
}

/// The condition of a type.
pub(super) fn condition<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Seconds since the agent last wrote.
pub(super) fn silence(report: &PrecursorNodeReport, now: Timestamp) -> Option<i64> {
    let heartbeat = report.status.as_ref()?.heartbeat.as_ref()?;
    Some(now.as_second().saturating_sub(heartbeat.0.as_second()).max(0))
}

/// What a report says, and why in words when that is not well.
pub(super) fn standing(report: &PrecursorNodeReport, now: Timestamp) -> (Standing, Option<String>) {
    match silence(report, now) {
        None => return (Standing::Stale, Some("the agent has not said anything yet".to_owned())),
        Some(seconds) if seconds > STALE_SECONDS => {
            let (ago, every) = (moment::span(seconds), moment::span(STALE_SECONDS / 3));
            return (
                Standing::Stale,
                Some(format!("the agent last wrote {ago} ago, expected every {every}: is it running?")),
            );
        }
        Some(_) => {}
    }
    let conditions = report.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    match condition(conditions, "Ready") {
        Some(ready) if ready.status == "True" => (Standing::Ready, None),
        Some(ready) => (Standing::NotReady, Some(format!("{}: {}", ready.reason, ready.message))),
        None => {
            (Standing::NotReady, Some("the report has no condition Ready: was it written by this release?".to_owned()))
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    pub(in crate::kubectl) const NOW: i64 = 1_700_000_000;

    /// The report of an agent that wrote `ago` seconds before [`NOW`].
    pub(in crate::kubectl) fn report(
        node: &str,
        ago: i64,
        change: impl FnOnce(&mut serde_json::Value),
    ) -> PrecursorNodeReport {
        let at = |second| Timestamp::from_second(second).unwrap().to_string();
        let condition = |type_: &str, status: &str, reason: &str, message: &str| json!({"type": type_, "status": status, "reason": reason, "message": message, "lastTransitionTime": at(NOW - 900)});
        let mut value = json!({
            "apiVersion": "netprecursor.io/v1alpha1", "kind": "PrecursorNodeReport", "metadata": {"name": node},
            "status": {
                "agentVersion": "0.1.0", "kernel": "6.18.4", "rttSource": "Measured", "socketCoveragePercent": 97,
                "overhead": {"cpu": "4m", "memory": "31Mi"}, "targets": 12, "queue": {"pending": 0, "dropped": 0},
                "sensors": [{"name": "tcp", "need": "Required", "state": "Active"},
                    {"name": "sched", "need": "Optional", "state": "Active"}],
                "conditions": [condition("Ready", "True", "SensorsWork", "forecasts are made")],
                "heartbeat": at(NOW - ago),
            },
        });
        change(&mut value);
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn an_agent_is_as_it_says_unless_it_fell_silent() {
        let now = Timestamp::from_second(NOW).unwrap();
        assert_eq!(standing(&report("a", 200, |_| {}), now), (Standing::Ready, None));
        let (stands, why) = standing(&report("a", STALE_SECONDS + 1, |_| {}), now);
        assert_eq!(
            (stands, why.unwrap()),
            (Standing::Stale, "the agent last wrote 15m ago, expected every 5m: is it running?".into())
        );
        let down = report("a", 10, |report| {
            report["status"]["conditions"][0]["status"] = "False".into();
            report["status"]["conditions"][0]["reason"] = "SensorsMissing".into();
            report["status"]["conditions"][0]["message"] = "tcp: EPERM".into();
        });
        assert_eq!(standing(&down, now), (Standing::NotReady, Some("SensorsMissing: tcp: EPERM".into())));
        let new = report("a", 10, |report| report["status"] = serde_json::Value::Null);
        assert_eq!(standing(&new, now).0, Standing::Stale);
    }
}
