//! The state of one node's agent, by its pod, its report and the report's age. A report without a pod belongs to an agent
//! that is gone; a pod without a report belongs to one that cannot report.

use k8s_openapi::{api::core::v1::PodSpec, jiff::Timestamp};
use serde::Serialize;

use super::{
    Finding, Known, Place,
    policy::Word,
    reasons::{self, AgentsReady, Found},
    span,
};

/// Between two reports of an agent whose state does not change.
pub const EVERY_SECONDS: i64 = 5 * 60;

/// A report older than this belongs to an agent that does not work.
pub const STALE_SECONDS: i64 = 3 * EVERY_SECONDS;

/// A working agent sends its first report within this time.
pub const FIRST_REPORT_SECONDS: i64 = 120;

/// The state of a node's agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Standing {
    /// There should be an agent, but none has reported, or it is gone.
    Missing,
    /// The last report is too old.
    Stale,
    /// The agent or Kubernetes reports that it does not work.
    NotReady,
    /// It works, but has not had time to report.
    Starting,
    /// It works.
    Ready,
    /// There should be no agent on this node.
    Unwanted,
}

/// Whether a node should have an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// It should.
    Yes,
    /// The agents' selectors or tolerations exclude it.
    LeftOut,
    /// There are no policies, so there are no agents.
    NoPolicy,
    /// The user may not see which nodes should have one.
    Unknown,
}

/// A node.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Whether the node itself is ready; `None` if that was not queried.
    pub is_ready: Option<bool>,
    /// The pod of its agent.
    pub pod: Known<Pod>,
    /// The report of its agent.
    pub report: Known<Report>,
}

/// An agent's pod that is not being deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Whether it is ready; `None` until Kubernetes reports it.
    pub is_ready: Option<bool>,
    /// Since when it has been ready or not.
    pub since: Option<Timestamp>,
    /// Its phase, or what it is waiting for.
    pub state: String,
}

/// The report of an agent.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// When it was last updated.
    pub heartbeat: Option<Timestamp>,
    /// Its condition `Ready`.
    pub ready: Option<Word>,
    /// Problems that the agent reports.
    pub findings: Vec<Finding>,
}

/// The state of a node's agent, with what is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stand {
    /// The node.
    pub node: String,
    /// Its state.
    pub standing: Standing,
    /// Seconds since its last report.
    pub silence: Option<i64>,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// The node of a DaemonSet's pod. A pod that is not scheduled yet names its node in its affinity.
pub fn of_pod(spec: &PodSpec) -> Option<&str> {
    let bound = || {
        let affinity = spec.affinity.as_ref()?.node_affinity.as_ref()?;
        let terms = &affinity.required_during_scheduling_ignored_during_execution.as_ref()?.node_selector_terms;
        let fields = terms.iter().flat_map(|term| term.match_fields.iter().flatten());
        let mut names = fields.filter(|field| field.key == "metadata.name").filter_map(|field| field.values.as_ref());
        names.find_map(|names| names.first()).map(String::as_str)
    };
    spec.node_name.as_deref().filter(|name| !name.is_empty()).or_else(bound)
}

/// The state of `node`'s agent; `None` if the user may see neither pods nor reports.
pub fn stand(node: &Node, wanted: Wanted, place: &Place, now: Timestamp) -> Option<Stand> {
    let report = node.report.there();
    let heartbeat = report.and_then(|report| report.heartbeat);
    let silence = heartbeat.map(|at| now.as_second().saturating_sub(at.as_second()).max(0));
    let (standing, mut findings) = match (&node.pod, silence) {
        (Known::Absent, _) => without_pod(wanted, silence, place),
        (Known::Hidden, None) if node.report == Known::Hidden => return None,
        (pod, Some(silence)) => reported(pod.there(), report, silence, place),
        (Known::There(pod), None) if node.report == Known::Hidden => by_pod(pod, place),
        (Known::There(pod), None) => unheard(pod, place, now),
        (Known::Hidden, None) if wanted == Wanted::Yes || report.is_some() => {
            let what = "the agent has not reported";
            (Standing::Missing, vec![Finding::of(Found::AgentMissing, what, place)])
        }
        (Known::Hidden, None) => (Standing::Unwanted, Vec::new()),
    };
    if node.is_ready == Some(false) && !matches!(standing, Standing::Ready | Standing::Unwanted) {
        let what = "the node itself is not ready";
        findings.insert(0, Finding::of(Found::NodeNotReady, what, place));
    }
    if !matches!(standing, Standing::Unwanted | Standing::Missing) {
        findings.extend(report.into_iter().flat_map(|report| report.findings.iter().cloned()));
    }
    // A required sensor that is unavailable is why the agent is not ready: this is reported once.
    findings.sort_by_key(|finding| finding.severity);
    Some(Stand { node: node.name.clone(), standing, silence, findings })
}

