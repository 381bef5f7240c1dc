//! `explain ALERT`: forecast and measurement, causes, the order of events, and the RTT around them.

mod order;
mod window;
mod words;

use jiff::Timestamp;
use k8s_openapi::{api::events::v1::Event, apimachinery::pkg::apis::meta::v1::Time};
use kube::{Api, api::ListParams};
use netprecursor_core::{features, signal::Signal};
use netprecursor_crds::{
    ConditionStatus, Duration, PrecursorAlert,
    alert::{AlertModel, AlertPod, AlertState, Cause, PolicyKind, Trigger, WorkloadReference},
    diagnosis::{
        alert::{Course, Outcome},
        condition,
    },
    policy::Severity,
};
use serde::Serialize;

use super::connect::{Answer, Cluster, ClusterError};
use crate::quantity::{quantity, spaced};
use order::Step;
use window::Window;

pub(super) use words::text;

/// Names of other alerts that are shown when there is none of the name.
const SUGGESTED: u32 = 5;

/// What the report is made of.
#[derive(Debug)]
pub(super) struct Objects {
    alert: PrecursorAlert,
    events: Vec<Event>,
    window: Window,
    notes: Vec<String>,
}

/// One alert, explained.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Explanation {
    name: String,
    namespace: String,
    /// The pod, or the worst one of the workload; absent until a workload's agent has reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<String>,
    /// Where the alert is about all its pods on the node.
    #[serde(skip_serializing_if = "Option::is_none")]
    workload: Option<WorkloadReference>,
    node: String,
    policy_kind: PolicyKind,
    policy: String,
    rule: String,
    /// What the agent has reported; absent in the moment between the object and its status.
    #[serde(flatten)]
    reported: Option<Reported>,
    /// From the first to the last.
    order: Vec<Step>,
    /// The round trips of the last minutes, or why they cannot be had.
    window: Window,
    /// What could not be found out.
    notes: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Reported {
    state: AlertState,
    severity: Severity,
    trigger: Trigger,
    threshold: Duration,
    resolve_threshold: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod_count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    firing_pod_count: Option<u32>,
    /// The worst pods of the workload.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pods: Vec<AlertPod>,
    predicted: Option<Duration>,
    chance_percent: Option<u8>,
    measured: Option<Duration>,
    lead: Option<Duration>,
    fired_at: Time,
    count: u64,
    /// `True`, `False` or `Unknown`, and why.
    confirmed: String,
    confirmed_because: Option<String>,
    /// The same in words, and about the lead.
    outcome: Outcome,
    model: AlertModel,
    causes: Vec<CauseInWords>,
}

/// A cause as the agent reported it, and in words.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CauseInWords {
    #[serde(flatten)]
    cause: Cause,
    words: String,
}

/// Asks for the alert, then for what goes with it.
pub(super) async fn ask(cluster: &Cluster, name: &str, now: Timestamp) -> Result<Objects, ClusterError> {
    let namespace = &cluster.namespace;
    let alerts: Api<PrecursorAlert> = Api::namespaced(cluster.client.clone(), namespace);
    let what = format!("explain PrecursorAlert {name}");
    let alert = match cluster.get(&alerts, name).await? {
        Answer::Found(alert) => alert,
        Answer::Absent => return Err(not_found(cluster, &alerts, what).await?),
        Answer::Forbidden(message) => return Err(ClusterError::Refused { what, message }),
    };
    let events: Api<Event> = Api::namespaced(cluster.client.clone(), namespace);
    let regarding = ListParams::default().fields(&order::selected(&alert)).limit(500);
    let (events, window) = tokio::try_join!(
        async { cluster.judge("list events", events.list(&regarding).await) },
        window::ask(cluster, &alert, now),
    )?;
    let mut notes = Vec::new();
    let events = match events {
        Answer::Found(list) => list.items,
        Answer::Absent => Vec::new(),
        Answer::Forbidden(message) => {
            notes.push(format!("not permitted to list Events, so earlier firings are missing: {message}"));
            Vec::new()
        }
    };
    Ok(Objects { alert, events, window, notes })
}

