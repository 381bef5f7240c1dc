//! The product on a cluster as a user installs it: by Helm, from the checkout's chart.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use k8s_openapi::api::apps::v1::DaemonSet;
use kube::Api;
use tokio::{io::AsyncWriteExt as _, process::Command, time::timeout};

use crate::{
    Error,
    cluster::{Cluster, SYSTEM_NAMESPACE, wait_for},
};

/// Name of the Helm release, and so of everything that the chart makes.
pub const RELEASE: &str = "netprecursor";
/// The DaemonSet that the operator makes.
pub const AGENTS: &str = "netprecursor-agent";
/// Helm waits for the operator at most this long.
const INSTALL_LIMIT: Duration = Duration::from_secs(180);
/// A DaemonSet of running agents, from nothing.
const AGENTS_LIMIT: Duration = Duration::from_secs(120);

/// The release `netprecursor` in [`SYSTEM_NAMESPACE`].
pub struct Product {
    cluster: Cluster,
    chart: PathBuf,
}

impl Product {
    /// The product of this checkout for a cluster.
    pub fn new(cluster: &Cluster) -> Self {
        let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/netprecursor");
        Self { cluster: cluster.clone(), chart }
    }

    /// `helm upgrade --install`, waiting until the operator is ready; `set` are further values such as
    /// `caps.alertsPerCluster=3`. Does little when it is installed like that already.
    ///
    /// # Errors
    /// Helm fails; the error has its last words.
    pub async fn install(&self, set: &[&str]) -> Result<(), Error> {
        let chart = self.chart.display().to_string();
        let mut words = vec!["upgrade", "--install", RELEASE, &chart, "--wait", "--timeout", "170s"];
        // Otherwise Helm keeps the values of the story before.
        words.push("--reset-values");
        // A node of the test cluster is not another failure domain.
        set.iter().for_each(|value| words.extend(["--set", value]));
        self.make_namespace().await?;
        self.helm(&words, INSTALL_LIMIT).await.map(|_| ())
    }

    /// Creates the product's namespace with the Pod Security label that agents need, as the documents say.
    ///
    /// # Errors
    /// As [`Product::kubectl`].
    pub async fn make_namespace(&self) -> Result<(), Error> {
        let file = self.chart.join("../../deploy/kustomize/namespace.yaml").display().to_string();
        self.kubectl(&["apply", "-f", &file]).await.map(|_| ())
    }

    /// `helm uninstall`, waiting until what the chart made is gone.
    ///
    /// # Errors
    /// As [`Product::install`].
    pub async fn uninstall(&self) -> Result<(), Error> {
        self.helm(&["uninstall", RELEASE, "--wait", "--ignore-not-found", "--timeout", "120s"], INSTALL_LIMIT)
            .await
            .map(|_| ())
    }

    /// Waits until every selected node has an agent that is ready.
    ///
    /// # Errors
    /// [`Error::Timeout`] with the DaemonSet as it was last.
    pub async fn agents_ready(&self) -> Result<DaemonSet, Error> {
        let sets: Api<DaemonSet> = Api::namespaced(self.cluster.client(), SYSTEM_NAMESPACE);
        let ready = |set: Option<&DaemonSet>| {
            set.is_some_and(|set| {
                let generation = set.metadata.generation;
                set.status.as_ref().is_some_and(|status| {
                    status.observed_generation == generation
                        && status.desired_number_scheduled > 0
                        && status.updated_number_scheduled == Some(status.desired_number_scheduled)
                        && status.number_ready == status.desired_number_scheduled
                })
            })
        };
        let set = wait_for(&sets, AGENTS, "an agent that is ready on every node", AGENTS_LIMIT, ready).await?;
        set.ok_or_else(|| Error::NoCluster(format!("DaemonSet {AGENTS} vanished")))
    }

    /// Restarts all agents and waits until they are ready. Their budget of writes is then full again, whatever earlier stories
    /// used.
    ///
    /// # Errors
    /// As [`Product::agents_ready`].
    pub async fn fresh_agents(&self) -> Result<DaemonSet, Error> {
        let label = format!("app.kubernetes.io/name={AGENTS}");
        self.kubectl(&["delete", "pods", "--namespace", SYSTEM_NAMESPACE, "--selector", &label, "--wait=true"]).await?;
        self.agents_ready().await
    }

    /// Runs Helm in the product's namespace.
    ///
    /// # Errors
    /// It fails or takes longer than `limit`.
    pub async fn helm(&self, words: &[&str], limit: Duration) -> Result<String, Error> {
        let namespaced: Vec<&str> = words.iter().copied().chain(["--namespace", SYSTEM_NAMESPACE]).collect();
        self.run("helm", &namespaced, limit).await
    }

    /// Runs kubectl.
    ///
    /// # Errors
    /// It fails or takes longer than a minute.
    pub async fn kubectl(&self, words: &[&str]) -> Result<String, Error> {
        self.run("kubectl", words, Duration::from_secs(60)).await
    }

    /// As [`Product::kubectl`], with something to read, such as the objects of `apply -f -`.
    ///
    /// # Errors
    /// As [`Product::kubectl`].
    pub async fn kubectl_with(&self, words: &[&str], input: &str) -> Result<String, Error> {
        self.feed("kubectl", words, input, Duration::from_secs(60)).await
    }

    async fn run(&self, program: &str, words: &[&str], limit: Duration) -> Result<String, Error> {
        self.feed(program, words, "", limit).await
    }

    async fn feed(&self, program: &str, words: &[&str], input: &str, limit: Duration) -> Result<String, Error> {
        let command = format!("{program} {}", words.join(" "));
        let failed = |got: String| Error::Command { command: command.clone(), got };
        let mut process = Command::new(program);
        process.args(words).env("KUBECONFIG", self.cluster.kubeconfig()).kill_on_drop(true);
        process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let ended = async {
            let mut process = process.spawn()?;
            if let Some(mut stdin) = process.stdin.take() {
                stdin.write_all(input.as_bytes()).await?;
            }
            process.wait_with_output().await
        };
        let output = match timeout(limit, ended).await {
            Ok(output) => output.map_err(|error| failed(error.to_string()))?,
            Err(_) => return Err(failed(format!("no end within {} s", limit.as_secs()))),
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() {
            return Ok(text(&output.stdout));
        }
        Err(failed(format!("{}: {}", output.status, text(&output.stderr))))
    }
}
