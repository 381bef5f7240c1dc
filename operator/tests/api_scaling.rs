//! The API for autoscalers behind real API servers: found, trusted and asked by their aggregation layer, with no more rights than
//! the chart gives.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by unwrapping")]

use std::{
    fs,
    time::{Duration, Instant},
};

use k8s_openapi::{
    api::{
        authentication::v1::TokenRequest,
        core::v1::{Namespace, Service, ServiceAccount},
        rbac::v1::{ClusterRole, ClusterRoleBinding, RoleBinding},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use kube::{
    Api, Client, Resource,
    api::{Patch, PatchParams, PostParams},
    config::AuthInfo,
    core::NamespaceResourceScope,
    runtime::wait::{await_condition, conditions},
};
use netprecursor_crds::PrecursorAlert;
use netprecursor_e2e::{ApiServer, Version};
use netprecursor_operator::{
    client::Clients,
    metrics::Metrics,
    scaling::{self, Files, Metric},
};
use netprecursor_sinks::http::File;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

const NAMESPACE: &str = "netprecursor-system";
const SERVICE: &str = "netprecursor-external-metrics";
const LIMIT: Duration = Duration::from_secs(60);

async fn create<K>(client: &Client, object: Value)
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + Serialize + DeserializeOwned,
{
    let object: K = serde_json::from_value(object).unwrap();
    Api::<K>::all(client.clone()).create(&PostParams::default(), &object).await.unwrap();
}

async fn create_in<K>(client: &Client, namespace: &str, object: Value)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + Serialize
        + DeserializeOwned,
{
    let object: K = serde_json::from_value(object).unwrap();
    Api::<K>::namespaced(client.clone(), namespace).create(&PostParams::default(), &object).await.unwrap();
}

/// A service account that may do what `rules` say; the configuration by which it is one.
async fn account(server: &ApiServer, client: &Client, name: &str, rules: Value) -> kube::Config {
    create_in::<ServiceAccount>(client, NAMESPACE, json!({"metadata": {"name": name}})).await;
    create::<ClusterRole>(client, json!({"metadata": {"name": name}, "rules": rules})).await;
    let binding = json!({
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE}],
    });
    create::<ClusterRoleBinding>(client, binding).await;
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), NAMESPACE);
    let answer = accounts.create_token_request(name, &PostParams::default(), &TokenRequest::default()).await;
    let mut config = server.config().await.unwrap();
    config.auth_info = AuthInfo { token: Some(answer.unwrap().status.unwrap().token.into()), ..AuthInfo::default() };
    config
}

/// The certificate and the key of the Service's host, and who signed it; all in PEM.
fn certificate() -> [String; 3] {
    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, "netprecursor-external-metrics-ca");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let trusted = authority.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(authority, key);
    let mut own = CertificateParams::new([format!("{SERVICE}.{NAMESPACE}.svc")]).unwrap();
    own.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate().unwrap();
    [own.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem(), trusted]
}

async fn install(client: &Client) {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for definition in netprecursor_crds::schema::definitions().unwrap() {
        let name = api.create(&PostParams::default(), &definition).await.unwrap().metadata.name.unwrap();
        let established = await_condition(api.clone(), &name, conditions::is_crd_established());
        tokio::time::timeout(LIMIT, established).await.unwrap().unwrap();
    }
    for name in [NAMESPACE, "shop"] {
        create::<Namespace>(client, json!({"metadata": {"name": name}})).await;
    }
}

/// Registers a server on this machine: of a Service with an external name the API server asks neither endpoints nor kube-proxy.
async fn register(client: &Client, port: u16, authority: &str) {
    let service = json!({"metadata": {"name": SERVICE}, "spec": {"type": "ExternalName", "externalName": "localhost"}});
    create_in::<Service>(client, NAMESPACE, service).await;
    let bundle = k8s_openapi::ByteString(authority.as_bytes().to_vec());
    let api = json!({
        "metadata": {"name": format!("{}.{}", scaling::VERSION, scaling::GROUP)},
        "spec": {
            "group": scaling::GROUP, "version": scaling::VERSION, "groupPriorityMinimum": 100, "versionPriority": 100,
            "caBundle": bundle, "service": {"name": SERVICE, "namespace": NAMESPACE, "port": port},
        },
    });
    create::<APIService>(client, api).await;
}

