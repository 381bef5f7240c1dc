//! The operator before a real API server: what it makes is accepted as it is, kept as it was written, and written once.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test says what it expects by unwrapping")]

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::{apps::v1::DaemonSet, core::v1::ConfigMap},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, Resource,
    api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams, PostParams},
    core::GroupVersionKind,
    runtime::wait::{await_condition, conditions},
};
use netprecursor_crds::{PrecursorAlert, PrecursorPolicy, alert::AlertState};
use netprecursor_e2e::{ApiServer, Version};
use netprecursor_operator::{
    config::{Settings, parse},
    election::{Candidate, Leadership},
    http::Health,
    metrics::Metrics,
    models,
    reconcile::Context,
    run::lead,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;

const INSTALL: &str = "netprecursor-system";
const OPERATOR: &str = "operator-under-test";
const LIMIT: Duration = Duration::from_secs(60);

/// A server with the chart's part installed, and the operator at work.
struct Cluster {
    server: ApiServer,
    client: Client,
    /// Seconds by which the operator's clock is ahead.
    ahead: Arc<AtomicI64>,
    operator: JoinHandle<()>,
}

impl Cluster {
    async fn start(version: Version) -> Self {
        let server = ApiServer::start(version).await.unwrap();
        let client = server.client().await.unwrap();
        define(&client).await;
        for name in [INSTALL, "shop"] {
            let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            create(&client, "", namespace).await;
        }
        let anchor = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "netprecursor-anchor"}});
        create(&client, INSTALL, anchor).await;
        let ahead = Arc::new(AtomicI64::new(0));
        let own = server.client_as(OPERATOR, &["system:masters"], &[]).await.unwrap();
        let (clock, settings) = (Arc::clone(&ahead), Arc::new(settings()));
        let context = Context {
            client: own.clone(),
            settings,
            leadership: Leadership::alone(),
            clock: Arc::new(move || Timestamp::now() + SignedDuration::from_secs(clock.load(Ordering::Relaxed))),
            checker: models::contract_check(PathBuf::from(env!("CARGO_BIN_EXE_netprecursor-operator"))),
            metrics: Metrics::default(),
        };
        let operator = tokio::spawn(async move { lead(&own, &context).await });
        Self { server, client, ahead, operator }
    }

    async fn policy(&self, name: &str, change: Value) {
        let rule = json!({"name": "rtt", "signal": "RttForecast", "rttForecast": {"threshold": "200ms"}});
        let mut spec = json!({"target": {"podSelector": {"matchLabels": {"app": "web"}}}, "rules": [rule]});
        merge(&mut spec, change);
        let policy = json!({
            "apiVersion": "netprecursor.io/v1alpha1",
            "kind": "PrecursorPolicy",
            "metadata": {"name": name},
            "spec": spec,
        });
        create(&self.client, "shop", policy).await;
    }

    /// Waits until a condition of a policy says this; its message.
    async fn says(&self, policy: &str, type_: &'static str, status: &'static str, reason: &'static str) -> String {
        let api: Api<PrecursorPolicy> = Api::namespaced(self.client.clone(), "shop");
        let find = move |policy: &PrecursorPolicy| {
            let conditions = &policy.status.as_ref()?.conditions;
            let found = conditions.iter().find(|condition| condition.type_ == type_)?;
            (found.status == status && found.reason == reason).then(|| found.message.clone())
        };
        let said = await_condition(api.clone(), policy, move |policy: Option<&PrecursorPolicy>| {
            policy.and_then(find).is_some()
        });
        match tokio::time::timeout(LIMIT, said).await {
            Ok(policy) => find(&policy.unwrap().unwrap()).unwrap(),
            Err(_) => panic!("no {type_}={status} ({reason}) in {:#?}", api.get_status(policy).await.unwrap().status),
        }
    }

    async fn daemon_set_says(&self, status: Value) {
        let api: Api<DaemonSet> = Api::namespaced(self.client.clone(), INSTALL);
        let generation = api.get("netprecursor-agent").await.unwrap().metadata.generation;
        let mut status = json!({"status": status});
        status["status"]["observedGeneration"] = generation.into();
        status["status"]["numberMisscheduled"] = 0.into();
        status["status"]["updatedNumberScheduled"] = status["status"]["currentNumberScheduled"].clone();
        api.patch_status("netprecursor-agent", &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    }

    /// What the operator asked the server to change, as verb, resource and HTTP status.
    fn writes(&self) -> Vec<(String, String, u16)> {
        let requests = self.server.requests().unwrap();
        let ours = requests.iter().filter(|request| request.acting_user() == OPERATOR);
        let writes = ours.filter(|request| !["get", "list", "watch"].contains(&request.verb.as_str()));
        let told = writes.filter_map(|request| {
            Some((request.verb.clone(), request.object_ref.as_ref()?.resource.clone(), request.code()))
        });
        told.collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.operator.abort();
    }
}

