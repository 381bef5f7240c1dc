//! The plugin before a real API server: a cluster without netprecursor, one where all is well, and one where it is not.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by unwrapping")]

mod kubelet;
mod scene;

use netprecursor_e2e::{ApiServer, Version};
use scene::{Plugin, alert, condition, create, event, grant, install, node, policy, report, set_status};
use serde_json::{Value, json};

/// Where the agents of the tests listen; a fake kubelet does not care.
const AGENT_PORT: u16 = 9555;

fn ready(reason: &str) -> Value {
    condition("Ready", "True", reason, "all is well", 600)
}

/// The verdict of a check.
fn verdict(report: &Value, name: &str) -> String {
    let checks = report["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no {name} in {report:#}"));
    check["verdict"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn api_before_an_install_the_cluster_is_fit_and_there_is_nothing_to_show() {
    for version in [Version::OLDEST, Version::DEFAULT] {
        let server = ApiServer::start(version).await.unwrap();
        let plugin = Plugin::new(&server);
        let (report, code) = plugin.json(&["install-check"]).await;
        assert_eq!(
            (code, &report["isWell"], &report["isInstalled"]),
            (Some(0), &json!(true), &json!(false)),
            "{report:#}"
        );
        for (name, expected) in [
            ("API server", "Good"),
            ("definitions", "Open"),
            ("operator", "Open"),
            ("admission policies", "Good"),
            ("your rights", "Good"),
        ] {
            assert_eq!(verdict(&report, name), expected, "{report:#}");
        }
        for command in [["status"].as_slice(), &["doctor"], &["explain", "checkout-1"]] {
            let printed = plugin.run(command).await;
            assert!(printed.code == Some(1) && printed.err.contains("install-check"), "{command:?}: {printed:#?}");
        }
    }
}

/// The product on two nodes whose agents work.
async fn install_with_agents(client: &kube::Client) {
    install(client, 2).await;
    for name in ["node1", "node2"] {
        node(client, name, 1, AGENT_PORT).await;
        create(client, &report(name, 60, &ready("SensorsWork"))).await;
    }
}

#[tokio::test]
async fn api_where_all_is_well_everything_says_so() {
    let server = ApiServer::start(Version::DEFAULT).await.unwrap();
    let client = server.client().await.unwrap();
    install_with_agents(&client).await;
    create(&client, &policy("checkout", &ready("Watching"))).await;
    let plugin = Plugin::new(&server);

    let printed = plugin.run(&["install-check"]).await;
    assert!(
        printed.code == Some(0) && printed.out.contains("All is well.") && !printed.out.contains('✗'),
        "{printed:#?}"
    );
    assert!(printed.out.contains("operator-a is the leader"), "{printed:#?}");

    let printed = plugin.run(&["doctor"]).await;
    assert!(printed.code == Some(0) && printed.out.contains("Nothing is wrong."), "{printed:#?}");
    assert!(printed.out.contains("sensor sched is unavailable: tracefs is not mounted"), "{printed:#?}");
    assert!(!printed.out.contains('\x1b'), "colours in a pipe: {printed:#?}");

    let (status, _) = plugin.json(&["status"]).await;
    assert_eq!((&status["policies"][0]["ready"], &status["agents"]["ready"]), (&json!(true), &json!(2)), "{status:#}");
    assert_eq!(status["agents"]["wanted"], 2);
    // The context's namespace is what is looked at, unless another is named.
    let (elsewhere, _) = plugin.json(&["status", "-n", "default"]).await;
    assert_eq!(elsewhere["policies"], json!([]));
    let (everywhere, _) = plugin.json(&["status", "-A"]).await;
    assert_eq!(everywhere["policies"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn api_what_is_not_well_comes_first_and_is_an_exit_code() {
    let server = ApiServer::start(Version::DEFAULT).await.unwrap();
    let client = server.client().await.unwrap();
    install(&client, 1).await;
    let down = condition("Ready", "False", "SensorsMissing", "tcp: EPERM", 30);
    for (name, heartbeat, condition) in
        [("node1", 60, &ready("SensorsWork")), ("node2", 10_000, &ready("SensorsWork")), ("node3", 60, &down)]
    {
        node(&client, name, 1, AGENT_PORT).await;
        create(&client, &report(name, heartbeat, condition)).await;
    }
    node(&client, "node4", 1, AGENT_PORT).await;
    create(&client, &policy("cart", &ready("Watching"))).await;
    let refused = condition("Ready", "False", "AgentsNotReady", "1 of 2 agents work; failing on node2", 30);
    create(&client, &policy("checkout", &refused)).await;
    create(&client, &alert("checkout-1", 40, "u-1")).await;
    let mut over = alert("checkout-2", 400, "u-1");
    over["status"]["state"] = "Resolved".into();
    create(&client, &over).await;
    let plugin = Plugin::new(&server);

    let (doctor, code) = plugin.json(&["doctor"]).await;
    let standings: Vec<_> =
        doctor["nodes"].as_array().unwrap().iter().map(|node| (&node["node"], &node["standing"])).collect();
    let expected = [("node4", "Missing"), ("node2", "Stale"), ("node3", "NotReady"), ("node1", "Ready")]
        .map(|(node, standing)| (json!(node), json!(standing)));
    assert_eq!(
        (code, standings),
        (Some(1), expected.iter().map(|(node, standing)| (node, standing)).collect()),
        "{doctor:#}"
    );

    let printed = plugin.run(&["doctor"]).await;
    println!("{}", printed.out);
    let printed = plugin.run(&["status"]).await;
    println!("{}", printed.out);
    let position = |part: &str| printed.out.find(part).unwrap_or_else(|| panic!("{part} is not in\n{}", printed.out));
    assert!(position("checkout") < position("cart"), "{printed:#?}");
    for part in
        ["1 of 2 agents work; failing on node2", "checkout-1", "231ms", "1 of 2 ready", "SensorsMissing: tcp: EPERM"]
    {
        position(part);
    }
    assert!(!printed.out.contains("checkout-2"), "what is over is not out: {printed:#?}");

    let (check, code) = plugin.json(&["install-check"]).await;
    assert_eq!((code, verdict(&check, "agents").as_str()), (Some(1), "Bad"), "{check:#}");
    // A label that refuses agents is explained with the command that changes it.
    let labels = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "baseline"}}});
    let namespaces: kube::Api<k8s_openapi::api::core::v1::Namespace> = kube::Api::all(client.clone());
    namespaces.patch(scene::INSTALL, &Default::default(), &kube::api::Patch::Merge(labels)).await.unwrap();
    let printed = plugin.run(&["install-check"]).await;
    let command =
        "kubectl label namespace netprecursor-system pod-security.kubernetes.io/enforce=privileged --overwrite";
    println!("{}", printed.out);
    assert!(printed.code == Some(1) && printed.out.contains(command), "{printed:#?}");
    // Without a label the API server itself is asked, and nothing is made by that.
    let labels = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": null}}});
    namespaces.patch(scene::INSTALL, &Default::default(), &kube::api::Patch::Merge(labels)).await.unwrap();
    let (check, _) = plugin.json(&["install-check"]).await;
    assert_eq!(verdict(&check, "Pod Security"), "Good", "{check:#}");
    let pods: kube::Api<k8s_openapi::api::core::v1::Pod> = kube::Api::namespaced(client, scene::INSTALL);
    assert_eq!(pods.list(&Default::default()).await.unwrap().items.len(), 4);
}

