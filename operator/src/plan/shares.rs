//! What is dealt to agents: how much each may write to the API server, by the number of agents, and the networks of the
//! cluster. Before there are any agents, and again as nodes come and go.

use std::collections::BTreeSet;

use netprecursor_kit::Share;

use super::{Due, Write, networks::networks};
use crate::{agents::share, config::Settings, observe::Observed};

/// Between two deals: nodes that come one after another are dealt for at once, and who keeps changing the ConfigMap is put
/// right no more often.
const APART_SECONDS: i64 = 10;

pub(super) fn plan(
    observed: &Observed,
    settings: &Settings,
    anchor: Option<&str>,
    due: &mut Due,
    writes: &mut Vec<Write>,
) {
    let is_needed = observed.all_policies().next().is_some() || observed.daemon_sets.iter().next().is_some();
    let Some(anchor) = anchor.filter(|_| is_needed) else { return };
    let (share, networks) = (Share::of(agents(observed)), networks(observed, settings, due));
    let dealt = observed.shares.iter().next().map(|(_, dealt)| &dealt.value);
    if dealt.is_some_and(|dealt| dealt.is(share, &networks)) {
        return;
    }
    if dealt.and_then(|dealt| dealt.applied).is_none_or(|applied| due.passed(applied, APART_SECONDS)) {
        writes.push(Write::DealShare { manifest: share::manifest(settings, anchor, share, &networks) });
    }
}

/// How many agents there are or will be. Until the DaemonSet's controller has counted its nodes that is all of the cluster's.
fn agents(observed: &Observed) -> usize {
    let wanted = observed.daemon_sets.iter().next().and_then(|(_, agents)| usize::try_from(agents.value.wanted).ok());
    let wanted = wanted.filter(|wanted| *wanted > 0).unwrap_or_else(|| observed.nodes.len());
    let staffed: BTreeSet<&str> = observed.agents.iter().map(|(_, pod)| pod.value.node.as_str()).collect();
    wanted.max(staffed.len())
}
