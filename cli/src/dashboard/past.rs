//! What lies further back than an hour: a history on disk, a Prometheus, or both. Reading either takes a moment, so it
//! happens beside the runtime, a few questions at a time.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    extract::{RawQuery, State},
    http::StatusCode,
    response::Response,
};
use serde_json::Value;
use tokio::{sync::Semaphore, task};

use super::{
    api::{Context, Shared, refused, said, unix_ms},
    history::HOUR,
    store::{Frame, Store, points},
    views,
};
use crate::{
    arguments,
    history::{
        AlertKey, AlertsAsked, HistoryError, HistorySize, Keeper, Prometheus, PrometheusError, RangeAsked, Status,
        cursor_of,
    },
};

/// Questions that are answered at a time; further ones wait.
const READS: usize = 4;

/// Seconds after which targets are described again: those of which nothing was left, and that came back.
const DESCRIBED_EVERY: u64 = 600;

// Not a doc comment: clap would take it for what the command does.
#[derive(Debug, clap::Args)]
pub(super) struct PastArgs {
    /// Keep history in this file: an hour by the second, a week by ten seconds, every alert
    #[arg(long, value_name = "FILE", value_parser = arguments::file())]
    store: Option<PathBuf>,
    /// Bytes that the file may take, oldest first
    #[arg(long, value_name = "SIZE", default_value = "256MiB")]
    history_size: HistorySize,
    #[command(flatten)]
    prometheus: PrometheusArgs,
}

// As above.
#[derive(Debug, clap::Args)]
pub(crate) struct PrometheusArgs {
    /// Draw charts of the past from this Prometheus, which scrapes the agents
    #[arg(long, value_name = "URL")]
    prometheus: Option<String>,
    /// A file with the token that Prometheus wants
    #[arg(long, value_name = "FILE", requires = "prometheus", value_parser = arguments::file())]
    prometheus_token_file: Option<PathBuf>,
}

impl PrometheusArgs {
    fn open(&self) -> anyhow::Result<Option<Prometheus>> {
        let token_file = self.prometheus_token_file.clone();
        Ok(self.prometheus.as_deref().map(|url| Prometheus::new(url, token_file)).transpose()?)
    }
}

/// The past.
#[derive(Debug)]
pub(crate) struct Past {
    keeper: Option<Keeper>,
    prometheus: Option<Prometheus>,
    /// Version of the roster that was described last, and when.
    described: Mutex<(u64, u64)>,
    reads: Semaphore,
}

impl Past {
    /// Nothing is kept.
    pub(super) fn none() -> Self {
        Self::of(None, None)
    }

    /// What is kept in a file of so many bytes at most.
    pub(crate) fn kept(store: &Path, size: HistorySize) -> Result<Self, HistoryError> {
        Ok(Self::of(Some(Keeper::open(store, size)?), None))
    }

    /// As the arguments say.
    pub(super) fn open(args: &PastArgs) -> anyhow::Result<Self> {
        let keeper = args.store.as_deref().map(|store| Keeper::open(store, args.history_size)).transpose()?;
        Ok(Self::of(keeper, args.prometheus.open()?))
    }

    /// What the Prometheus that the arguments name has, if they name one.
    pub(super) fn asked(args: &PrometheusArgs) -> anyhow::Result<Self> {
        Ok(Self::of(None, args.open()?))
    }

    fn of(keeper: Option<Keeper>, prometheus: Option<Prometheus>) -> Self {
        Self { keeper, prometheus, described: Mutex::default(), reads: Semaphore::new(READS) }
    }

    /// Gives a store what is remembered of the hour before `unix`.
    pub(super) fn remember(&self, store: &mut Store, unix: u64) -> Result<(), HistoryError> {
        let Some(keeper) = &self.keeper else { return Ok(()) };
        let since = unix.saturating_sub(HOUR);
        store.remember(unix, &keeper.targets_since(since)?, keeper.newest_alerts()?);
        keeper.seconds_since(since, &mut |uid, unix, point| store.remember_second(uid, unix, point))
    }

    /// Takes in a second.
    pub(super) fn take(&self, frame: &Frame) {
        if let Some(keeper) = &self.keeper {
            keeper.record(frame.unix, points(frame), &frame.alerts);
        }
    }

    /// Takes in who the targets are, where that has changed.
    pub(super) fn describe(&self, store: &Store) {
        let Some(keeper) = &self.keeper else { return };
        let (version, targets) = store.roster();
        let mut described = self.described.lock().unwrap_or_else(PoisonError::into_inner);
        if described.0 == version && store.unix().abs_diff(described.1) < DESCRIBED_EVERY {
            return;
        }
        *described = (version, store.unix());
        keeper.describe(targets.iter().filter_map(|target| {
            let json = serde_json::to_string(target).ok()?;
            Some((target.uid.clone(), json))
        }));
    }