/// A policy whose conditions say why agents do not work.
fn stopped(reason: &str, message: &str) -> Value {
    let mut policy = policy("checkout", &ready("Watching"));
    policy["status"]["conditions"] = json!([
        condition("Ready", "False", "AgentsNotReady", message, 30),
        condition("AgentsReady", "False", reason, message, 30),
    ]);
    policy
}

#[tokio::test]
async fn api_every_screen_has_the_reason_that_the_policy_has_and_what_to_do() {
    let server = ApiServer::start(Version::DEFAULT).await.unwrap();
    let client = server.client().await.unwrap();
    install_with_agents(&client).await;
    let missing = "the chart's ConfigMap netprecursor-system/netprecursor-anchor, which owns the agents, is missing";
    create(&client, &stopped("AnchorMissing", missing)).await;
    let plugin = Plugin::new(&server);
    for command in ["status", "doctor", "install-check"] {
        let printed = plugin.run(&[command]).await;
        let helm = "helm upgrade RELEASE charts/netprecursor --namespace netprecursor-system --reset-then-reuse-values";
        assert!(printed.out.contains(missing) && printed.out.contains(helm), "{command}: {printed:#?}");
        for never in ["Nothing is wrong", "All is well", "AGENTS\n  2 of 2 ready\n", "install the chart again"] {
            assert!(!printed.out.contains(never), "{command}: {never:?} in {printed:#?}");
        }
        assert!(command == "status" || printed.code == Some(1), "{command}: {printed:#?}");
        for other in ["doctor", "install-check"].iter().filter(|other| **other != command) {
            assert!(!printed.out.contains(&format!("kubectl netprecursor {other}")), "{command}: {printed:#?}");
        }
    }
}

