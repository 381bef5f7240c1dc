//! A policy of the cluster: it watches pods of the namespaces that it selects, and of no other.

use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, ResourceExt as _, api::PostParams, runtime::watcher::Config};
use netprecursor_crds::{policy::ClusterPrecursorPolicy, report::PrecursorNodeReport};
use netprecursor_e2e::{
    Error,
    cluster::{Story, story, wait_for, wait_for_list},
    congestion::SERVER,
    product::Product,
};
use serde_json::json;

use crate::shared::{condition, request};

/// A report follows a new rule within seconds, figures in a status follow within a minute.
const LIMIT: Duration = Duration::from_secs(120);

/// Applies a policy over the story's namespace alone. It belongs to the namespace and goes with it.
async fn policy(story: &Story) -> Result<ClusterPrecursorPolicy, Error> {
    let namespaces: Api<Namespace> = Api::all(story.client());
    let name = story.namespace();
    let namespace = namespaces.get(name).await.map_err(request(format!("getting namespace {name}")))?;
    let policy = json!({
        "apiVersion": "netprecursor.io/v1alpha1", "kind": "ClusterPrecursorPolicy",
        "metadata": {"name": name, "ownerReferences": [
            {"apiVersion": "v1", "kind": "Namespace", "name": name, "uid": namespace.uid()},
        ]},
        "spec": {
            "target": {
                "podSelector": {"matchLabels": {"app": SERVER}},
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}},
            },
            "rules": [{"name": "rtt", "signal": "RttForecast", "rttForecast": {"threshold": "200ms"}}],
        },
    });
    let policies: Api<ClusterPrecursorPolicy> = Api::all(story.client());
    let policy = serde_json::from_value(policy).unwrap();
    policies.create(&PostParams::default(), &policy).await.map_err(request("creating a cluster policy"))
}

#[tokio::test]
async fn a_policy_of_the_cluster_watches_the_namespaces_that_it_selects() {
    story("cluster-policy", async |story| {
        let product = Product::new(story.cluster());
        product.install(&[]).await?;
        let server = story.server(SERVER, None).await?;
        let policy = policy(story).await?;
        product.agents_ready().await?;
        let (name, uid) = (policy.name_any(), policy.uid().unwrap());

        let reports: Api<PrecursorNodeReport> = Api::all(story.client());
        let what = "a node report with the policy's one pod";
        let node = wait_for_list(&reports, Config::default(), what, LIMIT, |reports| {
            reports.iter().find_map(|report| {
                let rules = report.status.as_ref().map(|status| status.rules.as_slice()).unwrap_or_default();
                let watches = rules
                    .iter()
                    .any(|rule| rule.policy_uid == uid && rule.policy_namespace.is_none() && rule.targets == 1);
                watches.then(|| report.name_any())
            })
        })
        .await?;
        assert_eq!(server.pod.spec.unwrap().node_name, Some(node));

        let policies: Api<ClusterPrecursorPolicy> = Api::all(story.client());
        let followed = |policy: Option<&ClusterPrecursorPolicy>| {
            policy.and_then(|policy| policy.status.as_ref()).is_some_and(|status| {
                let is = |name| condition(&status.conditions, name) == "True";
                is("Ready") && is("TargetsResolved") && status.targets == Some(1)
            })
        };
        wait_for(&policies, &name, "the policy to be followed for one pod", LIMIT, followed).await?;
        Ok::<_, Error>(())
    })
    .await;
}
