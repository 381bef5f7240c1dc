//! OpenTelemetry as a sink: metrics from time to time, transitions of alerts and of sensors as log records at once, over gRPC or
//! HTTP.
//!
//! pipeline → [`seen`](crate::metrics::seen) (one short look) → [`figures`](crate::metrics::figures) (series) → the SDK's instruments → exporter. Configured by the
//! specification's `OTEL_*` variables, on when an endpoint is named; works with and without a cluster.

mod endpoint;
mod environment;
mod exporter;
mod failure;
mod meter;
mod options;
mod periodic;
mod records;
mod resource;
mod sensors;

use std::{
    ffi::OsString,
    future::Future,
    pin::pin,
    time::{Duration, SystemTime},
};

use fastrand::Rng;
use netprecursor_core::{alert::Transition, tick::Tick};
use netprecursor_kit::{Backoff, backoff::LONGEST_ASKED, budget::jittered, no_answer};
use netprecursor_sinks::http::tls::TlsError;
use opentelemetry_proto::{
    tonic::collector::metrics::v1::ExportMetricsServiceRequest, transform::common::tonic::ResourceAttributesWithSchema,
};
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use thiserror::Error;
use tokio::{sync::mpsc, time::Instant};

use self::{
    environment::Environment,
    exporter::{Exporter, Rejected},
    failure::Failure,
    meter::Meter,
    options::{Options, OptionsError, Signal},
    periodic::Periodic,
    records::{Event, Records},
    sensors::Known,
};
use super::sink::Sink;
use crate::{
    health::{Board, Health},
    metrics::{figures::Figures, seen::Seen},
    status::Status,
};

/// Events that wait between the tick thread and the exporter.
const CHANNEL: usize = 256;

/// Time for the last export at the end.
const LAST_EXPORT: Duration = Duration::from_secs(2);