#[tokio::test]
async fn api_a_node_whose_agent_is_gone_is_not_ready_while_its_report_is_young() {
    let server = ApiServer::start(Version::DEFAULT).await.unwrap();
    let client = server.client().await.unwrap();
    install_with_agents(&client).await;
    create(&client, &policy("checkout", &ready("Watching"))).await;
    let pods: kube::Api<k8s_openapi::api::core::v1::Pod> = kube::Api::namespaced(client.clone(), scene::INSTALL);
    let at_once = kube::api::DeleteParams { grace_period_seconds: Some(0), ..Default::default() };
    pods.delete("netprecursor-agent-node2", &at_once).await.unwrap();
    let set = json!({"apiVersion": "apps/v1", "kind": "DaemonSet",
        "metadata": {"name": "netprecursor-agent", "namespace": scene::INSTALL}});
    let counted = |made: i32, wanted: i32| {
        let mut set = set.clone();
        set["status"] = json!({"currentNumberScheduled": made, "desiredNumberScheduled": wanted,
            "updatedNumberScheduled": made, "numberReady": made});
        set
    };
    let plugin = Plugin::new(&server);
    for (made, wanted, standing, code) in [(1, 2, "Missing", 1), (1, 1, "Unwanted", 0)] {
        set_status(&client, &counted(made, wanted)).await;
        let (doctor, exit) = plugin.json(&["doctor"]).await;
        let lines = doctor["nodes"].as_array().unwrap();
        let line = lines.iter().find(|line| line["node"] == "node2").unwrap();
        assert_eq!((&line["standing"], exit), (&json!(standing), Some(code)), "{doctor:#}");
        let (status, _) = plugin.json(&["status"]).await;
        assert_eq!(
            (&status["agents"]["ready"], &status["agents"]["wanted"]),
            (&json!(1), &json!(wanted)),
            "{status:#}"
        );
    }
}

#[tokio::test]
async fn api_what_pod_security_refuses_is_allowed_by_the_command_that_is_shown() {
    let server = ApiServer::start(Version::DEFAULT).await.unwrap();
    let client = server.client().await.unwrap();
    install(&client, 0).await;
    let namespaces: kube::Api<k8s_openapi::api::core::v1::Namespace> = kube::Api::all(client.clone());
    let level = |level: &str| json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": level}}});
    let merge = async |patch: Value| {
        namespaces.patch(scene::INSTALL, &Default::default(), &kube::api::Patch::Merge(patch)).await.unwrap();
    };
    merge(level("baseline")).await;
    let mut set = json!({"apiVersion": "apps/v1", "kind": "DaemonSet",
        "metadata": {"name": "netprecursor-agent", "namespace": scene::INSTALL}});
    set["status"] = json!({"currentNumberScheduled": 0, "desiredNumberScheduled": 2, "numberReady": 0});
    set_status(&client, &set).await;
    let refusal = "Error creating: pods \"netprecursor-agent-\" is forbidden: violates PodSecurity \"baseline:latest\"";
    create(&client, &json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "refused", "namespace": scene::INSTALL},
        "involvedObject": {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "netprecursor-agent", "namespace": scene::INSTALL},
        "reason": "FailedCreate", "type": "Warning", "message": refusal, "lastTimestamp": scene::ago(5),
        "source": {"component": "daemonset-controller"},
    }))
    .await;
    create(&client, &policy("checkout", &condition("Ready", "False", "AgentsNotReady", "0 of 2 agents work", 30)))
        .await;
    let plugin = Plugin::new(&server);
    for command in ["status", "doctor", "install-check"] {
        let printed = plugin.run(&[command]).await;
        let command_line = printed.out.split('`').find(|text| text.starts_with("kubectl label namespace"));
        let words: Vec<&str> = command_line.unwrap_or_else(|| panic!("{command}: {printed:#?}")).split(' ').collect();
        let (key, value) = words[4].split_once('=').unwrap();
        assert_eq!((words[3], words[5]), (scene::INSTALL, "--overwrite"));
        merge(level("baseline")).await;
        merge(json!({"metadata": {"labels": {key: value}}})).await;
        let (check, _) = plugin.json(&["install-check"]).await;
        assert_eq!(verdict(&check, "Pod Security"), "Good", "{command}: {check:#}");
    }
}

