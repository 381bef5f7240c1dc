//! Telemetry as a collector receives it, over gRPC and over HTTP: values, units, attributes, and what is gone.

#![expect(clippy::unwrap_used, reason = "tests say what they expect by unwrapping")]

use std::{
    io::{BufRead as _, Write as _},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use futures::FutureExt as _;
use netprecursor_agent::{
    cluster::seam::{PodRef, PolicyKind, PolicyRef, Subject, Workload},
    sinks::{
        otlp::{
            self,
            seen::{Place, Seen, SeenAlert, SeenRule, SeenTarget},
        },
        sink::{Health, Sink as _},
    },
    tick::{
        alerts::{Alert, AlertState, CauseView, Confirmed},
        forecaster::Speaker,
        outcome::Transition,
    },
};
use netprecursor_core::{
    decide::Trigger,
    policy::Severity,
    score::{LEAD_BUCKETS, Scorecard},
};
use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::{
            ExportLogsServiceRequest, ExportLogsServiceResponse,
            logs_service_server::{LogsService, LogsServiceServer},
        },
        metrics::v1::{
            ExportMetricsServiceRequest, ExportMetricsServiceResponse,
            metrics_service_server::{MetricsService, MetricsServiceServer},
        },
    },
    common::v1::{KeyValue, any_value::Value},
    logs::v1::LogRecord,
    metrics::v1::{Metric, NumberDataPoint, metric::Data, number_data_point},
};
use prost::Message as _;

/// What a collector was sent.
#[derive(Debug, Clone, Default)]
struct Received(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    metrics: Vec<ExportMetricsServiceRequest>,
    logs: Vec<ExportLogsServiceRequest>,
    tokens: Vec<String>,
    /// Refuses as many requests as that before it takes any.
    refusing: u32,
}

impl Received {
    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_refusing(&self) -> bool {
        let mut inner = self.inner();
        let refuses = inner.refusing > 0;
        inner.refusing = inner.refusing.saturating_sub(1);
        refuses
    }

    fn token(&self, token: Option<&str>) {
        self.inner().tokens.push(token.unwrap_or("none").to_owned());
    }

    /// The newest points of a metric, with its unit and whether it is a monotonic sum.
    fn points(&self, name: &str) -> Option<(String, bool, Vec<NumberDataPoint>)> {
        let inner = self.inner();
        let metric: &Metric = inner
            .metrics
            .last()?
            .resource_metrics
            .iter()
            .flat_map(|resource| &resource.scope_metrics)
            .flat_map(|scope| &scope.metrics)
            .find(|metric| metric.name == name)?;
        Some(match metric.data.clone()? {
            Data::Gauge(gauge) => (metric.unit.clone(), false, gauge.data_points),
            Data::Sum(sum) => (metric.unit.clone(), sum.is_monotonic, sum.data_points),
            other => panic!("{name} is {other:?}"),
        })
    }

    /// The newest value of the series with these attributes.
    fn value(&self, name: &str, attributes: &[(&str, &str)]) -> Option<f64> {
        let (_, _, points) = self.points(name)?;
        let is_it = |point: &&NumberDataPoint| {
            attributes.iter().all(|(key, value)| text(&point.attributes, key).as_deref() == Some(*value))
        };
        match points.iter().find(is_it)?.value? {
            number_data_point::Value::AsDouble(value) => Some(value),
            number_data_point::Value::AsInt(value) => Some(value as f64),
        }
    }

    fn records(&self) -> Vec<LogRecord> {
        let inner = self.inner();
        let resources = inner.logs.iter().flat_map(|request| &request.resource_logs);
        resources.flat_map(|resource| &resource.scope_logs).flat_map(|scope| scope.log_records.clone()).collect()
    }

    fn resource(&self, key: &str) -> Option<String> {
        text(&self.inner().metrics.last()?.resource_metrics.first()?.resource.as_ref()?.attributes, key)
    }
}

fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::DoubleValue(number) => Some(number.to_string()),
        Value::IntValue(number) => Some(number.to_string()),
        other => Some(format!("{other:?}")),
    }
}

#[tonic::async_trait]
impl MetricsService for Received {
    async fn export(
        &self,
        request: tonic::Request<ExportMetricsServiceRequest>,
    ) -> Result<tonic::Response<ExportMetricsServiceResponse>, tonic::Status> {
        self.token(request.metadata().get("x-token").and_then(|value| value.to_str().ok()));
        if self.is_refusing() {
            return Err(tonic::Status::unavailable("busy"));
        }
        self.inner().metrics.push(request.into_inner());
        Ok(tonic::Response::new(ExportMetricsServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Received {
    async fn export(
        &self,
        request: tonic::Request<ExportLogsServiceRequest>,
    ) -> Result<tonic::Response<ExportLogsServiceResponse>, tonic::Status> {
        if self.is_refusing() {
            return Err(tonic::Status::unavailable("busy"));
        }
        self.inner().logs.push(request.into_inner());
        Ok(tonic::Response::new(ExportLogsServiceResponse::default()))
    }
}

/// Serves gRPC; the address.
async fn grpc(received: Received) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tonic::transport::Server::builder()
        .add_service(MetricsServiceServer::new(received.clone()))
        .add_service(LogsServiceServer::new(received));
    tokio::spawn(server.serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener)));
    address
}

/// Serves HTTP with protobuf; the address.
async fn http(received: Received) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (metrics, logs) = (received.clone(), received);
    let take_metrics = move |headers: HeaderMap, body: Bytes| async move {
        assert_eq!(headers["content-type"], "application/x-protobuf");
        metrics.token(headers.get("x-token").and_then(|value| value.to_str().ok()));
        if metrics.is_refusing() {
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        metrics.inner().metrics.push(ExportMetricsServiceRequest::decode(body).unwrap());
        StatusCode::OK
    };
    let take_logs = move |body: Bytes| async move {
        if logs.is_refusing() {
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        logs.inner().logs.push(ExportLogsServiceRequest::decode(body).unwrap());
        StatusCode::OK
    };
    let router = Router::new().route("/v1/metrics", post(take_metrics)).route("/v1/logs", post(take_logs));
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn place(name: &str) -> Place {
    Place { namespace: Some("shop".to_owned()), kind: Some("Deployment".to_owned()), name: name.to_owned() }
}

/// What the agent of the tests sees; later the database is gone.
fn seen(is_later: bool) -> Seen {
    let web = SeenTarget {
        place: place("web"),
        measured_us: Some(12_500.0),
        predicted_us: Some(231_000.0),
        sockets: Some((200, 194)),
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
            namespace: Some("shop".to_owned()),
            policy: "checkout".to_owned(),
            rule: "rtt".to_owned(),
            scorecard: Scorecard { alerts: 9, confirmed: 7, missed: 1, lead_seconds, ..Scorecard::default() },
            model: "rtt-xgboost".to_owned(),
            is_model_ready: true,
        }],
        alerts: vec![SeenAlert { place: place("web"), policy: "checkout".to_owned(), rule: "rtt".to_owned() }],
        sensors: vec![("tcp", "Active"), ("sched", "Unavailable")],
        sinks: vec![Health { name: "kubernetes", pending: 4, dropped: 1, ..Health::default() }],
        ticks: 60,
        skipped: 0,
        tick_seconds: 0.002,
    }
}

fn fired() -> Transition {
    let policy = PolicyRef {
        kind: PolicyKind::Namespaced,
        namespace: Some("shop".to_owned()),
        name: "checkout".to_owned(),
        uid: "policy-uid".to_owned(),
    };
    let pod = PodRef {
        namespace: "shop".to_owned(),
        name: "web-7d9f-x2".to_owned(),
        uid: "pod-uid".to_owned(),
        workload: Some(Workload { kind: "Deployment".to_owned(), name: "web".to_owned() }),
    };
    Transition::Fired(Alert {
        name: "checkout-3f9a1c20be".to_owned(),
        policy: "checkout".to_owned(),
        rule: "rtt".to_owned(),
        target: "shop/web-7d9f-x2".to_owned(),
        target_uid: "pod-uid".to_owned(),
        severity: Severity::Warning,
        state: AlertState::Firing,
        trigger: Trigger::Forecast,
        threshold_us: 200_000,
        resolve_us: 160_000,
        predicted_us: Some(231_000.0),
        measured_us: None,
        lead_seconds: None,
        confirmed: Confirmed::Unknown,
        judged_unix: None,
        count: 1,
        fired_unix: 1_700_000_000,
        resolved_unix: None,
        resolution: None,
        causes: vec![CauseView {
            group: "Queue".to_owned(),
            feature: "standing_queue_max_10s",
            unit: "bytes",
            value: 182_000.0,
            baseline: 9_000.0,
            share_percent: 61,
        }],
        model: Speaker { name: "rtt-xgboost".to_owned(), sha256: None, stands_in: None },
        subject: Some(Arc::new(Subject { policy, pod: Arc::new(pod) })),
    })
}

/// Started by the tests below, because the environment is a whole process's. A line on standard input: the database is
/// gone. Its end: the agent ends.
#[test]
#[ignore = "runs as the agent of other tests"]
fn agent() {
    if std::env::var_os("NETPRECURSOR_TEST_OTLP").is_none() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let is_later = Arc::new(AtomicBool::new(false));
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let turn = Arc::clone(&is_later);
    std::thread::spawn(move || {
        for _ in std::io::stdin().lock().lines() {
            turn.store(true, Ordering::Release);
        }
        drop(end);
    });
    runtime.block_on(async {
        let (telemetry, mut sink) = otlp::from_environment("node1", Some("c1")).unwrap().unwrap();
        sink.tell(&fired());
        let look = || seen(is_later.load(Ordering::Acquire));
        telemetry.run(look, async { drop(ended.await) }.shared()).await;
        println!("health {:?}", sink.health());
    });
}

fn start(variables: &[(&str, String)]) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "agent", "--ignored", "--nocapture"])
        .env_clear()
        .env("NETPRECURSOR_TEST_OTLP", "1")
        .env("OTEL_METRIC_EXPORT_INTERVAL", "100")
        .env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test,k8s.cluster.name=from-outside")
        .envs(variables.iter().map(|(key, value)| (*key, value.as_str())))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(30), "not within half a minute: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Ends the agent, while the collector goes on; what it printed.