/// Why a signal is not exported although its variables ask for it.
#[derive(Debug, Error)]
enum OtlpError {
    #[error(transparent)]
    Options(#[from] OptionsError),
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// The tick thread's end.
#[derive(Debug)]
pub struct OtlpSink {
    /// None when log records are not asked for.
    sender: Option<mpsc::Sender<(Event, SystemTime)>>,
    known: Known,
    board: Board,
}

impl Sink for OtlpSink {
    fn publish(&mut self, transition: &Transition) {
        if self.sender.is_some() {
            self.send(Event::Alert(Box::new(transition.clone())));
        }
    }

    fn observe(&mut self, now: Tick, sensors: &[Status]) {
        for change in self.known.changes(now, sensors) {
            self.send(Event::Sensor(change));
        }
    }

    fn health(&self) -> Health {
        self.board.read()
    }
}

impl OtlpSink {
    fn send(&self, event: Event) {
        if let Some(sender) = &self.sender
            && sender.try_send((event, SystemTime::now())).is_err()
        {
            self.board.write(|health| health.dropped += 1);
        }
    }
}

/// Telemetry that is configured and waits to be started.
#[derive(Debug)]
pub struct Telemetry {
    metrics: Option<Metrics>,
    logs: Option<Logs>,
    boards: Vec<Board>,
}

#[derive(Debug)]
struct Metrics {
    exporter: Exporter,
    meter: Meter,
    periodic: Periodic,
    board: Board,
}

#[derive(Debug)]
struct Logs {
    exporter: Exporter,
    resource: ResourceAttributesWithSchema,
    events: mpsc::Receiver<(Event, SystemTime)>,
    board: Board,
}

/// Telemetry as the process' environment wants it; `None` when it asks for none. To be called where Tokio runs. `node`
/// and `cluster` say where this agent is. Nothing in the environment ends the agent: a value that is not understood is
/// reported and ignored, a signal that cannot be sent as it was meant is off, and its status says why.
pub fn from_environment(node: &str, cluster: Option<&str>) -> Option<(Telemetry, OtlpSink)> {
    from_variables(std::env::vars_os(), node, cluster)
}

fn from_variables(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    node: &str,
    cluster: Option<&str>,
) -> Option<(Telemetry, OtlpSink)> {
    let mut environment = Environment::new(variables);
    if environment.boolean(&["OTEL_SDK_DISABLED".to_owned()]) {
        return None;
    }
    let resource = resource::resource(node, cluster, &mut environment);
    let periodic = Periodic::of(&mut environment);
    let [metrics, logs] = [(Signal::Metrics, "otlp-metrics"), (Signal::Logs, "otlp-logs")]
        .map(|(signal, name)| Options::of(signal, &mut environment).map(|options| exporter(name, options)));
    let notices = environment.into_notices();
    for notice in &notices {
        tracing::warn!("telemetry: {notice}");
    }
    let boards: Vec<Board> = [&metrics, &logs].into_iter().flatten().map(|(board, _)| board.clone()).collect();
    boards.iter().for_each(|board| board.write(|health| health.notices = notices.clone()));
    let (sender, events) = mpsc::channel(CHANNEL);
    let sink = OtlpSink {
        sender: logs.is_some().then_some(sender),
        known: Known::default(),
        board: logs.as_ref().map(|(board, _)| board.clone()).unwrap_or_default(),
    };
    let metrics = metrics.and_then(|(board, exporter)| {
        let meter = Meter::new(resource.clone(), periodic.temporality);
        Some(Metrics { exporter: exporter?, meter, periodic, board })
    });
    let logs = logs
        .and_then(|(board, exporter)| Some(Logs { exporter: exporter?, resource: (&resource).into(), events, board }));
    (!boards.is_empty()).then_some((Telemetry { metrics, logs, boards }, sink))
}

/// A signal's status, and its exporter unless the status gives the reason why there is none.
fn exporter(name: &'static str, options: Result<Options, OptionsError>) -> (Board, Option<Exporter>) {
    let target = options.as_ref().map_or_else(|_| String::new(), |options| options.uri.to_string());
    let board = Board::new(name, target);
    let exporter = options.map_err(OtlpError::from).and_then(|options| Ok(Exporter::new(options)?));
    let exporter = exporter.inspect_err(|error| {
        tracing::error!(sink = name, %error, "this telemetry is off until the agent restarts with other variables");
        board.failed(format!("off: {error}"));
    });
    (board, exporter.ok())
}

impl Telemetry {
    /// How its parts are doing.
    pub fn boards(&self) -> Vec<Board> {
        self.boards.clone()
    }

    /// How often metrics are exported.
    pub fn interval(&self) -> Option<Duration> {
        self.metrics.as_ref().map(|metrics| metrics.periodic.interval)
    }

    /// Exports what `look` sees, and the events, until `stop`; then once more.
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
        tokio::join!(metrics, logs, stop.clone());
    }
}

impl Metrics {
    async fn run(self, look: &impl Fn() -> Seen, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut rng = Rng::new();
        let interval = self.periodic.interval;
        // Nodes that start together do not export together.
        let mut due = Instant::now() + jittered(interval.min(Duration::from_secs(5)), 0.5, &mut rng);
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                () = tokio::time::sleep_until(due) => {}
            }
            due = Instant::now() + interval;
            let result = tokio::select! {
                biased;
                () = &mut stop => break,
                result = self.export(look()) => result,
            };
            if let Some(asked) = result.as_ref().err().and_then(|failure| failure.retry_after) {
                due = due.max(Instant::now() + asked.min(LONGEST_ASKED));
            }
            self.settle(result);
        }
        match tokio::time::timeout(LAST_EXPORT, self.export(look())).await {
            Ok(result) => self.settle(result),
            Err(_) => self.board.failed(no_answer(LAST_EXPORT) + " at the end"),
        }
    }

    async fn export(&self, seen: Seen) -> Result<Rejected, Failure> {
        let mut metrics = ResourceMetrics::default();
        self.meter.collect(Figures::of(&seen), &mut metrics).map_err(|error| Failure::own(&error))?;
        let sent = self.exporter.send(ExportMetricsServiceRequest::from(&metrics));
        match self.periodic.timeout {
            None => sent.await,
            Some(limit) => tokio::time::timeout(limit, sent).await.unwrap_or_else(|_| Err(Failure::timed_out(limit))),
        }
    }

    /// What was not sent is not lost: the next message has the values of its time.
    fn settle(&self, result: Result<Rejected, Failure>) {
        let count = u64::from(result.is_ok());
        settle(&self.board, result, count);
    }
}

