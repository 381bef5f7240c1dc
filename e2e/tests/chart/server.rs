//! Every object of the chart before a real API server: dry run, with unknown fields refused.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client,
    api::{DynamicObject, GroupVersionKind, Patch, PatchParams},
    discovery::{self, Scope},
};
use netprecursor_e2e::{Version, apiserver::ApiServer};
use serde_json::{Value, json};

use crate::{
    helm::{Helm, NAMESPACE, chart, everything},
    objects::{find, identity, text},
};

/// Roles and admission policies take effect, garbage goes and roles are aggregated within a second or two on an idle
/// machine.
const LIMIT: Duration = Duration::from_secs(120);

/// Waits until `is_so`.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < LIMIT, "{what}: not within {LIMIT:?}");
        // What is waited for happens inside the server or a controller: there is nothing to watch in common.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// An API for the kind of `object`, in its namespace where it has one.
pub(crate) async fn api_of(client: &Client, object: &Value) -> Api<DynamicObject> {
    let (group, version) = match text(object, "/apiVersion").split_once('/') {
        Some(parts) => parts,
        None => ("", text(object, "/apiVersion")),
    };
    let kind = GroupVersionKind::gvk(group, version, text(object, "/kind"));
    let (resource, capabilities) =
        discovery::pinned_kind(client, &kind).await.unwrap_or_else(|error| panic!("{}: {error}", identity(object)));
    match capabilities.scope {
        Scope::Cluster => {
            assert_eq!(object["metadata"]["namespace"], Value::Null, "{}", identity(object));
            Api::all_with(client.clone(), &resource)
        }
        Scope::Namespaced => Api::namespaced_with(client.clone(), text(object, "/metadata/namespace"), &resource),
    }
}

/// Applies `object`, strictly.
pub(crate) async fn apply(client: &Client, object: &Value, parameters: &PatchParams) -> kube::Result<DynamicObject> {
    let api = api_of(client, object).await;
    api.patch(text(object, "/metadata/name"), parameters, &Patch::Apply(object)).await
}

/// For objects that the test stands for itself.
pub(crate) fn strictly() -> PatchParams {
    PatchParams::apply("test").force().validation_strict()
}

/// Applies definitions of custom resources and waits until they are served.
pub(crate) async fn define(client: &Client, objects: &[Value]) {
    use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
    use kube::runtime::wait::{await_condition, conditions};

    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    for object in objects.iter().filter(|object| text(object, "/kind") == "CustomResourceDefinition") {
        apply(client, object, &strictly()).await.unwrap_or_else(|error| panic!("{}: {error}", identity(object)));
        let name = text(object, "/metadata/name");
        await_condition(definitions.clone(), name, conditions::is_crd_established()).await.unwrap();
    }
}

/// Makes namespaces that may be there already.
pub(crate) async fn namespaces(client: &Client, names: &[&str]) {
    let api: Api<Namespace> = Api::all(client.clone());
    for name in names {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        api.patch(name, &PatchParams::apply("test"), &Patch::Apply(namespace)).await.unwrap();
    }
}

async fn accepts_the_whole_chart(version: Version) {
    let server = ApiServer::shared(version).await.unwrap();
    let client = server.client().await.unwrap();
    let helm = Helm::current();
    let (values, chart) = (everything(), chart());
    // Of names that are hard on YAML, and none for a Service.
    let odd = ["--values", values.to_str().unwrap(), "--set", "fullnameOverride="];
    let sets = [helm.template(&[]), helm.everything(), helm.release("1.e5", "123", &chart, &odd)];
    namespaces(&client, &[NAMESPACE, "123", "shop", "lab"]).await;
    define(&client, &crate::monitors::definitions()).await;
    define(&client, &sets[0]).await;
    let dry = strictly().dry_run();
    let mut problems = Vec::new();
    for object in sets.iter().flatten() {
        if let Err(error) = apply(&client, object, &dry).await {
            problems.push(format!("{}: {error}", identity(object)));
        }
    }
    assert!(problems.is_empty(), "{version}: {}", problems.join("\n"));
}

#[tokio::test]
async fn the_oldest_supported_server_accepts_every_object() {
    accepts_the_whole_chart(Version::V1_32).await;
}

#[tokio::test]
async fn the_newest_server_accepts_every_object() {
    accepts_the_whole_chart(Version::V1_36).await;
}

#[tokio::test]
async fn the_operators_pods_pass_the_restricted_profile_of_pod_security() {
    let server = ApiServer::shared(Version::OLDEST).await.unwrap();
    let client = server.client().await.unwrap();
    let namespace = server.namespace().await.unwrap();
    let labels = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
    let namespaces: Api<Namespace> = Api::all(client.clone());
    namespaces.patch(&namespace, &PatchParams::default(), &Patch::Merge(labels)).await.unwrap();
    let objects = Helm::current().template(&[]);
    let mut pod = find(&objects, "Deployment", "netprecursor-operator")["spec"]["template"].clone();
    pod["apiVersion"] = "v1".into();
    pod["kind"] = "Pod".into();
    pod["metadata"]["name"] = "operator".into();
    pod["metadata"]["namespace"] = namespace.into();
    pod["spec"]["serviceAccountName"] = "default".into();
    apply(&client, &pod, &strictly().dry_run()).await.unwrap();
    // The profile is enforced: what agents need does not pass.
    pod["spec"]["hostPID"] = true.into();
    let error = apply(&client, &pod, &strictly().dry_run()).await.unwrap_err().to_string();
    assert!(error.contains("violates PodSecurity"), "{error}");
}
