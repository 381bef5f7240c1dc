//! OpenTelemetry as a sink: metrics from time to time, transitions as log records at once, over gRPC or HTTP.
//!
//! pipeline → [`seen`] (one short look) → [`figures`] (series) → the SDK's instruments → exporter. Configured by the
//! specification's `OTEL_*` variables, on when an endpoint is named; works with and without a cluster.

mod exporters;
pub mod figures;
mod meter;
mod records;
pub mod seen;

use std::{
    future::Future,
    pin::pin,
    time::{Duration, SystemTime},
};

use fastrand::Rng;
use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    logs::LogExporter as _,
    metrics::{data::ResourceMetrics, exporter::PushMetricExporter},
};
use tokio::{sync::mpsc, time::Instant};

use self::{exporters::Signal, figures::Figures, meter::Meter, records::Records, seen::Seen};
use super::{
    backoff::Backoff,
    budget::jittered,
    sink::{Board, Health, Sink},
};
use crate::tick::outcome::Transition;

pub use exporters::OtlpError;

/// Transitions that wait between the tick thread and the exporter.
const CHANNEL: usize = 256;

/// What is told at the end has this long.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The tick thread's end.
#[derive(Debug)]
pub struct OtlpSink {
    sender: Option<mpsc::Sender<(Transition, SystemTime)>>,
    board: Board,
    dropped: u64,
}

impl Sink for OtlpSink {
    fn tell(&mut self, transition: &Transition) {
        if let Some(sender) = &self.sender {
            self.dropped += u64::from(sender.try_send((transition.clone(), SystemTime::now())).is_err());
        }
    }

    fn health(&self) -> Health {
        let health = self.board.read();
        Health { dropped: health.dropped + self.dropped, ..health }
    }
}

/// Telemetry that is configured and waits to be started.
#[derive(Debug)]
pub struct Telemetry {
    metrics: Option<Metrics>,
    logs: Option<Logs>,
}

#[derive(Debug)]
struct Metrics {
    exporter: opentelemetry_otlp::MetricExporter,
    meter: Meter,
    interval: Duration,
    board: Board,
}

#[derive(Debug)]
struct Logs {
    exporter: opentelemetry_otlp::LogExporter,
    transitions: mpsc::Receiver<(Transition, SystemTime)>,
    board: Board,
}

/// Telemetry as the environment wants it; `None` when it names no endpoint. To be called where Tokio runs. `node` and
/// `cluster` say where this agent is.
///
/// # Errors
/// A variable that is not understood, or certificates that cannot be read.
pub fn from_environment(node: &str, cluster: Option<&str>) -> Result<Option<(Telemetry, OtlpSink)>, OtlpError> {
    let resource = exporters::resource(node, cluster);
    let metrics = Signal::Metrics.is_wanted().then(|| Metrics::new(&resource)).transpose()?;
    let board = Board::new("otlp-logs", Signal::Logs.endpoint().unwrap_or_default());
    let (sender, transitions) = mpsc::channel(CHANNEL);
    let logs = Signal::Logs.is_wanted().then(|| Logs::new(&resource, transitions, board.clone())).transpose()?;
    if metrics.is_none() && logs.is_none() {
        return Ok(None);
    }
    let sender = logs.is_some().then_some(sender);
    Ok(Some((Telemetry { metrics, logs }, OtlpSink { sender, board, dropped: 0 })))
}

impl Telemetry {
    /// How its parts are doing.
    pub fn boards(&self) -> Vec<Board> {
        let metrics = self.metrics.iter().map(|metrics| metrics.board.clone());
        metrics.chain(self.logs.iter().map(|logs| logs.board.clone())).collect()
    }

    /// How often metrics are told.
    pub fn interval(&self) -> Option<Duration> {
        self.metrics.as_ref().map(|metrics| metrics.interval)
    }

    /// Tells what `look` sees, and the transitions, until `stop`; then once more.
    pub async fn run(self, look: impl Fn() -> Seen, stop: impl Future<Output = ()> + Clone) {
        let metrics = async {
            if let Some(metrics) = self.metrics {
                metrics.run(&look, stop.clone()).await;
            }
        };
        let logs = async {
            if let Some(logs) = self.logs {
                logs.run(stop.clone()).await;
            }
        };
        tokio::join!(metrics, logs);
    }
}