/// That there is no such alert, and which there are.
async fn not_found(
    cluster: &Cluster,
    alerts: &Api<PrecursorAlert>,
    what: String,
) -> Result<ClusterError, ClusterError> {
    let few = ListParams::default().limit(SUGGESTED);
    let Answer::Found(known) = cluster.judge(&what, alerts.list_metadata(&few).await)? else {
        return Ok(ClusterError::NotInstalled { what });
    };
    let names: Vec<String> = known.items.into_iter().filter_map(|alert| alert.metadata.name).collect();
    let expected = match names.as_slice() {
        [] => "an existing one (this namespace has no alerts)".to_owned(),
        names => format!("an existing one, such as {}", names.join(", ")),
    };
    Ok(ClusterError::NotFound { what, namespace: cluster.namespace.clone(), expected })
}

/// The explanation, of the objects.
pub(super) fn report(objects: &Objects) -> Explanation {
    let Objects { alert, events, window, notes } = objects;
    Explanation {
        name: alert.metadata.name.clone().unwrap_or_default(),
        namespace: alert.metadata.namespace.clone().unwrap_or_default(),
        pod: alert.pod().map(|(name, _)| name.to_owned()),
        workload: alert.spec.workload_ref.clone(),
        node: alert.spec.node_name.clone(),
        policy_kind: alert.spec.policy_ref.kind,
        policy: alert.spec.policy_ref.name.clone(),
        rule: alert.spec.rule.clone(),
        reported: reported(alert),
        order: order::steps(alert, events),
        window: window.clone(),
        notes: notes.clone(),
    }
}

fn reported(alert: &PrecursorAlert) -> Option<Reported> {
    let status = alert.status.as_ref()?;
    let confirmed = condition(&status.conditions, "Confirmed");
    Some(Reported {
        state: status.state,
        severity: status.severity,
        trigger: status.trigger,
        threshold: status.threshold.clone(),
        resolve_threshold: status.resolve_threshold.clone(),
        pod_count: status.pod_count,
        firing_pod_count: status.firing_pod_count,
        pods: status.pods.clone(),
        predicted: status.predicted.clone(),
        chance_percent: status.chance_percent,
        measured: status.measured.clone(),
        lead: status.lead.clone(),
        fired_at: status.fired_at.clone(),
        count: status.count,
        confirmed: confirmed.map_or(ConditionStatus::Unknown, ConditionStatus::of).to_string(),
        outcome: Course::of(status).outcome(),
        confirmed_because: confirmed.map(|condition| condition.message.clone()),
        model: status.model.clone(),
        causes: status
            .causes
            .iter()
            .map(|cause| CauseInWords { words: words_of(cause), cause: cause.clone() })
            .collect(),
    })
}

