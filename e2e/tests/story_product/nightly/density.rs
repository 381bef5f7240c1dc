//! A node that is full of pods: all of them are watched, at a cost that is printed.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{
    Api,
    api::{ListParams, PostParams},
    runtime::watcher::Config,
};
use netprecursor_crds::report::PrecursorNodeReport;
use netprecursor_e2e::{
    Error,
    agent::{Agent, PROGRAM, Samples},
    cluster::{Hands, Story, Usage, story, tools_image, wait_for, wait_for_list},
    product::Product,
};
use serde_json::json;

use crate::shared::{policy, request};

/// A kubelet's default limit of pods.
const FULL: usize = 110;
/// Pods start a few in a second.
const START_LIMIT: Duration = Duration::from_secs(600);
/// How long the agent may take to see and measure all of them.
const SEEN_LIMIT: Duration = Duration::from_secs(70);
/// The period over which the agent's CPU time is measured.
const MEASURED: Duration = Duration::from_secs(60);
/// A report is written each five minutes when only its figures change.
const REPORT_LIMIT: Duration = Duration::from_secs(400);
/// The container's memory limit in the chart.
const LIMIT_KIB: u64 = 128 << 10;

/// How many pods the node can take beside those that it runs.
#[expect(clippy::print_stdout, reason = "a story prints its figures")]
pub(super) async fn room(story: &Story, node: &str) -> Result<usize, Error> {
    let nodes: Api<Node> = Api::all(story.client());
    let found = nodes.get(node).await.map_err(request(format!("getting node {node}")))?;
    let allocatable = found.status.and_then(|status| status.allocatable).unwrap_or_default();
    let room: usize = allocatable.get("pods").and_then(|pods| pods.0.parse().ok()).unwrap();
    let pods: Api<Pod> = Api::all(story.client());
    let here = ListParams::default().fields(&format!("spec.nodeName={node}"));
    let running = pods.list(&here).await.map_err(request("listing the node's pods"))?.items.len();
    let wanted = FULL.min(room.saturating_sub(running));
    println!("{node} has room for {room} pods and runs {running}: {wanted} more");
    assert!(wanted >= 50, "got room for {wanted} pods on {node}, expected 50 at least");
    Ok(wanted)
}

/// Starts pods that request `url` every two seconds, and waits until all of them run.
#[expect(clippy::print_stdout, reason = "a story prints its figures")]
pub(super) async fn fill(story: &Story, node: &str, url: &str, count: usize) -> Result<(), Error> {
    let pods: Api<Pod> = story.api();
    let begun = Instant::now();
    for number in 0..count {
        let pod = json!({
            "metadata": {"name": format!("small-{number}"), "labels": {"app": "small"}},
            "spec": {
                "nodeName": node, "terminationGracePeriodSeconds": 0,
                "automountServiceAccountToken": false, "enableServiceLinks": false,
                "containers": [{
                    "name": "one", "image": tools_image(), "imagePullPolicy": "IfNotPresent",
                    "command": ["/bin/sh", "-c", format!("while :; do wget -q -O /dev/null {url}; sleep 2; done")],
                }],
            },
        });
        let pod: Pod = serde_json::from_value(pod).unwrap();
        pods.create(&PostParams::default(), &pod).await.map_err(request(format!("creating pod {number}")))?;
    }
    let what = format!("{count} pods to run");
    wait_for_list(&pods, Config::default().labels("app=small"), &what, START_LIMIT, |pods| {
        let phase = |pod: &Pod| pod.status.as_ref().and_then(|status| status.phase.clone());
        (pods.iter().filter(|pod| phase(pod).as_deref() == Some("Running")).count() == count).then_some(())
    })
    .await?;
    println!("they ran after {:.0} s", begun.elapsed().as_secs_f64());
    Ok(())
}

#[tokio::test]
#[ignore = "nightly: fills a node with pods; E2E_STORIES=nightly make e2e"]
async fn every_pod_of_a_full_node_is_watched() {
    story("density", async |story| {
        let product = Product::new(story.cluster());
        product.install(&[]).await?;
        policy(story, "all", json!({"spec": {"target": {"podSelector": {"matchLabels": {"app": "small"}}}}})).await?;
        let workers = story.cluster().workers().await?;
        let (near, far) = (workers[0].clone(), workers[workers.len() - 1].clone());
        let server = story.server("web", Some(&far)).await?;
        product.agents_ready().await?;
        let hands = Hands::on(story, &near).await?;
        let agent = Agent::ready_on(story.cluster(), &near, &[]).await?;

        let wanted = room(story, &near).await?;
        fill(story, &near, &server.url(), wanted).await?;

        // Every one of them is watched and measured.
        let targets = |samples: &Samples| samples.sum("netprecursor_targets");
        agent
            .wait_until("all of them to be targets", SEEN_LIMIT, |samples| targets(samples) == Some(wanted as f64))
            .await?;
        let mut measured = std::collections::BTreeSet::new();
        agent
            .wait_until("a round trip of each", SEEN_LIMIT, |samples| {
                let shown = samples.of("netprecursor_rtt_max_seconds").filter_map(|one| one.labels.get("target"));
                measured.extend(shown.cloned());
                measured.len() == wanted
            })
            .await?;
        let reports: Api<PrecursorNodeReport> = Api::all(story.client());
        let what = format!("a report of {wanted} targets");
        let report = wait_for(&reports, &near, &what, REPORT_LIMIT, |report| {
            let status = report.and_then(|report| report.status.as_ref());
            status.is_some_and(|status| status.targets as usize == wanted && status.overhead.is_some())
        })
        .await?;
        let status = report.unwrap().status.unwrap();
        assert_eq!(status.targets_over_capacity, 0);
        println!("the report says: {:?}, coverage {:?} %", status.overhead.unwrap(), status.socket_coverage_percent);

        // The cost.
        let missing = || Error::NoCluster(format!("no process {PROGRAM} on {near}"));
        let before = hands.usage(PROGRAM).await?.ok_or_else(missing)?;
        let begun = Instant::now();
        tokio::time::sleep(MEASURED).await;
        let Usage { resident_kib, cpu_ticks } = hands.usage(PROGRAM).await?.ok_or_else(missing)?;
        let share = (cpu_ticks - before.cpu_ticks) as f64 / begun.elapsed().as_secs_f64();
        println!("agent at {wanted} pods: {:.1} MiB resident, {share:.2} % of a core", resident_kib as f64 / 1024.0);
        let tick = agent.samples().await?.sum("netprecursor_tick_duration_seconds").unwrap_or_default();
        println!("the last tick took {:.2} ms", tick * 1e3);
        assert!(resident_kib < LIMIT_KIB, "{resident_kib} KiB resident, the container may have {LIMIT_KIB}");
        assert_eq!(Agent::ready_on(story.cluster(), &near, &[]).await?.restarts(), agent.restarts());
        Ok::<_, Error>(())
    })
    .await;
}
