//! Telemetry in a real OpenTelemetry Collector, which runs with the configuration of docs/telemetry.md: what the agent's own
//! exporter sends, as the Collector writes it down.

mod agent;
mod certificates;
mod server;
mod written;

use std::time::{Duration, SystemTime};

use agent::Agent;
use certificates::Certificates;
use serde_json::{Value, json};
use server::Collector;
use written::{attribute, attributes, resource, time};

/// An agent that publishes to `endpoint`.
fn start(endpoint: String, protocol: &str) -> Agent {
    Agent::start(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.to_owned()),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip".to_owned()),
    ])
}

/// Waits until so many records were written.
fn records(collector: &Collector, count: usize) -> Vec<Value> {
    let records = collector.wait_for(&format!("{count} records"), || {
        let records = collector.records();
        (records.len() >= count).then_some(records)
    });
    assert_eq!(records.len(), count, "{records:#?}");
    records
}

/// What a record says of an alert on a pod: attributes and their values.
fn about(transition: &str, state: &str, confirmed: &str) -> Vec<(&'static str, Value)> {
    vec![
        ("k8s.namespace.name", json!("shop")),
        ("k8s.deployment.name", json!("checkout")),
        ("k8s.pod.name", json!("checkout-1")),
        ("k8s.pod.uid", json!("pod-1")),
        ("netprecursor.policy.kind", json!("PrecursorPolicy")),
        ("netprecursor.policy.namespace", json!("shop")),
        ("netprecursor.policy.name", json!("checkout")),
        ("netprecursor.rule.name", json!("rtt")),
        ("netprecursor.model.name", json!("rtt-xgboost")),
        ("netprecursor.alert.name", json!("checkout-0000000001")),
        ("netprecursor.alert.transition", json!(transition)),
        ("netprecursor.alert.state", json!(state)),
        ("netprecursor.alert.severity", json!("Warning")),
        ("netprecursor.alert.confirmed", json!(confirmed)),
        // Whole numbers are texts in OTLP's JSON.
        ("netprecursor.alert.count", json!("1")),
        ("netprecursor.alert.threshold", json!(0.2)),
    ]
}

#[track_caller]
fn expect(record: &Value, expected: &[(&str, Value)]) {
    for (name, value) in expected {
        assert_eq!(attribute(record, name).as_ref(), Some(value), "{name} of {record:#}");
    }
}

fn an_alert_arrives_as_it_fires_and_as_it_resolves(protocol: &str) {
    let collector = Collector::start();
    let begun = SystemTime::now();
    let mut agent = start(collector.endpoint(protocol), protocol);
    agent.publish("fired");
    agent.publish("resolved");
    let records = records(&collector, 2);
    let [fired, resolved] = [&records[0], &records[1]];
    for (record, severity, number) in [(fired, "WARN", 13), (resolved, "INFO", 9)] {
        assert_eq!(record["eventName"], "netprecursor.alert", "{record:#}");
        assert_eq!(
            (record["severityText"].as_str(), record["severityNumber"].as_u64()),
            (Some(severity), Some(number))
        );
        let since = time(record).duration_since(begun).unwrap();
        assert!(since < Duration::from_secs(60), "{since:?} of {record:#}");
    }
    let body = |record: &Value| record["body"]["stringValue"].as_str().unwrap().to_owned();
    assert!(body(fired).starts_with("alert checkout-0000000001 fired: "), "{}", body(fired));
    assert!(body(resolved).starts_with("alert checkout-0000000001 resolved: "), "{}", body(resolved));
    expect(fired, &about("fired", "Firing", "Unknown"));
    expect(resolved, &about("resolved", "Resolved", "True"));
    assert_eq!(attribute(resolved, "netprecursor.alert.lead").and_then(|lead| lead.as_f64()), Some(6.0));
    assert!(
        attribute(fired, "netprecursor.alert.causes")
            .is_some_and(|causes| causes.as_str().unwrap().starts_with("queue (61 %"))
    );
    let health = agent.end();
    assert_eq!((&health["sent"], &health["dropped"]), (&json!(2), &json!(0)), "{health}");
}

#[test]
fn an_alert_arrives_over_grpc_as_it_fires_and_as_it_resolves() {
    an_alert_arrives_as_it_fires_and_as_it_resolves("grpc");
}

#[test]
fn an_alert_arrives_over_http_as_it_fires_and_as_it_resolves() {
    an_alert_arrives_as_it_fires_and_as_it_resolves("http/protobuf");
}