impl Logs {
    async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let (mut records, mut backoff, mut rng) = (Records::default(), Backoff::default(), Rng::new());
        let begun = Instant::now();
        let mut is_open = true;
        loop {
            while let Ok((event, at)) = self.events.try_recv() {
                self.add(&mut records, &event, at);
            }
            self.board.write(|health| health.pending = records.waiting() as u64);
            let waits = backoff.waits(begun.elapsed());
            if records.waiting() > 0 && waits.is_none() {
                let result = tokio::select! {
                    biased;
                    () = &mut stop => break,
                    result = self.exporter.send(records.batch(&self.resource)) => result,
                };
                match &result {
                    Err(failure) if failure.is_transient => {
                        backoff.fail(begun.elapsed(), failure.retry_after, &mut rng);
                    }
                    _ => backoff.succeed(),
                }
                self.settle(&mut records, result);
                continue;
            }
            // A step of the timer later: one that ends too soon would find nothing due.
            let wake = waits.filter(|_| records.waiting() > 0).map(|until| begun + until + Duration::from_millis(1));
            tokio::select! {
                biased;
                () = &mut stop => break,
                event = self.events.recv(), if is_open => match event {
                    Some((event, at)) => self.add(&mut records, &event, at),
                    None => is_open = false,
                },
                () = tokio::time::sleep_until(wake.unwrap_or(begun)), if wake.is_some() => {}
            }
        }
        while let Ok((event, at)) = self.events.try_recv() {
            self.add(&mut records, &event, at);
        }
        let last_export = async {
            while records.waiting() > 0 {
                let result = self.exporter.send(records.batch(&self.resource)).await;
                let is_over = result.as_ref().is_err_and(|failure| failure.is_transient);
                self.settle(&mut records, result);
                if is_over {
                    return;
                }
            }
        };
        if tokio::time::timeout(LAST_EXPORT, last_export).await.is_err() {
            self.board.failed(no_answer(LAST_EXPORT) + " at the end");
        }
    }

    fn add(&self, records: &mut Records, event: &Event, at: SystemTime) {
        if records.add(event, at) {
            self.board.write(|health| health.dropped += 1);
        }
    }

    /// A batch that was taken, or that never will be, waits no longer.
    fn settle(&self, records: &mut Records, result: Result<Rejected, Failure>) {
        let is_over = !result.as_ref().is_err_and(|failure| failure.is_transient);
        let count = if is_over { records.remove_batch() } else { 0 };
        settle(&self.board, result, count);
    }
}

/// Records the outcome of `count` items, and logs it when it differs from the one before.
fn settle(board: &Board, result: Result<Rejected, Failure>, count: u64) {
    let before = board.read();
    match result {
        Ok(Rejected { items, message }) => {
            if before.failures > 0 {
                tracing::info!(sink = before.name, endpoint = before.target, "sending telemetry works again");
            }
            board.worked(count);
            // Of metrics the count is of messages, and what a collector rejects is points.
            let lost = items.min(count);
            let complaint = (items > 0 || !message.is_empty())
                .then(|| format!("the collector took the message, but rejected {items} items of it: {message}"));
            if complaint.is_some() && complaint != before.error {
                tracing::warn!(
                    sink = before.name,
                    endpoint = before.target,
                    complaint,
                    "telemetry was rejected in part"
                );
            }
            board.write(|health| {
                health.sent -= lost;
                health.dropped += lost;
                health.error = complaint;
            });
        }
        Err(Failure { reason, .. }) => {
            // Once per reason: the status has the rest.
            if before.error.as_ref() != Some(&reason) {
                let (sink, endpoint) = (before.name, before.target);
                tracing::warn!(sink, endpoint, error = reason, "cannot send telemetry");
            }
            board.failed(reason);
            board.write(|health| health.dropped += count);
        }
    }
}
