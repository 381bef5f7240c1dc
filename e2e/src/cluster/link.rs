//! Limits a pod's link by `tc` inside the pod. It does not touch the node, so it works on any cluster.

use k8s_openapi::api::core::v1::Pod;
use kube::Api;

use super::exec;
use crate::Error;

/// The container that may change the pod's network.
pub(super) const CONTAINER: &str = "link";
/// Room for one burst: at least a few full segments after segmentation offload (tc-tbf(8): rate divided by the timer).
const BURST: u32 = 64 * 1024;

/// The sending side of a pod's network interface.
#[derive(Clone)]
pub struct Link {
    pods: Api<Pod>,
    pod: String,
}

impl Link {
    pub(super) fn new(pods: Api<Pod>, pod: &str) -> Self {
        Self { pods, pod: pod.to_owned() }
    }

    /// Lets at most `kbit_per_s` out, with a queue of `queue_bytes` before it: packets above the rate wait there, which is
    /// how congestion delays; packets above the queue are lost. Replaces an earlier limit, without losing the queue's
    /// packets when only the numbers change.
    ///
    /// # Errors
    /// The container has no right or no tc.
    pub async fn limit(&self, kbit_per_s: u32, queue_bytes: u32) -> Result<(), Error> {
        let (rate, limit) = (format!("{kbit_per_s}kbit"), queue_bytes.to_string());
        let burst = BURST.to_string();
        self.tc(&[
            "qdisc", "replace", "dev", "eth0", "root", "handle", "1:", "tbf", "rate", &rate, "burst", &burst, "limit",
            &limit,
        ])
        .await
    }

    /// Removes the limit.
    ///
    /// # Errors
    /// There was none.
    pub async fn clear(&self) -> Result<(), Error> {
        self.tc(&["qdisc", "delete", "dev", "eth0", "root"]).await
    }

    async fn tc(&self, words: &[&str]) -> Result<(), Error> {
        let command: Vec<&str> = ["tc"].iter().chain(words).copied().collect();
        exec(&self.pods, &self.pod, CONTAINER, &command).await.map(|_| ())
    }
}
