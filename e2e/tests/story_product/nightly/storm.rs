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
};
use netprecursor_e2e::{
    Error,
    agent::{Agent, Samples},
    cluster::{Story, story, wait_for_list},
    product::Product,
};
use serde_json::{Value, json};

use super::density::{fill, room};
use crate::shared::{alert_in, policy, request};

/// What no pod's RTT is below, and what none is above.
const BREACH: &str = "1us";
const CALM: &str = "10s";

/// Aims, and how long a change of a policy takes to become an alert: the watch, a tick and the rule's hold.
const SHOWN: Duration = Duration::from_secs(15);
const OTHERS_SHOWN: Duration = Duration::from_secs(3);
const TRUE_AGAIN: Duration = Duration::from_secs(15);
const DECIDED: Duration = Duration::from_secs(4);

/// An agent forecasts and fires by what it has seen for a minute.
const WARM_UP: Duration = Duration::from_secs(180);

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

/// Waits until so many alerts are in this state, and none is without one.
async fn alerts_in(story: &Story, state: AlertState, count: usize, limit: Duration) -> Result<(), Error> {
    let alerts: Api<PrecursorAlert> = story.api();
    wait_for_list(&alerts, Config::default(), &format!("{count} alerts that are {state:?}"), limit, |alerts| {
        let states = alerts.iter().map(|alert| alert.status.as_ref().map(|status| status.state));
        let states: Vec<_> = states.collect();
        assert!(!states.contains(&None), "an alert without a state");
        (states.iter().filter(|one| **one == Some(state)).count() >= count).then_some(())
    })
    .await
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
            let targets = (wanted + 1) as f64;
            let all = |samples: &Samples| samples.sum("netprecursor_targets") == Some(targets);
            agent.wait_until("all of them to be targets", WARM_UP, all).await?;
            tokio::time::sleep(WARM_UP).await;

            let begun = set_threshold(storm, "small", BREACH).await?;
            alerts_in(storm, AlertState::Firing, 1, SHOWN + DECIDED).await?;
            let others = set_threshold(calm, "other", BREACH).await?;
            let (shown, counts) = tokio::join!(alerts_in(storm, AlertState::Firing, wanted, SHOWN + DECIDED), async {
                let found = alert_in(calm, "other", AlertState::Firing, OTHERS_SHOWN + DECIDED).await;
                found.map(|_| others.elapsed())
            });
            shown?;
            println!("{wanted} alerts shown after {:?}, another namespace's after {:?}", begun.elapsed(), counts?);

            let repaired = set_threshold(storm, "small", CALM).await?;
            alerts_in(storm, AlertState::Resolved, wanted, TRUE_AGAIN + DECIDED).await?;
            println!("all true {:?} after the repair", repaired.elapsed());
            Ok::<_, Error>(())
        })
        .await;
        Ok::<_, Error>(())
    })
    .await;
}
