//! A whole cluster for stories: the one that `E2E_KUBECONFIG` names, or the one that `cargo xtask cluster up` made.

mod dump;
mod exec;
mod hands;
mod link;
mod story;
mod traffic;
mod wait;

use std::{
    env,
    path::{Path, PathBuf},
};

pub use exec::{Output, exec};
pub use hands::{Hands, Usage, is_of_kind};
use k8s_openapi::api::core::v1::Node;
use kube::{Api, Client, api::ListParams};
pub use link::Link;
pub use story::{Story, story};
pub use traffic::{Load, Server, is_ready};
pub use wait::{wait_for, wait_for_list};

use crate::{Error, apiserver::kubeconfig};

/// Where the product is installed by convention.
pub const SYSTEM_NAMESPACE: &str = "netprecursor-system";

/// The image with nginx, wrk, iperf3, tc and busybox: `cargo xtask cluster up` loads it; on other clusters
/// `E2E_TOOLS_IMAGE` names it.
pub fn tools_image() -> String {
    env::var("E2E_TOOLS_IMAGE").unwrap_or_else(|_| "netprecursor/e2e-tools:1".to_owned())
}

/// A cluster that can be reached.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    kubeconfig: PathBuf,
}

impl Cluster {
    /// The cluster for stories. Its client belongs to the runtime in which it is made.
    ///
    /// # Errors
    /// [`Error::NoCluster`] when none is named and none is up.
    pub async fn connect() -> Result<Self, Error> {
        let kubeconfig = match env::var_os("E2E_KUBECONFIG").filter(|path| !path.is_empty()) {
            Some(path) => PathBuf::from(path),
            None => netprecursor_testbed::cache::kind()?.join("run/default/kubeconfig"),
        };
        if !kubeconfig.is_file() {
            return Err(Error::NoCluster(format!(
                "got no kubeconfig {}, expected a cluster: cargo xtask cluster up, or set E2E_KUBECONFIG",
                kubeconfig.display()
            )));
        }
        let config = kubeconfig::read(&kubeconfig).await?;
        let client = Client::try_from(config).map_err(Error::request("a client of the cluster"))?;
        Ok(Self { client, kubeconfig })
    }

    /// A client with all rights.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// For kubectl and helm.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Names of the nodes that take pods, in order.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn workers(&self) -> Result<Vec<String>, Error> {
        let nodes: Api<Node> = Api::all(self.client());
        let listed = nodes.list(&ListParams::default()).await.map_err(Error::request("listing nodes"))?;
        let takes_pods = |node: &Node| {
            let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_ref());
            !taints.is_some_and(|taints| taints.iter().any(|taint| taint.effect == "NoSchedule"))
        };
        let mut names: Vec<String> =
            listed.items.into_iter().filter(takes_pods).filter_map(|node| node.metadata.name).collect();
        names.sort();
        Ok(names)
    }
}
