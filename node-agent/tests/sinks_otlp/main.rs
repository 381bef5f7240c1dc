//! Telemetry as a collector receives it, over gRPC and over HTTP: values, units, attributes, and what is gone.

#![expect(clippy::unwrap_used, reason = "tests say what they expect by unwrapping")]

mod collector;
mod settings;
#[path = "../sinks/mod.rs"]
mod sinks;

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures::FutureExt as _;
use netprecursor_agent::{
    health::Health,
    metrics::seen::{Place, Seen, SeenAlert, SeenRule, SeenTarget},
    publish::{otlp, sink::Sink as _},
    sensors::sockets::Coverage,
};
use netprecursor_core::{
    alert::{Alert, PodRef, Subject, Transition, Workload},
    policy::{Identity, Kind, Name, Severity},
    score::{LEAD_BUCKETS, Scorecard},
};

use crate::collector::{Port, Received, serve, text};

fn checkout() -> Identity {
    let [namespace, name] = ["shop", "checkout"].map(|name| Name::label(name).unwrap());
    Identity { kind: Kind::Namespaced, namespace: Some(namespace), name }
}

fn place(name: &str) -> Place {
    Place {
        namespace: Some("shop".to_owned()),
        kind: Some("Deployment".to_owned()),
        name: name.to_owned(),
        ..Place::default()
    }
}

/// What the agent of the tests sees; later the database is gone.
fn seen(is_later: bool) -> Seen {
    let web = SeenTarget {
        place: place("web"),
        measured_us: Some(12_500.0),
        predicted_us: Some(231_000.0),
        chance: Some(0.75),
        sockets: Some(Coverage { established: 200, seen: 194, smoothed: 4 }),
        bytes: Some((1000.0, 500.0)),
        queue_bytes: Some(9000.0),
    };
    let database = SeenTarget {
        place: Place { kind: Some("StatefulSet".to_owned()), ..place("db") },
        measured_us: Some(700.0),
        ..SeenTarget::default()
    };
    let mut lead_seconds = [0; LEAD_BUCKETS];
    lead_seconds[6] = 3;
    Seen {
        targets: if is_later { vec![web] } else { vec![web, database] },
        rules: vec![SeenRule {
            policy: checkout(),
            rule: "rtt".to_owned(),
            threshold: 0.2,
            confidence: 0.5,
            needed: 0.625,
            reachable: 0.875,
            skill: [Some(0.25), None, None],
            makeup: None,
            scorecard: Scorecard { alerts: 9, confirmed: 7, missed: 1, lead_seconds, ..Scorecard::default() },
            model: "rtt-xgboost".to_owned(),
            is_model_ready: true,
        }],
        alerts: vec![SeenAlert {
            place: place("web"),
            policy: checkout(),
            rule: "rtt".to_owned(),
            severity: Severity::Warning,
        }],
        sensors: vec![("tcp", "Active"), ("sched", "Unavailable")],
        sinks: vec![Health { name: "kubernetes", pending: 4, dropped: 1, ..Health::default() }],
        plain: vec![("netprecursor.ticks", 60.0), ("netprecursor.tick.duration", 0.002)],
        ..Seen::default()
    }
}

fn fired() -> Transition {
    let pod = PodRef {
        namespace: "shop".to_owned(),
        name: "web-7d9f-x2".to_owned(),
        uid: "pod-uid".to_owned(),
        workload: Some(Workload { kind: "Deployment".to_owned(), name: "web".to_owned() }),
        controller: None,
    };
    Transition::Fired(Alert {
        name: "checkout-3f9a1c20be".to_owned(),
        policy: checkout(),
        target: "shop/web-7d9f-x2".to_owned(),
        target_uid: "pod-uid".to_owned(),
        predicted_us: Some(231_000.0),
        chance: Some(0.75),
        subject: Some(Arc::new(Subject { policy: sinks::reference("policy-uid"), pod: Arc::new(pod) })),
        part_of: None,
        affected: None,
        ..sinks::alert(0)
    })
}

/// Started by the tests below, because the environment is a whole process's. On standard input: `later`: the database is
/// gone; `again`: another alert. Its end: the agent ends. On standard output: the status of each sink when it changes.
#[test]
#[ignore = "runs as the agent of other tests"]
fn agent() {
    if std::env::var_os("NETPRECURSOR_TEST_OTLP").is_none() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let is_later = Arc::new(AtomicBool::new(false));
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    runtime.block_on(async {
        let (telemetry, mut sink) = otlp::from_environment("node1", Some("c1")).unwrap();
        sink.publish(&fired());
        let turn = Arc::clone(&is_later);
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines() {
                if line.unwrap() == "later" {
                    turn.store(true, Ordering::Release);
                } else {
                    sink.publish(&fired());
                }
            }
            drop(end);
        });
        let boards = telemetry.boards();
        let look = || seen(is_later.load(Ordering::Acquire));
        let ended = async { drop(ended.await) }.shared();
        let mut before = Vec::new();
        let mut exporting = std::pin::pin!(telemetry.run(look, ended));
        loop {
            let is_over = tokio::select! {
                () = &mut exporting => true,
                () = tokio::time::sleep(Duration::from_millis(10)) => false,
            };
            let now: Vec<Health> = boards.iter().map(|board| board.read()).collect();
            if now != before {
                now.iter().for_each(|health| println!("health {}", serde_json::to_string(health).unwrap()));
                before = now;
            }
            if is_over {
                return;
            }
        }
    });
}

