//! What the environment asks for, as far as a collector and the status of the sinks show it: TLS, compression, values
//! that are not understood, and why an export failed.

use std::{net::SocketAddr, time::Duration};

use crate::{
    Agent,
    collector::{Certificates, Port, Received, serve},
    until,
};

const PROTOCOLS: [&str; 2] = ["grpc", "http/protobuf"];

type Variables = Vec<(&'static str, String)>;

fn variables(protocol: &str, endpoint: String) -> Variables {
    vec![("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.to_owned()), ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)]
}

/// With the certificate under which the server is called `localhost`.
fn secured(protocol: &str, address: SocketAddr, certificates: &Certificates) -> Variables {
    let mut variables = variables(protocol, format!("https://localhost:{}", address.port()));
    variables.push(("OTEL_EXPORTER_OTLP_CERTIFICATE", certificates.named("ca.crt")));
    variables
}

async fn arrives(received: &Received, variables: &[(&'static str, String)]) -> Agent {
    let agent = Agent::start(variables);
    until(&format!("metrics and a record under {variables:?}"), || {
        assert!(agent.health("otlp-logs").is_none_or(|health| health["error"].is_null()), "{:?}", agent.printed());
        !received.inner().metrics.is_empty() && !received.records().is_empty()
    })
    .await;
    agent
}

#[tokio::test]
async fn an_endpoint_in_capitals_or_grpc_without_a_scheme_keeps_its_authority() {
    let certificates = Certificates::new();
    for (protocol, prefix) in [("grpc", ""), ("grpc", "HTTPS://"), ("GRPC", "https://"), ("http/protobuf", "HTTPS://")]
    {
        let received = Received::default();
        let address = serve(&protocol.to_lowercase(), received.clone(), Port::Secured(&certificates)).await;
        let mut variables = secured(protocol, address, &certificates);
        variables[1].1 = format!("{prefix}localhost:{}", address.port());
        arrives(&received, &variables).await.end().await;
    }
}

#[tokio::test]
async fn grpc_without_a_scheme_is_plain_text_when_it_is_set_so() {
    let received = Received::default();
    let address = serve("grpc", received.clone(), Port::Plain).await;
    let mut variables = variables("grpc", address.to_string());
    variables.push(("OTEL_EXPORTER_OTLP_INSECURE", "TRUE".to_owned()));
    arrives(&received, &variables).await.end().await;
}

#[tokio::test]
async fn a_client_shows_its_certificate_and_without_one_the_status_says_what_is_wanted() {
    let certificates = Certificates::new();
    for protocol in PROTOCOLS {
        let received = Received::default();
        let address = serve(protocol, received.clone(), Port::Mutual(&certificates)).await;
        let mut variables = secured(protocol, address, &certificates);
        let without = Agent::start(&variables);
        let reason = without.failure("otlp-logs").await;
        assert!(reason.contains("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"), "{protocol}: {reason}");
        drop(without.end().await);
        assert!(received.records().is_empty());
        variables.push(("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", certificates.named("client.crt")));
        variables.push(("OTEL_EXPORTER_OTLP_CLIENT_KEY", certificates.named("client.key")));
        arrives(&received, &variables).await.end().await;
    }
}

#[tokio::test]
async fn messages_are_compressed_when_that_is_asked_for() {
    for protocol in PROTOCOLS {
        let received = Received::default();
        let address = serve(protocol, received.clone(), Port::Plain).await;
        let mut variables = variables(protocol, format!("http://{address}"));
        variables.push(("OTEL_EXPORTER_OTLP_COMPRESSION", "GZIP".to_owned()));
        arrives(&received, &variables).await.end().await;
        let encodings = received.inner().encodings.clone();
        assert!(encodings.iter().all(|encoding| encoding == "gzip"), "{protocol}: {encodings:?}");
    }
}

#[tokio::test]
async fn values_that_are_not_understood_end_nothing_and_are_in_the_status() {
    let received = Received::default();
    let address = serve("http/protobuf", received.clone(), Port::Plain).await;
    let mut variables = variables("http/json", format!("http://{address}"));
    let malformed = [
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "brotli"),
        ("OTEL_EXPORTER_OTLP_INSECURE", "1"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "weekly"),
        ("OTEL_LOGS_EXPORTER", "console"),
    ];
    variables.extend(malformed.map(|(name, value)| (name, value.to_owned())));
    let agent = arrives(&received, &variables).await;
    let notices = agent.health("otlp-metrics").unwrap()["notices"].to_string();
    for (name, value) in malformed.into_iter().chain([("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")]) {
        assert!(notices.contains(&format!("got {name}={value}, expected ")), "{name} in {notices}");
    }
    agent.end().await;
}

#[tokio::test]
async fn none_in_any_case_switches_one_signal_off() {
    let received = Received::default();
    let address = serve("grpc", received.clone(), Port::Plain).await;
    let mut variables = variables("grpc", format!("http://{address}"));
    variables.push(("OTEL_METRICS_EXPORTER", "None".to_owned()));
    let agent = Agent::start(&variables);
    until("the record", || !received.records().is_empty()).await;
    assert!(agent.health("otlp-metrics").is_none());
    agent.end().await;
    assert!(received.inner().metrics.is_empty());
}

#[tokio::test]
async fn a_signal_without_its_certificate_is_off_with_the_reason_and_the_other_one_is_not() {
    let received = Received::default();
    let address = serve("grpc", received.clone(), Port::Plain).await;
    let mut variables = variables("grpc", format!("http://{address}"));
    variables.push(("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", format!("https://{address}")));
    variables.push(("OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE", "/nowhere/ca.pem".to_owned()));
    let mut agent = Agent::start(&variables);
    let reason = agent.failure("otlp-logs").await;
    assert!(reason.starts_with("off: cannot read /nowhere/ca.pem, expected the PEM file that"), "{reason}");
    until("metrics", || !received.inner().metrics.is_empty()).await;
    agent.send("again");
    until("both records to be counted", || agent.health("otlp-logs").unwrap()["dropped"] == 2).await;
    agent.end().await;
}

#[tokio::test]
async fn both_signals_off_leave_the_agent_running_with_their_reasons() {
    let agent = Agent::start(&variables("http/protobuf", "collector:4318".to_owned()));
    for sink in ["otlp-metrics", "otlp-logs"] {
        let reason = agent.failure(sink).await;
        assert!(reason.contains("got OTEL_EXPORTER_OTLP_ENDPOINT=collector:4318, expected a URL"), "{reason}");
    }
    assert_eq!(agent.end().await["sent"], 0);
}

#[tokio::test]
async fn a_failure_says_its_reason_and_what_to_do() {
    let certificates = Certificates::new();
    let stranger = Certificates::new();
    for protocol in PROTOCOLS {
        let other = if protocol == "grpc" { "http/protobuf" } else { "grpc" };
        let plain = serve(protocol, Received::default(), Port::Plain).await;
        let tls = serve(protocol, Received::default(), Port::Secured(&certificates)).await;
        let wrong = serve(other, Received::default(), Port::Plain).await;
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let forbidding = Received::default();
        forbidding.inner().is_forbidding = true;
        let forbidding = serve(protocol, forbidding, Port::Plain).await;
        let https = |address: SocketAddr, name: &str| format!("https://{name}:{}", address.port());
        let advised = format!("OTEL_EXPORTER_OTLP_PROTOCOL={other}");
        let status = if protocol == "grpc" { "Unauthenticated: no token" } else { "401 Unauthorized: no token" };
        for (endpoint, expected) in [
            (format!("http://{closed}"), "refused"),
            ("http://collector.invalid:1".to_owned(), "dns error"),
            (https(tls, "localhost"), "issuer is unknown"),
            (https(plain, "localhost"), "does not speak TLS"),
            (format!("http://{wrong}"), advised.as_str()),
            (format!("http://{forbidding}"), status),
        ] {
            let mut variables = variables(protocol, endpoint.clone());
            variables.push(("OTEL_EXPORTER_OTLP_CERTIFICATE", stranger.named("ca.crt")));
            let agent = Agent::start(&variables);
            let reason = agent.failure("otlp-metrics").await;
            assert!(reason.contains(expected), "{protocol} {endpoint}: {reason}, expected {expected}");
            agent.end().await;
        }
        let mut variables = secured(protocol, tls, &certificates);
        variables[1].1 = https(tls, "127.0.0.1");
        let agent = Agent::start(&variables);
        let reason = agent.failure("otlp-metrics").await;
        assert!(reason.contains("127.0.0.1") && reason.contains("localhost"), "{reason}");
        agent.end().await;
    }
}

#[tokio::test]
async fn a_collector_that_does_not_answer_is_given_up_after_the_timeout() {
    for protocol in PROTOCOLS {
        // Accepts by its backlog, and never answers.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut variables = variables(protocol, format!("http://{}", silent.local_addr().unwrap()));
        variables.push(("OTEL_EXPORTER_OTLP_TIMEOUT", "120".to_owned()));
        let agent = Agent::start(&variables);
        assert_eq!(agent.failure("otlp-metrics").await, "no answer within 120 ms");
        agent.end().await;
    }
}

#[tokio::test]
async fn records_that_a_collector_rejects_are_counted_with_its_reason() {
    for protocol in PROTOCOLS {
        let received = Received::default();
        received.inner().rejecting = 1;
        let address = serve(protocol, received.clone(), Port::Plain).await;
        let agent = Agent::start(&variables(protocol, format!("http://{address}")));
        let reason = agent.failure("otlp-logs").await;
        assert!(reason.contains("rejected 1 items") && reason.contains("too old"), "{reason}");
        let health = agent.end().await;
        assert_eq!((&health["sent"], &health["dropped"], &health["failures"]), (&0.into(), &1.into(), &0.into()));
    }
}

#[tokio::test]
async fn records_that_will_never_be_taken_make_room_for_the_next() {
    for protocol in PROTOCOLS {
        let received = Received::default();
        received.inner().is_forbidding = true;
        let address = serve(protocol, received.clone(), Port::Plain).await;
        let mut agent = Agent::start(&variables(protocol, format!("http://{address}")));
        until("the record to be given up", || {
            agent.health("otlp-logs").is_some_and(|health| health["dropped"] == 1 && health["pending"] == 0)
        })
        .await;
        received.inner().is_forbidding = false;
        agent.send("again");
        until("the next one", || received.records().len() == 1).await;
        until("it to be counted", || agent.health("otlp-logs").is_some_and(|health| health["sent"] == 1)).await;
        assert!(agent.end().await["error"].is_null());
    }
}

#[tokio::test]
async fn a_server_that_asks_to_wait_is_not_asked_again_before() {
    // The first attempt finds it busy; the agent's own wait would be a second at most.
    let received = Received::default();
    received.inner().refusing = 1;
    let address = serve("http/protobuf", received.clone(), Port::Plain).await;
    let mut variables = variables("http/protobuf", format!("http://{address}"));
    variables.push(("OTEL_METRICS_EXPORTER", "none".to_owned()));
    let begun = std::time::Instant::now();
    let agent = Agent::start(&variables);
    until("the record", || !received.records().is_empty()).await;
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
    agent.end().await;
}
