//! The dashboard over agents at the other ends of pipes, with pictures of a cluster from the test.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeSet, HashMap},
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes},
    routing::get,
};
use futures_util::{StreamExt as _, stream as streaming};
use hyper::{Request, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use netprecursor_core::policy::{Identity, Kind, Name};
use netprecursor_crds::{
    diagnosis::{Finding, Severity},
    report::{Need, SensorState},
};
use serde_json::{Value, json};
use tokio::time::timeout;
use tower::ServiceExt as _;

use super::{Dial, Dialled, Picture, Placed, PolicyRule, PolicyView, Trouble, Unreached, streams};
use crate::{
    dashboard::{
        api::Shared,
        nodes::{ConditionView, NodeView, Nodes, SensorView},
        past::Past,
        store::Look,
        tests::{TYPES, ask, fields, forecast, history, routes, target},
    },
    stream,
};

/// A firing alert on a pod, or one that is over.
pub(in crate::dashboard) fn placed(uid: &str, node: &str, is_firing: bool) -> Placed {
    let alert = json!({
        "name": format!("checkout-{uid}"), "policyKind": "PrecursorPolicy", "policyNamespace": "shop", "policy": "checkout", "rule": "rtt",
        "target": format!("shop/{uid}"), "targetUid": uid, "severity": "Warning", "state": if is_firing { "Firing" } else { "Resolved" },
        "trigger": "Forecast", "thresholdUs": 200_000, "resolveUs": 160_000, "predictedUs": 231_000.0, "chance": 0.75, "measuredUs": null,
        "leadSeconds": null, "confirmed": "Unknown", "judgedUnix": null, "count": 1, "firedUnix": 1_000, "resolvedUnix": null,
        "resolution": null, "causes": [], "model": {"name": "adaptive"}
    });
    Placed {
        alert: serde_json::from_value(alert).unwrap(),
        namespace: "shop".to_owned(),
        node: node.to_owned(),
        workload: Some("Deployment/checkout".to_owned()),
        pods: Vec::new(),
    }
}

fn picture(nodes: &[&str], alerts: Vec<Placed>) -> Arc<Picture> {
    let view = |name: &&str| {
        let firing = alerts.iter().filter(|placed| placed.node == **name && placed.alert.is_firing()).count() as u64;
        NodeView { name: (*name).to_owned(), firing: Some(firing), targets: Some(3), ..NodeView::default() }
    };
    let nodes_seen = Nodes { nodes: nodes.iter().map(view).collect(), ..Nodes::default() };
    Arc::new(Picture {
        unix: 1_000,
        nodes: nodes_seen,
        with_agent: nodes.iter().map(|name| (*name).to_owned()).collect(),
        alerts: Some(alerts),
        ..Picture::default()
    })
}

/// Agents at the other ends of pipes, each with one target; the first few attempts fail.
struct Pipes {
    agents: HashMap<String, Router>,
    failures: AtomicUsize,
    is_permitted: bool,
}

/// An agent that watches one pod, whose stream has a tick and then goes on in silence.
fn agent(pod: &str) -> Router {
    let lines = format!("{}\n{}\n", stream::tests::header(), stream::tests::tick(1_000, &[(pod, 120_000.0)]));
    let answers = [
        ("/api/v1/targets", json!([target(pod, 120_000.0)])),
        ("/api/v1/forecast", json!([forecast(pod, 1_000)])),
        ("/api/v1/history", json!([history(pod, 1_005, 120_000.0)])),
        ("/api/v1/alerts", json!([])),
        ("/api/v1/scores", json!([])),
    ];
    let begun = move || {
        let lines = lines.clone();
        async move {
            let first = streaming::iter([Ok::<_, Infallible>(Bytes::from(lines))]);
            Body::from_stream(first.chain(streaming::pending()))
        }
    };
    answers.into_iter().fold(Router::new().route("/api/v1/stream", get(begun)), |routes, (path, body)| {
        let body = body.to_string();
        routes.route(path, get(move || async move { body }))
    })
}

fn pipes(pods: &[(&str, &str)]) -> Pipes {
    let agents = pods.iter().map(|(node, pod)| ((*node).to_owned(), agent(pod))).collect();
    Pipes { agents, failures: AtomicUsize::new(0), is_permitted: true }
}

impl Dial for Pipes {
    async fn dial(&self, node: &str) -> Result<Dialled, Unreached> {
        if !self.is_permitted {
            return Err(Unreached::NotPermitted("pods \"agent-1\" is forbidden".to_owned()));
        }
        let fewer = |left: usize| left.checked_sub(1);
        if self.failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer).is_ok() {
            return Err(Unreached::Failed { node: node.to_owned(), reason: "connection refused".to_owned() });
        }
        let routes = self.agents.get(node).ok_or_else(|| Unreached::NoAgent { node: node.to_owned() })?.clone();
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let answer = service_fn(move |request: Request<Incoming>| routes.clone().oneshot(request.map(Body::new)));
        let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(theirs), answer);
        tokio::spawn(served);
        Ok(Dialled { stream: Box::new(ours), complaint: Box::pin(std::future::ready(None)) })
    }
}

