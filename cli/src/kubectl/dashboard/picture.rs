//! A picture of the cluster for the page, of what the watches have shown. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::core::ObjectMeta;
use netprecursor_crds::diagnosis::{self, Known, diagnose, node};
use netprecursor_kit::Failure;

use super::{
    alerts::{placed, unknown_causes},
    dial::Agents,
    mirrors::{Mirrors, Watched},
    nodes::{self, nodes},
    policies::{policies, whole_name},
};
use crate::{
    dashboard::cluster::{Picture, Placed, Trouble},
    kubectl::installed::Installed,
};

/// Objects of a kind that cannot be parsed and are named; the rest is counted.
const NAMED: usize = 3;

/// The picture at `now`.
pub(super) fn picture(mirrors: &mut Mirrors, now: Timestamp) -> Picture {
    refresh(mirrors);
    let hidden = Installed::hidden(String::new());
    let installed = mirrors.installed.as_ref().unwrap_or(&hidden);
    let policies_seen = [
        facts(&mirrors.policies, |policy| (&policy.metadata, policy.status.as_ref())),
        facts(&mirrors.cluster_policies, |policy| (&policy.metadata, policy.status.as_ref())),
    ]
    .concat();
    let (names, of_policies): (Vec<String>, Vec<diagnosis::Policy<'_>>) = policies_seen.into_iter().unzip();
    let is_whole = !mirrors.is_one_namespace
        && mirrors.policies.narrowed.is_none()
        && mirrors.policies.trouble.is_none()
        && mirrors.cluster_policies.trouble.is_none();
    let has_policy = if of_policies.is_empty() { is_whole.then_some(false) } else { Some(true) };
    let diagnosis = diagnose(&installed.facts(of_policies, has_policy, None), now);
    let alerts: Option<Vec<Placed>> = mirrors.alerts.objects().map(|alerts| alerts.filter_map(placed).collect());
    let shown = nodes(&diagnosis, &names, installed, nodes::firing(alerts.as_deref()).as_ref());
    Picture {
        unix: u64::try_from(now.as_second()).unwrap_or_default(),
        trouble: trouble(mirrors),
        notes: notes(mirrors),
        nodes: shown,
        with_agent: agents(mirrors).into_keys().collect(),
        policies: policies(mirrors, &diagnosis),
        alerts,
    }
}

/// Pods of agents that run, by node.
pub(super) fn agents(mirrors: &Mirrors) -> Agents {
    let pods = mirrors.agents.objects().into_iter().flatten();
    let runs = pods.filter(|pod| {
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        phase == Some("Running") && pod.metadata.deletion_timestamp.is_none()
    });
    let placed = runs.filter_map(|pod| Some((node::of_pod(pod.spec.as_ref()?)?.to_owned(), pod.clone())));
    placed.collect::<BTreeMap<String, Pod>>()
}

/// Has what is watched take the place of what was asked for.
fn refresh(mirrors: &mut Mirrors) {
    let Some(installed) = &mut mirrors.installed else { return };
    if let Some(reports) = mirrors.reports.objects() {
        installed.reports = Known::There(reports.cloned().collect());
    }
    if let Some(pods) = mirrors.agents.objects() {
        installed.pods = Known::There(pods.cloned().collect());
    }
}

/// Names and facts of policies of a kind.
fn facts<'a, K>(
    watched: &'a Watched<K>,
    of: impl Fn(&'a K) -> (&'a ObjectMeta, Option<&'a netprecursor_crds::policy::PrecursorPolicyStatus>),
) -> Vec<(String, diagnosis::Policy<'a>)> {
    let objects = watched.objects().into_iter().flatten();
    let named = objects.map(|object| {
        let (metadata, status) = of(object);
        (whole_name(metadata), diagnosis::Policy { generation: metadata.generation, status })
    });
    named.collect()
}

/// Why what is shown may be old: the watch that has failed for longest, unless a right is missing or the kind is.
fn trouble(mirrors: &Mirrors) -> Option<Trouble> {
    let all = watches(mirrors);
    let failing = all.iter().filter_map(|watch| Some((watch.plural, watch.trouble?)));
    let failing = failing.filter(|(_, trouble)| !matches!(trouble.failure, Failure::Forbidden | Failure::Missing));
    let (plural, oldest) = failing.min_by_key(|(_, trouble)| trouble.since)?;
    Some(Trouble { since: oldest.since, words: format!("cannot watch {plural}: {}", oldest.words) })
}

/// A watch, whatever it watches.
struct Watch<'a> {
    plural: &'static str,
    trouble: Option<&'a super::mirrors::Trouble>,
    narrowed: Option<&'a str>,
    /// What there is instead.
    without: &'static str,
    /// Objects that cannot be parsed, by name.
    broken: Vec<String>,
}

