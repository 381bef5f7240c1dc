//! The agent of a node and its metrics, read through the API server, which works wherever the cluster is.

mod scrape;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt as _, api::ListParams, runtime::watcher::Config};

use crate::{
    Error,
    cluster::{Cluster, SYSTEM_NAMESPACE, is_ready, wait_for, wait_for_list},
};

/// The first word of its command line.
pub const PROGRAM: &str = "/netprecursor-agent";
/// Selects the pods of agents.
pub const SELECTOR: &str = "app.kubernetes.io/name=netprecursor-agent";
/// The port of probes and metrics.
const PORT: u16 = 9471;
/// An agent starts in seconds, after the back-off of a container that ended several times.
const START_LIMIT: Duration = Duration::from_secs(180);
/// The same port of operators.
const OPERATOR_PORT: u16 = 8080;
/// Between two scrapes: a metric cannot be watched.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The pod of one node's agent.
#[derive(Clone)]
pub struct Agent {
    cluster: Cluster,
    /// As it was when it was found ready.
    pub pod: Pod,
}

/// One sample of a scrape.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// With the suffix of its kind, such as `_total`.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The number.
    pub value: f64,
}

/// A scrape.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Samples(Vec<Sample>);

impl Agent {
    /// Waits until `node` has an agent that is ready, other than the pods whose UIDs are in `besides`.
    ///
    /// # Errors
    /// There is none in time.
    pub async fn ready_on(cluster: &Cluster, node: &str, besides: &[String]) -> Result<Self, Error> {
        let pods: Api<Pod> = Api::namespaced(cluster.client(), SYSTEM_NAMESPACE);
        let config = Config::default().labels(SELECTOR).fields(&format!("spec.nodeName={node}"));
        let what = format!("an agent that is ready on {node}");
        let pod = wait_for_list(&pods, config, &what, START_LIMIT, |pods| {
            let is_it = |pod: &&&Pod| is_ready(pod) && !besides.contains(&pod.uid().unwrap_or_default());
            pods.iter().find(is_it).map(|pod| (*pod).clone())
        })
        .await?;
        Ok(Self { cluster: cluster.clone(), pod })
    }

