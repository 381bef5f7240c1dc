//! Where objects come from: one table for watches in a cluster and for reading everything at once in tests.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kube::{Api, Client, api::ListParams, core::PartialObjectMeta, runtime::watcher};
use netprecursor_kit::{Key, Wire};

use super::{
    Observed, RawDaemonSet, agents, alert,
    mirror::{Mirror, Seen},
    network, policy, report,
};
use crate::{
    agents::{AGENTS, share},
    config::Settings,
    models, owned,
};

/// Objects of one kind, and what becomes of them.
#[derive(Debug, Clone)]
pub struct Source<W, T> {
    /// Their kind, for logs and metrics.
    pub kind: &'static str,
    /// Where they are.
    pub api: Api<W>,
    /// Which of them, by label.
    pub labels: Option<&'static str>,
    /// Which of them, by field.
    pub fields: Option<String>,
    /// What is kept of one; `None` for nothing.
    pub reduce: fn(W) -> Option<T>,
    /// Where it is kept.
    pub mirror: fn(&mut Observed) -> &mut Mirror<T>,
}

/// Something that is done with every source.
pub trait Visitor {
    /// Does it with one.
    fn visit<W: Wire, T: Send + 'static>(&mut self, source: Source<W, T>);
}

/// Objects in one page of a list.
pub(super) const PAGE: u32 = 500;

/// Shows a visitor everything that is observed; ServiceCIDRs where the API server serves them.
pub fn sources(client: &Client, settings: &Settings, serves_service_cidrs: bool, visitor: &mut impl Visitor) {
    let (client, own) = (|| client.clone(), settings.namespace.as_str());
    visitor.visit(Source::new("PrecursorPolicy", Api::all(client()), policy::namespaced, |all| &mut all.policies));
    visitor.visit(Source::new("ClusterPrecursorPolicy", Api::all(client()), policy::cluster, |all| {
        &mut all.cluster_policies
    }));
    visitor.visit(Source::new("PrecursorAlert", Api::all(client()), alert::reduce, |all| &mut all.alerts));
    visitor.visit(Source::new("PrecursorNodeReport", Api::all(client()), report::reduce, |all| &mut all.reports));
    let agents = &settings.config.agent.name;
    let own_agents = Api::<RawDaemonSet>::namespaced(client(), own);
    visitor.visit(
        Source::new("DaemonSet", own_agents, agents::daemon_set, |all| &mut all.daemon_sets)
            .with_fields(format!("metadata.name={agents}")),
    );
    visitor.visit(
        Source::new("share", Api::namespaced(client(), own), share::dealt, |all| &mut all.shares)
            .with_fields(format!("metadata.name={}", share::name(settings))),
    );
    visitor.visit(
        Source::new("agent Pod", Api::namespaced(client(), own), agents::pod, |all| &mut all.agents).labelled(AGENTS),
    );
    visitor.visit(
        Source::new("Event", Api::namespaced(client(), own), agents::failure, |all| &mut all.failures)
            .with_fields(format!("involvedObject.kind=DaemonSet,involvedObject.name={agents},reason=FailedCreate")),
    );
    visitor.visit(Source::new("Node", Api::all(client()), network::node, |all| &mut all.nodes));
    if serves_service_cidrs {
        let networks = network::service_networks;
        visitor.visit(Source::new("ServiceCIDR", Api::all(client()), networks, |all| &mut all.service_cidrs));
    }
    let labels = |namespace: PartialObjectMeta<Namespace>| Some(namespace.metadata.labels.unwrap_or_default());
    visitor.visit(Source::new("Namespace", Api::all(client()), labels, |all| &mut all.namespaces));
    let labels = |pod: PartialObjectMeta<Pod>| Some(Arc::new(pod.metadata.labels.unwrap_or_default()));
    visitor.visit(
        Source::new("Pod", Api::all(client()), labels, |all| &mut all.pods)
            .with_fields("status.phase!=Succeeded,status.phase!=Failed".to_owned()),
    );
    visitor.visit(
        Source::new("model copy", Api::namespaced(client(), own), models::reduce, |all| &mut all.copies)
            .labelled(owned::SELECTOR),
    );
    let present = |_: PartialObjectMeta<ConfigMap>| Some(());
    visitor.visit(
        Source::new("anchor", Api::namespaced(client(), own), present, |all| &mut all.anchors)
            .with_fields(format!("metadata.name={}", settings.config.anchor)),
    );
}

impl<W: Wire, T> Source<W, T> {
    /// All objects of a kind.
    pub fn new(
        kind: &'static str,
        api: Api<W>,
        reduce: fn(W) -> Option<T>,
        mirror: fn(&mut Observed) -> &mut Mirror<T>,
    ) -> Self {
        Self { kind, api, labels: None, fields: None, reduce, mirror }
    }

    /// Of these, those with these labels.
    fn labelled(self, labels: &'static str) -> Self {
        Self { labels: Some(labels), ..self }
    }

    /// Of these, those with these fields.
    fn with_fields(self, fields: String) -> Self {
        Self { fields: Some(fields), ..self }
    }

    /// What a list of them is asked for.
    pub fn list_params(&self) -> ListParams {
        ListParams {
            label_selector: self.labels.map(str::to_owned),
            field_selector: self.fields.clone(),
            limit: Some(PAGE),
            ..ListParams::default()
        }
    }

    /// What a watch of them is asked for.
    pub fn watch_config(&self, seconds: u32) -> watcher::Config {
        watcher::Config {
            label_selector: self.labels.map(str::to_owned),
            field_selector: self.fields.clone(),
            page_size: Some(PAGE),
            ..watcher::Config::default().timeout(seconds)
        }
    }

    /// What is kept of an object.
    pub fn seen(&self, object: W) -> (Key, Option<Seen<T>>) {
        seen(object, self.reduce)
    }
}

/// What is kept of an object.
pub(crate) fn seen<W: Wire, T>(object: W, reduce: fn(W) -> Option<T>) -> (Key, Option<Seen<T>>) {
    (object.meta().into(), Seen::of(object, reduce))
}