/// `median of the clean RTT samples: 182 ms, usually 9 ms`.
fn words_of(cause: &Cause) -> String {
    let Cause { group, feature, unit, value, baseline, .. } = cause;
    let [value, baseline] = [value, baseline].map(|text| match text.parse::<f32>() {
        Ok(number) => quantity(number, unit),
        // "unknown", or a notation of a later release.
        Err(_) => format!("{text} {unit}"),
    });
    let signal = Signal::ALL.iter().find(|signal| signal.name() == feature).map(|signal| signal.doc());
    let known =
        || features::index(feature).and_then(|index| features::all().get(index)).map(|feature| feature.doc.as_str());
    let what = signal
        .or_else(known)
        .map_or_else(|| feature.replace('_', " "), |doc| doc.trim().trim_end_matches('.').to_owned());
    format!("{}: {what}: {value}, usually {baseline}", spaced(group))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{window::Unavailable, *};
    use crate::kubectl::{chart::Point, style::Style};

    pub(super) const FIRED: i64 = 1_700_000_000;

    pub(super) fn time(second: i64) -> String {
        Timestamp::from_second(second).unwrap().to_string()
    }

    /// An alert that fired at [`FIRED`], came true six seconds later and is over.
    pub(super) fn alert(change: impl FnOnce(&mut Value)) -> PrecursorAlert {
        let condition = |type_: &str, status: &str, reason: &str, message: &str, at: i64| json!({"type": type_, "status": status, "reason": reason, "message": message, "lastTransitionTime": time(at)});
        let mut value = json!({
            "apiVersion": "netprecursor.io/v1alpha1", "kind": "PrecursorAlert",
            "metadata": {"name": "checkout-3f9a1c20be", "namespace": "shop"},
            "spec": {"policyRef": {"kind": "PrecursorPolicy", "name": "checkout", "uid": "p-1"}, "rule": "rtt",
                "podRef": {"name": "checkout-x2", "uid": "u-1"}, "nodeName": "node1"},
            "status": {
                "state": "Resolved", "severity": "Warning", "threshold": "200ms", "resolveThreshold": "160ms",
                "predicted": "231ms", "chancePercent": 74, "measured": "244ms", "lead": "6s", "count": 2, "firedAt": time(FIRED),
                "resolvedAt": time(FIRED + 30), "trigger": "Forecast", "resolution": "Recovered",
                "causes": [
                    {"group": "Queue", "feature": "rtt_p50_us", "unit": "µs", "value": "182000", "baseline": "9000", "sharePercent": 61},
                    {"group": "Tides", "feature": "moon_phase", "unit": "1", "value": "unknown", "baseline": "3", "sharePercent": 9}],
                "model": {"name": "damped-holt", "fallback": "ConfigMap rtt-models is not there"},
                "conditions": [
                    condition("Firing", "False", "RttRecovered", "Resolved: RTT stayed below the resolve threshold.", FIRED + 30),
                    condition("Confirmed", "True", "BreachFollowed", "RTT breached the threshold 6s later.", FIRED + 6)],
            },
        });
        change(&mut value);
        serde_json::from_value(value).unwrap()
    }

    fn objects(window: Window) -> Objects {
        Objects { alert: alert(|_| {}), events: Vec::new(), window, notes: Vec::new() }
    }

    fn shown(objects: &Objects) -> String {
        text(&report(objects), Style::PLAIN, Timestamp::from_second(FIRED + 100).unwrap())
    }

    #[test]
    fn everything_that_is_known_is_shown() {
        let shown = shown(&objects(Window::Unavailable(Unavailable::Old)));
        for part in [
            "checkout-3f9a1c20be",
            "shop",
            "checkout-x2",
            "node1",
            "PrecursorPolicy checkout, rule rtt",
            "Resolved",
            "fired 2 times",
            "231 ms",
            "chance        74 %  of a breach within ten seconds",
            "244 ms",
            "200 ms",
            "6 s  from the warning",
            "came true",
            "damped-holt",
            "a fallback: ConfigMap rtt-models is not there",
            "61 %",
            "queue",
            "182 ms, usually 9.0 ms",
            "unknown 1, usually 3",
            "fired",
            "resolved",
            "more than five minutes ago",
        ] {
            assert!(shown.contains(part), "{part} is not in\n{shown}");
        }
    }

    #[test]
    fn an_alert_on_a_workload_shows_its_worst_pods_and_how_many_there_are() {
        let many = alert(|alert| {
            alert["spec"] = json!({"policyRef": alert["spec"]["policyRef"], "rule": "rtt", "nodeName": "node1",
                "workloadRef": {"kind": "Deployment", "name": "checkout"}});
            let status = &mut alert["status"];
            (status["podCount"], status["firingPodCount"]) = (30.into(), 12.into());
            status["pods"] = json!([
                {"name": "checkout-x2", "uid": "u-1", "state": "Firing", "predicted": "231ms", "measured": "244ms"},
                {"name": "checkout-y7", "uid": "u-2", "state": "Resolved", "predicted": "210ms"}]);
        });
        assert_eq!(order::selected(&many), "regarding.kind=Deployment,regarding.name=checkout");
        let shown = shown(&Objects { alert: many, ..objects(Window::Unavailable(Unavailable::Old)) });
        for part in
            ["Deployment checkout on node node1", "30 pods, 12 of them firing", "checkout-x2", "checkout-y7", "28 more"]
        {
            assert!(shown.contains(part), "{part} is not in\n{shown}");
        }
        assert_eq!(order::selected(&alert(|_| {})), "regarding.uid=u-1");
    }

    #[test]
    fn an_alert_of_an_older_agent_has_no_chance() {
        let older = alert(|alert| alert["status"]["chancePercent"] = Value::Null);
        let shown = shown(&Objects { alert: older, ..objects(Window::Unavailable(Unavailable::Old)) });
        assert!(!shown.contains("chance"), "{shown}");
    }

    #[test]
    fn the_last_minutes_are_drawn_where_they_can_be_had() {
        let point =
            |second: i64, measured_us, predicted_us| Point { unix: (FIRED + second) as u64, measured_us, predicted_us };
        let points = vec![
            point(-60, Some(9e3), Some(2e4)),
            point(0, Some(9e4), Some(2.31e5)),
            point(6, Some(2.44e5), Some(2.4e5)),
        ];
        let shown = shown(&objects(Window::Points { agent: "agent-1".into(), points }));
        for part in ["measured", "forecast for the next 10 s", "threshold", "┤", "•", "─", "▲", "fired", "22:12:20"]
        {
            assert!(shown.contains(part), "{part} is not in\n{shown}");
        }
    }

    #[test]
    fn what_just_fired_is_not_called_a_false_alarm() {
        let young = alert(|alert| {
            let status = &mut alert["status"];
            (status["state"], status["lead"]) = ("Firing".into(), Value::Null);
            status["measured"] = "150ms".into();
            status["conditions"][1]["status"] = "Unknown".into();
        });
        let shown = shown(&Objects { alert: young, ..objects(Window::Unavailable(Unavailable::NotWatched)) });
        assert!(shown.contains("no verdict yet") && shown.contains("no breach was measured yet"), "{shown}");
    }

    #[test]
    fn a_breach_that_is_shown_is_not_denied_below_it() {
        for (state, confirmed) in
            [("Firing", "Unknown"), ("Firing", "False"), ("Resolved", "Unknown"), ("Resolved", "False")]
        {
            let late = alert(|alert| {
                let status = &mut alert["status"];
                (status["state"], status["lead"]) = (state.into(), Value::Null);
                status["conditions"][1]["status"] = confirmed.into();
                status["conditions"][1]["message"] = "No breach followed in time.".into();
            });
            let shown = shown(&Objects { alert: late, ..objects(Window::Unavailable(Unavailable::NotWatched)) });
            assert!(shown.contains("measured    244 ms") && shown.contains("a breach was measured"), "{shown}");
            assert!(!shown.contains("no breach was measured"), "{shown}");
        }
    }

    #[test]
    fn what_fired_on_the_breach_itself_is_not_waited_for() {
        let late = alert(|alert| {
            let status = &mut alert["status"];
            (status["state"], status["trigger"], status["lead"]) = ("Firing".into(), "Measured".into(), Value::Null);
            status["conditions"][1]["status"] = "Unknown".into();
        });
        let shown = shown(&Objects { alert: late, ..objects(Window::Unavailable(Unavailable::NotWatched)) });
        assert!(shown.contains("nothing to confirm") && !shown.contains("no verdict yet"), "{shown}");
    }

    #[test]
    fn an_alert_without_a_status_says_so() {
        let objects = Objects {
            alert: PrecursorAlert { status: None, ..alert(|_| {}) },
            ..objects(Window::Unavailable(Unavailable::Old))
        };
        assert!(shown(&objects).contains("has not reported its status yet"), "{}", shown(&objects));
    }

    #[test]
    fn json_has_the_causes_in_words_as_well() {
        let json = serde_json::to_value(report(&objects(Window::Unavailable(Unavailable::Old)))).unwrap();
        assert_eq!((&json["predicted"], &json["causes"][0]["sharePercent"]), (&json!("231ms"), &json!(61)));
        assert!(json["causes"][0]["words"].as_str().unwrap().ends_with("182 ms, usually 9.0 ms"), "{json:#}");
        assert!(json["window"]["unavailable"].as_str().unwrap().contains("five minutes"), "{json:#}");
    }
}