impl Metrics {
    fn new(resource: &Resource) -> Result<Self, OtlpError> {
        let exporter = exporters::metrics()?;
        let meter = Meter::new(resource.clone(), exporter.temporality());
        let board = Board::new("otlp-metrics", Signal::Metrics.endpoint().unwrap_or_default());
        Ok(Self { exporter, meter, interval: exporters::interval()?, board })
    }

    async fn run(self, look: &impl Fn() -> Seen, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut rng = Rng::new();
        // Nodes that start together do not tell together.
        let mut due = Instant::now() + jittered(self.interval.min(Duration::from_secs(5)), 0.5, &mut rng);
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                () = tokio::time::sleep_until(due) => {}
            }
            due = Instant::now() + self.interval;
            tokio::select! {
                biased;
                () = &mut stop => break,
                told = self.export(look()) => self.settle(told),
            }
        }
        match tokio::time::timeout(LAST_WORDS, self.export(look())).await {
            Ok(told) => self.settle(told),
            Err(_) => self.board.failed(format!("no answer within {} s at the end", LAST_WORDS.as_secs())),
        }
    }

    async fn export(&self, seen: Seen) -> OTelSdkResult {
        let mut metrics = ResourceMetrics::default();
        self.meter.collect(Figures::of(&seen), &mut metrics)?;
        self.exporter.export(&metrics).await
    }

    fn settle(&self, told: OTelSdkResult) {
        settle(&self.board, told.map(|()| 1));
    }
}

impl Logs {
    fn new(
        resource: &Resource,
        transitions: mpsc::Receiver<(Transition, SystemTime)>,
        board: Board,
    ) -> Result<Self, OtlpError> {
        let mut exporter = exporters::logs()?;
        exporter.set_resource(resource);
        Ok(Self { exporter, transitions, board })
    }

    async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let (mut records, mut backoff, mut rng) = (Records::default(), Backoff::default(), Rng::new());
        let begun = Instant::now();
        let mut is_open = true;
        loop {
            while let Ok((transition, at)) = self.transitions.try_recv() {
                records.add(&transition, at);
            }
            self.board.write(|health| {
                health.pending = records.waiting() as u64;
                health.dropped = records.dropped();
            });
            let waits = backoff.waits(begun.elapsed());
            if records.waiting() > 0 && waits.is_none() {
                let told = tokio::select! {
                    biased;
                    () = &mut stop => break,
                    told = records.send(&self.exporter) => told,
                };
                match &told {
                    Ok(_) => backoff.succeed(),
                    Err(_) => {
                        backoff.fail(begun.elapsed(), None, &mut rng);
                    }
                }
                settle(&self.board, told);
                continue;
            }
            // A step of the timer later: one that ends too soon would find nothing due.
            let wake = waits.filter(|_| records.waiting() > 0).map(|until| begun + until + Duration::from_millis(1));
            tokio::select! {
                biased;
                () = &mut stop => break,
                transition = self.transitions.recv(), if is_open => match transition {
                    Some((transition, at)) => records.add(&transition, at),
                    None => is_open = false,
                },
                () = tokio::time::sleep_until(wake.unwrap_or(begun)), if wake.is_some() => {}
            }
        }
        while let Ok((transition, at)) = self.transitions.try_recv() {
            records.add(&transition, at);
        }
        let last_words = async {
            while records.waiting() > 0 {
                let told = records.send(&self.exporter).await;
                let failed = told.is_err();
                settle(&self.board, told);
                if failed {
                    return;
                }
            }
        };
        if tokio::time::timeout(LAST_WORDS, last_words).await.is_err() {
            self.board.failed(format!("no answer within {} s at the end", LAST_WORDS.as_secs()));
        }
    }
}

fn settle(board: &Board, told: Result<usize, OTelSdkError>) {
    match told {
        Ok(count) => board.worked(count as u64),
        Err(error) => {
            let health = board.read();
            // Once per outage: the status says the rest.
            if health.failures == 0 {
                tracing::warn!(sink = health.name, endpoint = health.target, %error, "telemetry cannot be told");
            }
            board.failed(error.to_string());
        }
    }
}
