//! Whether agents work on all nodes where they should: for the condition `AgentsReady`, and for the plugin on the same
//! cluster.

use std::collections::BTreeSet;

use k8s_openapi::jiff::Timestamp;

use super::{
    Finding, Known, Place, Severity,
    node::{self, Node, Stand, Standing, Wanted},
    policy::Word,
    reasons::{self, AgentsReady},
    some_of, without_advice,
};

/// Most nodes named in one message.
const NAMED: usize = 3;

/// Most letters of a message from a pod or the API server.
const SHOWN: usize = 600;

/// The agents' DaemonSet by the counts of its controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Set {
    /// Nodes that should have an agent.
    pub wanted: i64,
    /// Nodes among them that have one, working or not.
    pub scheduled: i64,
    /// Nodes among them that have one of the newest spec. An earlier one works on until its successor is ready.
    pub updated: i64,
    /// Nodes among them whose agent is ready.
    pub ready: i64,
    /// Whether the controller has observed the newest spec.
    pub is_current: bool,
}

/// How the agents came into their state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    /// They worked a moment ago and are being replaced.
    Replacing,
    /// They have not had time to start yet.
    Starting,
    /// Neither.
    #[default]
    Settled,
}

/// The agents and what they depend on.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Agents {
    /// The ConfigMap that owns them.
    pub anchor: Known<()>,
    /// Its name.
    pub anchor_name: String,
    /// Why the API server refuses their DaemonSet.
    pub refused: Option<String>,
    /// Their DaemonSet.
    pub set: Known<Set>,
    /// Why a pod of it could not be created, the newest reason.
    pub failure: Option<String>,
    /// The nodes.
    pub nodes: Vec<Node>,
    /// Whether there is a policy: without one there are no agents.
    pub has_policy: Option<bool>,
    /// How they came into their state.
    pub phase: Phase,
}

/// The numbers of agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Nodes whose agent works.
    pub working: usize,
    /// Nodes that should have one; `None` if there is no DaemonSet or the user may not see it.
    pub wanted: Option<usize>,
}

/// The state of the agents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessment {
    /// What is wrong with them as a whole.
    pub finding: Option<Finding>,
    /// How many work.
    pub tally: Tally,
    /// The state of each, in the order of the nodes.
    pub nodes: Vec<Stand>,
}

impl Set {
    /// Whether some node waits for an agent, or for one of the newest spec.
    pub const fn is_short(&self) -> bool {
        self.scheduled < self.wanted || self.updated < self.wanted
    }
}

impl Agents {
    /// Whether a node without a pod should have one.
    fn wants(&self) -> Wanted {
        match (&self.set, self.has_policy) {
            (_, Some(false)) => Wanted::NoPolicy,
            (Known::Hidden, _) => Wanted::Unknown,
            (Known::Absent, _) => Wanted::Yes,
            // Every node that should have an agent has its pod.
            (Known::There(set), _) if set.is_current && set.scheduled >= set.wanted => Wanted::LeftOut,
            (Known::There(_), _) => Wanted::Yes,
        }
    }
}

/// The state of the agents. `word`: what the operator reports about them, if it is available; it sees more.
pub fn assess(agents: &Agents, word: Option<&Word>, place: &Place, now: Timestamp) -> Assessment {
    let wanted = agents.wants();
    let nodes: Vec<Stand> = agents.nodes.iter().filter_map(|node| node::stand(node, wanted, place, now)).collect();
    let tally = tally(agents, &nodes);
    let seen = judge(agents, tally, &nodes, place);
    let finding = match word {
        Some(word) => settle(seen, word, &agents.set, place),
        None => seen,
    };
    Assessment { finding, tally, nodes }
}

/// The controller counts ready pods, but an agent that is ready and silent does not work.
fn tally(agents: &Agents, nodes: &[Stand]) -> Tally {
    let is_working = |stand: &&Stand| matches!(stand.standing, Standing::Ready | Standing::Starting);
    // A node that replaces its agent has two for a while.
    let working: BTreeSet<&str> = nodes.iter().filter(is_working).map(|stand| stand.node.as_str()).collect();
    let working = working.len();
    let Some(set) = agents.set.there() else { return Tally { working, wanted: None } };
    let [ready, wanted] = [set.ready, set.wanted].map(|count| usize::try_from(count).unwrap_or(0));
    let is_seen = agents.nodes.iter().any(|node| node.pod.there().is_some() || node.pod == Known::Hidden);
    Tally { working: if is_seen { working.min(ready) } else { ready }, wanted: Some(wanted) }
}