#[test]
fn a_sensor_that_works_in_part_arrives_with_its_reason() {
    let collector = Collector::start();
    let mut agent = start(collector.endpoint("grpc"), "grpc");
    agent.publish("degraded");
    // Said once, however often it is seen.
    agent.publish("degraded");
    agent.publish("fired");
    let records = records(&collector, 2);
    let sensor = &records[0];
    assert_eq!((&sensor["eventName"], &sensor["severityText"]), (&json!("netprecursor.sensor"), &json!("WARN")));
    assert_eq!(sensor["body"]["stringValue"], "sensor sched: Degraded: no tracefs");
    expect(
        sensor,
        &[
            ("netprecursor.sensor.name", json!("sched")),
            ("netprecursor.sensor.state", json!("Degraded")),
            ("netprecursor.sensor.reason", json!("no tracefs")),
            ("netprecursor.sensor.required", json!(false)),
        ],
    );
    expect(&records[1], &[("netprecursor.alert.transition", json!("fired"))]);
    agent.end();
}

#[test]
fn metrics_arrive_with_their_units_and_with_who_sends_them() {
    let collector = Collector::start();
    let agent = start(collector.endpoint("grpc"), "grpc");
    let metric = |name: &str| collector.wait_for(name, || collector.metric(name));
    let rtt = metric("netprecursor.rtt.max");
    assert_eq!(rtt["unit"], "s");
    let point = &rtt["gauge"]["dataPoints"][0];
    assert!((point["asDouble"].as_f64().unwrap() - 0.0125).abs() < 1e-6, "{point}");
    expect(point, &[("k8s.namespace.name", json!("shop")), ("k8s.deployment.name", json!("web"))]);
    let alerts = metric("netprecursor.rule.alerts");
    assert_eq!((&alerts["unit"], &alerts["sum"]["isMonotonic"]), (&json!("{alert}"), &json!(true)));
    expect(&alerts["sum"]["dataPoints"][0], &[("netprecursor.policy.name", json!("checkout"))]);
    let resources = collector.metrics().into_iter().chain(collector.logs());
    for resource in resources.flat_map(|line| resource(&line)) {
        let own: Vec<(String, Value)> = attributes(&resource);
        for (name, value) in [
            ("service.name", "netprecursor-agent"),
            ("service.instance.id", "node1"),
            ("k8s.node.name", "node1"),
            ("k8s.cluster.name", "east"),
        ] {
            assert!(own.contains(&(name.to_owned(), json!(value))), "{name} in {own:?}");
        }
    }
    agent.end();
}

#[test]
fn what_is_published_while_the_collector_is_down_arrives_when_it_is_back() {
    let mut collector = Collector::start();
    let mut agent = start(collector.endpoint("http/protobuf"), "http/protobuf");
    agent.publish("fired");
    records(&collector, 1);
    // A record whose answer did not come would come twice.
    collector.wait_for("the answer", || agent.health().filter(|health| health["sent"] == 1));
    collector.kill();
    agent.publish("resolved");
    let failing = collector.wait_for("a failure", || agent.health().filter(|health| health["failures"] != 0));
    assert_eq!((&failing["pending"], &failing["dropped"]), (&json!(1), &json!(0)), "{failing}");
    collector.restart();
    let after = records(&collector, 2);
    expect(&after[1], &about("resolved", "Resolved", "True"));
    let health = agent.end();
    assert_eq!((&health["sent"], &health["dropped"]), (&json!(2), &json!(0)), "{health}");
}

#[test]
fn a_collector_that_asks_for_certificates_takes_the_records_of_who_shows_one() {
    let certificates = Certificates::new();
    let collector = Collector::asking(&certificates);
    let variables = |own: bool| {
        let mut variables = vec![
            ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("https://localhost:{}", collector.http().port())),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", certificates.path("ca.crt")),
        ];
        if own {
            variables.push(("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", certificates.path("client.crt")));
            variables.push(("OTEL_EXPORTER_OTLP_CLIENT_KEY", certificates.path("client.key")));
        }
        variables
    };
    let mut stranger = Agent::start(&variables(false));
    stranger.publish("fired");
    // A connection that is reset before the server says why is tried again.
    let advised = |health: &Value| {
        health["error"].as_str().is_some_and(|why| why.contains("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"))
    };
    collector.wait_for("the advice", || stranger.health().filter(advised));
    let mut agent = Agent::start(&variables(true));
    agent.publish("resolved");
    let only = records(&collector, 1);
    expect(&only[0], &about("resolved", "Resolved", "True"));
    agent.end();
}
