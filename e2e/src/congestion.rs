//! Growing congestion: an nginx on one node, a load on another, and a link of the server that gets narrower by a twelfth each
//! second until its queue holds everything that the load has outstanding.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;

use crate::{
    Error,
    agent::{Agent, Sample, Samples},
    cluster::{Load, Server, Story, exec},
};

/// Label `app` of the server, and its pod's name.
pub const SERVER: &str = "web";
/// Connections of the load; each waits for its response before it asks again.
const CONNECTIONS: u32 = 8;
/// Eight responses of 16 KiB through this rate take 21 ms.
const WIDE_KBIT: u32 = 50_000;
/// The same through this rate: 0.5 s.
const NARROW_KBIT: u32 = 2_000;
/// The queue holds everything: packets are late, not lost.
const QUEUE_BYTES: u32 = 4_000_000;

/// A minute until the window is full, and after a restart of the agent half a minute of grace.
const WARM_UP_LIMIT: Duration = Duration::from_secs(180);

/// A server and its load, without congestion at first.
pub struct Scene {
    /// The nginx whose link gets narrower.
    pub server: Server,
    _load: Load,
    pods: Api<Pod>,
}

impl Scene {
    /// Starts both, on different nodes where there are two.
    ///
    /// # Errors
    /// A pod does not start.
    pub async fn start(story: &Story) -> Result<Self, Error> {
        let workers = story.cluster().workers().await?;
        let (near, far) = (workers.first().map(String::as_str), workers.last().map(String::as_str));
        Self::start_on(story, near, far).await
    }

    /// Starts the server on the node `near` and the load on the node `far`, which may be the same.
    ///
    /// # Errors
    /// As [`Scene::start`].
    pub async fn start_on(story: &Story, near: Option<&str>, far: Option<&str>) -> Result<Self, Error> {
        let server = story.server(SERVER, near).await?;
        server.link().limit(WIDE_KBIT, QUEUE_BYTES).await?;
        let load = story.load("load", far, &server.url(), CONNECTIONS).await?;
        Ok(Self { server, _load: load, pods: story.api() })
    }

    /// The agent of the server's node.
    ///
    /// # Errors
    /// It is not ready in time.
    pub async fn agent(&self, story: &Story) -> Result<Agent, Error> {
        let node = self.server.pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default();
        Agent::ready_on(story.cluster(), node, &[]).await
    }

    /// Waits until the rules of the story's policies `policies` may fire for the server, and returns the agent of its node.
    ///
    /// # Errors
    /// They may not in time.
    pub async fn warm_up(&self, story: &Story, policies: &[&str]) -> Result<Agent, Error> {
        let agent = self.agent(story).await?;
        warmed_up(&agent, story, policies).await?;
        Ok(agent)
    }

    /// Narrows the link slowly, about forty seconds from wide to narrow, and leaves it narrow.
    ///
    /// # Errors
    /// The pod's link cannot be changed.
    pub async fn narrow(&self) -> Result<(), Error> {
        exec(&self.pods, SERVER, "link", &["/bin/sh", "-c", &narrowing()]).await.map(|_| ())
    }

    /// Has the pod narrow its link `delay` seconds from now, even if it cannot be reached then.
    ///
    /// # Errors
    /// As [`Scene::narrow`].
    pub async fn narrow_after(&self, delay: u64) -> Result<(), Error> {
        let (alone, script) =
            ("setsid /bin/sh -c \"$0\" </dev/null >/dev/null 2>&1 &", format!("sleep {delay}; {}", narrowing()));
        exec(&self.pods, SERVER, "link", &["/bin/sh", "-c", alone, &script]).await.map(|_| ())
    }

    /// Gives the link its width back.
    ///
    /// # Errors
    /// As [`Scene::narrow`].
    pub async fn widen(&self) -> Result<(), Error> {
        self.server.link().limit(WIDE_KBIT, QUEUE_BYTES).await
    }
}

/// Waits until an agent's rules of the story's policies `policies` may fire.
///
/// # Errors
/// They may not in time.
pub async fn warmed_up(agent: &Agent, story: &Story, policies: &[&str]) -> Result<(), Error> {
    for policy in policies {
        // The agent counts a chance only while nothing keeps the rule from firing. A restarted agent continues its count.
        let mut before = None;
        let what = format!("policy {policy} to be warm");
        agent
            .wait_until(&what, WARM_UP_LIMIT, |samples| {
                let now = chances(samples, story.namespace(), policy);
                let is_warm = now.zip(before).is_some_and(|(now, before)| now > before);
                before = now;
                is_warm
            })
            .await?;
    }
    Ok(())
}

/// How many chances a policy's rules have counted; `None` before there are rules.
fn chances(samples: &Samples, namespace: &str, policy: &str) -> Option<f64> {
    let is_label =
        |sample: &Sample, name: &str, value: &str| sample.labels.get(name).is_some_and(|label| label == value);
    samples
        .of("netprecursor_rule_reliability_forecasts_total")
        .filter(|sample| is_label(sample, "policy_namespace", namespace) && is_label(sample, "policy", policy))
        .map(|sample| sample.value)
        .reduce(|sum, value| sum + value)
}

/// A script that makes the link narrower each second.
fn narrowing() -> String {
    // By its path: busybox's shell would take its own tc, which has no token bucket.
    format!(
        "tc=$(which tc); r={WIDE_KBIT}; while [ $r -gt {NARROW_KBIT} ]; do r=$((r * 92 / 100)); \
         $tc qdisc replace dev eth0 root handle 1: tbf rate ${{r}}kbit burst 64k limit {QUEUE_BYTES} || exit 1; \
         sleep 1; done"
    )
}
