//! A storm: every pod of a full node is in breach at once. Another namespace's breach is shown in the middle of it, and what is
//! shown after the repair is true.

use std::time::Duration;

use kube::{Api, runtime::watcher::Config};
use netprecursor_crds::alert::{AlertState, PrecursorAlert};
use netprecursor_e2e::{
    Error,
    agent::Agent,
    cluster::{Story, story, wait_for_list},
    product::Product,
};

use super::density::{fill, room};
use crate::{
    breach::{BREACH, CALM, calm_policy, set_threshold, warmed_up},
    shared::alert_in,
};

/// How long another namespace's alert may take in the middle of the storm.
const OTHERS_SHOWN: Duration = Duration::from_secs(7);

/// How long so many alerts may take: an agent writes ten in a second, after the watch, a tick and the rule's hold.
fn limit(count: usize) -> Duration {
    Duration::from_secs(count as u64 / 10 + 15)
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
