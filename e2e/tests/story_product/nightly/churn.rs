//! Pods that come and go, so many that addresses are reused within minutes: no pod is taken for another, and nothing of them
//! stays.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, PostParams},
};
use netprecursor_crds::alert::{AlertState, PrecursorAlert, Resolution};
use netprecursor_e2e::{
    Error,
    agent::{Agent, Samples},
    cluster::{Story, story, tools_image, wait_for, wait_for_list},
    congestion::Scene,
    product::Product,
};
use serde_json::json;

use super::delivered;
use crate::shared::{RAMP, alert_in, policy, request};

/// Pods at once: each worker starts the next when one has ended.
const AT_ONCE: usize = 12;
/// The shortest and the longest run; it ends once enough addresses were reused.
const LEAST: Duration = Duration::from_secs(240);
const MOST: Duration = Duration::from_secs(900);
/// Addresses that two pods have had, one after the other.
const REUSED: usize = 20;
/// The least rate of the story.
const PODS_PER_HOUR: f64 = 1000.0;
/// Between two scrapes; the agent updates its metrics each second.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A pod is dropped within ten seconds of its end, and its series are gone within a minute.
const SETTLED: Duration = Duration::from_secs(70);
const POD_LIMIT: Duration = Duration::from_secs(180);

/// Network namespaces by state.
const NAMESPACES: &str = "netprecursor_identity_namespaces";
/// The agent forgets namespaces of unknown owner after ten minutes, and remembers this many at most.
const MOST_OPEN: f64 = 1024.0;

/// What a pod does: every other one opens no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Loud,
    Quiet,
}

/// A pod that has ended.
#[derive(Debug, Clone)]
struct Life {
    name: String,
    manner: Manner,
    address: String,
}

impl Manner {
    const fn name(self) -> &'static str {
        match self {
            Self::Loud => "loud",
            Self::Quiet => "quiet",
        }
    }

    /// Long enough to be seen by an agent that looks once a second.
    fn script(self, url: &str) -> String {
        match self {
            Self::Loud => format!("for i in 1 2 3 4 5 6 7 8; do wget -q -O /dev/null {url}; sleep 0.5; done; true"),
            Self::Quiet => "sleep 4".to_owned(),
        }
    }
}

/// One pod from its beginning to its end.
async fn live(pods: &Api<Pod>, node: &str, url: &str, number: usize) -> Result<Life, Error> {
    let manner = if number.is_multiple_of(2) { Manner::Loud } else { Manner::Quiet };
    let name = format!("{}-{number}", manner.name());
    let pod = json!({
        "metadata": {"name": name, "labels": {"app": "web", "manner": manner.name()}},
        "spec": {
            "nodeName": node, "restartPolicy": "Never", "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": false, "enableServiceLinks": false,
            "containers": [{
                "name": "one", "image": tools_image(), "imagePullPolicy": "IfNotPresent",
                "command": ["/bin/sh", "-c", manner.script(url)],
            }],
        },
    });
    let pod: Pod = serde_json::from_value(pod).unwrap();
    pods.create(&PostParams::default(), &pod).await.map_err(request(format!("creating pod {name}")))?;
    let what = format!("pod {name} to end");
    let mut address = String::new();
    let seen = Mutex::new(&mut address);
    wait_for(pods, &name, &what, POD_LIMIT, |pod| {
        let status = pod.and_then(|pod| pod.status.as_ref());
        if let Some(found) = status.and_then(|status| status.pod_ip.clone()) {
            **seen.lock().unwrap_or_else(PoisonError::into_inner) = found;
        }
        status.and_then(|status| status.phase.as_deref()).is_some_and(|phase| phase == "Succeeded" || phase == "Failed")
    })
    .await?;
    let at_once = DeleteParams::default().grace_period(0);
    pods.delete(&name, &at_once).await.map_err(request(format!("deleting pod {name}")))?;
    Ok(Life { name, manner, address })
}

/// Addresses that more than one pod has had.
fn reused(lives: &[Life]) -> usize {
    let mut of: BTreeMap<&str, usize> = BTreeMap::new();
    lives.iter().filter(|life| !life.address.is_empty()).for_each(|life| *of.entry(&life.address).or_default() += 1);
    of.values().filter(|count| **count > 1).count()
}