async fn end(mut agent: Child) -> String {
    drop(agent.stdin.take());
    let output = tokio::task::spawn_blocking(|| agent.wait_with_output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

async fn the_collector_sees_what_the_agent_sees(received: Received, variables: Vec<(&str, String)>) {
    let mut agent = start(&variables);
    let web = [("k8s.namespace.name", "shop"), ("k8s.deployment.name", "web")];
    let rule = [("netprecursor.policy.name", "checkout"), ("netprecursor.rule.name", "rtt")];
    until("metrics and a log record", || {
        received.points("netprecursor.rtt.max").is_some() && !received.records().is_empty()
    })
    .await;
    let value = |name: &str, attributes: &[(&str, &str)]| received.value(name, attributes);
    let close = |got: Option<f64>, expected: f64| got.is_some_and(|got| (got - expected).abs() < 1e-6);
    assert!(close(value("netprecursor.rtt.max", &web), 0.0125), "{:?}", value("netprecursor.rtt.max", &web));
    assert!(close(value("netprecursor.rtt.forecast", &web), 0.231));
    assert!(close(value("netprecursor.socket.coverage", &web), 0.97));
    assert_eq!(value("netprecursor.queue.standing", &web), Some(9000.0));
    let received_bytes = [web[0], web[1], ("network.io.direction", "receive")];
    assert_eq!(value("netprecursor.network.throughput", &received_bytes), Some(1000.0));
    assert_eq!(value("netprecursor.alerts.firing", &[web[1], rule[0], rule[1]]), Some(1.0));
    assert_eq!(value("netprecursor.rule.alerts", &rule), Some(9.0));
    assert_eq!(value("netprecursor.rule.alerts.confirmed", &rule), Some(7.0));
    assert_eq!(value("netprecursor.rule.incidents.missed", &rule), Some(1.0));
    assert_eq!(value("netprecursor.rule.lead", &rule), Some(6.0));
    let sensor = [("netprecursor.sensor.name", "sched"), ("netprecursor.sensor.state", "Unavailable")];
    assert_eq!(value("netprecursor.sensor.state", &sensor), Some(1.0));
    assert_eq!(value("netprecursor.sink.pending", &[("netprecursor.sink.name", "kubernetes")]), Some(4.0));
    assert_eq!(value("netprecursor.series.omitted", &[]), Some(0.0));
    for (name, unit, is_counter) in [
        ("netprecursor.rtt.max", "s", false),
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
    assert_eq!(of("k8s.pod.uid").as_deref(), Some("pod-uid"));
    assert_eq!(of("k8s.deployment.name").as_deref(), Some("web"));
    assert_eq!(of("netprecursor.alert.threshold").as_deref(), Some("0.2"));
    assert!(of("netprecursor.alert.causes").is_some_and(|causes| causes.contains("queue (61 %")), "{record:?}");

    let database = [("k8s.statefulset.name", "db")];
    assert!(value("netprecursor.rtt.max", &database).is_some());
    agent.stdin.as_mut().unwrap().write_all(b"later\n").unwrap();
    until("the series of what is gone end", || received.value("netprecursor.rtt.max", &database).is_none()).await;
    assert!(received.value("netprecursor.rtt.max", &web).is_some());
    let printed = end(agent).await;
    assert!(printed.contains("sent: 1"), "{printed}");
}

fn variables(address: SocketAddr, protocol: &str) -> Vec<(&'static str, String)> {
    vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}")),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.to_owned()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-token=secret".to_owned()),
        ("OTEL_SERVICE_NAME", "shop-agents".to_owned()),
    ]
}