/// What an agent remembers: a calm, RTT that grows until it is over the threshold six seconds after the alert fired, and
/// forecasts that are seven seconds ahead of it.
fn window(fired_ago: i64) -> Value {
    let now = scene::BEGAN.as_second();
    let rtt = |second: i64, most: f64| (9_000.0 * (0.0861 * (second + 30).max(0) as f64).exp()).min(most);
    let point = |second: i64| {
        let (measured, predicted) = (rtt(second, 244_000.0), rtt(second + 7, 231_000.0));
        json!({"unix": now - fired_ago + second, "measuredUs": measured, "predictedUs": predicted, "firing": second >= 0})
    };
    json!({"target": "shop/web", "points": (fired_ago - 300..fired_ago).map(point).collect::<Vec<_>>(), "signals": {}})
}

#[tokio::test]
async fn api_an_alert_is_explained_with_its_history_and_a_chart_from_the_agent() {
    // How a port-forward is authorised and made differs between versions.
    for version in [Version::OLDEST, Version::DEFAULT, Version::NEWEST] {
        explained(&ApiServer::start(version).await.unwrap()).await;
    }
}

async fn explained(server: &ApiServer) {
    let client = server.client().await.unwrap();
    install(&client, 2).await;
    let agent = kubelet::Agent { pod_uid: "u-1".to_owned(), window: window(60) };
    let port = kubelet::start(AGENT_PORT, agent).await;
    node(&client, "node1", port, AGENT_PORT).await;
    create(&client, &alert("checkout-1", 60, "u-1")).await;
    for (count, state, seconds_ago) in [(1, "firing", 900), (1, "resolved", 800), (2, "firing", 60)] {
        create(&client, &event("checkout-1", count, state, seconds_ago, "u-1")).await;
    }
    create(&client, &event("another", 1, "firing", 50, "u-1")).await;
    let plugin = Plugin::new(server);

    let (explained, code) = plugin.json(&["explain", "checkout-1"]).await;
    assert_eq!(
        (code, &explained["predicted"], &explained["confirmed"]),
        (Some(0), &json!("231ms"), &json!("True")),
        "{explained:#}"
    );
    let order: Vec<_> =
        explained["order"].as_array().unwrap().iter().map(|step| step["what"].as_str().unwrap()).collect();
    assert_eq!(order, ["Fired", "Resolved", "Fired", "Breach", "Confirmed"], "{explained:#}");
    assert_eq!(
        explained["order"][2]["says"],
        "RTT is forecast to reach 231ms within 10s, above the threshold of 200ms (policy checkout, rule rtt)."
    );
    assert_eq!(explained["window"]["agent"], "netprecursor-agent-node1", "{explained:#}");
    assert_eq!(explained["window"]["points"].as_array().unwrap().len(), 300);

    let printed = plugin.run(&["explain", "checkout-1"]).await;
    for part in ["RTT of the pod", "200 ms ┤", "•", "▲", "by damped-holt", "182 ms, usually 9.0 ms", "61 %"] {
        assert!(printed.out.contains(part), "{part} is not in\n{}", printed.out);
    }

    // The rights of the documentation's role are enough.
    let portforward = json!({"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["get", "create"]});
    let pods = json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]});
    let alerts = json!({"apiGroups": ["netprecursor.io"], "resources": ["precursoralerts"], "verbs": ["get"]});
    grant(&client, "drawer", scene::INSTALL, &json!([pods, portforward])).await;
    grant(&client, "drawer", "shop", &json!([alerts])).await;
    let (explained, _) = Plugin::acting_as(server, "drawer").json(&["explain", "checkout-1"]).await;
    assert_eq!(explained["window"]["points"].as_array().map(Vec::len), Some(300), "{explained:#}");

    // A pod that the agent does not watch, an alert that is over, and one that is not there.
    create(&client, &alert("checkout-2", 60, "u-2")).await;
    let printed = plugin.run(&["explain", "checkout-2"]).await;
    assert!(printed.out.contains("the agent no longer watches this pod"), "{printed:#?}");
    let mut over = alert("checkout-1", 4_000, "u-1");
    (over["status"]["state"], over["status"]["resolvedAt"]) = ("Resolved".into(), scene::ago(3_900).into());
    set_status(&client, &over).await;
    let printed = plugin.run(&["explain", "checkout-1"]).await;
    assert!(printed.code == Some(0) && printed.out.contains("more than five minutes ago"), "{printed:#?}");
    let printed = plugin.run(&["explain", "checkout-9"]).await;
    assert!(printed.code == Some(1) && printed.err.contains("such as checkout-1, checkout-2"), "{printed:#?}");
}