async fn fire(client: &Client, predicted: &str) -> Api<PrecursorAlert> {
    let alerts: Api<PrecursorAlert> = Api::namespaced(client.clone(), "shop");
    let condition = json!({
        "type": "Firing", "status": "True", "reason": "RttBreachForecast", "message": "RTT is forecast to rise.",
        "lastTransitionTime": "2025-06-15T15:06:40Z",
    });
    let alert = json!({
        "apiVersion": "netprecursor.io/v1alpha1", "kind": "PrecursorAlert",
        "metadata": {"name": "checkout-3f9a1c20be"},
        "spec": {
            "policyRef": {"kind": "PrecursorPolicy", "name": "checkout", "uid": "p"}, "rule": "rtt",
            "workloadRef": {"kind": "Deployment", "name": "checkout"}, "nodeName": "node1",
        },
        "status": {
            "state": "Firing", "severity": "Warning", "threshold": "200ms", "predicted": predicted, "chancePercent": 74,
            "count": 1, "firedAt": "2025-06-15T15:06:40Z", "trigger": "Forecast", "model": {"name": "adaptive"},
            "conditions": [condition],
        },
    });
    alerts.create(&PostParams::default(), &serde_json::from_value(alert).unwrap()).await.unwrap();
    alerts
}

/// As an autoscaler asks, and `kubectl get --raw`.
async fn ask(client: &Client, metric: Metric) -> kube::Result<String> {
    let path = format!(
        "/apis/{}/{}/namespaces/shop/{}?labelSelector=workload%3Dcheckout",
        scaling::GROUP,
        scaling::VERSION,
        metric.name()
    );
    let list: Value = client.request(http::Request::get(path).body(Vec::new()).unwrap()).await?;
    Ok(list["items"][0]["value"].as_str().unwrap().to_owned())
}

async fn until(client: &Client, metric: Metric, value: &str) {
    let begun = Instant::now();
    loop {
        let last = ask(client, metric).await;
        if last.as_ref().is_ok_and(|last| last == value) {
            return;
        }
        assert!(begun.elapsed() < LIMIT, "{}: expected {value}, got {last:?}", metric.name());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn an_autoscaler_asks(version: Version) {
    let server = ApiServer::start(version).await.unwrap();
    let admin = server.client().await.unwrap();
    install(&admin).await;
    let rules = json!([
        {"apiGroups": ["netprecursor.io"], "resources": ["precursoralerts"], "verbs": ["list", "watch"]},
        {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
    ]);
    let operator = account(&server, &admin, "operator", rules).await;
    let reader = json!({
        "metadata": {"name": SERVICE},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "extension-apiserver-authentication-reader",
        },
        "subjects": [{"kind": "ServiceAccount", "name": "operator", "namespace": NAMESPACE}],
    });
    create_in::<RoleBinding>(&admin, "kube-system", reader).await;

    let ([pem, key, authority], directory) = (certificate(), tempfile::tempdir().unwrap());
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        File { setting: name.to_owned(), path }
    };
    let files = Files { certificate: file("tls.crt", &pem), key: file("tls.key", &key) };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    register(&admin, listener.local_addr().unwrap().port(), &authority).await;
    let clients = Clients::new(&operator).unwrap();
    tokio::spawn(async move { scaling::serve(listener, files, &clients, &Metrics::default()).await });

    // The right that Kubernetes gives to the controller of autoscalers.
    let rules = json!([{"apiGroups": [scaling::GROUP], "resources": ["*"], "verbs": ["get", "list", "watch"]}]);
    let hpa = Client::try_from(account(&server, &admin, "hpa", rules).await).unwrap();
    let other = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]);
    let other = Client::try_from(account(&server, &admin, "other", other).await).unwrap();
    until(&hpa, Metric::AlertsFiring, "0").await;
    let alerts = fire(&admin, "231ms").await;
    until(&hpa, Metric::RttForecast, "115").await;
    until(&hpa, Metric::BreachChance, "74").await;
    let over = json!({"status": {"state": "Resolved", "resolvedAt": "2025-06-15T15:07:40Z"}});
    alerts.patch("checkout-3f9a1c20be", &PatchParams::default(), &Patch::Merge(over)).await.unwrap();
    until(&hpa, Metric::RttForecast, "0").await;

    let refused = ask(&other, Metric::AlertsFiring).await.unwrap_err().to_string();
    assert!(refused.contains("forbidden"), "{version}: {refused}");
    let discovered = admin.list_api_group_resources("external.metrics.k8s.io/v1beta1").await.unwrap();
    let names: Vec<_> = discovered.resources.into_iter().map(|resource| resource.name).collect();
    assert_eq!(names, Metric::ALL.map(Metric::name), "{version}");
    let api = Api::<APIService>::all(admin).get("v1beta1.external.metrics.k8s.io").await.unwrap();
    let conditions = api.status.unwrap().conditions.unwrap();
    let available = conditions.iter().find(|condition| condition.type_ == "Available").unwrap();
    assert_eq!(available.status, "True", "{version}: {available:?}");
}

#[tokio::test]
async fn api_the_oldest_server_passes_an_autoscalers_questions_on() {
    an_autoscaler_asks(Version::V1_32).await;
}

#[tokio::test]
async fn api_the_newest_server_passes_an_autoscalers_questions_on() {
    an_autoscaler_asks(Version::V1_36).await;
}
