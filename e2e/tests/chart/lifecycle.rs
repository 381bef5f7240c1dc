//! The chart's life on a cluster: install, upgrade, rollback, uninstall, and definitions that somebody else brought.

use k8s_openapi::api::{apps::v1::DaemonSet, core::v1::ConfigMap};
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, Patch, PostParams},
};
use netprecursor_crds::diagnosis::{Place, reasons};
use netprecursor_e2e::{Version, apiserver::ApiServer};
use serde_json::{Value, json};

use crate::{
    access,
    helm::{Helm, NAMESPACE, RELEASE, chart, checkout, everything},
    objects::{self, identity, text},
    server::{self, until},
};

async fn exists(client: &Client, object: &Value) -> bool {
    server::api_of(client, object).await.get_opt(text(object, "/metadata/name")).await.unwrap().is_some()
}

async fn config_map(client: &Client, name: &str) -> ConfigMap {
    Api::namespaced(client.clone(), NAMESPACE).get(name).await.unwrap()
}

async fn configuration(client: &Client) -> String {
    config_map(client, "netprecursor-operator").await.data.unwrap()["operator.yaml"].clone()
}

/// A DaemonSet as the operator makes it: owned by the anchor.
async fn agents(client: &Client) {
    let anchor = config_map(client, "netprecursor-anchor").await.metadata.uid.unwrap();
    let labels = json!({"app": "agent"});
    let set = json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet",
        "metadata": {"name": "netprecursor-agent", "ownerReferences": [
            {"apiVersion": "v1", "kind": "ConfigMap", "name": "netprecursor-anchor", "uid": anchor}]},
        "spec": {"selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels}, "spec": {"containers": [{"name": "agent", "image": "agent"}]}}},
    });
    let sets: Api<DaemonSet> = Api::namespaced(client.clone(), NAMESPACE);
    sets.patch("netprecursor-agent", &server::strictly(), &Patch::Apply(set)).await.unwrap();
}

/// A policy of a user, which has to survive everything that happens to the release.
async fn policy(client: &Client) -> Value {
    let text = std::fs::read_to_string(checkout().join("examples/policies/checkout.yaml")).unwrap();
    let mut policy = objects::read(&text).remove(0);
    policy["metadata"]["namespace"] = "shop".into();
    server::namespaces(client, &["shop"]).await;
    server::apply(client, &policy, &server::strictly()).await.unwrap();
    policy
}

async fn life(helm: Helm) {
    let server = ApiServer::builder(Version::DEFAULT).controller_manager().start().await.unwrap();
    let client = server.client().await.unwrap();
    let rendered = helm.template(&["--no-hooks"]);
    let helm = helm.with(server.kubeconfig());
    let chart = chart();
    let chart = chart.to_str().unwrap();
    let on = |verb: &'static str| [verb, RELEASE, chart, "--namespace", NAMESPACE];

    // Definitions that somebody applied by hand are adopted when that is asked for.
    server::define(&client, &objects::read(&definitions())).await;
    let install = [&on("install")[..], &["--create-namespace"]].concat();
    let refusal = helm.refusal(&install);
    assert!(refusal.contains("ownership"), "{refusal}");
    let notes = helm.expect(&[&install[..], &["--take-ownership"]].concat());
    assert!(notes.contains(&format!("kubectl label namespace {NAMESPACE} pod-security")), "{notes}");
    for object in &rendered {
        assert!(exists(&client, object).await, "{}", identity(object));
    }
    let anchor = config_map(&client, "netprecursor-anchor").await.metadata.uid;
    agents(&client).await;
    let policy = policy(&client).await;

    // An upgrade changes the configuration and keeps the anchor: what it owns stays.
    let values = everything();
    helm.expect(&[&on("upgrade")[..], &["--set", "clusterName=east"]].concat());
    assert!(configuration(&client).await.contains("clusterName: \"east\""));
    server::define(&client, &crate::monitors::definitions()).await;
    server::namespaces(&client, &["lab"]).await;
    // Nobody serves the API for autoscalers here, and Helm would look for its resources again and again.
    let set = ["--values", values.to_str().unwrap(), "--set", "fullnameOverride=,externalMetrics.enabled=false"];
    let full = [&on("upgrade")[..], &set].concat();
    helm.expect(&full);
    helm.expect(&["rollback", RELEASE, "1", "--namespace", NAMESPACE]);
    assert!(!configuration(&client).await.contains("clusterName"));
    assert_eq!(config_map(&client, "netprecursor-anchor").await.metadata.uid, anchor);
    assert!(exists(&client, &policy).await);

    people_with_a_role_in_a_namespace_have_it_for_policies_too(&client).await;
    a_lost_anchor_comes_back_by_what_the_condition_advises(&client, &helm, chart).await;

    // Uninstalled: definitions and policies stay, agents go.
    helm.expect(&["uninstall", RELEASE, "--namespace", NAMESPACE, "--no-hooks"]);
    let sets: Api<DaemonSet> = Api::namespaced(client.clone(), NAMESPACE);
    until("agents are gone", async || sets.get_opt("netprecursor-agent").await.unwrap().is_none()).await;
    for object in &rendered {
        let is_kept = text(object, "/kind") == "CustomResourceDefinition";
        until(&identity(object), async || exists(&client, object).await == is_kept).await;
    }
    assert!(exists(&client, &policy).await);

    // And back: what was kept is taken up again, without asking for it.
    helm.expect(&install);
    assert!(exists(&client, &policy).await);
}