/// Streams from `pipes` until the second that the page gets is as it shall be.
async fn until(shared: &Arc<Shared>, pipes: Pipes, is: impl Fn(&Value) -> bool) -> Value {
    let mut changes = shared.changes();
    let seen = async {
        loop {
            let live = shared.read(|fleet| serde_json::to_value(fleet.live(&Look::Overview, Instant::now())).unwrap());
            if is(&live) {
                return live;
            }
            changes.changed().await.unwrap();
        }
    };
    tokio::select! {
        () = streams::keep(Arc::new(pipes), Arc::clone(shared)) => unreachable!("it has no end"),
        live = timeout(Duration::from_secs(30), seen) => live.expect("a second that never comes"),
    }
}

fn states(live: &Value) -> Vec<&str> {
    let streams = live["cluster"]["streams"].as_array().unwrap();
    streams.iter().map(|stream| stream["state"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn targets_of_every_node_are_one_list_and_say_where_they_are() {
    let shared = Arc::new(Shared::of_cluster("https://test", Past::none()));
    shared.change(|fleet| fleet.see(picture(&["node1", "node2"], Vec::new())));
    let pipes = pipes(&[("node1", "shop/a"), ("node2", "shop/b")]);
    let live = until(&shared, pipes, |live| states(live) == ["Live", "Live"]).await;
    assert_eq!(live["latest"]["measuredUs"], json!([120_000.0, 120_000.0]));
    let (_, overview) = ask(&routes(&shared, None), "/api/v1/overview").await;
    let places: Vec<_> =
        overview["targets"].as_array().unwrap().iter().map(|target| (&target["node"], &target["namespace"])).collect();
    assert_eq!(places, [(&json!("node1"), &json!("shop")), (&json!("node2"), &json!("shop"))]);
    assert_eq!(overview["source"]["url"], "https://test");
}

#[tokio::test]
async fn an_agent_that_cannot_be_reached_is_tried_again_and_the_others_go_on() {
    let shared = Arc::new(Shared::of_cluster("https://test", Past::none()));
    shared.change(|fleet| fleet.see(picture(&["node1", "node2"], Vec::new())));
    let pipes = Pipes { failures: AtomicUsize::new(1), ..pipes(&[("node1", "shop/a"), ("node2", "shop/b")]) };
    let failed = |live: &Value| live["cluster"]["streams"].to_string().contains("connection refused");
    // Each agent ticks once: on a busy machine the first may be silent for too long when the second comes.
    let (saw_failure, were_live) = (Cell::new(false), RefCell::new(BTreeSet::new()));
    let live = until(&shared, pipes, |live| {
        saw_failure.set(saw_failure.get() || failed(live));
        let states = states(live);
        let live_ones = states.iter().enumerate().filter(|(_, state)| **state == "Live").map(|(at, _)| at);
        were_live.borrow_mut().extend(live_ones);
        saw_failure.get() && were_live.borrow().len() == 2
    })
    .await;
    assert_eq!(live["source"]["state"], "Live");
}

#[tokio::test]
async fn without_the_right_to_reach_agents_alerts_are_still_targets() {
    let shared = Arc::new(Shared::of_cluster("https://test", Past::none()));
    shared.change(|fleet| fleet.see(picture(&["node1"], vec![placed("u1", "node1", true)])));
    let pipes = Pipes { is_permitted: false, ..pipes(&[]) };
    let live = until(&shared, pipes, |live| live["cluster"]["notes"][0].is_string()).await;
    let note = live["cluster"]["notes"][0].as_str().unwrap();
    assert!(note.contains("not permitted to reach agents") && note.contains("is forbidden"), "{note}");
    let (_, overview) = ask(&routes(&shared, None), "/api/v1/overview").await;
    let row = &overview["targets"][0];
    assert_eq!((&row["uid"], &row["workload"]), (&json!("u1"), &json!("Deployment/checkout")));
    let latest = &overview["latest"];
    assert_eq!((&latest["standing"], &latest["measuredUs"]), (&json!(["Warning"]), &json!([null])));
    assert_eq!(overview["counts"]["warning"], 1);
}

#[test]
fn who_looks_at_a_node_or_at_an_alerts_target_has_it_streamed() {
    let names: Vec<String> = (0..20).map(|number| format!("n{number:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let shared = Shared::of_cluster("https://test", Past::none());
    shared.change(|fleet| fleet.see(picture(&names, vec![placed("u1", "n05", false)])));
    let wanted = || shared.read(|fleet| fleet.wanted(Instant::now()));
    assert!(wanted().is_empty());
    shared.look(&Look::Nodes(vec!["n19".to_owned(), "nobody".to_owned()]));
    shared.look(&Look::Target("u1".to_owned()));
    assert_eq!(wanted().into_iter().collect::<Vec<_>>(), ["n05", "n19"]);
}

#[test]
fn a_version_of_the_roster_never_comes_back() {
    let shared = Shared::of_cluster("https://test", Past::none());
    let version = || shared.read(|fleet| fleet.overview(Instant::now()).roster);
    let mut versions = vec![version()];
    let change = |change: fn(&mut crate::dashboard::fleet::Fleet)| {
        shared.change(change);
        version()
    };
    versions.push(change(|fleet| fleet.see(picture(&["node1"], vec![placed("u1", "node1", true)]))));
    versions.push(change(|fleet| fleet.see(picture(&["node1"], Vec::new()))));
    shared.change(|fleet| fleet.begin("node1", 5_000));
    versions.push(change(|fleet| fleet.forget("node1")));
    assert!(versions.is_sorted_by(|one, next| one < next), "{versions:?}");
}

#[tokio::test]
async fn a_server_that_does_not_answer_makes_the_page_stale_with_the_reason() {
    let shared = Arc::new(Shared::of_cluster("https://test", Past::none()));
    let trouble = Trouble { since: 900, words: "cannot watch precursoralerts: connection refused".to_owned() };
    shared.change(|fleet| {
        fleet.see(Arc::new(Picture { trouble: Some(trouble), ..Picture::clone(&picture(&[], Vec::new())) }));
    });
    let (_, overview) = ask(&routes(&shared, None), "/api/v1/overview").await;
    assert_eq!((&overview["source"]["state"], &overview["source"]["since"]), (&json!("Stale"), &json!(900)));
    assert!(overview["source"]["reason"].as_str().unwrap().contains("connection refused"));
}

#[tokio::test]
async fn answers_of_a_cluster_have_the_fields_that_the_page_expects() {
    let condition = ConditionView {
        type_: "Ready".to_owned(),
        status: "False".to_owned(),
        reason: "Invalid".to_owned(),
        message: "got 0s".to_owned(),
    };
    let rule = PolicyRule {
        name: "rtt".to_owned(),
        threshold: Some("200ms".to_owned()),
        model: "adaptive".to_owned(),
        sha256: None,
        alerts: 0,
        confirmed: 0,
        missed: 0,
        precision_percent: None,
        recall_percent: None,
        lead_median: None,
        needed_percent: None,
        reachable_percent: None,
        leading_expert: None,
    };
    let finding = Finding {
        severity: Severity::Fault,
        condition: "Ready".to_owned(),
        reason: "Invalid".to_owned(),
        message: "got 0s".to_owned(),
        advice: "correct it".to_owned(),
    };
    let policy = PolicyView {
        policy: Identity {
            kind: Kind::Namespaced,
            namespace: Some(Name::label("shop").unwrap()),
            name: Name::subdomain("checkout").unwrap(),
        },
        mode: "Active".to_owned(),
        ready: false,
        reason: "Invalid".to_owned(),
        targets: Some(3),
        firing: Some(0),
        waiting: None,
        findings: vec![finding],
        conditions: vec![condition.clone()],
        rules: vec![rule],
    };
    let mut seen = Picture::clone(&picture(&["node1"], Vec::new()));
    seen.policies = vec![policy];
    seen.nodes.nodes[0].conditions = vec![condition];
    seen.nodes.nodes[0].sensors = vec![SensorView {
        name: "tcp".to_owned(),
        need: Need::Required,
        state: SensorState::Active,
        reason: None,
        limits: None,
    }];
    let shared = Arc::new(Shared::of_cluster("https://test", Past::none()));
    shared.change(|fleet| fleet.see(Arc::new(seen)));
    let routes = routes(&shared, None);
    let answer = async |path: &str| ask(&routes, path).await.1;
    let (overview, policies, nodes) =
        (answer("/api/v1/overview").await, answer("/api/v1/policies").await, answer("/api/v1/nodes").await);
    let live = shared.read(|fleet| serde_json::to_value(fleet.live(&Look::Rest, Instant::now())).unwrap());
    let table: [(&Value, &[&str]); 8] = [
        (&overview["cluster"], &["ClusterBrief"]),
        (&overview["cluster"]["nodes"][0], &["NodeBrief"]),
        (&live["cluster"], &["ClusterStreams"]),
        (&policies["policies"][0], &["PolicyView"]),
        (&policies["policies"][0]["rules"][0], &["PolicyRule"]),
        (&policies["policies"][0]["conditions"][0], &["ConditionView"]),
        (&nodes["nodes"][0], &["NodeView"]),
        (&policies["policies"][0]["findings"][0], &["Finding"]),
    ];
    for (value, interfaces) in table {
        let mut names: BTreeSet<String> = value.as_object().unwrap().keys().cloned().collect();
        // The one that may be absent.
        names.remove("policyNamespace");
        assert_eq!(names, fields(TYPES, interfaces), "{interfaces:?}");
    }
}
