//! A cluster with objects as the operator and the agents of netprecursor write them, and the plugin connected to it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::LazyLock,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams},
    core::GroupVersionKind,
};
use netprecursor_e2e::ApiServer;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};

/// How long a dashboard may take to show something.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const INSTALL: &str = "netprecursor-system";

/// The output of the plugin.
#[derive(Debug)]
pub(crate) struct Printed {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// The plugin as kubectl finds it: a link of the right name.
pub(crate) struct Plugin {
    directory: tempfile::TempDir,
    kubeconfig: PathBuf,
}

impl Plugin {
    /// Connected to a server as its administrator, in namespace `shop`.
    pub(crate) fn new(server: &ApiServer) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("kubectl-netprecursor");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_netprecursor"), &link).unwrap();
        let kubeconfig = directory.path().join("config");
        write_kubeconfig(&server.kubeconfig(), &kubeconfig, None);
        Self { directory, kubeconfig }
    }

    /// Connected as another user, by impersonation.
    pub(crate) fn acting_as(server: &ApiServer, user: &str) -> Self {
        let plugin = Self::new(server);
        write_kubeconfig(&server.kubeconfig(), &plugin.kubeconfig, Some(user));
        plugin
    }

    fn command(&self, words: &[&str]) -> tokio::process::Command {
        let mut command = Command::new(self.directory.path().join("kubectl-netprecursor"));
        command.args(words).env("KUBECONFIG", &self.kubeconfig).stdin(Stdio::null());
        command.into()
    }