fn settings() -> Settings {
    let config = parse(
        "
anchor: netprecursor-anchor
leaseName: netprecursor-operator
clusterName: east
agent:
  name: netprecursor-agent
  serviceAccountName: netprecursor-agent
  image: netprecursor/agent:0.1.0
  imagePullPolicy: IfNotPresent
  imagePullSecrets: [{name: pull}]
  resources: {requests: {cpu: 0.02, memory: 48Mi}, limits: {memory: 131072Ki}}
  tolerations: [{operator: Exists}]
  nodeSelector: {kubernetes.io/os: linux}
  priorityClassName: system-node-critical
  env: [{name: RUST_BACKTRACE, value: '1'}]
  podAnnotations: {example.com/a: b}
  securityContext: {appArmorProfile: {type: RuntimeDefault}, seLinuxOptions: {type: spc_t}}
  updateStrategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 10%}}
  otlp: {endpoint: 'http://collector:4317', protocol: grpc, headersSecret: otlp}
  terminationGracePeriodSeconds: 10
",
    );
    Settings::new(config.unwrap(), INSTALL.to_owned(), "operator-0".to_owned()).unwrap()
}

async fn define(client: &Client) {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for definition in netprecursor_crds::schema::definitions().unwrap() {
        let created = api.create(&PostParams::default(), &definition).await.unwrap();
        let name = created.metadata.name.unwrap();
        let established = await_condition(api.clone(), &name, conditions::is_crd_established());
        tokio::time::timeout(LIMIT, established).await.expect("established in time").unwrap();
    }
}

async fn create(client: &Client, namespace: &str, object: Value) -> DynamicObject {
    let (group, kind) = (object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap());
    let (group, version) = group.split_once('/').unwrap_or(("", group));
    let plural = format!("{}s", kind.to_lowercase()).replace("policys", "policies");
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), &plural);
    let api: Api<DynamicObject> = if namespace.is_empty() {
        Api::all_with(client.clone(), &resource)
    } else {
        Api::namespaced_with(client.clone(), namespace, &resource)
    };
    api.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap()
}

fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}

#[tokio::test]
async fn api_a_policy_brings_agents_and_nothing_is_written_twice() {
    for version in [Version::V1_32, Version::V1_36] {
        let cluster = Cluster::start(version).await;
        cluster.policy("checkout", json!({})).await;
        cluster.says("checkout", "AgentsReady", "False", "Starting").await;
        cluster
            .daemon_set_says(json!({"desiredNumberScheduled": 2, "currentNumberScheduled": 2, "numberReady": 2}))
            .await;
        cluster.says("checkout", "Ready", "True", "Watching").await;
        let policies: Api<PrecursorPolicy> = Api::namespaced(cluster.client.clone(), "shop");
        let status = policies.get_status("checkout").await.unwrap().status.unwrap();
        assert_eq!(status.observed_generation, Some(1));
        let writes = cluster.writes();
        assert!(writes.iter().all(|(_, _, code)| *code < 300), "{writes:?}");
        let daemon_sets = writes.iter().filter(|(_, resource, _)| resource == "daemonsets").count();
        // The status at first, and when agents work; between them at most one more, by what the watch showed when.
        let statuses = writes.iter().filter(|(_, resource, _)| resource == "precursorpolicies").count();
        assert!(daemon_sets == 1 && (2..=3).contains(&statuses), "{writes:?}");
        // A minute later figures would be told, had they changed; the plan of that time writes nothing.
        cluster.ahead.store(70, Ordering::Relaxed);
        let label = json!({"metadata": {"labels": {"a": "b"}}});
        policies.patch("checkout", &PatchParams::default(), &Patch::Merge(label)).await.unwrap();
        cluster.policy("second", json!({})).await;
        cluster.says("second", "Ready", "True", "Watching").await;
        let more: Vec<_> = cluster.writes().split_off(writes.len());
        // The agents are counted since, so that their share is dealt again.
        let (shares, others): (Vec<_>, Vec<_>) = more.iter().partition(|(_, resource, _)| resource == "configmaps");
        let is_status = others.iter().all(|(_, resource, _)| resource == "precursorpolicies");
        assert!(is_status && others.len() <= 2 && shares.len() <= 1, "{more:?}");
    }
}

