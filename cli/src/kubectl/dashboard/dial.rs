//! The way to the agents of a cluster: a port-forward to the pod that runs on the node.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client};
use tokio::sync::watch;

use crate::{
    dashboard::cluster::{Dial, Dialled, Unreached},
    kubectl::forward::{self, Forwarded, Refused},
};

/// Pods of agents that can be asked, by node.
pub(super) type Agents = BTreeMap<String, Pod>;

/// Port-forwards.
pub(super) struct Forwards {
    client: Client,
    agents: watch::Receiver<Arc<Agents>>,
}

impl Forwards {
    /// To the agents as they are known when one is asked for.
    pub(super) const fn new(client: Client, agents: watch::Receiver<Arc<Agents>>) -> Self {
        Self { client, agents }
    }
}

impl Dial for Forwards {
    async fn dial(&self, node: &str) -> Result<Dialled, Unreached> {
        let agents = Arc::clone(&self.agents.borrow());
        let missing = || Unreached::NoAgent { node: node.to_owned() };
        let pod = agents.get(node).ok_or_else(missing)?;
        let namespace = pod.metadata.namespace.as_deref().ok_or_else(missing)?;
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        match forward::open(&pods, pod).await {
            Ok(Forwarded { stream, complaint }) => Ok(Dialled { stream: Box::new(stream), complaint }),
            Err(Refused::NotPermitted(words)) => Err(Unreached::NotPermitted(words)),
            Err(Refused::Failed(reason)) => Err(Unreached::Failed { node: node.to_owned(), reason }),
        }
    }
}
