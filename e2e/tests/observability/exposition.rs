//! What a small installation exposes: one agent with two pods and one rule, one operator. The text is the programs' own.

use std::{
    array,
    io::{self, BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::Instant,
};

use netprecursor_agent::{
    health::Health,
    metrics::seen::{By, Makeup, Place, Seen, SeenAlert, SeenRule, SeenTarget},
    sensors::sockets::Coverage,
    serve::metrics::{CONTENT_TYPE, encode},
    targets::{identifier::Report, ownership::Tally},
};
use netprecursor_core::{
    adapt::{Merit, Standing},
    calibrate::Bin,
    forecast::Naive,
    policy::{Identity, Kind, Name, Severity},
    score::{LEAD_BUCKETS, Scorecard},
};
use netprecursor_metrics::agent::FAMILIES;
use netprecursor_operator::metrics::{Kind as Written, Metrics, Outcome, Tally as Known};
use netprecursor_sinks::health::Board;

/// Answers scrapes for as long as the process lives; everything counted grows by the second.
pub(crate) fn serve() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let (address, begun) = (listener.local_addr().unwrap(), Instant::now());
    thread::spawn(move || {
        for stream in listener.incoming() {
            // Who asks may go away before the answer.
            let _ = stream.and_then(|stream| answer(stream, begun.elapsed().as_secs()));
        }
    });
    address
}

fn answer(mut stream: TcpStream, second: u64) -> io::Result<()> {
    let mut head = Vec::new();
    for line in BufReader::new(&stream).lines() {
        match line? {
            end if end.is_empty() => break,
            line => head.push(line),
        }
    }
    let is_operator = head.first().is_some_and(|line| line.starts_with("GET /operator "));
    let text = if is_operator { operator(second) } else { agent(second) };
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: {CONTENT_TYPE}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    )
}

/// The agent's, after so many seconds.
fn agent(second: u64) -> String {
    encode(&seen(second))
}

/// What it sees then.
pub(crate) fn seen(second: u64) -> Seen {
    Seen {
        targets: vec![target("web-1", 0.75), target("web-2", 0.25)],
        rules: vec![rule(second)],
        alerts: vec![SeenAlert {
            place: place("web-1"),
            policy: policy(),
            rule: "rtt".to_owned(),
            severity: Severity::Critical,
        }],
        sensors: vec![("tcp", "Active"), ("sched", "Degraded")],
        sinks: ["kubernetes", "otlp"].map(|name| sink(name, second)).into(),
        plain: plain(second),
        kernel: ["smoothed_sample", "line_taken", "task_lost", "packet_unknown"].map(|event| (event, second)).into(),
        identities: Some(Report {
            tally: Tally { bound: 12, open: 1, doubts: second, ..Tally::default() },
            installed: (12, 3),
            ..Report::default()
        }),
        scrapes: vec![("allowed", second), ("refused", 1)],
        by: By::Target,
    }
}

/// The operator's.
fn operator(second: u64) -> String {
    let metrics = Metrics::default();
    metrics.leads(true);
    let kinds = ["policy", "alert", "report", "node", "pod", "model"];
    let objects = kinds.map(|kind| (kind, 3));
    for _ in 0..=second {
        metrics.round(0.05, &Known { is_synced: true, objects, over_cap: 2 });
        metrics.written(Written::Status, Outcome::Done);
        metrics.looked(None);
        metrics.watch_failed("policy");
        metrics.scaling_requested("allowed");
    }
    metrics.requested(&[("allowed", second)]);
    let receiver = Board::new("alertmanager", "http://alertmanager:9093".to_owned());
    receiver.worked(second);
    metrics.receivers(&[receiver]);
    metrics.text().unwrap()
}

fn place(pod: &str) -> Place {
    Place {
        target: Some(format!("shop/{pod}")),
        pod: Some(pod.to_owned()),
        namespace: Some("shop".to_owned()),
        kind: Some("Deployment".to_owned()),
        name: "web".to_owned(),
    }
}

fn policy() -> Identity {
    let [namespace, name] = ["shop", "checkout"].map(|name| Name::label(name).unwrap());
    Identity { kind: Kind::Namespaced, namespace: Some(namespace), name }
}

fn target(pod: &str, chance: f32) -> SeenTarget {
    SeenTarget {
        place: place(pod),
        measured_us: Some(12_500.0),
        predicted_us: Some(231_000.0),
        chance: Some(chance),
        sockets: Some(Coverage { established: 200, seen: 150, smoothed: 4 }),
        bytes: Some((1000.0, 500.0)),
        queue_bytes: Some(9000.0),
    }
}

fn rule(second: u64) -> SeenRule {
    let mut lead_seconds = [0; LEAD_BUCKETS];
    lead_seconds[6] = 3;
    let merit = Merit { seconds: 600.0, loss: 0.1, best: Naive::Last, best_loss: 0.2 };
    let standing = |name| Standing { name, weights: [0.5; 3], merits: [Some(merit); 3], corrected: [None; 3] };
    let bin = |at: usize| Bin { forecasts: 10 * second + 10, came_true: at as u64 * second, sum: 0.0 };
    SeenRule {
        policy: policy(),
        rule: "rtt".to_owned(),
        threshold: 0.2,
        confidence: 0.5,
        needed: 0.625,
        reachable: 0.875,
        skill: [Some(0.25), Some(0.5), Some(0.125)],
        makeup: Some(Box::new(Makeup {
            experts: ["last", "regression"].map(standing).into(),
            sources: vec![("here", 0.75), ("lab", 0.25)],
            bins: array::from_fn(bin),
        })),
        scorecard: Scorecard {
            alerts: 5 * second,
            confirmed: 3 * second,
            unconfirmed: second,
            late: second,
            incidents: 5 * second,
            warned: 3 * second,
            missed: second,
            lead_seconds,
            target_seconds: 2 * second,
            ..Scorecard::default()
        },
        model: "adaptive".to_owned(),
        is_model_ready: true,
    }
}

fn sink(name: &'static str, second: u64) -> Health {
    Health { name, pending: 4, sent: 2 * second, dropped: second, failures: 1, ..Health::default() }
}

/// Every family of a single series that comes from nothing above.
fn plain(second: u64) -> Vec<(&'static str, f64)> {
    let elsewhere = ["netprecursor.targets", "netprecursor.identity.conflicts", "netprecursor.series.omitted"];
    let plain = FAMILIES.iter().filter(|family| family.labels.is_empty() && !elsewhere.contains(&family.name));
    plain.map(|family| (family.name, if family.is_counter() { second as f64 } else { 0.5 })).collect()
}

#[test]
fn every_family_of_the_tables_is_exposed() {
    let text = agent(2) + &operator(2);
    let families = FAMILIES.into_iter().chain(netprecursor_metrics::operator::FAMILIES);
    let series = families.flat_map(|family| family.series());
    let missing: Vec<String> = series.filter(|series| !text.lines().any(|line| is_of(line, series))).collect();
    assert_eq!(missing, Vec::<String>::new(), "{text}");
}

/// Whether a line is a sample of a series.
fn is_of(line: &str, series: &str) -> bool {
    line.strip_prefix(series).is_some_and(|rest| rest.starts_with(['{', ' ']))
}