    /// Whether alerts are kept on disk.
    pub(super) const fn has_alerts(&self) -> bool {
        self.keeper.is_some()
    }

    /// How it is doing; the one that charts are drawn from comes first.
    pub(super) fn status(&self) -> Vec<Status> {
        let prometheus = self.prometheus.iter().map(Prometheus::status);
        prometheus.chain(self.keeper.iter().map(Keeper::status)).collect()
    }

    /// Why history cannot be written; none where it can.
    pub(super) fn trouble(&self) -> Option<String> {
        self.keeper.as_ref()?.trouble()
    }

    /// Writes what waits.
    pub(super) fn flush(&self) {
        if let Some(keeper) = &self.keeper {
            keeper.flush();
        }
    }
}

/// Points of a target.
pub(super) async fn range(State(Context { shared, .. }): State<Context>, RawQuery(query): RawQuery) -> Response {
    match RangeAsked::parse(query.as_deref().unwrap_or_default()) {
        Ok(asked) => read(shared, move |shared| range_of(shared, &asked)).await,
        Err(words) => refused(StatusCode::BAD_REQUEST, words),
    }
}

/// Alerts, newest first: without parameters those of the last hours, as they change; else as the parameters say.
pub(super) async fn alerts(State(Context { shared, .. }): State<Context>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    if query.is_empty() {
        return shared.read(|fleet| said(&fleet.alerts(shared.past().has_alerts())));
    }
    match AlertsAsked::parse(&query) {
        Ok(asked) => read(shared, move |shared| alerts_of(shared, &asked)).await,
        Err(words) => refused(StatusCode::BAD_REQUEST, words),
    }
}

/// Answers beside the runtime.
async fn read(shared: Arc<Shared>, answer: impl FnOnce(&Shared) -> Response + Send + 'static) -> Response {
    let stopped = || refused(StatusCode::SERVICE_UNAVAILABLE, "the program is ending".to_owned());
    let reader = Arc::clone(&shared);
    let Ok(_permit) = shared.past().reads.acquire().await else { return stopped() };
    task::spawn_blocking(move || answer(&reader)).await.unwrap_or_else(|_| stopped())
}

fn range_of(shared: &Shared, asked: &RangeAsked) -> Response {
    let past = shared.past();
    // Before the agent has said what time it is, the time is this program's.
    let now = Some(shared.unix()).filter(|unix| *unix > 0).unwrap_or_else(|| unix_ms() / 1_000);
    if let Some(prometheus) = &past.prometheus {
        let described = shared.read(|fleet| {
            let (series, target) = fleet.series(&asked.uid)?;
            Some((series, serde_json::to_value(&*target).unwrap_or(Value::Null)))
        });
        let Some((series, target)) = described else { return unknown(&asked.uid) };
        return match prometheus.range(asked, now, &series, target) {
            Ok(answer) => said(&answer),
            Err(error @ PrometheusError::Slow { .. }) => refused(StatusCode::GATEWAY_TIMEOUT, error.to_string()),
            Err(error) => refused(StatusCode::BAD_GATEWAY, error.to_string()),
        };
    }
    let Some(keeper) = &past.keeper else {
        let words = "got a question about the past, expected one about the last hour, or a dashboard that keeps history: start it \
                     with --store FILE or --prometheus URL";
        return refused(StatusCode::NOT_FOUND, words.to_owned());
    };
    match keeper.range(asked, now) {
        Ok(Some(answer)) => said(&answer),
        Ok(None) => unknown(&asked.uid),
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

fn unknown(uid: &str) -> Response {
    let shown: String = uid.chars().take(80).collect();
    refused(
        StatusCode::NOT_FOUND,
        format!("got target {shown:?}, of which nothing is kept; /api/v1/overview lists the targets"),
    )
}

fn alerts_of(shared: &Shared, asked: &AlertsAsked) -> Response {
    let (version, forgotten) = shared.read(|fleet| {
        let alerts = fleet.alerts(false);
        (alerts.version, alerts.forgotten)
    });
    let found = match &shared.past().keeper {
        Some(keeper) => keeper.alerts(asked),
        None => Ok(shared.read(|fleet| fleet.alerts_asked(asked))),
    };
    match found {
        Ok(found) => {
            let next = found.last().filter(|_| found.len() >= asked.limit()).map(|(key, _)| cursor_of(key));
            let alerts = found.iter().map(|(_, alert): &(AlertKey, Value)| alert).collect();
            said(&views::AlertPage { version, alerts, forgotten, next })
        }
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

#[cfg(test)]
mod tests;