/// Follows the advice of `AgentsReady=False` word by word, but for where the chart is.
async fn a_lost_anchor_comes_back_by_what_the_condition_advises(client: &Client, helm: &Helm, chart: &str) {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), NAMESPACE);
    maps.delete("netprecursor-anchor", &DeleteParams::default()).await.unwrap();
    let refusal = helm.refusal(&["install", RELEASE, chart, "--namespace", NAMESPACE]);
    assert!(refusal.contains("in use"), "{refusal}");
    let place = Place { release: Some(RELEASE.to_owned()), ..Place::new(NAMESPACE) };
    let reason = reasons::find(reasons::POLICY, "AgentsReady", "AnchorMissing").unwrap();
    let advice = place.fill(reason.advice);
    let command = advice.split('`').nth(1).unwrap().strip_prefix("helm ").unwrap();
    let command: Vec<&str> =
        command.split(' ').map(|word| if word == "charts/netprecursor" { chart } else { word }).collect();
    helm.expect(&command);
    assert!(maps.get_opt("netprecursor-anchor").await.unwrap().is_some(), "{advice}");
}

fn definitions() -> String {
    let directory = checkout().join("crds/yaml");
    let files =
        std::fs::read_dir(directory).unwrap().map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    files.collect::<Vec<_>>().join("\n---\n")
}

async fn people_with_a_role_in_a_namespace_have_it_for_policies_too(client: &Client) {
    let table = [
        (
            "view",
            vec!["get netprecursor.io/precursoralerts shop"],
            vec!["create netprecursor.io/precursorpolicies shop"],
        ),
        (
            "edit",
            vec!["create netprecursor.io/precursorpolicies shop"],
            vec!["delete netprecursor.io/precursoralerts shop", "create netprecursor.io/clusterprecursorpolicies"],
        ),
        (
            "admin",
            vec!["delete netprecursor.io/precursoralerts shop"],
            vec!["patch netprecursor.io/precursoralerts shop"],
        ),
    ];
    for (role, allowed, refused) in table {
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": role, "namespace": "shop"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": role}],
        });
        let binding: DynamicObject = serde_json::from_value(binding).unwrap();
        let value = serde_json::to_value(&binding).unwrap();
        server::api_of(client, &value).await.create(&PostParams::default(), &binding).await.unwrap();
        for what in allowed {
            until(what, async || access::may(client, role, what).await).await;
        }
        for what in refused {
            assert!(!access::may(client, role, what).await, "{role}: {what}");
        }
        server::api_of(client, &value).await.delete(role, &DeleteParams::default()).await.unwrap();
    }
}

#[tokio::test]
async fn a_release_lives_and_dies_with_the_current_helm() {
    life(Helm::current()).await;
}

#[tokio::test]
async fn a_release_lives_and_dies_with_the_oldest_supported_helm() {
    life(Helm::oldest()).await;
}