#[tokio::test]
async fn a_collector_that_speaks_grpc_sees_what_the_agent_sees() {
    let received = Received::default();
    let address = grpc(received.clone()).await;
    the_collector_sees_what_the_agent_sees(received, variables(address, "grpc")).await;
}

#[tokio::test]
async fn a_collector_that_speaks_http_sees_what_the_agent_sees() {
    let received = Received::default();
    let address = http(received.clone()).await;
    the_collector_sees_what_the_agent_sees(received, variables(address, "http/protobuf")).await;
}

#[tokio::test]
async fn a_collector_that_refuses_for_a_while_gets_the_records_later() {
    for protocol in ["grpc", "http/protobuf"] {
        let received = Received::default();
        received.inner().refusing = 4;
        let address = if protocol == "grpc" { grpc(received.clone()).await } else { http(received.clone()).await };
        let agent = start(&variables(address, protocol));
        until("the log record", || received.records().len() == 1).await;
        until("metrics", || !received.inner().metrics.is_empty()).await;
        let printed = end(agent).await;
        assert!(printed.contains("dropped: 0") && printed.contains("error: None"), "{printed}");
    }
}

#[tokio::test]
async fn the_last_words_reach_the_collector() {
    let received = Received::default();
    let address = http(received.clone()).await;
    let mut variables = variables(address, "http/protobuf");
    variables.push(("OTEL_METRIC_EXPORT_INTERVAL", "3600000".to_owned()));
    let agent = start(&variables);
    until("the log record", || !received.records().is_empty()).await;
    let before = received.inner().metrics.len();
    end(agent).await;
    assert_eq!(received.inner().metrics.len(), before + 1);
}
