//! The agents' DaemonSet: there while there is a policy and a while longer, and whether it does its work.

use jiff::Timestamp;
use serde_json::Map;

use super::{Due, Write, condition::Verdict, some_of};
use crate::{
    agents::{MANIFEST_HASH, covers, daemon_set},
    config::Settings,
    observe::{Absent, Agents, Key, Observed, Seen},
};

/// Annotation that says since when there is no policy: survives a restart of the operator.
pub const IDLE_SINCE: &str = "netprecursor.io/idle-since";

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
            writes.push(Write::ApplyAgents { manifest: daemon_set(settings, anchor, Map::new()) });
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
    let annotations = idle.map(|since| (IDLE_SINCE.to_owned(), since.to_string().into())).into_iter().collect();
    let manifest = daemon_set(settings, anchor, annotations);
    if covers(&agents.value.object, &manifest) {
        return;
    }
    let hash = |object: &serde_json::Value| object["metadata"]["annotations"][MANIFEST_HASH].clone();
    let is_ours_to_change = hash(&agents.value.object) != hash(&manifest);
    if is_ours_to_change || agents.value.applied.is_none_or(|applied| due.passed(applied, REPAIR_SECONDS)) {
        writes.push(Write::ApplyAgents { manifest });
    }
}

fn found(observed: &Observed) -> Option<(&Key, &Seen<Agents>)> {
    observed.daemon_sets.iter().next()
}

fn idle_since(agents: &Agents) -> Option<Timestamp> {
    agents.object["metadata"]["annotations"][IDLE_SINCE].as_str()?.parse().ok()
}

/// Whether agents do their work, as the condition of a policy says; `was_true`: whether it said so before.
pub(super) fn verdict(observed: &Observed, settings: &Settings, was_true: bool, due: &mut Due) -> Verdict {
    let namespace = &settings.namespace;
    if super::anchor(observed).is_none() {
        let anchor = &settings.config.anchor;
        return Verdict::no(
            "AnchorMissing",
            format!("ConfigMap {namespace}/{anchor} of the chart is missing: install the chart again"),
        );
    }
    if let Some(refusal) = &observed.agents_refused {
        return Verdict::no("Refused", format!("the API server refuses the DaemonSet: {refusal}"));
    }
    let Some((_, agents)) = found(observed) else {
        return Verdict::no("Starting", "the agents' DaemonSet is being made");
    };
    let Agents { wanted, scheduled, ready, is_current, .. } = agents.value;
    if is_current && wanted == 0 {
        return Verdict::no(
            "NoNodes",
            "no node fits nodeSelector and affinity of the agents: see `agent` in the values",
        );
    }
    if is_current && ready >= wanted {
        return Verdict::yes("AllReady", format!("{ready} of {wanted} agents work"));
    }
    if scheduled < wanted
        && let Some((_, failure)) = observed.failures.iter().max_by_key(|(_, failure)| failure.value.at)
    {
        return not_created(namespace, &failure.value.message);
    }
    let since = observed.absent.since(&Absent::AgentPods);
    if was_true && since.is_some_and(|since| !due.passed(since, REPLACING_SECONDS)) {
        return Verdict::yes("Replacing", format!("{ready} of {wanted} agents work, others are being replaced"));
    }
    let idle = observed.agents.iter().filter(|(_, pod)| !pod.value.is_ready).map(|(key, pod)| {
        let trouble = pod.value.trouble.as_deref().unwrap_or("starting");
        let node = if pod.value.node.is_empty() { &key.name } else { &pod.value.node };
        format!("{node}: {}", trouble.chars().take(200).collect::<String>())
    });
    let reason = if was_true || since.is_some_and(|since| due.passed(since, REPLACING_SECONDS)) {
        "NotReady"
    } else {
        "Starting"
    };
    let idle = some_of(idle, 3);
    let message = format!("{ready} of {wanted} agents work");
    Verdict::no(reason, if idle.is_empty() { message } else { format!("{message}; not those on {idle}") })
}

/// Why the API server takes no agent's pod, and what to do.
fn not_created(namespace: &str, message: &str) -> Verdict {
    let shown: String = message.chars().take(600).collect();
    if message.contains("violates PodSecurity") {
        let command =
            format!("kubectl label namespace {namespace} pod-security.kubernetes.io/enforce=privileged --overwrite");
        return Verdict::no(
            "PodSecurity",
            format!(
                "Pod Security of namespace {namespace} refuses agents; allow them there with `{command}` ({shown})"
            ),
        );
    }
    Verdict::no("NotCreated", shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pod_security_refuses_comes_with_the_command_that_allows_it() {
        let message =
            "Error creating: pods \"a-\" is forbidden: violates PodSecurity \"baseline:latest\": host namespaces";
        let verdict = not_created("net", message);
        assert_eq!(verdict.reason, "PodSecurity");
        let command = "kubectl label namespace net pod-security.kubernetes.io/enforce=privileged";
        assert!(verdict.message.contains(command) && verdict.message.contains("baseline"), "{}", verdict.message);
    }
}
