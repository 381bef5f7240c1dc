//! Breaches without congestion: a threshold that no RTT is below, set once the pods can fire.

use std::time::{Duration, Instant};

use kube::{
    Api,
    api::{Patch, PatchParams},
};
use netprecursor_crds::{policy::PrecursorPolicy, report::PrecursorNodeReport};
use netprecursor_e2e::{
    Error,
    agent::{Agent, Samples},
    cluster::{Story, wait_for},
};
use serde_json::{Value, json};

use crate::shared::{condition, policy, request};

/// What no pod's RTT is below, and what none is above.
pub(crate) const BREACH: &str = "1us";
pub(crate) const CALM: &str = "10s";

/// Nothing fires in an agent's or a pod's first minute.
const FIRST_MINUTE: Duration = Duration::from_secs(61);
const WARM_UP: Duration = Duration::from_secs(240);

fn rules(threshold: &str) -> Value {
    json!([{
        "name": "rtt", "signal": "RttForecast", "rttForecast": {"threshold": threshold}, "holdFor": "1s",
        "keepFiringFor": "1s", "model": {"builtin": "damped-holt"},
    }])
}

/// A policy over pods with this label, in breach of nothing.
pub(crate) async fn calm_policy(story: &Story, app: &str) -> Result<(), Error> {
    let target = json!({"podSelector": {"matchLabels": {"app": app}}});
    policy(story, app, json!({"spec": {"target": target, "rules": rules(CALM)}})).await.map(|_| ())
}

pub(crate) async fn set_threshold(story: &Story, name: &str, threshold: &str) -> Result<Instant, Error> {
    let policies: Api<PrecursorPolicy> = story.api();
    let patch = Patch::Merge(json!({"spec": {"rules": rules(threshold)}}));
    let patched = policies.patch(name, &PatchParams::default(), &patch).await;
    patched.map(|_| Instant::now()).map_err(request(format!("setting the threshold of {name}")))
}

/// Waits until the agent and all of its `count` targets can fire: each for a minute, and its report says so.
pub(crate) async fn warmed_up(agent: &Agent, story: &Story, count: usize) -> Result<(), Error> {
    let mut since: Option<Instant> = None;
    let all = |samples: &Samples| {
        let is_complete = samples.sum("netprecursor_targets") == Some(count as f64);
        since = since.filter(|_| is_complete).or_else(|| is_complete.then(Instant::now));
        since.is_some_and(|since| since.elapsed() > FIRST_MINUTE)
    };
    agent.wait_until("all of them to be targets for a minute", WARM_UP, all).await?;
    let reports: Api<PrecursorNodeReport> = Api::all(story.client());
    let is_warm = |report: Option<&PrecursorNodeReport>| {
        let status = report.and_then(|report| report.status.as_ref());
        status.is_some_and(|status| condition(&status.conditions, "WarmingUp") == "False")
    };
    wait_for(&reports, agent.node(), "a report that is not warming up", WARM_UP, is_warm).await.map(|_| ())
}
