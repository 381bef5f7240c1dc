//! The agents' DaemonSet: there while there is a policy and a while longer, and whether it does its work.

use jiff::Timestamp;
use netprecursor_crds::diagnosis::{
    self, Known, Node, Place,
    agents::{Assessment, Phase, Set, assess, count},
    node::{self, FIRST_REPORT_SECONDS, STALE_SECONDS},
    policy::Word,
    reasons::{self, AgentsReady},
};
use serde_json::Map;

use super::{
    Due, Write,
    condition::{Verdict, seconds},
};
use crate::{
    agents::{MANIFEST_HASH, daemon_set, difference},
    config::Settings,
    observe::{Absent, AgentPod, Agents, Key, Observed, Report, Seen},
};

/// Annotation that says since when there is no policy: survives a restart of the operator.
pub const IDLE_SINCE: &str = "netprecursor.io/idle-since";

/// Annotation with the time at which the DaemonSet's controller was last made to try again.
pub(super) const RETRIED_AT: &str = "netprecursor.io/retried-at";

/// Between two such times. The controller tries again by itself after up to 17 minutes; any change of the object makes it try
/// at once, and one of an annotation replaces no pod.
const RETRY_SECONDS: i64 = 20;

/// What others change is put right after so long: two that put right what the other does must not do so all the time.
const REPAIR_SECONDS: i64 = 60;

/// Agents that do not work for less long than this are being replaced.
const REPLACING_SECONDS: i64 = 60;

pub(super) fn plan(
    observed: &Observed,
    settings: &Settings,
    anchor: Option<&str>,
    due: &mut Due,
    writes: &mut Vec<Write>,
) {
    let is_wanted = observed.all_policies().next().is_some();
    let found = found(observed);
    let Some(anchor) = anchor else { return };
    let Some((key, agents)) = found else {
        if is_wanted {
            let manifest = daemon_set(settings, anchor, Map::new());
            writes.push(Write::ApplyAgents { manifest, reverts: None });
        }
        return;
    };
    if agents.value.is_going {
        return;
    }
    let idle = idle_since(&agents.value);
    let linger = i64::from(settings.config.agent.linger_after_last_policy_seconds);
    let idle = match (is_wanted, idle) {
        (true, _) => None,
        (false, Some(since)) => Some(since),
        (false, None) => Some(due.now),
    };
    if let Some(since) = idle
        && due.passed(since, linger)
    {
        writes.push(Write::DeleteAgents { key: key.clone(), uid: agents.uid.clone() });
        return;
    }
    let times = [(IDLE_SINCE, idle), (RETRIED_AT, retried_at(observed, &agents.value, due))];
    let annotations = times.into_iter().filter_map(|(name, at)| Some((name.to_owned(), at?.to_string().into())));
    let manifest = daemon_set(settings, anchor, annotations.collect());
    let Some(difference) = difference(&agents.value.object, &manifest) else { return };
    let hash = |object: &serde_json::Value| object["metadata"]["annotations"][MANIFEST_HASH].clone();
    if hash(&agents.value.object) != hash(&manifest) {
        writes.push(Write::ApplyAgents { manifest, reverts: None });
    } else if agents.value.applied.is_none_or(|applied| due.passed(applied, REPAIR_SECONDS)) {
        writes.push(Write::ApplyAgents { manifest, reverts: Some(difference.to_string()) });
    }
}

/// Until when the controller was made to try again to create pods that the API server refused, such as for a quota; `None`
/// when no pod is held back.
fn retried_at(observed: &Observed, agents: &Agents, due: &mut Due) -> Option<Timestamp> {
    let failed = observed.failures.iter().map(|(_, failure)| failure.value.at).max()?;
    if !agents.is_current || !set(agents).is_short() {
        return None;
    }
    let before = time(agents, RETRIED_AT);
    if due.passed(before.unwrap_or(failed), RETRY_SECONDS) { Some(seconds(due.now)) } else { before }
}

fn found(observed: &Observed) -> Option<(&Key, &Seen<Agents>)> {
    observed.daemon_sets.iter().next()
}

