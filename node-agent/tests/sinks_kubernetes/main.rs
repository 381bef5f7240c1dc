//! What the agent publishes to the API server, against a fake of one: in paused time, so that hours pass in a moment.

#![expect(clippy::unwrap_used, reason = "tests say what they expect by unwrapping")]

mod load;
mod restarts;
#[path = "../sinks/mod.rs"]
mod sinks;
mod workload;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use netprecursor_agent::{
    health::Board,
    publish::{
        kubernetes::{self, Settings},
        queue::Limits,
    },
    status::{Need, State as SensorState, Status},
    tick::report::{ReportData, RttSource},
};
use netprecursor_core::alert::{AlertState, PolicyRef, Transition};
use netprecursor_fakeapi::{
    Call, Refusal, Rule, Server,
    fault::{Fault, Faults, Outage},
};
use netprecursor_kit::Share;
use serde_json::{Value, json};
use sinks::transitions::{DAY, name};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::Instant,
};

const AGENT: &str = "agent";
const ALERTS: &str = "precursoralerts.netprecursor.io";
const REPORTS: &str = "precursornodereports.netprecursor.io";
const EVENTS: &str = "events.events.k8s.io";

/// A cluster with one node, one policy, and an agent that may do exactly what its role grants.
struct World {
    server: Server,
    policy: PolicyRef,
}

impl World {
    fn new() -> Self {
        Self::of(sinks::checkout::server(1))
    }