/// An agent that runs, and what it printed.
struct Agent {
    child: Child,
    printed: Arc<Mutex<Vec<String>>>,
    readers: Vec<std::thread::JoinHandle<()>>,
}

impl Agent {
    fn start(variables: &[(&str, String)]) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "agent", "--ignored", "--nocapture"])
            .env_clear()
            .env("NETPRECURSOR_TEST_OTLP", "1")
            .env("OTEL_METRIC_EXPORT_INTERVAL", "100")
            .env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=te%73t,k8s.cluster.name=from-outside")
            .envs(variables.iter().map(|(key, value)| (*key, value.as_str())))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let printed = Arc::new(Mutex::new(Vec::new()));
        let pipes: [Box<dyn std::io::Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        let readers = pipes.map(|pipe| {
            let printed = Arc::clone(&printed);
            std::thread::spawn(move || {
                for line in BufReader::new(pipe).lines() {
                    printed.lock().unwrap_or_else(PoisonError::into_inner).push(line.unwrap());
                }
            })
        });
        Self { child, printed, readers: readers.into() }
    }

    fn send(&mut self, word: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{word}").unwrap();
    }

    fn printed(&self) -> Vec<String> {
        self.printed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The latest status of a sink.
    fn health(&self, sink: &str) -> Option<serde_json::Value> {
        // The harness prints the test's name before the first of them.
        let read = |line: &String| serde_json::from_str(line.split_once("health ")?.1).ok();
        self.printed().iter().filter_map(read).rfind(|health: &serde_json::Value| health["name"] == sink)
    }

    /// Why a sink's last attempt failed; waits until one did.
    async fn failure(&self, sink: &str) -> String {
        let error = || self.health(sink)?["error"].as_str().map(str::to_owned);
        until("a failure", || error().is_some()).await;
        error().unwrap()
    }

    /// Ends the agent, while the collector keeps running; the last status of its records.
    async fn end(mut self) -> serde_json::Value {
        drop(self.child.stdin.take());
        let mut child = self.child;
        let status = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
        self.readers.into_iter().for_each(|reader| reader.join().unwrap());
        let printed = self.printed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        assert!(status.success(), "{printed:?}");
        let read = |line: &String| serde_json::from_str(line.split_once("health ")?.1).ok();
        printed.iter().filter_map(read).rfind(|health: &serde_json::Value| health["name"] == "otlp-logs").unwrap()
    }
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(30), "not within half a minute: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn the_collector_sees_what_the_agent_sees(received: Received, variables: Vec<(&str, String)>) {
    let mut agent = Agent::start(&variables);
    let web = [("k8s.namespace.name", "shop"), ("k8s.deployment.name", "web")];
    let rule = [
        ("netprecursor.policy.name", "checkout"),
        ("netprecursor.rule.name", "rtt"),
        ("netprecursor.policy.namespace", "shop"),
        ("netprecursor.policy.kind", "PrecursorPolicy"),
    ];
    until("metrics and a log record", || {
        received.points("netprecursor.rtt.max").is_some() && !received.records().is_empty()
    })
    .await;
    let value = |name: &str, attributes: &[(&str, &str)]| received.value(name, attributes);
    let close = |got: Option<f64>, expected: f64| got.is_some_and(|got| (got - expected).abs() < 1e-6);
    assert!(close(value("netprecursor.rtt.max", &web), 0.0125), "{:?}", value("netprecursor.rtt.max", &web));
    assert!(close(value("netprecursor.rtt.forecast", &web), 0.231));
    assert_eq!(value("netprecursor.rtt.breach.chance", &web), Some(0.75));
    assert!(close(value("netprecursor.socket.coverage", &web), 0.97));
    assert!(close(value("netprecursor.socket.smoothed", &web), 0.02));
    assert_eq!(value("netprecursor.queue.standing", &web), Some(9000.0));
    let received_bytes = [web[0], web[1], ("network.io.direction", "receive")];
    assert_eq!(value("netprecursor.network.throughput", &received_bytes), Some(1000.0));
    assert_eq!(value("netprecursor.alerts.firing", &[web[1], rule[0], rule[1], rule[2], rule[3]]), Some(1.0));
    assert_eq!(value("netprecursor.rule.alerts", &rule), Some(9.0));
    assert_eq!(value("netprecursor.rule.alerts.confirmed", &rule), Some(7.0));
    assert_eq!(value("netprecursor.rule.incidents.missed", &rule), Some(1.0));
    assert_eq!(value("netprecursor.rule.lead", &rule), Some(6.0));
    assert_eq!(value("netprecursor.rule.chance.needed", &rule), Some(0.625));
    assert_eq!(value("netprecursor.rule.chance.reachable", &rule), Some(0.875));
    let sensor = [("netprecursor.sensor.name", "sched"), ("netprecursor.sensor.state", "Unavailable")];
    assert_eq!(value("netprecursor.sensor.state", &sensor), Some(1.0));
    assert_eq!(value("netprecursor.sink.pending", &[("netprecursor.sink.name", "kubernetes")]), Some(4.0));
    assert_eq!(value("netprecursor.series.omitted", &[]), Some(0.0));
    for (name, unit, is_counter) in [
        ("netprecursor.rtt.max", "s", false),
        ("netprecursor.rtt.breach.chance", "1", false),
        ("netprecursor.queue.standing", "By", false),
        ("netprecursor.network.throughput", "By/s", false),
        ("netprecursor.rule.alerts", "{alert}", true),
        ("netprecursor.ticks", "{tick}", true),
    ] {
        let (got, counts, _) = received.points(name).unwrap();
        assert_eq!((got.as_str(), counts), (unit, is_counter), "{name}");
    }
    // The environment has the last word.
    assert_eq!(received.resource("service.name").as_deref(), Some("shop-agents"));
    assert_eq!(received.resource("k8s.cluster.name").as_deref(), Some("from-outside"));
    assert_eq!(received.resource("deployment.environment.name").as_deref(), Some("test"));
    assert!(received.inner().tokens.iter().all(|token| token == "secret"), "{:?}", received.inner().tokens);

    let record = received.records().remove(0);
    let of = |key: &str| text(&record.attributes, key);
    assert_eq!((record.event_name.as_str(), record.severity_text.as_str()), ("netprecursor.alert", "WARN"));
    assert_eq!(of("netprecursor.alert.transition").as_deref(), Some("fired"));
    assert_eq!(of("netprecursor.policy.kind").as_deref(), Some("PrecursorPolicy"));
    assert_eq!(of("netprecursor.policy.namespace").as_deref(), Some("shop"));
    assert_eq!(of("k8s.pod.uid").as_deref(), Some("pod-uid"));
    assert_eq!(of("k8s.deployment.name").as_deref(), Some("web"));
    assert_eq!(of("netprecursor.alert.threshold").as_deref(), Some("0.2"));
    assert_eq!(of("netprecursor.alert.chance").as_deref(), Some("0.75"));
    assert!(of("netprecursor.alert.causes").is_some_and(|causes| causes.contains("queue (61 %")), "{record:?}");

    let database = [("k8s.statefulset.name", "db")];
    assert!(value("netprecursor.rtt.max", &database).is_some());
    agent.send("later");
    until("the series of what is gone end", || received.value("netprecursor.rtt.max", &database).is_none()).await;
    assert!(received.value("netprecursor.rtt.max", &web).is_some());
    assert_eq!(agent.end().await["sent"], 1);
}