    /// Runs the plugin.
    pub(crate) async fn run(&self, words: &[&str]) -> Printed {
        let output = self.command(words).output().await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Printed { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Has the plugin serve its dashboard.
    pub(crate) async fn dashboard(&self) -> Dashboard {
        let mut command = self.command(&["dashboard", "--listen", "127.0.0.1:0"]);
        let mut process = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).await.unwrap();
        let (_, rest) = line.split_once(" on ").unwrap_or_else(|| panic!("{line:?}"));
        let (url, _) = rest.split_once(',').unwrap_or_else(|| panic!("{line:?}"));
        Dashboard { url: url.to_owned(), _process: process }
    }

    /// Runs the plugin for JSON. Returns that and the exit code.
    pub(crate) async fn json(&self, words: &[&str]) -> (Value, Option<i32>) {
        let printed = self.run(&[words, &["-o", "json"]].concat()).await;
        (serde_json::from_str(&printed.out).unwrap_or_else(|error| panic!("{error}: {printed:#?}")), printed.code)
    }
}

/// A dashboard that runs until this is dropped.
pub(crate) struct Dashboard {
    url: String,
    _process: tokio::process::Child,
}

impl Dashboard {
    /// Reads a document until it is as it shall be.
    pub(crate) async fn until(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let left = PATIENCE.saturating_sub(begun.elapsed()).max(Duration::from_secs(1));
            let read = self.read(what, left).await;
            match read {
                Ok(document) if is(&document) => return document,
                last => assert!(begun.elapsed() < PATIENCE, "{what}: {last:#?}"),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn read(&self, what: &str, limit: Duration) -> Result<Value, String> {
        let url = format!("{}api/v1/{what}", self.url);
        let read = move || -> Result<Value, String> {
            let config = ureq::Agent::config_builder().proxy(None).timeout_global(Some(limit)).build();
            let answer = ureq::Agent::new_with_config(config).get(&url).call();
            let text = answer.map_err(|error| error.to_string())?.body_mut().read_to_string();
            serde_json::from_str(&text.map_err(|error| error.to_string())?).map_err(|error| error.to_string())
        };
        tokio::task::spawn_blocking(read).await.unwrap()
    }
}

fn write_kubeconfig(from: &Path, to: &Path, user: Option<&str>) {
    let mut config: Value = serde_json::from_str(&fs::read_to_string(from).unwrap()).unwrap();
    config["contexts"][0]["context"]["namespace"] = "shop".into();
    if let Some(user) = user {
        config["users"][0]["user"]["as"] = user.into();
    }
    fs::write(to, config.to_string()).unwrap();
}

/// When the test began. One moment for all objects, so that their times agree.
pub(crate) static BEGAN: LazyLock<Timestamp> =
    LazyLock::new(|| Timestamp::from_second(Timestamp::now().as_second()).unwrap());

/// The time `seconds` before [`BEGAN`], as the API writes it.
pub(crate) fn ago(seconds: i64) -> String {
    (*BEGAN - SignedDuration::from_secs(seconds)).to_string()
}

pub(crate) fn condition(type_: &str, status: &str, reason: &str, message: &str, seconds_ago: i64) -> Value {
    json!({"type": type_, "status": status, "reason": reason, "message": message, "lastTransitionTime": ago(seconds_ago)})
}

/// Creates an object with its status. Returns the object as created.
pub(crate) async fn create(client: &Client, object: &Value) -> Value {
    let api = api(client, object);
    let name = object["metadata"]["name"].as_str().unwrap();
    let made = api.create(&PostParams::default(), &serde_json::from_value(object.clone()).unwrap()).await;
    let made = made.unwrap_or_else(|error| panic!("{name}: {error}"));
    if object.get("status").is_some() && !is_one_write(object) {
        set_status(client, object).await;
    }
    serde_json::to_value(made).unwrap()
}

/// Sets the status of an object to that of `object`.
pub(crate) async fn set_status(client: &Client, object: &Value) {
    let name = object["metadata"]["name"].as_str().unwrap();
    let patch = Patch::Merge(json!({"status": object["status"]}));
    let (api, params) = (api(client, object), PatchParams::default());
    let written = if is_one_write(object) {
        api.patch(name, &params, &patch).await
    } else {
        api.patch_status(name, &params, &patch).await
    };
    written.unwrap_or_else(|error| panic!("{name}: {error}"));
}

/// Whether the status has no subresource of its own.
fn is_one_write(object: &Value) -> bool {
    object["kind"] == "PrecursorAlert"
}

fn api(client: &Client, object: &Value) -> Api<DynamicObject> {
    let (group, kind) = (object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap());
    let (group, version) = group.split_once('/').unwrap_or(("", group));
    let plural = format!("{}s", kind.to_lowercase()).replace("policys", "policies");
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), &plural);
    match object["metadata"]["namespace"].as_str() {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

/// Lets a user do something in a namespace.
pub(crate) async fn grant(client: &Client, user: &str, namespace: &str, rules: &Value) {
    let (version, metadata) = ("rbac.authorization.k8s.io/v1", json!({"name": user, "namespace": namespace}));
    create(client, &json!({"apiVersion": version, "kind": "Role", "metadata": metadata, "rules": rules})).await;
    create(
        client,
        &json!({
            "apiVersion": version, "kind": "RoleBinding", "metadata": metadata,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": user},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
        }),
    )
    .await;
}

/// The namespaces, the operator that leads, agents of which `ready` of two are ready.
pub(crate) async fn install(client: &Client, ready: i32) {
    for name in [INSTALL, "shop"] {
        let labels = json!({"pod-security.kubernetes.io/enforce": "privileged"});
        create(client, &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}))
            .await;
        let account = json!({"name": "default", "namespace": name});
        create(client, &json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})).await;
    }
    for definition in netprecursor_crds::schema::definitions().unwrap() {
        let definitions: Api<
            k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
        > = Api::all(client.clone());
        let name = definitions.create(&PostParams::default(), &definition).await.unwrap().metadata.name.unwrap();
        let established = kube::runtime::wait::conditions::is_crd_established();
        kube::runtime::wait::await_condition(definitions, &name, established).await.unwrap();
    }
    let labels = json!({"app.kubernetes.io/part-of": "netprecursor", "app.kubernetes.io/name": "netprecursor"});
    let pods = |name: &str| json!({"app.kubernetes.io/name": name});
    let template = |name: &str| json!({"metadata": {"labels": pods(name)}, "spec": {"containers": [{"name": "main", "image": "netprecursor/main"}]}});
    let operator = "netprecursor-operator";
    create(client, &json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": operator, "namespace": INSTALL, "labels": labels},
        "spec": {"replicas": 2, "selector": {"matchLabels": pods(operator)}, "template": template(operator)},
        "status": {"replicas": 2, "readyReplicas": 2, "availableReplicas": 2,
            "conditions": [{"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable", "message": ""}]},
    }))
    .await;
    let renewed = format!("{:.6}", Timestamp::now());
    create(client, &json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": operator, "namespace": INSTALL},
        // So long that the test is over before.
        "spec": {"holderIdentity": "operator-a", "leaseDurationSeconds": 3600, "renewTime": renewed},
    }))
    .await;
    let agent = "netprecursor-agent";
    create(
        client,
        &json!({
            "apiVersion": "apps/v1", "kind": "DaemonSet",
            "metadata": {"name": agent, "namespace": INSTALL, "labels": pods(agent)},
            "spec": {"selector": {"matchLabels": pods(agent)}, "template": template(agent)},
            "status": {"currentNumberScheduled": 2, "desiredNumberScheduled": 2, "numberMisscheduled": 0,
                "updatedNumberScheduled": 2, "numberReady": ready},
        }),
    )
    .await;
}