    fn of((server, policy): (Server, PolicyRef)) -> Self {
        server.create(&json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node1"}})).unwrap();
        for (groups, resources, verbs) in [
            ("netprecursor.io", vec!["precursorpolicies"], vec!["list"]),
            ("", vec!["nodes"], vec!["get"]),
            ("apps", vec!["replicasets"], vec!["get"]),
            // A real server wants `create` besides for an apply that makes the object.
            ("netprecursor.io", vec!["precursoralerts", "precursornodereports"], vec!["patch"]),
            ("netprecursor.io", vec!["precursornodereports/status"], vec!["patch"]),
            ("events.k8s.io", vec!["events"], vec!["create"]),
        ] {
            let owned = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect();
            let rule = Rule {
                verbs: owned(verbs),
                api_groups: vec![groups.to_owned()],
                resources: owned(resources),
                resource_names: Vec::new(),
            };
            server.grant(AGENT, None, rule);
        }
        server.clear_log();
        Self { server, policy }
    }

    fn transition(&self, alert: usize, count: u64, state: AlertState) -> Transition {
        sinks::transitions::transition(&self.policy, alert, count, state)
    }

    fn alert(&self, alert: usize) -> Option<Arc<Value>> {
        self.server.object(ALERTS, "shop", &name(alert))
    }

    fn state(&self, alert: usize) -> Option<String> {
        self.alert(alert)?["status"]["state"].as_str().map(str::to_owned)
    }

    fn events(&self) -> Vec<String> {
        let events = self.server.objects(EVENTS);
        events.iter().map(|event| event["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Times of the agent's writes, and what was written.
    fn writes(&self) -> Vec<(Duration, String)> {
        let log = self.server.log();
        let writes = log.iter().filter(|entry| entry.user == AGENT && entry.verb.is_write());
        writes.map(|entry| (entry.at, format!("{} {}", entry.resource, entry.name))).collect()
    }
}

/// An agent's cluster thread.
struct Agent {
    transitions: mpsc::Sender<Transition>,
    report: watch::Sender<Arc<ReportData>>,
    board: Board,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Agent {
    fn start(world: &World, state_dir: &Path) -> Self {
        Self::start_with(world, state_dir, Limits::default())
    }

    fn start_with(world: &World, state_dir: &Path, limits: Limits) -> Self {
        Self::start_in(world, state_dir, limits, None)
    }

    fn start_in(world: &World, state_dir: &Path, limits: Limits, share_file: Option<PathBuf>) -> Self {
        let (transitions, received) = mpsc::channel(256);
        let (report, reported) = watch::channel(Arc::default());
        let (stop, stopped) = oneshot::channel::<()>();
        let board = kubernetes::board();
        let settings = Settings {
            node: "node1".to_owned(),
            instance: "agent-abcde".to_owned(),
            state_dir: state_dir.to_owned(),
            limits,
            share_file,
            kernel: "6.18.4".to_owned(),
        };
        let client = world.server.client(AGENT, "netprecursor-system");
        let ended = async move { drop(stopped.await) };
        let task = tokio::spawn(kubernetes::publish(client, settings, received, reported, board.clone(), ended));
        Self { transitions, report, board, stop: Some(stop), task }
    }

    async fn send(&self, transition: Transition) {
        self.transitions.send(transition).await.unwrap();
    }

    async fn stop(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        self.task.await.unwrap();
    }

    /// As SIGKILL would: between two of its steps, without a word.
    async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

/// Waits until something is so, for at most `limit`; says how long it took.
async fn until(limit: Duration, what: &str, is_so: impl Fn() -> bool) -> Duration {
    let begun = Instant::now();
    let step = (limit / 2000).max(Duration::from_millis(1));
    while !is_so() {
        assert!(begun.elapsed() < limit, "not within {limit:?}: {what}");
        tokio::time::sleep(step).await;
    }
    begun.elapsed()
}

fn report_data(state: SensorState) -> Arc<ReportData> {
    Arc::new(ReportData {
        unix: DAY,
        sensors: vec![Status::new("tcp", Need::Required, state)],
        rtt_source: RttSource::Measured,
        targets: 3,
        ..ReportData::default()
    })
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn an_alert_becomes_an_object_with_its_status_and_one_event_per_transition() {
    let (world, directory) = (World::new(), tempfile::tempdir().unwrap());
    let agent = Agent::start(&world, directory.path());
    agent.send(world.transition(1, 1, AlertState::Firing)).await;
    let took = until(2 * SECOND, "the alert fires", || world.state(1).as_deref() == Some("Firing")).await;
    println!("decision to visible: {took:?} of the server's time");
    until(SECOND, "its event", || world.events().len() == 1).await;
    let alert = world.alert(1).unwrap();
    assert_eq!(alert["metadata"]["ownerReferences"][0]["uid"], world.policy.uid);
    assert_eq!(
        (&alert["status"]["predicted"], &alert["status"]["resolveThreshold"]),
        (&json!("231ms"), &json!("160ms"))
    );
    assert_eq!(alert["status"]["chancePercent"], 74);
    let event = world.server.objects(EVENTS)[0].clone();
    assert_eq!(event["related"]["uid"], alert["metadata"]["uid"]);
    assert_eq!(event["regarding"]["uid"], "pod-1");

    agent.send(world.transition(1, 1, AlertState::Resolved)).await;
    until(2 * SECOND, "the alert is over", || world.state(1).as_deref() == Some("Resolved")).await;
    until(SECOND, "its event", || world.events().len() == 2).await;
    let conditions = world.alert(1).unwrap()["status"]["conditions"].clone();
    assert_eq!((&conditions[0]["status"], &conditions[1]["status"]), (&json!("False"), &json!("True")));
    // Six seconds after it fired, when it was judged; not when it was last published.
    assert_eq!(conditions[1]["lastTransitionTime"], json!("2025-06-15T15:08:26Z"), "{conditions}");
    let names = [format!("{}.1.firing", name(1)), format!("{}.1.resolved", name(1))];
    assert_eq!(world.events(), names);
    // Two states, two Events.
    assert_eq!(world.writes().len(), 4, "{:?}", world.writes());
    assert_eq!(agent.board.read().pending, 0);
    agent.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_agent_needs_all_that_its_role_grants_and_no_more() {
    let (world, directory) = (World::new(), tempfile::tempdir().unwrap());
    let agent = Agent::start(&world, directory.path());
    agent.report.send(report_data(SensorState::Active)).unwrap();
    agent.send(workload::fired(&world, 3)).await;
    until(MINUTE, "all is published", || world.events().len() == 2 && !world.server.objects(REPORTS).is_empty()).await;
    until(MINUTE, "the report has a status", || !world.server.objects(REPORTS)[0]["status"].is_null()).await;
    assert!(world.server.unused_permissions().is_empty(), "{:?}", world.server.unused_permissions());
    let refused: Vec<_> = world.server.log().into_iter().filter(|entry| entry.code == 403).collect();
    assert!(refused.is_empty(), "{refused:?}");
    agent.stop().await;
}

#[tokio::test(start_paused = true)]
async fn under_a_definition_of_before_the_agent_says_that_the_status_was_dropped() {
    let (world, directory) = (World::of(sinks::checkout::server_of_before(1)), tempfile::tempdir().unwrap());
    let agent = Agent::start(&world, directory.path());
    agent.send(world.transition(1, 1, AlertState::Firing)).await;
    let says = || agent.board.read().error.is_some_and(|error| error.contains("without its status"));
    until(SECOND, "the agent says so", says).await;
    assert_eq!(agent.board.read().pending, 1);
    agent.stop().await;
}

/// Takes the first request and never answers.
struct Hanging(bool);

impl Faults for Hanging {
    fn next(&mut self, call: &Call) -> Option<Fault> {
        (call.user == AGENT && call.verb.is_write() && std::mem::take(&mut self.0)).then_some(Fault::HangAfter)
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_asked_again_after_the_deadline() {
    let (world, directory) = (World::new(), tempfile::tempdir().unwrap());
    world.server.set_faults(Hanging(true));
    let agent = Agent::start(&world, directory.path());
    agent.send(world.transition(1, 1, AlertState::Firing)).await;
    // What happens meanwhile is on disk, although the request hangs.
    tokio::time::sleep(SECOND).await;
    agent.send(world.transition(2, 1, AlertState::Firing)).await;
    let file = directory.path().join("alerts").join(format!("{}.json", name(2)));
    until(SECOND, "the second alert is on disk", || file.exists()).await;
    let took = until(MINUTE, "all is told", || world.events().len() == 2).await;
    assert!(took > 8 * SECOND && took < 15 * SECOND, "{took:?}");
    agent.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_alert_of_a_policy_that_is_gone_is_dropped() {
    let (world, directory) = (World::new(), tempfile::tempdir().unwrap());
    let policy = json!({
        "apiVersion": "netprecursor.io/v1alpha1", "kind": "PrecursorPolicy",
        "metadata": {"name": "checkout", "namespace": "shop"},
    });
    world.server.delete(&policy).unwrap();
    let agent = Agent::start(&world, directory.path());
    agent.send(world.transition(1, 1, AlertState::Firing)).await;
    let file = directory.path().join("alerts").join(format!("{}.json", name(1)));
    until(SECOND, "the server was asked", || !world.server.log().is_empty()).await;
    until(SECOND, "the alert is forgotten", || !file.exists()).await;
    assert!(world.writes().is_empty(), "{:?}", world.writes());
    assert_eq!(agent.board.read().pending, 0);
    agent.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_report_belongs_to_the_node_and_a_quiet_node_writes_once_in_five_minutes() {
    let (world, directory) = (World::new(), tempfile::tempdir().unwrap());
    let agent = Agent::start(&world, directory.path());
    agent.report.send(report_data(SensorState::Active)).unwrap();
    until(SECOND, "the report is there", || {
        world.server.object(REPORTS, "", "node1").is_some_and(|report| !report["status"].is_null())
    })
    .await;
    let report = world.server.object(REPORTS, "", "node1").unwrap();
    assert_eq!(report["metadata"]["ownerReferences"][0]["kind"], "Node");
    assert_eq!((&report["status"]["kernel"], &report["status"]["targets"]), (&json!("6.18.4"), &json!(3)));
    // The fake's time is paused, the agent's time of day is not: it keeps warming up.
    world.server.clear_log();
    for second in 0..3600 {
        let mut data = (*report_data(SensorState::Active)).clone();
        (data.unix, data.targets) = (DAY + second, (second % 7) as u32);
        agent.report.send(Arc::new(data)).unwrap();
        tokio::time::sleep(SECOND).await;
    }
    let writes = world.writes();
    assert!((10..=12).contains(&writes.len()), "{} writes in an hour: {writes:?}", writes.len());
    assert!(writes.windows(2).all(|pair| pair[1].0 - pair[0].0 >= 5 * MINUTE), "{writes:?}");
    // A sensor that fails is reported at once.
    agent.report.send(report_data(SensorState::Unavailable("detached".to_owned()))).unwrap();
    let is_reported =
        || world.server.object(REPORTS, "", "node1").unwrap()["status"]["sensors"][0]["state"] == "Unavailable";
    let took = until(20 * SECOND, "the sensor's state", is_reported).await;
    println!("state told after {took:?}");
    agent.stop().await;
}

#[tokio::test(start_paused = true)]
async fn over_the_caps_no_object_is_made_and_the_report_says_so() {
    let (world, directory) = (World::new(), tempfile::tempdir().unwrap());
    let agent = Agent::start_with(&world, directory.path(), Limits { per_namespace: 2, ..Limits::default() });
    agent.report.send(report_data(SensorState::Active)).unwrap();
    for alert in 0..5 {
        agent.send(world.transition(alert, 1, AlertState::Firing)).await;
    }
    until(MINUTE, "two are told", || world.events().len() == 2).await;
    tokio::time::sleep(MINUTE).await;
    assert_eq!(world.server.objects(ALERTS).len(), 2);
    let degraded = || {
        let report = world.server.object(REPORTS, "", "node1").unwrap();
        report["status"]["conditions"][2]["message"].as_str().is_some_and(|message| message.contains("caps"))
    };
    until(2 * MINUTE, "the report says so", degraded).await;
    agent.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_unpublished_at_the_end_is_published_by_the_next_agent() {
    let (world, directory) = (World::new(), tempfile::tempdir().unwrap());
    world.server.set_faults(Outage::new(AGENT, || true));
    let agent = Agent::start(&world, directory.path());
    agent.send(world.transition(1, 1, AlertState::Firing)).await;
    agent.send(world.transition(1, 1, AlertState::Resolved)).await;
    agent.stop().await;
    world.server.set_faults(netprecursor_fakeapi::fault::Nothing);
    let agent = Agent::start(&world, directory.path());
    until(MINUTE, "all is told", || world.events().len() == 2).await;
    assert_eq!(world.state(1).as_deref(), Some("Resolved"));
    agent.stop().await;
}