/// Without a pod, a report is out of date.
fn without_pod(wanted: Wanted, silence: Option<i64>, place: &Place) -> (Standing, Vec<Finding>) {
    let last = silence.map(|seconds| format!("; the last report is {} old", span(seconds)));
    let last = last.as_deref().unwrap_or_default();
    let old = |what: String| (Standing::Unwanted, vec![Finding::of(Found::OrphanedReport, what, place)]);
    match (wanted, silence) {
        (Wanted::NoPolicy, Some(_)) => old(format!("there is no policy, so no agent runs{last}")),
        (Wanted::NoPolicy, None) | (Wanted::Unknown, None) => (Standing::Unwanted, Vec::new()),
        (Wanted::LeftOut, _) => {
            let what = format!("no agent runs here: the agents' selectors or tolerations exclude the node{last}");
            (Standing::Unwanted, vec![Finding::of(Found::NodeExcluded, what, place)])
        }
        (Wanted::Yes, _) | (Wanted::Unknown, Some(_)) => {
            let what = format!("the agent is missing{last}");
            (Standing::Missing, vec![Finding::of(Found::AgentMissing, what, place)])
        }
    }
}

fn reported(pod: Option<&Pod>, report: Option<&Report>, silence: i64, place: &Place) -> (Standing, Vec<Finding>) {
    let sick = pod.filter(|pod| pod.is_ready == Some(false));
    if silence > STALE_SECONDS {
        let (ago, every) = (span(silence), span(EVERY_SECONDS));
        let state = sick.map(|pod| format!("; pod {} is not ready: {}", pod.name, pod.state)).unwrap_or_default();
        let what = format!("the agent last reported {ago} ago, expected every {every}{state}");
        let reason = if sick.is_some() { Found::AgentNotReady.row() } else { AgentsReady::Silent.row() };
        return (Standing::Stale, vec![Finding::of(reason, what, place)]);
    }
    match (report.and_then(|report| report.ready.as_ref()), sick) {
        (Some(Word { is_well: false, reason, message }), _) => {
            let known = reasons::find(reasons::REPORT, "Ready", reason);
            let known = known.unwrap_or(Found::AgentNotReady.row());
            (Standing::NotReady, vec![Finding::of(known, format!("{reason}: {message}"), place)])
        }
        (_, Some(pod)) => by_pod(pod, place),
        (Some(_), None) => (Standing::Ready, Vec::new()),
        (None, None) => {
            let what = "the report has no condition Ready: was it written by this release?";
            (Standing::NotReady, vec![Finding::of(Found::AgentNotReady, what, place)])
        }
    }
}

/// For users who may not see reports: the state by the pod alone.
fn by_pod(pod: &Pod, place: &Place) -> (Standing, Vec<Finding>) {
    if pod.is_ready != Some(false) {
        return (Standing::Ready, Vec::new());
    }
    let what = format!("pod {} is not ready: {}", pod.name, pod.state);
    (Standing::NotReady, vec![Finding::of(Found::AgentNotReady, what, place)])
}

fn unheard(pod: &Pod, place: &Place, now: Timestamp) -> (Standing, Vec<Finding>) {
    let (name, state) = (&pod.name, &pod.state);
    let is_young = pod.since.is_none_or(|since| now.as_second() - since.as_second() < FIRST_REPORT_SECONDS);
    match pod.is_ready {
        Some(true) if is_young => {
            let what = format!("the agent in pod {name} has just started and has not reported yet");
            (Standing::Starting, vec![Finding::of(Found::AgentStarting, what, place)])
        }
        Some(false) => {
            let what = format!("the agent has not reported: pod {name} is {state}");
            (Standing::Missing, vec![Finding::of(Found::AgentNotReady, what, place)])
        }
        Some(true) | None => {
            let what = format!("the agent has not reported: pod {name} is {state}");
            (Standing::Missing, vec![Finding::of(AgentsReady::Silent, what, place)])
        }
    }
}