    /// All that there are, ready or not.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn all(cluster: &Cluster) -> Result<Vec<Self>, Error> {
        let pods: Api<Pod> = Api::namespaced(cluster.client(), SYSTEM_NAMESPACE);
        let listed = pods.list(&ListParams::default().labels(SELECTOR)).await;
        let listed = listed.map_err(Error::request("listing agents"))?.items;
        Ok(listed.into_iter().map(|pod| Self { cluster: cluster.clone(), pod }).collect())
    }

    /// The node that it watches.
    pub fn node(&self) -> &str {
        self.pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default()
    }

    /// How often its container was started again.
    pub fn restarts(&self) -> i32 {
        restarts(&self.pod)
    }

    /// Waits until its container was started again more than `before` times and is ready.
    ///
    /// # Errors
    /// It was not, in time.
    pub async fn restarted(&self, before: i32) -> Result<Self, Error> {
        let pods: Api<Pod> = Api::namespaced(self.cluster.client(), SYSTEM_NAMESPACE);
        let name = self.pod.name_any();
        let what = format!("the container of {name} to be started again");
        let is_it = |pod: Option<&Pod>| pod.is_some_and(|pod| restarts(pod) > before && is_ready(pod));
        let pod = wait_for(&pods, &name, &what, START_LIMIT, is_it).await?;
        let pod = pod.ok_or_else(|| Error::NoCluster(format!("pod {name} vanished")))?;
        Ok(Self { cluster: self.cluster.clone(), pod })
    }

    /// Its current metrics.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn samples(&self) -> Result<Samples, Error> {
        let text = scrape::metrics(self.cluster.client(), &self.pod.name_any(), PORT).await?;
        Ok(Samples::parse(&text))
    }

    /// Scrapes until `condition` holds for the samples, and returns these.
    ///
    /// # Errors
    /// [`Error::Timeout`] with the last scrape.
    pub async fn wait_until(
        &self,
        what: &str,
        limit: Duration,
        mut condition: impl FnMut(&Samples) -> bool,
    ) -> Result<Samples, Error> {
        let begun = Instant::now();
        loop {
            let last = match self.samples().await {
                Ok(samples) if condition(&samples) => return Ok(samples),
                Ok(samples) => samples.shown(),
                Err(error) => error.to_string(),
            };
            if begun.elapsed() > limit {
                let what = format!("{what} (agent of {})", self.node());
                return Err(Error::Timeout { what, waited: limit, last });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// The current metrics of an operator's pod.
///
/// # Errors
/// It does not answer.
pub async fn operator_samples(cluster: &Cluster, pod: &str) -> Result<Samples, Error> {
    scrape::metrics(cluster.client(), pod, OPERATOR_PORT).await.map(|text| Samples::parse(&text))
}

impl Samples {
    /// Parses the text format. Lines that are no samples are skipped.
    fn parse(text: &str) -> Self {
        Self(text.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect())
    }

    /// The samples of a metric.
    pub fn of(&self, name: &str) -> impl Iterator<Item = &Sample> {
        self.0.iter().filter(move |sample| sample.name == name)
    }

    /// The one sample of a metric with this label.
    pub fn with(&self, name: &str, label: &str, value: &str) -> Option<f64> {
        let mut found = self.of(name).filter(|sample| sample.labels.get(label).is_some_and(|held| held == value));
        found.next().map(|sample| sample.value)
    }

    /// The value of a metric, summed over its labels; `None` without a sample.
    pub fn sum(&self, name: &str) -> Option<f64> {
        let values: Vec<f64> = self.of(name).map(|sample| sample.value).collect();
        (!values.is_empty()).then(|| values.iter().sum())
    }

    /// Values of a label, over all metrics.
    pub fn values_of(&self, label: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(move |sample| sample.labels.get(label).map(String::as_str))
    }

    fn shown(&self) -> String {
        let line = |sample: &Sample| format!("{}{:?} {}", sample.name, sample.labels, sample.value);
        self.0.iter().map(line).collect::<Vec<_>>().join("; ").chars().take(4000).collect()
    }
}

fn sample(line: &str) -> Option<Sample> {
    // Values and names of labels that the agent writes hold no spaces or escapes.
    let (series, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let pairs = labels.trim_end_matches('}').split(',').filter_map(|pair| pair.split_once('='));
    let labels = pairs.map(|(key, value)| (key.to_owned(), value.trim_matches('"').to_owned())).collect();
    Some(Sample { name: name.to_owned(), labels, value })
}

fn restarts(pod: &Pod) -> i32 {
    let containers = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
    containers.into_iter().flatten().map(|container| container.restart_count).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_name_and_label() {
        let text = "# TYPE netprecursor_targets gauge\nnetprecursor_targets 2\n\
            netprecursor_rtt_max_seconds{target=\"shop/web\"} 0.25\nnetprecursor_sink_dropped_total{sink=\"a\"} 1\n\
            netprecursor_sink_dropped_total{sink=\"b\"} 2\n# EOF\n";
        let samples = Samples::parse(text);
        assert_eq!(samples.sum("netprecursor_targets"), Some(2.0));
        assert_eq!(samples.with("netprecursor_rtt_max_seconds", "target", "shop/web"), Some(0.25));
        assert_eq!(samples.with("netprecursor_rtt_max_seconds", "target", "shop/db"), None);
        assert_eq!(samples.sum("netprecursor_sink_dropped_total"), Some(3.0));
        assert_eq!(samples.values_of("target").collect::<Vec<_>>(), ["shop/web"]);
        assert_eq!(samples.sum("netprecursor_absent"), None);
    }
}