fn watch<'a, K>(plural: &'static str, watched: &'a Watched<K>, without: &'static str) -> Watch<'a> {
    let broken = watched.mirror.iter().filter_map(|(key, object)| Some(format!("{key}: {}", object.as_ref().err()?)));
    Watch {
        plural,
        trouble: watched.trouble.as_ref(),
        narrowed: watched.narrowed.as_deref(),
        without,
        broken: broken.collect(),
    }
}

fn watches(mirrors: &Mirrors) -> [Watch<'_>; 5] {
    [
        watch("precursorpolicies", &mirrors.policies, "their conditions are not shown; targets and alerts are"),
        watch(
            "clusterprecursorpolicies",
            &mirrors.cluster_policies,
            "their conditions are not shown; targets and alerts are",
        ),
        watch(
            "precursoralerts",
            &mirrors.alerts,
            "alerts are those of the agents that are streamed, as long as these know them",
        ),
        watch("precursornodereports", &mirrors.reports, "nodes are shown without what their agents report"),
        watch(
            "pods of the install namespace",
            &mirrors.agents,
            "no agent can be reached, so no target is shown live; alerts, nodes and policies are",
        ),
    ]
}

/// What the user may not see, and what works without it.
fn notes(mirrors: &Mirrors) -> Vec<String> {
    let mut notes = Vec::new();
    for Watch { plural, trouble, narrowed, without, broken } in watches(mirrors) {
        match trouble {
            Some(trouble) if trouble.failure == Failure::Forbidden => {
                notes.push(format!("not permitted to list and watch {plural}: {}; {without}", trouble.words));
            }
            Some(trouble) if trouble.failure == Failure::Missing => notes.push(format!(
                "the cluster does not have {plural}; run `kubectl netprecursor install-check` to see what is missing"
            )),
            _ => {}
        }
        if let Some(words) = narrowed {
            notes.push(format!(
                "not permitted to list and watch {plural} of all namespaces: {words}; those of one namespace are shown, which \
                 -n chooses"
            ));
        }
        let more = broken.len().saturating_sub(NAMED);
        notes.extend(
            broken.into_iter().take(NAMED).map(|broken| format!("cannot parse an object of {plural}: {broken}")),
        );
        if more > 0 {
            notes.push(format!("cannot parse {more} more objects of {plural}; use the release that the cluster runs"));
        }
    }
    let unknown: usize = mirrors.alerts.objects().into_iter().flatten().map(unknown_causes).sum();
    if unknown > 0 {
        notes.push(format!(
            "{unknown} causes of alerts are of a later release and not shown; use the release that the cluster runs"
        ));
    }
    notes.extend(mirrors.unseen.clone());
    notes
        .extend(mirrors.installed.iter().flat_map(|installed| &installed.notes).filter(|note| !is_said(note)).cloned());
    notes
}

/// Whether a note of the installation is about what is watched as well.
fn is_said(note: &str) -> bool {
    ["precursornodereports", "pods"].iter().any(|plural| note.starts_with(&format!("not permitted to list {plural}")))
}
