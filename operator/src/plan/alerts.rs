//! Alerts that only the operator can resolve or delete: their agent, node or pod is gone, they have expired, or there are
//! too many.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use netprecursor_crds::{
    alert::Resolution,
    condition,
    diagnosis::reasons::{Confirmed, Firing},
};
use serde_json::{Value, json};

use super::{Deletion, Due, Write, condition::seconds};
use crate::{
    config::Settings,
    observe::{Absent, Alert, Key, Observed, Seen},
};

/// A pod or node is gone when it was missed for so long: its agent closes the alert by itself, and sooner.
const GONE_SECONDS: i64 = 60;

/// An agent is lost when its pod was missed for so long: one that is replaced keeps its alerts.
const LOST_SECONDS: i64 = 120;

/// An agent whose pod is there is lost when it has not reported for so long: it writes every five minutes.
const SILENT_SECONDS: i64 = 900;

pub(super) fn plan(observed: &Observed, settings: &Settings, due: &mut Due, writes: &mut Vec<Write>) {
    let working = observed.agents.iter().filter(|(_, pod)| pod.value.is_ready).map(|(_, pod)| pod.value.node.as_str());
    let working: BTreeSet<&str> = working.collect();
    let mut staying = Vec::new();
    for (key, alert) in observed.alerts.iter() {
        match closed(observed, settings, &working, (key, alert), due) {
            Some(write) => {
                // A resolved one still takes up room.
                if matches!(write, Write::ResolveAlert { .. }) {
                    staying.push((key, alert));
                }
                writes.push(write);
            }
            None => staying.push((key, alert)),
        }
    }
    let over = over_cap(&staying, settings);
    // What goes for good need not be resolved first.
    let uids: BTreeSet<&str> = over.iter().map(|(_, alert)| alert.uid.as_str()).collect();
    writes.retain(|write| !matches!(write, Write::ResolveAlert { uid, .. } if uids.contains(uid.as_str())));
    writes.extend(
        over.into_iter()
            .map(|(key, alert)| deletion(key, alert, Deletion::OverCap { policy: alert.value.policy.clone() })),
    );
}

fn closed(
    observed: &Observed,
    settings: &Settings,
    working: &BTreeSet<&str>,
    (key, alert): (&Key, &Seen<Alert>),
    due: &mut Due,
) -> Option<Write> {
    if let Some(since) = alert.value.over_since()
        && due.passed(since, settings.alert_ttl_seconds)
    {
        return Some(deletion(key, alert, Deletion::Expired));
    }
    if !alert.value.is_firing() && alert.value.reported.is_some() {
        return None;
    }
    let resolution = lost(observed, working, &alert.value, due)?;
    if alert.value.reported.is_none() {
        return Some(deletion(key, alert, Deletion::Unfinished));
    }
    let status = resolved(key, alert, resolution, due.now);
    Some(Write::ResolveAlert { key: key.clone(), uid: alert.uid.clone(), resolution, status })
}

pub(super) fn deletion(key: &Key, alert: &Seen<Alert>, reason: Deletion) -> Write {
    Write::DeleteAlert { key: key.clone(), uid: alert.uid.clone(), version: alert.version, reason }
}

/// Who of those that an alert depends on is gone.
fn lost(observed: &Observed, working: &BTreeSet<&str>, alert: &Alert, due: &mut Due) -> Option<Resolution> {
    let mut missed =
        |absent: Absent, seconds| observed.absent.since(&absent).is_some_and(|since| due.passed(since, seconds));
    let mut is_gone = |pod: &String| missed(Absent::Pod(pod.clone()), GONE_SECONDS);
    if !alert.pods.is_empty() && alert.pods.iter().all(&mut is_gone) {
        return Some(Resolution::TargetGone);
    }
    if missed(Absent::Node(alert.node.clone()), GONE_SECONDS) || missed(Absent::Agent(alert.node.clone()), LOST_SECONDS)
    {
        return Some(Resolution::AgentLost);
    }
    // Its pods are there, but perhaps on a node that is cut off.
    if working.contains(alert.node.as_str()) {
        return None;
    }
    let heartbeat = observed.reports.find(&Key::new("", &alert.node)).and_then(|report| report.value.heartbeat);
    // Whatever is later: an agent that could not report yet did fire.
    let heard = heartbeat.into_iter().chain(alert.reported.map(|reported| reported.fired)).max()?;
    due.passed(heard, SILENT_SECONDS).then_some(Resolution::AgentLost)
}

/// What is applied to the status of an alert that is resolved by us.
pub(super) fn resolved(key: &Key, alert: &Seen<Alert>, resolution: Resolution, now: Timestamp) -> Value {
    let at = seconds(now);
    let (firing, confirmed, why) = match resolution {
        Resolution::TargetGone => (Firing::TargetGone, Confirmed::TargetGone, "the pod is gone"),
        Resolution::Uninstalled => (Firing::Uninstalled, Confirmed::Uninstalled, "netprecursor was uninstalled"),
        _ => (Firing::AgentLost, Confirmed::AgentLost, "the node's agent stopped reporting"),
    };
    let mut conditions = vec![condition::of(firing, &format!("resolved by the operator: {why}"), None, &[], at)];
    let reported = alert.value.reported;
    if !reported.is_some_and(|reported| reported.is_judged) {
        let since = reported.and_then(|reported| reported.judged).unwrap_or(at);
        conditions.push(condition::of(
            confirmed,
            &format!("there can be no verdict any more: {why}"),
            None,
            &[],
            since,
        ));
    }
    json!({
        "apiVersion": "netprecursor.io/v1alpha1",
        "kind": "PrecursorAlert",
        "metadata": {"name": key.name, "namespace": key.namespace, "uid": alert.uid},
        "status": {
            "state": "Resolved",
            "firingPodCount": 0,
            "resolution": resolution,
            "resolvedAt": at.to_string(),
            "conditions": conditions,
        },
    })
}

/// Alerts beyond the caps: of those that are over the oldest, then of those that fire the newest, for whoever reads
/// them needs the first signs of trouble most.
fn over_cap<'a>(alerts: &[(&'a Key, &'a Seen<Alert>)], settings: &Settings) -> Vec<(&'a Key, &'a Seen<Alert>)> {
    let caps = settings.config.caps;
    let mut by_namespace: BTreeMap<&str, Vec<(&Key, &Seen<Alert>)>> = BTreeMap::new();
    for (key, alert) in alerts {
        by_namespace.entry(&key.namespace).or_default().push((key, alert));
    }
    let (mut over, mut rest) = (Vec::new(), Vec::new());
    for mut members in by_namespace.into_values() {
        let keep = members.len().min(caps.alerts_per_namespace as usize);
        if keep < members.len() {
            members.sort_by_key(worth);
        }
        over.extend(members.drain(keep..));
        rest.extend(members);
    }
    let keep = caps.alerts_per_cluster as usize;
    if rest.len() > keep {
        rest.sort_by_key(worth);
        over.extend(rest.drain(keep..));
    }
    over
}

/// What is kept first comes first.
fn worth<'a>((key, alert): &(&'a Key, &'a Seen<Alert>)) -> (bool, i64, &'a Key) {
    let (is_over, age) = match alert.value.over_since() {
        None => (false, alert.value.created.as_second()),
        Some(since) => (true, -since.as_second()),
    };
    (is_over, age, key)
}
