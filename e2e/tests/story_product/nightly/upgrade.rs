//! Connections that are older than the agents, and agents that are replaced under load.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt as _, api::DeleteParams};
use netprecursor_e2e::{
    Error,
    agent::{Agent, Samples},
    cluster::{story, wait_for},
    product::Product,
};

use crate::{breach::calm_policy, shared::request};

/// From a connection that is busy to a figure of it.
const SEEN: Duration = Duration::from_secs(60);
/// Longest time that nobody watches while an agent is replaced.
const LONGEST_GAP: f64 = 2.0;

/// Waits until the only target's connections are seen like that.
#[expect(clippy::print_stdout, reason = "a story prints its figures")]
async fn watched(agent: &Agent, what: &str, is_it: impl Fn(&Sockets) -> bool) -> Result<(), Error> {
    let mut found = Sockets::default();
    agent
        .wait_until(what, SEEN, |samples| {
            found = Sockets::of(samples);
            is_it(&found)
        })
        .await?;
    println!("{what}: {found:?}");
    Ok(())
}

/// How much of the only target's connections is seen, and its RTT.
#[derive(Debug, Default)]
struct Sockets {
    coverage: Option<f64>,
    smoothed: Option<f64>,
    rtt: Option<f64>,
}

impl Sockets {
    fn of(samples: &Samples) -> Self {
        Self {
            coverage: samples.sum("netprecursor_socket_coverage_ratio"),
            smoothed: samples.sum("netprecursor_socket_smoothed_ratio"),
            rtt: samples.sum("netprecursor_rtt_max_seconds"),
        }
    }
}

#[tokio::test]
#[ignore = "nightly: replaces every agent; E2E_STORIES=nightly make e2e"]
async fn connections_older_than_the_agents_are_measured_and_an_upgrade_under_load_loses_none() {
    story("upgrade", async |story| {
        let product = Product::new(story.cluster());
        product.uninstall().await?;
        let workers = story.cluster().workers().await?;
        let (near, far) = (workers[0].clone(), workers[workers.len() - 1].clone());
        let server = story.server("web", Some(&far)).await?;
        // Before there is any agent.
        let older = story.load("clients", Some(&near), &server.url(), 4).await?;
        product.install(&[]).await?;
        calm_policy(story, "clients").await?;
        product.agents_ready().await?;
        let agent = Agent::ready_on(story.cluster(), &near, &[]).await?;
        watched(&agent, "older connections, by their smoothed RTT", |sockets| {
            sockets.smoothed == Some(1.0) && sockets.rtt.is_some_and(|rtt| rtt > 0.0)
        })
        .await?;

        let pods: Api<Pod> = story.api();
        let older = older.pod.name_any();
        pods.delete(&older, &DeleteParams::default()).await.map_err(request("deleting the older pod"))?;
        wait_for(&pods, &older, "the older pod to be gone", SEEN, |pod| pod.is_none()).await?;
        story.load("clients", Some(&near), &server.url(), 4).await?;
        let all_seen = |sockets: &Sockets| sockets.coverage == Some(1.0) && sockets.rtt.is_some_and(|rtt| rtt > 0.0);
        watched(&agent, "newer ones, by their clean RTT", all_seen).await?;

        let begun = Instant::now();
        product.install(&["logLevel=debug"]).await?;
        let replaced: Vec<String> = agent.pod.metadata.uid.iter().cloned().collect();
        let next = Agent::ready_on(story.cluster(), &near, &replaced).await?;
        println!("the next agent is ready after {:?}", begun.elapsed());
        let samples = next
            .wait_until("what the agent before handed over", SEEN, |samples| {
                samples.sum("netprecursor_handover_resumed_total") == Some(1.0)
            })
            .await?;
        let gap = samples.sum("netprecursor_handover_gap_seconds");
        println!("nobody watched for {gap:?} s");
        watched(&next, "the same ones, by the next agent", all_seen).await?;
        assert!(gap.is_some_and(|gap| gap <= LONGEST_GAP), "got {gap:?} s, expected at most {LONGEST_GAP}");
        Ok::<_, Error>(())
    })
    .await;
}
