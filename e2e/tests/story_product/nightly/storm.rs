//! A storm: every pod of a full node is in breach at once. Another namespace's breach is shown in the middle of it, and what is
//! shown after the repair is true.

use std::time::{Duration, Instant};

use kube::{
    Api,
    api::{Patch, PatchParams},
    runtime::watcher::Config,
};
use netprecursor_crds::{
    alert::{AlertState, PrecursorAlert},
    policy::PrecursorPolicy,
    report::PrecursorNodeReport,
};
use netprecursor_e2e::{
    Error,
    agent::{Agent, Samples},
    cluster::{Story, story, wait_for, wait_for_list},
    product::Product,
};
use serde_json::{Value, json};

use super::density::{fill, room};
use crate::shared::{alert_in, condition, policy, request};

/// What no pod's RTT is below, and what none is above.
const BREACH: &str = "1us";
const CALM: &str = "10s";

/// How long another namespace's alert may take in the middle of the storm.
const OTHERS_SHOWN: Duration = Duration::from_secs(7);

/// Nothing fires in an agent's or a pod's first minute.
const FIRST_MINUTE: Duration = Duration::from_secs(61);
const WARM_UP: Duration = Duration::from_secs(240);

/// How long so many alerts may take: an agent writes ten in a second, after the watch, a tick and the rule's hold.
fn limit(count: usize) -> Duration {
    Duration::from_secs(count as u64 / 10 + 15)
}

fn rules(threshold: &str) -> Value {
    json!([{
        "name": "rtt", "signal": "RttForecast", "rttForecast": {"threshold": threshold}, "holdFor": "1s",
        "keepFiringFor": "1s", "model": {"builtin": "damped-holt"},
    }])
}

/// A policy over pods with this label, in breach of nothing.
async fn calm_policy(story: &Story, app: &str) -> Result<(), Error> {
    let target = json!({"podSelector": {"matchLabels": {"app": app}}});
    policy(story, app, json!({"spec": {"target": target, "rules": rules(CALM)}})).await.map(|_| ())
}

async fn set_threshold(story: &Story, name: &str, threshold: &str) -> Result<Instant, Error> {
    let policies: Api<PrecursorPolicy> = story.api();
    let patch = Patch::Merge(json!({"spec": {"rules": rules(threshold)}}));
    let patched = policies.patch(name, &PatchParams::default(), &patch).await;
    patched.map(|_| Instant::now()).map_err(request(format!("setting the threshold of {name}")))
}

/// Waits until so many alerts are in this state.
async fn alerts_in(story: &Story, state: AlertState, count: usize) -> Result<(), Error> {
    let alerts: Api<PrecursorAlert> = story.api();
    let what = format!("{count} alerts that are {state:?}");
    wait_for_list(&alerts, Config::default(), &what, limit(count), |alerts| {
        let is_it = |alert: &&&PrecursorAlert| alert.status.as_ref().is_some_and(|status| status.state == state);
        (alerts.iter().filter(is_it).count() >= count).then_some(())
    })
    .await
}

/// Waits until the agent and all of its `count` targets can fire: each for a minute, and its report says so.
async fn warmed_up(agent: &Agent, story: &Story, count: usize) -> Result<(), Error> {
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

#[tokio::test]
#[ignore = "nightly: fills a node with pods; E2E_STORIES=nightly make e2e"]
async fn in_a_storm_every_namespace_is_shown_and_what_is_shown_is_true() {
    story("storm", async |storm| {
        let product = Product::new(storm.cluster());
        product.install(&[]).await?;
        let workers = storm.cluster().workers().await?;
        let (near, far) = (workers[0].clone(), workers[workers.len() - 1].clone());
        let server = storm.server("web", Some(&far)).await?;
        calm_policy(storm, "small").await?;
        product.agents_ready().await?;
        // One pod is the other namespace's.
        let wanted = room(storm, &near).await? - 1;
        fill(storm, &near, &server.url(), wanted).await?;
        story("calm", async |calm| {
            calm_policy(calm, "other").await?;
            let _load = calm.load("other", Some(&near), &server.url(), 1).await?;
            let agent = Agent::ready_on(calm.cluster(), &near, &[]).await?;
            warmed_up(&agent, calm, wanted + 1).await?;

            let begun = set_threshold(storm, "small", BREACH).await?;
            alerts_in(storm, AlertState::Firing, 1).await?;
            let others = set_threshold(calm, "other", BREACH).await?;
            let (shown, counts) = tokio::join!(alerts_in(storm, AlertState::Firing, wanted), async {
                let found = alert_in(calm, "other", AlertState::Firing, OTHERS_SHOWN).await;
                found.map(|_| others.elapsed())
            });
            shown?;
            println!("{wanted} alerts shown after {:?}, another namespace's after {:?}", begun.elapsed(), counts?);

            let repaired = set_threshold(storm, "small", CALM).await?;
            alerts_in(storm, AlertState::Resolved, wanted).await?;
            println!("all true {:?} after the repair", repaired.elapsed());
            Ok::<_, Error>(())
        })
        .await;
        Ok::<_, Error>(())
    })
    .await;
}