/// A node whose kubelet listens on `kubelet`, with the pod of an agent whose own interface is on `port`.
pub(crate) async fn node(client: &Client, name: &str, kubelet: u16, port: u16) {
    create(
        client,
        &json!({
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": name},
            "status": {"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": kubelet}}},
        }),
    )
    .await;
    create(client, &json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": format!("netprecursor-agent-{name}"), "namespace": INSTALL,
            "labels": {"app.kubernetes.io/name": "netprecursor-agent"}},
        "spec": {"nodeName": name, "automountServiceAccountToken": false, "containers": [{"name": "agent", "image": "netprecursor/agent",
            "args": ["run", "--kubernetes", "--listen", format!("127.0.0.1:{port}")]}]},
        "status": {"phase": "Running"},
    }))
    .await;
}

pub(crate) fn report(node: &str, heartbeat: i64, ready: &Value) -> Value {
    json!({
        "apiVersion": "netprecursor.io/v1alpha1", "kind": "PrecursorNodeReport", "metadata": {"name": node},
        "status": {
            "agentVersion": "0.1.0", "kernel": "6.18.4", "rttSource": "Measured", "socketCoveragePercent": 97,
            "overhead": {"cpu": "4m", "memory": "31Mi"}, "targets": 12, "targetsOverCapacity": 0, "omitted": 0,
            "queue": {"pending": 0, "dropped": 0}, "heartbeat": ago(heartbeat), "conditions": [ready],
            "sensors": [{"name": "tcp", "need": "Required", "state": "Active"},
                {"name": "sched", "need": "Optional", "state": "Unavailable", "reason": "tracefs is not mounted"}],
        },
    })
}

pub(crate) fn policy(name: &str, ready: &Value) -> Value {
    let score = json!({"name": "rtt", "window": "24h", "alerts": 9, "confirmed": 7, "late": 0, "unconfirmed": 2, "unjudged": 0,
        "incidents": 8, "warned": 7, "missed": 1, "precisionPercent": 78, "recallPercent": 87, "leadMedian": "6s"});
    json!({
        "apiVersion": "netprecursor.io/v1alpha1", "kind": "PrecursorPolicy",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"target": {"podSelector": {"matchLabels": {"app": name}}},
            "rules": [{"name": "rtt", "signal": "RttForecast", "rttForecast": {"threshold": "200ms"}}]},
        "status": {"observedGeneration": 1, "targets": 12, "firing": 1, "rules": [score], "conditions": [ready]},
    })
}

/// An alert of `checkout` that fired `fired` seconds ago and came true six seconds later.
pub(crate) fn alert(name: &str, fired: i64, pod_uid: &str) -> Value {
    json!({
        "apiVersion": "netprecursor.io/v1alpha1", "kind": "PrecursorAlert",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"policyRef": {"kind": "PrecursorPolicy", "name": "checkout", "uid": "p-1"}, "rule": "rtt",
            "podRef": {"name": "checkout-x2", "uid": pod_uid}, "nodeName": "node1"},
        "status": {
            "state": "Firing", "severity": "Warning", "threshold": "200ms", "resolveThreshold": "160ms",
            "predicted": "231ms", "chancePercent": 74, "measured": "244ms", "lead": "6s", "count": 2, "firedAt": ago(fired), "trigger": "Forecast",
            "causes": [
                {"group": "Queue", "feature": "rtt_p50_us", "unit": "µs", "value": "182000", "baseline": "9000", "sharePercent": 61},
                {"group": "Rates", "feature": "tx_bytes", "unit": "bytes", "value": "2510000", "baseline": "412000", "sharePercent": 27}],
            "model": {"name": "damped-holt"},
            "conditions": [
                condition("Firing", "True", "RttBreachForecast", "RTT is forecast to reach 231ms within 10s, above the threshold of 200ms (policy checkout, rule rtt).", fired),
                condition("Confirmed", "True", "BreachFollowed", "RTT breached the threshold 6s later.", fired - 6)],
        },
    })
}

/// An Event of the agent about a transition of an alert.
pub(crate) fn event(alert: &str, count: u32, state: &str, seconds_ago: i64, pod_uid: &str) -> Value {
    let note = match state {
        "firing" => {
            "RTT is forecast to reach 231ms within 10s, above the threshold of 200ms (policy checkout, rule rtt)."
        }
        _ => "Resolved: RTT stayed below the resolve threshold (policy checkout, rule rtt).",
    };
    json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event",
        "metadata": {"name": format!("{alert}.{count}.{state}"), "namespace": "shop"},
        "eventTime": ago(seconds_ago).replace('Z', ".000000Z"), "reportingController": "netprecursor.io/agent",
        "reportingInstance": "netprecursor-agent-node1", "action": "Warn", "reason": "RttBreachForecast", "type": "Warning",
        "note": note,
        "regarding": {"apiVersion": "v1", "kind": "Pod", "name": "checkout-x2", "namespace": "shop", "uid": pod_uid},
        "related": {"apiVersion": "netprecursor.io/v1alpha1", "kind": "PrecursorAlert", "name": alert, "namespace": "shop"},
    })
}
