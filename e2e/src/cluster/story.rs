//! One story: a namespace of its own, the state of the cluster printed when it fails, and nothing left behind.

use std::{fmt, fs, panic::AssertUnwindSafe};

use futures_util::FutureExt as _;
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, Resource, ResourceExt as _,
    api::{DeleteParams, ListParams, PostParams},
    core::NamespaceResourceScope,
};
use netprecursor_child::Process;
use serde_json::json;

use super::{Cluster, Load, Server, dump};
use crate::Error;

/// Marks the namespaces of stories.
const LABEL: &str = "netprecursor.io/story";
/// The process and the machine that a namespace belongs to.
const OWNER: &str = "netprecursor.io/story-owner";

/// The surroundings of a story.
pub struct Story {
    cluster: Cluster,
    namespace: String,
}

/// Runs a story. Without a cluster it prints `skipped: REASON`, which the test tiers count as skipped.
///
/// # Panics
/// The story failed: the state of the cluster is printed before.
pub async fn story<E: fmt::Display>(name: &str, run: impl AsyncFnOnce(&Story) -> Result<(), E>) {
    let cluster = match Cluster::connect().await {
        Ok(cluster) => cluster,
        Err(Error::NoCluster(reason)) => return say(&format!("skipped: {reason}")),
        Err(error) => panic!("{error}"),
    };
    let story = Story::begin(cluster, name).await.unwrap_or_else(|error| panic!("story {name}: {error}"));
    let ended = AssertUnwindSafe(run(&story)).catch_unwind().await;
    if !matches!(ended, Ok(Ok(()))) {
        say(&format!(
            "story {name} failed; the cluster's state:\n{}",
            dump::state(&story.client(), &story.namespace).await
        ));
    }
    let left = story.end().await;
    match ended {
        Err(panic) => std::panic::resume_unwind(panic),
        Ok(Err(error)) => panic!("story {name}: {error}"),
        Ok(Ok(())) => left.unwrap_or_else(|error| panic!("story {name}: {error}")),
    }
}

impl Story {
    async fn begin(cluster: Cluster, name: &str) -> Result<Self, Error> {
        let namespaces: Api<Namespace> = Api::all(cluster.client());
        sweep(&namespaces).await?;
        let wanted = json!({
            "metadata": {
                "generateName": format!("story-{name}-"),
                "labels": {
                    LABEL: name,
                    // Faults of links need NET_ADMIN.
                    "pod-security.kubernetes.io/enforce": "privileged",
                },
                "annotations": {OWNER: owner()},
            },
        });
        let what = format!("creating a namespace for story {name}");
        let wanted = serde_json::from_value(wanted).map_err(kube::Error::SerdeError).map_err(Error::request(&what))?;
        let made = namespaces.create(&PostParams::default(), &wanted).await.map_err(Error::request(&what))?;
        Ok(Self { cluster, namespace: made.name_any() })
    }

    async fn end(&self) -> Result<(), Error> {
        let namespaces: Api<Namespace> = Api::all(self.client());
        let deleted = namespaces.delete(&self.namespace, &DeleteParams::default()).await;
        deleted.map(|_| ()).map_err(Error::request(format!("deleting namespace {}", self.namespace)))
    }

    /// The cluster.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// A client with all rights.
    pub fn client(&self) -> Client {
        self.cluster.client()
    }

    /// The story's own namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Objects of a kind in the story's namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client(), &self.namespace)
    }

    /// An nginx that is ready, with label `app: NAME`.
    ///
    /// # Errors
    /// It does not start.
    pub async fn server(&self, name: &str, node: Option<&str>) -> Result<Server, Error> {
        Server::start(self.client(), &self.namespace, name, node).await
    }

    /// A load on `url` over so many connections, with label `app: NAME`.
    ///
    /// # Errors
    /// It does not start.
    pub async fn load(&self, name: &str, node: Option<&str>, url: &str, connections: u32) -> Result<Load, Error> {
        Load::start(self.client(), &self.namespace, name, node, url, connections).await
    }
}

/// Deletes the namespaces of stories that were killed on this machine.
async fn sweep(namespaces: &Api<Namespace>) -> Result<(), Error> {
    let listed = namespaces.list(&ListParams::default().labels(LABEL)).await;
    for namespace in listed.map_err(Error::request("listing the namespaces of stories"))?.items {
        let is_left = namespace.annotations().get(OWNER).is_some_and(|owner| is_dead(owner));
        if is_left && namespace.metadata.deletion_timestamp.is_none() {
            let name = namespace.name_any();
            match namespaces.delete(&name, &DeleteParams::default()).await {
                // Another story swept it as well.
                Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => {}
                other => drop(other.map_err(Error::request(format!("deleting namespace {name}")))?),
            }
        }
    }
    Ok(())
}

fn machine() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

fn owner() -> String {
    let owner = Process::this();
    format!("{}/{}/{}", machine(), owner.pid, owner.started_ticks)
}

/// Whether an owner was a process of this machine and is gone.
fn is_dead(text: &str) -> bool {
    let mut parts = text.split('/');
    let (Some(machine_of), Some(pid), Some(started)) = (parts.next(), parts.next(), parts.next()) else { return false };
    let (Ok(pid), Ok(started_ticks)) = (pid.parse(), started.parse()) else { return false };
    machine_of == machine() && !Process { pid, started_ticks }.alive()
}

#[expect(clippy::print_stdout, reason = "a test prints why it did not run or failed")]
fn say(text: &str) {
    println!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_of_another_machine_or_of_a_living_process_is_left_alone() {
        assert!(!is_dead(&owner()));
        assert!(!is_dead("another-machine/1/1"));
        assert!(!is_dead("torn"));
        let me = Process::this();
        assert!(is_dead(&format!("{}/{}/{}", machine(), me.pid, me.started_ticks - 1)));
    }
}