fn variables(address: SocketAddr, protocol: &str) -> Vec<(&'static str, String)> {
    vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}")),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.to_owned()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-token=sec%72et".to_owned()),
        ("OTEL_SERVICE_NAME", "shop-agents".to_owned()),
    ]
}

#[tokio::test]
async fn a_collector_that_speaks_grpc_sees_what_the_agent_sees() {
    let received = Received::default();
    let address = serve("grpc", received.clone(), Port::Plain).await;
    the_collector_sees_what_the_agent_sees(received, variables(address, "grpc")).await;
}

#[tokio::test]
async fn a_collector_that_speaks_http_sees_what_the_agent_sees() {
    let received = Received::default();
    let address = serve("http/protobuf", received.clone(), Port::Plain).await;
    the_collector_sees_what_the_agent_sees(received, variables(address, "http/protobuf")).await;
}

#[tokio::test]
async fn a_collector_that_refuses_for_a_while_gets_the_records_later() {
    for protocol in ["grpc", "http/protobuf"] {
        let received = Received::default();
        received.inner().refusing = 4;
        let address = serve(protocol, received.clone(), Port::Plain).await;
        let agent = Agent::start(&variables(address, protocol));
        until("the log record", || received.records().len() == 1).await;
        until("metrics", || !received.inner().metrics.is_empty()).await;
        let health = agent.end().await;
        assert!(health["dropped"] == 0 && health["error"].is_null(), "{health}");
    }
}

#[tokio::test]
async fn the_last_words_reach_the_collector() {
    let received = Received::default();
    let address = serve("http/protobuf", received.clone(), Port::Plain).await;
    let mut variables = variables(address, "http/protobuf");
    variables.push(("OTEL_METRIC_EXPORT_INTERVAL", "3600000".to_owned()));
    let agent = Agent::start(&variables);
    until("the log record", || !received.records().is_empty()).await;
    let before = received.inner().metrics.len();
    agent.end().await;
    assert_eq!(received.inner().metrics.len(), before + 1);
}
