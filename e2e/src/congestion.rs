//! Congestion that grows: an nginx on one node, a load on another, and the server's link that gets narrower by a twelfth
//! each second until its queue holds everything that the load has outstanding.

use k8s_openapi::api::core::v1::Pod;
use kube::Api;

use crate::{
    Error,
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
/// The queue holds everything: what is late, not what is lost.
const QUEUE_BYTES: u32 = 4_000_000;

/// A server and its load, at ease.
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

    /// Narrows the link slowly, about forty seconds from wide to narrow, and leaves it narrow.
    ///
    /// # Errors
    /// The pod's link cannot be changed.
    pub async fn narrow(&self) -> Result<(), Error> {
        exec(&self.pods, SERVER, "link", &["/bin/sh", "-c", &narrowing()]).await.map(|_| ())
    }

    /// Narrows the link by itself, `delay` seconds from now: also when nobody can reach the pod then.
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

/// A script that makes the link narrower each second.
fn narrowing() -> String {
    // By its path: busybox's shell would take its own tc, which has no token bucket.
    format!(
        "tc=$(which tc); r={WIDE_KBIT}; while [ $r -gt {NARROW_KBIT} ]; do r=$((r * 92 / 100)); \
         $tc qdisc replace dev eth0 root handle 1: tbf rate ${{r}}kbit burst 64k limit {QUEUE_BYTES} || exit 1; \
         sleep 1; done"
    )
}
