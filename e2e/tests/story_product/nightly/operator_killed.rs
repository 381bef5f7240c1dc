//! Operators that are killed: in the middle of their work, and while they lead.

use std::time::{Duration, Instant};

use k8s_openapi::api::{apps::v1::DaemonSet, coordination::v1::Lease, core::v1::Pod};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams},
    runtime::watcher::Config,
};
use netprecursor_crds::policy::PrecursorPolicy;
use netprecursor_e2e::{
    Error,
    agent::operator_samples,
    cluster::{Hands, SYSTEM_NAMESPACE, Story, is_ready, story, wait_for, wait_for_list},
    product::{AGENTS, Product},
};
use serde_json::json;

use crate::shared::{condition, policy, request};

/// The program as its container starts it, and its lease.
const PROGRAM: &str = "/netprecursor-operator";
const LEASE: &str = "netprecursor-operator";
const SELECTOR: &str = "app.kubernetes.io/name=netprecursor-operator";
/// The others wait fifteen seconds after the last renewal, and look every three or four.
const TAKEOVER: Duration = Duration::from_secs(25);
/// More than one round writes before it can be killed.
const POLICIES: usize = 150;

fn holder(lease: Option<&Lease>) -> Option<String> {
    let holder = lease?.spec.as_ref()?.holder_identity.clone()?;
    (!holder.is_empty()).then_some(holder)
}

/// The pod that leads.
async fn leader(story: &Story) -> Result<Pod, Error> {
    let leases: Api<Lease> = Api::namespaced(story.client(), SYSTEM_NAMESPACE);
    let led = |lease: Option<&Lease>| holder(lease).is_some();
    let lease = wait_for(&leases, LEASE, "an operator that leads", Duration::from_secs(60), led).await?;
    let pods: Api<Pod> = Api::namespaced(story.client(), SYSTEM_NAMESPACE);
    let name = holder(lease.as_ref()).unwrap();
    pods.get(&name).await.map_err(request(format!("getting the leader {name}")))
}

/// Waits until another than `before` leads; how long that took.
async fn taken_over(story: &Story, before: &str) -> Result<(String, Duration), Error> {
    let begun = Instant::now();
    let leases: Api<Lease> = Api::namespaced(story.client(), SYSTEM_NAMESPACE);
    let other = |lease: Option<&Lease>| holder(lease).is_some_and(|holder| holder != before);
    let lease = wait_for(&leases, LEASE, "another operator to lead", TAKEOVER, other).await?;
    Ok((holder(lease.as_ref()).unwrap(), begun.elapsed()))
}

/// Waits until the operator has written a policy's status.
async fn reported(story: &Story, name: &str) -> Result<(), Error> {
    let reported = |policy: Option<&PrecursorPolicy>| policy.is_some_and(is_reported);
    let what = format!("the status of policy {name}");
    wait_for(&story.api(), name, &what, Duration::from_secs(60), reported).await.map(|_| ())
}

fn is_reported(policy: &PrecursorPolicy) -> bool {
    policy.status.as_ref().is_some_and(|status| {
        status.observed_generation == policy.metadata.generation && condition(&status.conditions, "Ready") != "absent"
    })
}

async fn agents(story: &Story) -> Result<DaemonSet, Error> {
    let sets: Api<DaemonSet> = Api::namespaced(story.client(), SYSTEM_NAMESPACE);
    sets.get(AGENTS).await.map_err(request("getting the agents"))
}

fn node(pod: &Pod) -> String {
    pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default()
}