#[tokio::test]
async fn api_refused_pods_come_with_the_command_that_lets_them_in() {
    let cluster = Cluster::start(Version::V1_34).await;
    cluster.policy("checkout", json!({})).await;
    cluster.says("checkout", "AgentsReady", "False", "Starting").await;
    cluster.daemon_set_says(json!({"desiredNumberScheduled": 2, "currentNumberScheduled": 0, "numberReady": 0})).await;
    let daemon_sets: Api<DaemonSet> = Api::namespaced(cluster.client.clone(), INSTALL);
    let reference = daemon_sets.get("netprecursor-agent").await.unwrap().object_ref(&());
    let message = "Error creating: pods \"netprecursor-agent-\" is forbidden: violates PodSecurity \"baseline:latest\"";
    let event = json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "netprecursor-agent.1"},
        "involvedObject": reference,
        "reason": "FailedCreate",
        "type": "Warning",
        "message": message,
        "lastTimestamp": Timestamp::from_second(Timestamp::now().as_second()).unwrap().to_string(),
        "source": {"component": "daemonset-controller"},
    });
    create(&cluster.client, INSTALL, event).await;
    let message = cluster.says("checkout", "AgentsReady", "False", "PodSecurity").await;
    let command = "kubectl label namespace netprecursor-system pod-security.kubernetes.io/enforce=privileged";
    assert!(message.contains(command), "{message}");
}

#[tokio::test]
async fn api_a_model_is_published_by_digest_and_another_one_refused() {
    let cluster = Cluster::start(Version::V1_34).await;
    let model = netprecursor_models::builtin::model("rtt-xgboost").unwrap();
    let digest = Sha256::digest(model).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut zipped, model).unwrap();
    let stored = k8s_openapi::ByteString(zipped.finish().unwrap());
    let map = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "models"},
        "binaryData": {"good.onnx.gz": stored, "bad.onnx": k8s_openapi::ByteString(b"no model".to_vec())},
    });
    create(&cluster.client, "shop", map).await;
    let rule = |key: &str, sha256: &str| {
        let model = json!({"configMapKeyRef": {"name": "models", "key": key, "sha256": sha256}});
        json!({"rules": [{"name": "rtt", "signal": "RttForecast", "rttForecast": {"threshold": "200ms"}, "model": model}]})
    };
    cluster.policy("good", rule("good.onnx.gz", &digest)).await;
    cluster.policy("mistaken", rule("good.onnx.gz", &"0".repeat(64))).await;
    let junk = Sha256::digest(b"no model").iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    cluster.policy("junk", rule("bad.onnx", &junk)).await;
    cluster.policy("absent", rule("none.onnx", &digest.replace('a', "b"))).await;
    cluster.says("good", "ModelReady", "True", "Published").await;
    let mistaken = cluster.says("mistaken", "ModelReady", "False", "DigestMismatch").await;
    assert!(mistaken.contains(&digest) && mistaken.contains("damped-holt forecasts meanwhile"), "{mistaken}");
    cluster.says("junk", "ModelReady", "False", "Refused").await;
    cluster.says("absent", "ModelReady", "False", "KeyMissing").await;
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), INSTALL);
    let copy = maps.get(&format!("netprecursor-model-{}", &digest[..40])).await.unwrap();
    assert_eq!(
        (copy.immutable, copy.binary_data.unwrap().into_keys().collect()),
        (Some(true), vec!["model.onnx.gz".to_owned()])
    );
}

