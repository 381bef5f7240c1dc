//! The operator's binary as a cluster runs it: two of them before a real API server, and how much one takes.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test says what it expects by unwrapping")]

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use k8s_openapi::{
    api::{
        apps::v1::DaemonSet,
        coordination::v1::Lease,
        core::v1::{ConfigMap, Namespace},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client,
    api::{ListParams, ObjectMeta, PostParams},
    runtime::wait::{await_condition, conditions},
};
use netprecursor_child::{Ending, Running};
use netprecursor_crds::{PrecursorAlert, PrecursorPolicy};
use netprecursor_e2e::{ApiServer, Version};
use serde_json::{Value, json};

const INSTALL: &str = "netprecursor-system";
const LIMIT: Duration = Duration::from_secs(120);

/// A running operator; killed when dropped.
struct Operator {
    child: Running,
    port: u16,
}

impl Operator {
    fn start(directory: &Path, kubeconfig: &Path, name: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let file = directory.join(format!("{name}.yaml"));
        let settings = format!(
            "anchor: netprecursor-anchor\nleaseName: netprecursor-operator\nmetricsListen: 127.0.0.1:{port}\n\
             metricsAuthorization: None\nagent:\n  \
             name: netprecursor-agent\n  serviceAccountName: netprecursor-agent\n  image: netprecursor/agent:0.1.0\n\
             caps: {{alertsPerNode: 10000, alertsPerNamespace: 10000, alertsPerCluster: 10000}}\n"
        );
        fs::write(&file, settings).unwrap();
        let log = fs::File::create(directory.join(format!("{name}.log"))).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_netprecursor-operator"));
        command
            .args(["run", "--config"])
            .arg(&file)
            .env("KUBECONFIG", kubeconfig)
            .env("POD_NAMESPACE", INSTALL)
            .env("POD_NAME", name)
            .stdout(Stdio::null())
            .stderr(log);
        let child = Running::spawn(&mut command, Ending::Killed).unwrap();
        Self { child, port }
    }

    /// The body of a path of its HTTP interface; `None` while nobody answers, or not with 200.
    fn get(&self, path: &str) -> Option<String> {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.starts_with("HTTP/1.1 200").then_some(answer)
    }

    fn leads(&self) -> bool {
        // The whole line: the metric's help begins with the same words.
        self.get("/metrics").is_some_and(|text| text.lines().any(|line| line == "netprecursor_operator_leading 1"))
    }

    /// A value of `/proc/PID/status` in KiB.
    fn memory(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    fn terminate(&self) -> Option<i32> {
        self.child.ask().unwrap();
        self.child.ended_within(LIMIT).unwrap().expect("an operator that is asked to end does").code()
    }
}

async fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !is_so() {
        assert!(Instant::now() < end, "{what} has not come within {LIMIT:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn install(client: &Client) {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for definition in netprecursor_crds::schema::definitions().unwrap() {
        let name = api.create(&PostParams::default(), &definition).await.unwrap().metadata.name.unwrap();
        let established = await_condition(api.clone(), &name, conditions::is_crd_established());
        tokio::time::timeout(LIMIT, established).await.expect("established in time").unwrap();
    }
    let named = |name: &str| ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    for name in [INSTALL, "shop"] {
        let namespace = Namespace { metadata: named(name), ..Namespace::default() };
        Api::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
    }
    let anchor = ConfigMap { metadata: named("netprecursor-anchor"), ..ConfigMap::default() };
    Api::namespaced(client.clone(), INSTALL).create(&PostParams::default(), &anchor).await.unwrap();
}

async fn create_policies(client: &Client, count: usize) -> Vec<String> {
    let api: Api<PrecursorPolicy> = Api::namespaced(client.clone(), "shop");
    let policy = |index: usize| {
        let rule = json!({"name": "rtt", "signal": "RttForecast", "rttForecast": {"threshold": "200ms"}});
        let target = json!({"podSelector": {"matchLabels": {"app": format!("web-{index}")}}});
        json!({
            "apiVersion": "netprecursor.io/v1alpha1",
            "kind": "PrecursorPolicy",
            "metadata": {"name": format!("policy-{index}")},
            "spec": {"target": target, "rules": [rule]},
        })
    };
    let made = stream::iter(0..count).map(|index| {
        let (api, policy) = (api.clone(), serde_json::from_value(policy(index)).unwrap());
        async move { api.create(&PostParams::default(), &policy).await.unwrap().metadata.uid.unwrap() }
    });
    made.buffered(16).collect().await
}

async fn create_alerts(client: &Client, policies: &[String], count: usize) {
    let api: Api<PrecursorAlert> = Api::namespaced(client.clone(), "shop");
    let now = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second()).unwrap().to_string();
    let causes: Vec<Value> = (0..8)
        .map(|index| {
            let (value, baseline) = ("182k", "9k");
            json!({"group": "Queue", "feature": format!("standing_queue_{index}"), "unit": "bytes", "value": value,
                "baseline": baseline, "sharePercent": 12})
        })
        .collect();
    let condition = |type_: &str, status: &str| {
        json!({"type": type_, "status": status, "reason": "Breach", "message": "forecast above the threshold",
            "lastTransitionTime": now})
    };
    let alert = |index: usize| {
        let uid = &policies[index % policies.len()];
        json!({
            "apiVersion": "netprecursor.io/v1alpha1",
            "kind": "PrecursorAlert",
            "metadata": {"name": format!("policy-{}-{index:010x}", index % policies.len())},
            "spec": {
                "policyRef": {"kind": "PrecursorPolicy", "name": format!("policy-{}", index % policies.len()), "uid": uid},
                "rule": "rtt",
                "podRef": {"name": format!("web-{index}"), "uid": format!("00000000-0000-0000-0000-{index:012x}")},
                "nodeName": format!("node-{}", index % 100),
            },
            "status": {
                "state": "Resolved", "severity": "Warning", "threshold": "200ms", "count": 1, "firedAt": now,
                "resolvedAt": now, "resolution": "Recovered", "trigger": "Forecast", "causes": causes,
                "model": {"name": "damped-holt"},
                "conditions": [condition("Firing", "False"), condition("Confirmed", "True")],
            },
        })
    };
    stream::iter(0..count)
        .map(|index| {
            let (api, alert) = (api.clone(), alert(index));
            async move {
                let object = serde_json::from_value(alert).unwrap();
                api.create(&PostParams::default(), &object).await.unwrap();
            }
        })
        .buffer_unordered(16)
        .collect::<()>()
        .await;
}

#[tokio::test]
async fn api_the_second_operator_takes_over_when_the_first_stops_or_is_killed() {
    let server = ApiServer::start(Version::V1_34).await.unwrap();
    let client = server.client().await.unwrap();
    install(&client).await;
    let directory = tempfile::tempdir().unwrap();
    let start = |name| Operator::start(directory.path(), &server.kubeconfig(), name);
    let first = start("first");
    wait_until("the first lead", || first.leads()).await;
    let second = start("second");
    wait_until("the second's readiness", || second.get("/readyz").is_some()).await;
    assert!(first.get("/healthz").is_some(), "the first is not alive");
    assert!(!second.leads(), "both lead");
    create_policies(&client, 1).await;
    let daemon_sets: Api<DaemonSet> = Api::namespaced(client.clone(), INSTALL);
    let there = await_condition(daemon_sets, "netprecursor-agent", |found: Option<&DaemonSet>| found.is_some());
    tokio::time::timeout(LIMIT, there).await.expect("agents in time").unwrap();
    assert_eq!(first.terminate(), Some(0));
    let leases: Api<Lease> = Api::namespaced(client.clone(), INSTALL);
    let begun = Instant::now();
    wait_until("the second's lead", || second.leads()).await;
    let released = begun.elapsed();
    let third = start("third");
    wait_until("the third's readiness", || third.get("/readyz").is_some()).await;
    drop(second);
    let begun = Instant::now();
    wait_until("the third's lead", || third.leads()).await;
    println!("taken over after {released:?} when released, after {:?} when killed", begun.elapsed());
    let holder = leases.get("netprecursor-operator").await.unwrap().spec.unwrap().holder_identity;
    assert_eq!(holder.as_deref(), Some("third"));
}

#[tokio::test]
#[ignore = "takes minutes: 1,000 policies and 10,000 alerts have to be made first"]
async fn api_scale_a_thousand_policies_and_ten_thousand_alerts_fit_into_64_mib() {
    let server = ApiServer::start(Version::V1_34).await.unwrap();
    let client = server.client().await.unwrap();
    install(&client).await;
    let directory = tempfile::tempdir().unwrap();
    let policies = create_policies(&client, 1_000).await;
    create_alerts(&client, &policies, 10_000).await;
    let begun = Instant::now();
    let operator = Operator::start(directory.path(), &server.kubeconfig(), "operator");
    let api: Api<PrecursorPolicy> = Api::namespaced(client.clone(), "shop");
    let last = await_condition(api.clone(), "policy-999", |policy: Option<&PrecursorPolicy>| {
        policy.is_some_and(|policy| policy.status.is_some())
    });
    tokio::time::timeout(LIMIT * 4, last).await.expect("a status in time").unwrap();
    let all = api.list(&ListParams::default()).await.unwrap();
    assert!(all.iter().all(|policy| policy.status.is_some()));
    let (now, peak) = (operator.memory("VmRSS:"), operator.memory("VmHWM:"));
    println!("1,000 policies, 10,000 alerts: {now} KiB, at most {peak} KiB; all told after {:?}", begun.elapsed());
    assert!(peak <= 64 << 10, "{peak} KiB");
}