fn judge(agents: &Agents, tally: Tally, nodes: &[Stand], place: &Place) -> Option<Finding> {
    let find = |reason: AgentsReady, what: String| Some(Finding::of(reason, what, place));
    let has_policy = agents.has_policy == Some(true);
    let still = |set: &Set| (set.ready > 0).then(|| format!("; {} earlier agents still run", set.ready));
    let still = agents.set.there().and_then(still).unwrap_or_default();
    if agents.anchor.is_absent() && has_policy {
        let (namespace, name) = (&place.namespace, &agents.anchor_name);
        let what = format!("the chart's ConfigMap {namespace}/{name}, which owns the agents, is missing{still}");
        return find(AgentsReady::AnchorMissing, what);
    }
    if let Some(refusal) = &agents.refused {
        let what = format!("the API server refuses the agents' DaemonSet: {}{still}", cut(refusal));
        return find(AgentsReady::Refused, what);
    }
    let set = match &agents.set {
        Known::There(set) => set,
        Known::Absent if has_policy => {
            let what = "there are policies, but the agents' DaemonSet does not exist yet";
            let finding = Finding::of(AgentsReady::Starting, what, place);
            // There are no pods to describe.
            let advice = place
                .fill("wait a few seconds; if it persists, run `kubectl -n {namespace} logs deployment/{operator}` to see why");
            return Some(Finding { advice, ..finding });
        }
        Known::Absent | Known::Hidden => return None,
    };
    let (working, wanted) = (tally.working, tally.wanted.unwrap_or(0));
    if set.is_current && wanted == 0 {
        let what = "no node satisfies the agents' nodeSelector, affinity and tolerations".to_owned();
        return if agents.has_policy == Some(false) { None } else { find(AgentsReady::NoNodes, what) };
    }
    // Earlier agents work while they are replaced, however long that takes, unless something is in the way.
    let is_held_up = set.is_short() && (agents.failure.is_some() || nodes.iter().any(is_sick));
    if set.is_current && working >= wanted && !is_held_up {
        return None;
    }
    if set.is_short()
        && let Some(failure) = &agents.failure
    {
        return Some(not_created(&count(tally), failure, place));
    }
    let mut what = count(tally);
    if !set.is_current {
        what += " with the previous settings; the DaemonSet controller has not observed the new ones yet";
    }
    if set.is_current && set.updated < set.wanted {
        what += &format!(", {} of them with the newest settings", set.updated);
    }
    let sick = nodes.iter().filter(|stand| !matches!(stand.standing, Standing::Ready | Standing::Unwanted));
    let sick = sick.filter_map(|stand| {
        let why = stand.findings.first()?;
        Some(format!("{}: {}", stand.node, why.message.chars().take(200).collect::<String>()))
    });
    let sick = some_of(sick, NAMED);
    if !sick.is_empty() {
        what += &format!("; failing on {sick}");
    }
    find(unready(agents.phase, set), what)
}

/// Whether an agent does not work that had time to.
const fn is_sick(stand: &Stand) -> bool {
    !matches!(stand.standing, Standing::Ready | Standing::Starting | Standing::Unwanted)
}

/// The reason if not all agents work and no better one is known.
const fn unready(phase: Phase, set: &Set) -> AgentsReady {
    match phase {
        Phase::Replacing => AgentsReady::Replacing,
        _ if set.is_current && set.ready >= set.wanted && !set.is_short() => AgentsReady::Silent,
        Phase::Starting => AgentsReady::Starting,
        Phase::Settled => AgentsReady::NotReady,
    }
}

/// How many work, as text.
pub fn count(tally: Tally) -> String {
    match tally.wanted {
        Some(wanted) => format!("{} of {wanted} agents work", tally.working),
        None => format!("{} agents work", tally.working),
    }
}

/// Why the API server refuses agents' pods, and what to do.
fn not_created(count: &str, message: &str, place: &Place) -> Finding {
    let shown = cut(message);
    if message.contains("violates PodSecurity") {
        let what = format!("{count}: Pod Security of namespace {} refuses agents ({shown})", place.namespace);
        return Finding::of(AgentsReady::PodSecurity, what, place);
    }
    Finding::of(AgentsReady::NotCreated, format!("{count}: {shown}"), place)
}

fn cut(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

/// Merges what is seen here with what the operator reports. The operator sees more than most users may; what both see is
/// more recent here.
fn settle(seen: Option<Finding>, word: &Word, set: &Known<Set>, place: &Place) -> Option<Finding> {
    let known = reasons::find(reasons::POLICY, "AgentsReady", &word.reason);
    let from_operator = || {
        let condition = "AgentsReady".to_owned();
        let advice = known.map(|known| place.fill(known.advice)).unwrap_or_default();
        let message = known.map_or(word.message.as_str(), |known| without_advice(&word.message, known, place));
        let (reason, message) = (word.reason.clone(), message.to_owned());
        Finding { severity: Severity::Fault, condition, reason, message, advice }
    };
    // These count what is also seen here.
    let is_among = |reason: &String, some: [AgentsReady; 3]| some.iter().any(|one| reason == one);
    let counts = [AgentsReady::Starting, AgentsReady::NotReady, AgentsReady::Silent];
    let is_count = is_among(&word.reason, counts);
    match (seen, word.is_well) {
        (None, true) => None,
        (Some(seen), true) if word.reason == AgentsReady::Replacing && seen.reason == AgentsReady::NotReady => {
            let severity = Severity::Warning;
            Some(Finding { severity, advice: from_operator().advice, reason: word.reason.clone(), ..seen })
        }
        (Some(seen), true) => Some(seen),
        (None, false) if is_count && set.there().is_some() => {
            let advice = "wait: the operator updates its status within moments".to_owned();
            let message = format!(
                "every agent works now, but the operator has not updated its status yet ({})",
                from_operator().message
            );
            Some(Finding { severity: Severity::Warning, advice, message, ..from_operator() })
        }
        (None, false) => Some(from_operator()),
        (Some(seen), false) if is_count && seen.reason == AgentsReady::NotReady => {
            Some(Finding { reason: word.reason.clone(), advice: from_operator().advice, ..seen })
        }
        (Some(seen), false) if is_count || seen.reason == word.reason => Some(seen),
        (Some(seen), false) if is_among(&seen.reason, counts) => Some(from_operator()),
        (Some(seen), false) => Some(seen),
    }
}