/// Collects the pods with a measured round trip, until it is dropped.
async fn look(agent: &Agent, measured: &Mutex<BTreeSet<String>>) -> Error {
    loop {
        match agent.samples().await {
            Ok(samples) => {
                let targets = samples.of("netprecursor_rtt_max_seconds").filter_map(|one| one.labels.get("target"));
                measured.lock().unwrap_or_else(PoisonError::into_inner).extend(targets.cloned());
            }
            Err(error) => return error,
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Starts pods one after the other. Returns those that ended.
#[expect(clippy::print_stdout, reason = "a story prints its figures")]
async fn churn(story: &Story, node: &str, url: &str) -> Result<Vec<Life>, Error> {
    let (pods, next) = (story.api::<Pod>(), AtomicUsize::new(0));
    let (lives, begun) = (Mutex::new(Vec::new()), Instant::now());
    let worker = async || {
        loop {
            let life = live(&pods, node, url, next.fetch_add(1, Ordering::Relaxed)).await?;
            let mut lives = lives.lock().unwrap_or_else(PoisonError::into_inner);
            lives.push(life);
            let is_enough = begun.elapsed() > LEAST && reused(&lives) >= REUSED;
            if is_enough || begun.elapsed() > MOST {
                return Ok::<_, Error>(());
            }
        }
    };
    future::try_join_all((0..AT_ONCE).map(|_| worker())).await?;
    let lives = lives.into_inner().unwrap_or_else(PoisonError::into_inner);
    let rate = lives.len() as f64 * 3600.0 / begun.elapsed().as_secs_f64();
    println!("{} pods in {:.0} s: {rate:.0} an hour", lives.len(), begun.elapsed().as_secs_f64());
    println!("{} addresses were those of several pods", reused(&lives));
    assert!(rate >= PODS_PER_HOUR, "got {rate:.0} pods an hour, expected {PODS_PER_HOUR}");
    assert!(reused(&lives) >= REUSED, "got {} addresses that came back, expected {REUSED}", reused(&lives));
    Ok(lives)
}

/// Counts that have to return to their old values.
fn base(samples: &Samples) -> [(&'static str, f64); 3] {
    [
        ("targets", samples.sum("netprecursor_targets")),
        ("bound namespaces", samples.with(NAMESPACES, "state", "bound")),
        ("entries in the kernel", samples.sum("netprecursor_identity_entries")),
    ]
    .map(|(what, value)| (what, value.unwrap_or(f64::NAN)))
}

#[tokio::test]
#[ignore = "nightly: up to twenty minutes; E2E_STORIES=nightly make e2e"]
async fn pods_that_come_and_go_are_not_taken_for_one_another_and_leave_nothing_behind() {
    story("churn", async |story| {
        let product = Product::new(story.cluster());
        product.install(&[]).await?;
        policy(story, "web", json!({})).await?;
        let scene = Scene::start(story).await?;
        product.agents_ready().await?;
        let agent = scene.warm_up(story, &["web"]).await?;
        let node = agent.node().to_owned();
        let before = base(&agent.samples().await?);
        let (skipped, over) = ("netprecursor_ticks_skipped_total", "netprecursor_targets_over_capacity_total");

        let measured = Mutex::new(BTreeSet::new());
        let url = scene.server.url();
        let lives = tokio::select! {
            lives = churn(story, &node, &url) => lives?,
            error = look(&agent, &measured) => return Err(error),
        };

        // No pod was taken for another: by address alone the quiet ones would have the round trips of the loud.
        let measured = measured.into_inner().unwrap_or_else(PoisonError::into_inner);
        let is_measured = |life: &&Life| measured.contains(&format!("{}/{}", story.namespace(), life.name));
        let of = |manner: Manner| lives.iter().filter(move |life| life.manner == manner);
        let wrong: Vec<&Life> = of(Manner::Quiet).filter(is_measured).collect();
        assert!(wrong.is_empty(), "round trips of pods that have no connection: {wrong:?}");
        let (loud, seen) = (of(Manner::Loud).count(), of(Manner::Loud).filter(is_measured).count());
        println!("{seen} of {loud} pods of four seconds were measured");
        assert!(seen * 10 >= loud * 9, "got {seen} of {loud} pods measured, expected nine in ten");

        // Nothing of them stays.
        let settled = agent
            .wait_until("targets and identities to be as they were", SETTLED, |samples| {
                base(samples).iter().zip(&before).all(|((_, now), (_, then))| now <= then)
            })
            .await?;
        let open = settled.with(NAMESPACES, "state", "open").unwrap_or(f64::NAN);
        println!("before {before:?}, now {:?}; {open} namespaces of unknown owner", base(&settled));
        assert!(open <= MOST_OPEN, "{open} namespaces of unknown owner");
        let gone: BTreeSet<String> = lives.iter().map(|life| format!("{}/{}", story.namespace(), life.name)).collect();
        let left: Vec<&str> = settled.values_of("target").filter(|target| gone.contains(*target)).collect();
        assert!(left.is_empty(), "series of pods that are gone: {left:?}");
        println!("{skipped}: {:?}, {over}: {:?}", settled.sum(skipped), settled.sum(over));
        assert_eq!(settled.sum(over), Some(0.0), "{over}");
        assert_eq!(agent.restarts(), Agent::ready_on(story.cluster(), &node, &[]).await?.restarts());

        // And an alert ends with its pod.
        scene.narrow().await?;
        let (alert, _) = alert_in(story, "web", AlertState::Firing, RAMP).await?;
        let pods: Api<Pod> = story.api();
        let name = scene.server.pod.name_any();
        pods.delete(&name, &DeleteParams::default()).await.map_err(request(format!("deleting pod {name}")))?;
        let (resolved, after) = alert_in(story, "web", AlertState::Resolved, Duration::from_secs(90)).await?;
        assert_eq!(resolved.metadata.uid, alert.metadata.uid);
        let resolution = resolved.status.unwrap().resolution;
        println!("{resolution:?} {:.1} s after its pod was deleted", after.as_secs_f64());
        assert!(matches!(resolution, Some(Resolution::Gone | Resolution::TargetGone)), "{resolution:?}");
        delivered::once(story).await?;
        none_fires_for_the_dead(story).await
    })
    .await;
}

/// Waits until no alert fires for a pod that is gone.
async fn none_fires_for_the_dead(story: &Story) -> Result<(), Error> {
    let pods: Api<Pod> = story.api();
    let pods = pods.list(&Default::default()).await.map_err(request("listing pods"))?;
    let living: BTreeSet<String> = pods.items.iter().filter_map(ResourceExt::uid).collect();
    let alerts: Api<PrecursorAlert> = story.api();
    let what = "no alert of a pod that is gone to be out";
    wait_for_list(&alerts, Default::default(), what, SETTLED, |alerts| {
        let is_out = |alert: &&&PrecursorAlert| {
            alert.status.as_ref().is_some_and(|status| status.state == AlertState::Firing)
                && alert.pod().is_none_or(|(_, uid)| !living.contains(uid))
        };
        (alerts.iter().filter(is_out).count() == 0).then_some(())
    })
    .await
}
