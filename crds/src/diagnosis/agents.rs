//! Whether agents work, on all nodes where they should: what the condition `AgentsReady` says, and what the plugin says of
//! the same cluster.

use k8s_openapi::jiff::Timestamp;

use super::{
    Finding, Known, Place, Severity,
    node::{self, Node, Stand, Standing, Wanted},
    policy::Word,
    reasons::{self, AgentsReady},
    some_of, without_advice,
};

/// Nodes that are named in one message.
const NAMED: usize = 3;

/// Letters of what a pod or the API server says.
const SHOWN: usize = 600;

/// The agents' DaemonSet as its controller counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Set {
    /// Nodes that should have an agent.
    pub wanted: i64,
    /// Of them, nodes that have one, working or not.
    pub scheduled: i64,
    /// Of them, nodes whose agent is ready.
    pub ready: i64,
    /// Whether the controller has seen the newest spec.
    pub is_current: bool,
}

/// What is known of how agents came to be as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    /// They worked a moment ago, and are being replaced.
    Replacing,
    /// They never worked, and have not had the time to.
    Starting,
    /// Neither.
    #[default]
    Settled,
}

/// The agents and what they need.
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
    /// Why a pod of it could not be made, the newest reason.
    pub failure: Option<String>,
    /// The nodes.
    pub nodes: Vec<Node>,
    /// Whether there is a policy: without one there are no agents.
    pub has_policy: Option<bool>,
    /// How they came to be as they are.
    pub phase: Phase,
}

/// The agents in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Nodes whose agent works.
    pub working: usize,
    /// Nodes that should have one; `None` when there is no DaemonSet, or none to be seen.
    pub wanted: Option<usize>,
}

/// How the agents are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessment {
    /// What is wrong with them as a whole.
    pub finding: Option<Finding>,
    /// How many work.
    pub tally: Tally,
    /// How each is, in the order of the nodes.
    pub nodes: Vec<Stand>,
}

impl Agents {
    /// Whether a node without a pod should have one.
    fn wants(&self) -> Wanted {
        match (&self.set, self.has_policy) {
            (_, Some(false)) => Wanted::NoPolicy,
            (Known::Hidden, _) => Wanted::Unknown,
            (Known::Absent, _) => Wanted::Yes,
            // Each node that shall have one has its pod.
            (Known::There(set), _) if set.is_current && set.scheduled >= set.wanted => Wanted::LeftOut,
            (Known::There(_), _) => Wanted::Yes,
        }
    }
}

/// How the agents are. `word`: what an operator that works says of them, who sees more.
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

/// The controller counts ready pods, and an agent that is ready and silent does not work.
fn tally(agents: &Agents, nodes: &[Stand]) -> Tally {
    let working = nodes.iter().filter(|stand| matches!(stand.standing, Standing::Ready | Standing::Starting)).count();
    let Some(set) = agents.set.there() else { return Tally { working, wanted: None } };
    let [ready, wanted] = [set.ready, set.wanted].map(|count| usize::try_from(count).unwrap_or(0));
    let is_seen = agents.nodes.iter().any(|node| node.pod.there().is_some() || node.pod == Known::Hidden);
    Tally { working: if is_seen { working.min(ready) } else { ready }, wanted: Some(wanted) }
}

fn judge(agents: &Agents, tally: Tally, nodes: &[Stand], place: &Place) -> Option<Finding> {
    let find = |reason: AgentsReady, what: String| Some(Finding::of(reason, what, place));
    let has_policy = agents.has_policy == Some(true);
    let still = |set: &Set| (set.ready > 0).then(|| format!("; {} agents of before still run", set.ready));
    let still = agents.set.there().and_then(still).unwrap_or_default();
    if agents.anchor.is_absent() && has_policy {
        let (namespace, name) = (&place.namespace, &agents.anchor_name);
        let what = format!("ConfigMap {namespace}/{name} of the chart, which owns the agents, is missing{still}");
        return find(AgentsReady::AnchorMissing, what);
    }
    if let Some(refusal) = &agents.refused {
        let what = format!("the API server refuses the agents' DaemonSet: {}{still}", cut(refusal));
        return find(AgentsReady::Refused, what);
    }
    let set = match &agents.set {
        Known::There(set) => set,
        Known::Absent if has_policy => {
            let what = "there are policies, and the agents' DaemonSet is not there yet";
            let finding = Finding::of(AgentsReady::Starting, what, place);
            // There are no pods to describe.
            let advice = place
                .fill("wait some seconds; when it stays, `kubectl -n {namespace} logs deployment/{operator}` says why");
            return Some(Finding { advice, ..finding });
        }
        Known::Absent | Known::Hidden => return None,
    };
    let (working, wanted) = (tally.working, tally.wanted.unwrap_or(0));
    if set.is_current && wanted == 0 {
        let what = "no node fits nodeSelector, affinity and tolerations of the agents".to_owned();
        return if agents.has_policy == Some(false) { None } else { find(AgentsReady::NoNodes, what) };
    }
    if set.is_current && working >= wanted {
        return None;
    }
    if set.scheduled < set.wanted
        && let Some(failure) = &agents.failure
    {
        return Some(not_created(&count(tally), failure, place));
    }
    let mut what = count(tally);
    if !set.is_current {
        what += " as the settings of before want them; the DaemonSet's controller has not seen the newest yet";
    }
    let sick = nodes.iter().filter(|stand| !matches!(stand.standing, Standing::Ready | Standing::Unwanted));
    let sick = sick.filter_map(|stand| {
        let why = stand.findings.first()?;
        Some(format!("{}: {}", stand.node, why.message.chars().take(200).collect::<String>()))
    });
    let sick = some_of(sick, NAMED);
    if !sick.is_empty() {
        what += &format!("; not those on {sick}");
    }
    find(unready(agents.phase, set), what)
}

/// Agents that do not all work, for want of a better reason.
const fn unready(phase: Phase, set: &Set) -> AgentsReady {
    match phase {
        Phase::Replacing => AgentsReady::Replacing,
        _ if set.is_current && set.ready >= set.wanted => AgentsReady::Silent,
        Phase::Starting => AgentsReady::Starting,
        Phase::Settled => AgentsReady::NotReady,
    }
}

/// How many work, in words.
pub fn count(tally: Tally) -> String {
    match tally.wanted {
        Some(wanted) => format!("{} of {wanted} agents work", tally.working),
        None => format!("{} agents work", tally.working),
    }
}

/// Why the API server takes no agent's pod, and what to do.
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

/// Merges what is seen with what the operator reports. It sees more than most users may; what both see is fresher here.
fn settle(seen: Option<Finding>, word: &Word, set: &Known<Set>, place: &Place) -> Option<Finding> {
    let known = reasons::find(reasons::POLICY, "AgentsReady", &word.reason);
    let from_operator = || {
        let condition = "AgentsReady".to_owned();
        let advice = known.map(|known| place.fill(known.advice)).unwrap_or_default();
        let message = known.map_or(word.message.as_str(), |known| without_advice(&word.message, known, place));
        let (reason, message) = (word.reason.clone(), message.to_owned());
        Finding { severity: Severity::Fault, condition, reason, message, advice }
    };
    // These count what is seen here too.
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
            let advice = "wait: what the operator writes is a moment old".to_owned();
            let message =
                format!("every agent works now, and the operator has not said so yet ({})", from_operator().message);
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