#[tokio::test]
async fn api_the_dashboard_has_a_pods_seconds_by_port_forward_and_the_rest_without() {
    let server = ApiServer::start(Version::DEFAULT).await.unwrap();
    let client = server.client().await.unwrap();
    install(&client, 2).await;
    let agent = kubelet::Agent { pod_uid: "u-1".to_owned(), window: window(60) };
    let port = kubelet::start(AGENT_PORT, agent).await;
    node(&client, "node1", port, AGENT_PORT).await;
    create(&client, &report("node1", 60, &ready("SensorsWork"))).await;
    create(&client, &policy("checkout", &ready("Watching"))).await;

    // By port-forward: the five minutes that the agent remembers.
    let dashboard = Plugin::new(&server).dashboard().await;
    let known = |target: &Value| target["measuredUs"].as_array().is_some_and(|seconds| seconds.len() > 200);
    let target = dashboard.until("target?uid=u-1", known).await;
    assert_eq!((&target["target"]["node"], &target["target"]["namespace"]), (&json!("node1"), &json!("shop")));

    // By watches: what is there later is shown as well.
    create(&client, &alert("checkout-1", 60, "u-9")).await;
    dashboard.until("alerts", |alerts| alerts["alerts"][0]["name"] == "checkout-1").await;
    dashboard.until("overview", |overview| overview["targets"].to_string().contains("u-9")).await;
    let nodes = dashboard.until("nodes", |nodes| nodes["nodes"][0]["firing"] == 1).await;
    assert_eq!((&nodes["nodes"][0]["name"], &nodes["nodes"][0]["standing"]), (&json!("node1"), &json!("Ready")));
    let policies = dashboard.until("policies", |policies| policies["policies"][0]["ready"] == true).await;
    assert_eq!(policies["policies"][0]["rules"][0]["precisionPercent"], 78);
}

#[tokio::test]
async fn api_who_may_see_little_is_shown_that_and_told_what_is_missing() {
    let server = ApiServer::start(Version::DEFAULT).await.unwrap();
    let client = server.client().await.unwrap();
    install(&client, 2).await;
    create(&client, &policy("checkout", &ready("Watching"))).await;
    create(&client, &alert("checkout-1", 60, "u-1")).await;
    // What the chart's role for viewers gives in one namespace.
    let resources = ["precursorpolicies", "precursoralerts"];
    let rules = json!([{"apiGroups": ["netprecursor.io"], "resources": resources, "verbs": ["get", "list"]}]);
    grant(&client, "viewer", "shop", &rules).await;
    let plugin = Plugin::acting_as(&server, "viewer");
    let (status, code) = plugin.json(&["status"]).await;
    assert_eq!((code, &status["policies"][0]["name"]), (Some(0), &json!("checkout")), "{status:#}");
    let notes = status["notes"].to_string();
    assert!(notes.contains("clusterprecursorpolicies") && notes.contains("precursornodereports"), "{notes}");
    let printed = plugin.run(&["explain", "checkout-1"]).await;
    assert!(printed.code == Some(0) && printed.out.contains("not permitted to query the agent"), "{printed:#?}");
    assert!(printed.out.contains("not permitted to list Events"), "{printed:#?}");
    let (check, code) = plugin.json(&["install-check"]).await;
    assert_eq!((code, verdict(&check, "definitions").as_str()), (Some(1), "Good"), "{check:#}");
    assert_eq!(
        (verdict(&check, "operator"), verdict(&check, "your rights")),
        ("Open".into(), "Bad".into()),
        "{check:#}"
    );
}