#[tokio::test]
#[ignore = "nightly: kills operators; E2E_STORIES=nightly make e2e"]
async fn when_the_leader_is_killed_or_hangs_the_other_takes_over_within_the_lease() {
    story("leader-killed", async |story| {
        let product = Product::new(story.cluster());
        product.install(&[]).await?;
        policy(story, "first", json!({})).await?;
        reported(story, "first").await?;
        product.agents_ready().await?;
        let before = agents(story).await?;

        // Killed: no moment to give the lease back, and it does not come back under its name.
        let killed = leader(story).await?;
        let samples = operator_samples(story.cluster(), &killed.name_any()).await?;
        assert_eq!(samples.sum("netprecursor_operator_leading"), Some(1.0), "the metrics of the leader");
        let hands = Hands::on(story, &node(&killed)).await?;
        assert!(hands.signal_pod(PROGRAM, &killed.name_any(), "STOP").await? > 0);
        let pods: Api<Pod> = Api::namespaced(story.client(), SYSTEM_NAMESPACE);
        let name = killed.name_any();
        let at_once = DeleteParams::default().grace_period(0);
        pods.delete(&name, &at_once).await.map_err(request(format!("deleting pod {name}")))?;
        let (second, after) = taken_over(story, &name).await?;
        println!("leader killed: {second} leads after {:.1} s", after.as_secs_f64());
        policy(story, "second", json!({})).await?;
        reported(story, "second").await?;
        wait_for_operators(story, 2).await?;

        // Hung: it must not go on as if nothing had happened.
        let hung = leader(story).await?;
        let elsewhere;
        let hands = if node(&hung) == node(&killed) {
            &hands
        } else {
            elsewhere = Hands::on(story, &node(&hung)).await?;
            &elsewhere
        };
        assert!(hands.signal_pod(PROGRAM, &hung.name_any(), "STOP").await? > 0);
        let (third, after) = taken_over(story, &hung.name_any()).await?;
        println!("leader hung: {third} leads after {:.1} s", after.as_secs_f64());
        // The kubelet may have been faster: then there is nobody to wake up.
        let woken = hands.signal_pod(PROGRAM, &hung.name_any(), "CONT").await?;
        println!("{woken} processes of the old leader woke up");
        policy(story, "third", json!({})).await?;
        reported(story, "third").await?;
        assert_eq!(leader(story).await?.name_any(), third, "the one that hung took the lead back");
        wait_for_operators(story, 2).await?;

        let after = agents(story).await?;
        assert_eq!((after.metadata.uid, after.metadata.generation), (before.metadata.uid, before.metadata.generation));
        Ok::<_, Error>(())
    })
    .await;
}

async fn wait_for_operators(story: &Story, count: usize) -> Result<(), Error> {
    let pods: Api<Pod> = Api::namespaced(story.client(), SYSTEM_NAMESPACE);
    let what = format!("{count} operators that are ready");
    wait_for_list(&pods, Config::default().labels(SELECTOR), &what, Duration::from_secs(120), |pods| {
        (pods.iter().filter(|pod| is_ready(pod)).count() == count).then_some(())
    })
    .await
}

#[tokio::test]
#[ignore = "nightly: kills operators; E2E_STORIES=nightly make e2e"]
async fn an_operator_that_is_killed_in_the_middle_of_its_work_leaves_nothing_half_done() {
    story("operator-killed", async |story| {
        let product = Product::new(story.cluster());
        product.install(&[]).await?;
        policy(story, "before", json!({})).await?;
        reported(story, "before").await?;
        let before = agents(story).await?;
        let killed = leader(story).await?;
        let hands = Hands::on(story, &node(&killed)).await?;
        // Nothing is selected: only the operator has work.
        let nobody = json!({"spec": {"target": {"podSelector": {"matchLabels": {"app": "nobody"}}}}});
        for number in 0..POLICIES {
            policy(story, &format!("p{number}"), nobody.clone()).await?;
        }
        let policies: Api<PrecursorPolicy> = story.api();
        // In the middle: some are done, some are not.
        let count = |policies: &[&PrecursorPolicy]| policies.iter().filter(|policy| is_reported(policy)).count();
        let limit = Duration::from_secs(180);
        let done = wait_for_list(&policies, Config::default(), "work that is half done", limit, |policies| {
            let done = count(policies);
            (done > 1).then_some(done)
        })
        .await?;
        assert!(hands.signal_pod(PROGRAM, &killed.name_any(), "KILL").await? > 0);
        println!("killed when {done} of {} policies had been looked at", POLICIES + 1);
        assert!(done <= POLICIES, "there was nothing left to do");
        wait_for_list(&policies, Config::default(), "every policy to be looked at", limit, |policies| {
            (count(policies) == POLICIES + 1).then_some(())
        })
        .await?;
        let after = agents(story).await?;
        assert_eq!((after.metadata.uid, after.metadata.generation), (before.metadata.uid, before.metadata.generation));
        let sets: Api<DaemonSet> = Api::namespaced(story.client(), SYSTEM_NAMESPACE);
        let sets = sets.list(&ListParams::default()).await.map_err(request("listing DaemonSets"))?;
        assert_eq!(sets.items.len(), 1, "{:?}", sets.items.iter().map(ResourceExt::name_any).collect::<Vec<_>>());
        Ok::<_, Error>(())
    })
    .await;
}