fn idle_since(agents: &Agents) -> Option<Timestamp> {
    time(agents, IDLE_SINCE)
}

fn time(agents: &Agents, annotation: &str) -> Option<Timestamp> {
    agents.object["metadata"]["annotations"][annotation].as_str()?.parse().ok()
}

/// Whether agents do their work, as the condition of a policy says that did not say so before, and of one that did. What is
/// wrong and what to do is for [`diagnosis`] to decide, as everywhere.
pub(super) fn verdicts(observed: &Observed, settings: &Settings, due: &mut Due) -> [Verdict; 2] {
    let since = observed.absent.since(&Absent::AgentPods);
    let is_long = since.is_some_and(|since| due.passed(since, REPLACING_SECONDS));
    let before = if is_long { Phase::Settled } else { Phase::Starting };
    let after = if since.is_some() && !is_long { Phase::Replacing } else { Phase::Settled };
    let mut facts = facts(observed, settings, due);
    let place = Place::new(&settings.namespace);
    [before, after].map(|phase| {
        facts.phase = phase;
        verdict(assess(&facts, None, &place, due.now))
    })
}

fn verdict(Assessment { finding, tally, .. }: Assessment) -> Verdict {
    match finding {
        None => Verdict::new(AgentsReady::AllReady, count(tally)),
        Some(finding) if finding.reason == AgentsReady::Replacing => {
            Verdict::new(AgentsReady::Replacing, format!("{}; the others are being replaced", finding.message))
        }
        Some(finding) => {
            let reason = reasons::find(reasons::POLICY, &finding.condition, &finding.reason);
            Verdict::new(reason.unwrap_or(AgentsReady::NotReady.row()), finding.to_string())
        }
    }
}

const fn set(agents: &Agents) -> Set {
    let Agents { wanted, scheduled, updated, ready, is_current, .. } = *agents;
    Set { wanted, scheduled, updated, ready, is_current }
}

fn facts(observed: &Observed, settings: &Settings, due: &mut Due) -> diagnosis::Agents {
    let known = |there: bool| if there { Known::There(()) } else { Known::Absent };
    let set = found(observed).map_or(Known::Absent, |(_, agents)| Known::There(set(&agents.value)));
    let failure = observed.failures.iter().max_by_key(|(_, failure)| failure.value.at);
    diagnosis::Agents {
        anchor: known(super::anchor(observed).is_some()),
        anchor_name: settings.config.anchor.clone(),
        refused: observed.agents_refused.clone(),
        set,
        failure: failure.map(|(_, failure)| failure.value.message.clone()),
        nodes: nodes(observed, due),
        has_policy: Some(true),
        phase: Phase::default(),
    }
}

/// The nodes with an agent's pod: which others should have one only the DaemonSet's controller knows.
fn nodes(observed: &Observed, due: &mut Due) -> Vec<Node> {
    let pods = observed.agents.iter().map(|(key, pod)| {
        let AgentPod { node, is_ready, since, trouble, .. } = &pod.value;
        let report = match observed.reports.find(&Key::new("", node)).map(|report| &report.value) {
            Some(Report { heartbeat, .. }) => {
                // A silent agent is not seen: nothing happens.
                heartbeat.iter().for_each(|at| _ = due.passed(*at, STALE_SECONDS + 1));
                // Whether its sensors work the readiness of its pod says as well, and sooner.
                let ready = Some(Word { is_well: true, reason: String::new(), message: String::new() });
                Known::There(node::Report { heartbeat: *heartbeat, ready, findings: Vec::new() })
            }
            None => {
                since.iter().for_each(|at| _ = due.passed(*at, FIRST_REPORT_SECONDS));
                Known::Absent
            }
        };
        let pod = node::Pod {
            name: key.name.clone(),
            is_ready: Some(*is_ready),
            since: *since,
            state: trouble.clone().unwrap_or_else(|| "starting".to_owned()),
        };
        let name = if node.is_empty() { &key.name } else { node };
        Node { name: name.clone(), is_ready: None, pod: Known::There(pod), report }
    });
    pods.collect()
}
