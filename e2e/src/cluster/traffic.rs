//! Pods that talk to each other: a real nginx, and a load on it.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, api::PostParams};
use serde_json::{Value, json};

use super::{Link, link, tools_image, wait_for};
use crate::Error;

/// Pulling nothing, a pod starts in seconds.
const START_LIMIT: Duration = Duration::from_secs(120);
/// What nginx serves under `/`, bytes: several segments, so that acknowledgements of full ones are clean samples.
const BODY: usize = 16 * 1024;

/// An nginx in a pod whose link can be made worse.
pub struct Server {
    /// The pod.
    pub pod: Pod,
    link: Link,
}

/// A wrk in a pod, which requests without pause.
pub struct Load {
    /// The pod.
    pub pod: Pod,
}

impl Server {
    pub(super) async fn start(client: Client, namespace: &str, name: &str, node: Option<&str>) -> Result<Self, Error> {
        let script = format!(
            "head -c {BODY} /dev/zero | tr '\\0' x >/srv/index.html && exec nginx -g \
             'daemon off; error_log stderr; pid /run/nginx.pid;' -c /srv/nginx.conf"
        );
        let configuration = "user root;worker_processes 1;events{worker_connections 4096;}http{access_log off;\
            keepalive_requests 1000000;server{listen 80;listen [::]:80;root /srv;}}";
        let script = format!("printf '%s' '{configuration}' >/srv/nginx.conf && {script}");
        let containers = json!([
            {
                "name": "nginx", "image": tools_image(), "imagePullPolicy": "IfNotPresent",
                "command": ["/bin/sh", "-c", script],
                "ports": [{"containerPort": 80}],
                "readinessProbe": {"tcpSocket": {"port": 80}, "periodSeconds": 1},
            },
            {
                "name": link::CONTAINER, "image": tools_image(), "imagePullPolicy": "IfNotPresent",
                "command": ["/bin/sh", "-c", "trap exit TERM; while :; do sleep 3600 & wait; done"],
                "securityContext": {"capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]}},
            },
        ]);
        let pods: Api<Pod> = Api::namespaced(client, namespace);
        let pod = start(&pods, name, node, containers).await?;
        Ok(Self { link: Link::new(pods, name), pod })
    }

    /// The sending side of its link, where its responses queue.
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// Its address.
    pub fn address(&self) -> &str {
        self.pod.status.as_ref().and_then(|status| status.pod_ip.as_deref()).unwrap_or_default()
    }

    /// What a load requests.
    pub fn url(&self) -> String {
        match self.address() {
            six if six.contains(':') => format!("http://[{six}]/"),
            four => format!("http://{four}/"),
        }
    }
}

impl Load {
    pub(super) async fn start(
        client: Client,
        namespace: &str,
        name: &str,
        node: Option<&str>,
        url: &str,
        connections: u32,
    ) -> Result<Self, Error> {
        let connections = connections.to_string();
        let containers = json!([{
            "name": "wrk", "image": tools_image(), "imagePullPolicy": "IfNotPresent",
            "command": ["wrk", "--threads", "1", "--connections", connections, "--duration", "6h", "--timeout", "30s", url],
        }]);
        Ok(Self { pod: start(&Api::namespaced(client, namespace), name, node, containers).await? })
    }
}

async fn start(pods: &Api<Pod>, name: &str, node: Option<&str>, containers: Value) -> Result<Pod, Error> {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "containers": containers,
            "terminationGracePeriodSeconds": 1,
            // Bypasses the scheduler and taints: a story places its pods itself.
            "nodeName": node,
        },
    });
    let what = || format!("creating pod {name}");
    let pod = serde_json::from_value(pod).map_err(kube::Error::SerdeError).map_err(Error::request(what()))?;
    pods.create(&PostParams::default(), &pod).await.map_err(Error::request(what()))?;
    let what = format!("pod {name} to be ready");
    let started = wait_for(pods, name, &what, START_LIMIT, |pod| pod.is_some_and(is_ready)).await?;
    started.ok_or_else(|| Error::NoCluster(format!("pod {name} vanished")))
}

/// Whether a pod is ready and not being deleted.
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let is_deleted = pod.metadata.deletion_timestamp.is_some();
    !is_deleted
        && conditions
            .is_some_and(|all| all.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True"))
}
