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
    agent::{Agent, PROGRAM},
    cluster::{Hands, Usage, story, tools_image, wait_for, wait_for_list},
    product::Product,
};
use serde_json::json;

use super::WARM_UP;
use crate::shared::{policy, request};

/// What a kubelet allows unless it is told otherwise.
const FULL: usize = 110;
/// Pods start a few in a second.
const START_LIMIT: Duration = Duration::from_secs(600);
/// Over which the agent's CPU time is measured.
const MEASURED: Duration = Duration::from_secs(60);
/// A report is written each five minutes when only its figures change.
const REPORT_LIMIT: Duration = Duration::from_secs(400);
/// What the container may take by the chart.
const LIMIT_KIB: u64 = 128 << 10;

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

        // As many as fit, beside what the node runs already.
        let nodes: Api<Node> = Api::all(story.client());
        let node = nodes.get(&near).await.map_err(request(format!("getting node {near}")))?;
        let allocatable = node.status.and_then(|status| status.allocatable).unwrap_or_default();
        let room: usize = allocatable.get("pods").and_then(|pods| pods.0.parse().ok()).unwrap();
        let all: Api<Pod> = Api::all(story.client());
        let here = ListParams::default().fields(&format!("spec.nodeName={near}"));
        let running = all.list(&here).await.map_err(request("listing the node's pods"))?.items.len();
        let wanted = FULL.min(room.saturating_sub(running));
        println!("{near} has room for {room} pods and runs {running}: {wanted} more");
        assert!(wanted >= 50, "got room for {wanted} pods on {near}, expected 50 at least");

        let pods: Api<Pod> = story.api();
        let begun = Instant::now();
        let script = format!("while :; do wget -q -O /dev/null {}; sleep 2; done", server.url());
        for number in 0..wanted {
            let pod = json!({
                "metadata": {"name": format!("small-{number}"), "labels": {"app": "small"}},
                "spec": {
                    "nodeName": near, "terminationGracePeriodSeconds": 0,
                    "automountServiceAccountToken": false, "enableServiceLinks": false,
                    "containers": [{
                        "name": "one", "image": tools_image(), "imagePullPolicy": "IfNotPresent",
                        "command": ["/bin/sh", "-c", script],
                    }],
                },
            });
            let pod: Pod = serde_json::from_value(pod).unwrap();
            pods.create(&PostParams::default(), &pod).await.map_err(request(format!("creating pod {number}")))?;
        }
        let what = format!("{wanted} pods to run");
        wait_for_list(&pods, Config::default().labels("app=small"), &what, START_LIMIT, |pods| {
            let phase = |pod: &Pod| pod.status.as_ref().and_then(|status| status.phase.clone());
            (pods.iter().filter(|pod| phase(pod).as_deref() == Some("Running")).count() == wanted).then_some(())
        })
        .await?;
        println!("they ran after {:.0} s", begun.elapsed().as_secs_f64());

        // Every one of them is watched and measured.
        let of = |samples: &netprecursor_e2e::agent::Samples| samples.sum("netprecursor_targets");
        agent.says("all of them to be targets", WARM_UP, |samples| of(samples) == Some(wanted as f64)).await?;
        let mut measured = std::collections::BTreeSet::new();
        agent
            .says("a round trip of each", Duration::from_secs(60), |samples| {
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

        // At which cost.
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