#[tokio::test]
async fn api_an_alert_without_pod_and_agent_is_resolved_and_expires() {
    let cluster = Cluster::start(Version::V1_34).await;
    cluster.policy("checkout", json!({})).await;
    let policies: Api<PrecursorPolicy> = Api::namespaced(cluster.client.clone(), "shop");
    let uid = policies.get("checkout").await.unwrap().metadata.uid.unwrap();
    let alerts: Api<PrecursorAlert> = Api::namespaced(cluster.client.clone(), "shop");
    let alert = json!({
        "apiVersion": "netprecursor.io/v1alpha1",
        "kind": "PrecursorAlert",
        "metadata": {"name": "checkout-0123456789"},
        "spec": {
            "policyRef": {"kind": "PrecursorPolicy", "name": "checkout", "uid": uid},
            "rule": "rtt",
            "podRef": {"name": "web-1", "uid": "gone"},
            "nodeName": "n1",
        },
    });
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap().to_string();
    let condition = |type_: &str, status: &str| json!({"type": type_, "status": status, "reason": "A", "message": "", "lastTransitionTime": now});
    let mut told = alert;
    told["status"] = json!({
        "state": "Firing", "severity": "Warning", "threshold": "200ms", "count": 1, "firedAt": now, "trigger": "Forecast",
        "model": {"name": "damped-holt"},
        "conditions": [condition("Firing", "True"), condition("Confirmed", "Unknown")],
    });
    let agent = PatchParams::apply("netprecursor-agent").force();
    alerts.patch("checkout-0123456789", &agent, &Patch::Apply(&told)).await.unwrap();
    cluster.says("checkout", "AgentsReady", "False", "Starting").await;
    cluster.ahead.store(100, Ordering::Relaxed);
    // Something happens, so that the time is looked at.
    cluster.policy("second", json!({})).await;
    let is_over = |alert: Option<&PrecursorAlert>| {
        alert.and_then(|alert| alert.status.as_ref()).is_some_and(|status| status.state == AlertState::Resolved)
    };
    let over = async || {
        let over = await_condition(alerts.clone(), "checkout-0123456789", is_over);
        tokio::time::timeout(LIMIT, over).await.expect("resolved in time").unwrap().unwrap()
    };
    let over_once = over().await;
    let status = serde_json::to_value(over_once.status.unwrap()).unwrap();
    assert_eq!(status["resolution"], "TargetGone");
    let statuses: Vec<_> = status["conditions"].as_array().unwrap().iter().map(|one| one["status"].clone()).collect();
    assert_eq!((statuses.as_slice(), &status["count"]), ([json!("False"), json!("Unknown")].as_slice(), &json!(1)));
    // The agent is back and the alert fires again: its word holds, until it is lost again.
    let fires = alerts.patch("checkout-0123456789", &agent, &Patch::Apply(&told)).await.unwrap();
    assert_eq!(fires.status.unwrap().state, AlertState::Firing);
    over().await;
    cluster.ahead.store(10_000, Ordering::Relaxed);
    cluster.policy("third", json!({})).await;
    let gone = await_condition(alerts.clone(), "checkout-0123456789", |alert: Option<&PrecursorAlert>| alert.is_none());
    tokio::time::timeout(LIMIT, gone).await.expect("expired in time").unwrap();
}

#[tokio::test]
async fn api_one_of_two_leads_and_hands_over_when_it_stops() {
    let server = ApiServer::start(Version::V1_34).await.unwrap();
    let client = server.client().await.unwrap();
    let candidate = |name| Candidate::new(client.clone(), "default", "lease", name, Health::new(Metrics::default()));
    let ((mut first, first_leads), (mut second, second_leads)) = (candidate("a"), candidate("b"));
    assert!(first.attempt(Timestamp::now()).await.unwrap());
    assert!(!second.attempt(Timestamp::now()).await.unwrap());
    // A renewal is one request.
    let before = server.requests().unwrap().len();
    assert!(first.attempt(Timestamp::now()).await.unwrap());
    let renewed: Vec<_> = server.requests().unwrap().split_off(before);
    let about_it = renewed.iter().filter(|one| one.uri.contains("/leases/lease")).map(|one| one.verb.as_str());
    assert_eq!(about_it.collect::<Vec<_>>(), ["update"]);
    first.release().await;
    assert!(second.attempt(Timestamp::now()).await.unwrap());
    assert!(!first.attempt(Timestamp::now()).await.unwrap());
    assert!(first_leads.left().is_none() && second_leads.left().is_none(), "an attempt alone is no campaign");
    let leases: Api<DynamicObject> = Api::namespaced_with(
        client,
        "default",
        &ApiResource::from_gvk(&GroupVersionKind::gvk("coordination.k8s.io", "v1", "Lease")),
    );
    assert_eq!(leases.list(&ListParams::default()).await.unwrap().items[0].data["spec"]["leaseTransitions"], 1);
}
