//! Keeps a history on disk while the program goes on: what comes waits in memory, and a thread of its own writes it every few
//! seconds. Where it cannot be written, it goes on waiting, as far as memory goes, and is tried again.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use netprecursor_core::alert::Alert;
use serde_json::Value;

use super::{
    error::HistoryError,
    file::File,
    ledger::{AlertKey, Ledger},
    pending::Pending,
    point::Point,
    query::{AlertsAsked, RangeAsked},
    range::{Plan, RangeAnswer, Steps},
    size::HistorySize,
    status::{State, Status},
    table::Origin,
    tier::Tier,
};

/// A kill loses this much at most.
const EVERY: Duration = Duration::from_secs(5);

/// Alerts that are remembered from the last run.
const REMEMBERED: usize = 2_000;

/// A history that is kept.
#[derive(Debug)]
pub(crate) struct Keeper {
    inner: Arc<Inner>,
    /// The thread, which ends when this does.
    ends: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    file: Mutex<File>,
    pending: Mutex<Pending>,
    ledger: Mutex<Ledger>,
    status: Mutex<Status>,
    /// The agent's clock, Unix s; 0 before it is known.
    now: AtomicU64,
}

impl Keeper {
    /// Opens the history at `path`, or begins one, and keeps it until this is dropped.
    pub(crate) fn open(path: &Path, size: HistorySize) -> Result<Self, HistoryError> {
        let file = File::open(path, size.bytes())?;
        let newest = file.alerts(&AlertsAsked::newest(REMEMBERED))?;
        let firing = newest.into_iter().filter_map(|(_, alert)| serde_json::from_value::<Alert>(alert).ok());
        let ledger = Ledger::of(firing.filter(Alert::is_firing));
        let status = Status::of(&file, unix())?;
        let inner = Inner {
            path: path.to_owned(),
            file: Mutex::new(file),
            pending: Mutex::default(),
            ledger: Mutex::new(ledger),
            status: Mutex::new(status),
            now: AtomicU64::new(0),
        };
        let inner = Arc::new(inner);
        let (ends, ended) = mpsc::channel();
        let thread = start(Arc::clone(&inner), ended)
            .map_err(|error| HistoryError::Unusable { path: path.to_owned(), reason: error.to_string() })?;
        Ok(Self { inner, ends: Some(ends), thread: Some(thread) })
    }

    /// Takes in a second: points of targets, and the alerts that the agent has.
    pub(crate) fn record<'a>(&self, now: u64, points: impl Iterator<Item = (&'a str, u64, Point)>, alerts: &[Alert]) {
        self.inner.now.store(now, Relaxed);
        let changed = lock(&self.inner.ledger).take(alerts);
        let mut pending = lock(&self.inner.pending);
        points.for_each(|(uid, unix, point)| pending.record(uid, unix, point));
        changed.into_iter().for_each(|(key, json)| pending.alert(key, json));
    }

    /// Takes in what targets are, as JSON, by their identifiers.
    pub(crate) fn describe(&self, targets: impl Iterator<Item = (String, String)>) {
        let mut pending = lock(&self.inner.pending);
        targets.for_each(|(uid, json)| pending.about(uid, json));
    }

    /// Writes what waits.
    pub(crate) fn flush(&self) {
        self.inner.write();
    }

    /// How it is doing.
    pub(crate) fn status(&self) -> Status {
        let lost = lock(&self.inner.pending).lost();
        Status { lost, ..lock(&self.inner.status).clone() }
    }

    /// Points of a target; none of one that is not known. Reads from disk, so it may take a moment.
    pub(crate) fn range(&self, asked: &RangeAsked, now: u64) -> Result<Option<RangeAnswer>, HistoryError> {
        self.inner.noted(self.inner.range(asked, now))
    }

    /// Alerts, newest first. Reads from disk.
    pub(crate) fn alerts(&self, asked: &AlertsAsked) -> Result<Vec<(AlertKey, Value)>, HistoryError> {
        let found = lock(&self.inner.file).alerts(asked);
        self.inner.noted(found)
    }

    /// Why what waits cannot be written; none where it can.
    pub(crate) fn trouble(&self) -> Option<String> {
        let status = self.status();
        status.reason.filter(|_| status.state != State::Good)
    }

    /// Targets of which something came since a second, by their identifiers.
    pub(crate) fn targets_since(&self, unix: u64) -> Result<Vec<String>, HistoryError> {
        lock(&self.inner.file).targets_since(unix)
    }

    /// Gives `take` what came since a second, oldest first; of what is older than an hour there is nothing by the second.
    pub(crate) fn seconds_since(&self, unix: u64, take: &mut dyn FnMut(&str, u64, Point)) -> Result<(), HistoryError> {
        lock(&self.inner.file).seconds_since(unix, take)
    }

    /// The newest alerts.
    pub(crate) fn newest_alerts(&self) -> Result<Vec<Alert>, HistoryError> {
        let newest = lock(&self.inner.file).alerts(&AlertsAsked::newest(REMEMBERED))?;
        Ok(newest.into_iter().filter_map(|(_, alert)| serde_json::from_value(alert).ok()).collect())
    }
}

/// Whoever opens the file next finds it closed.
impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.ends.take());
        if let Some(thread) = self.thread.take() {
            // What it panicked of was said then.
            let _ = thread.join();
        }
    }
}

/// Points of a target in the steps of a plan, and the first second of which there is one.
fn points(file: &File, target: i64, plan: Plan) -> Result<(Steps, Option<u64>), HistoryError> {
    let mut steps = Steps::of(plan);
    let mut first: Option<u64> = None;
    let mut take = |unix, point| {
        first = first.or(Some(unix));
        steps.take(unix, point);
    };
    file.read(plan.tier, target, (plan.start, plan.end()), &mut take)?;
    if plan.tier == Tier::Coarse {
        for span in file.behind(plan.start, plan.end())? {
            file.read(Tier::Fine, target, (span, span + Tier::Coarse.row() - 1), &mut take)?;
        }
    }
    Ok((steps, first))
}

/// Whether steps are kept of the time before the first second that is; always where there is no second.
fn are_kept(file: &File, target: i64, from: u64, first: Option<u64>) -> Result<bool, HistoryError> {
    let Some(first) = first else { return Ok(true) };
    let (step, mut found) = (Tier::Coarse.step(), false);
    if first > from + Tier::Fine.row() {
        file.read(Tier::Coarse, target, (from, first), &mut |unix, point| {
            found |= unix + step > from && unix + step <= first && !point.is_absent();
        })?;
    }
    Ok(found)
}

impl Inner {
    fn range(&self, asked: &RangeAsked, now: u64) -> Result<Option<RangeAnswer>, HistoryError> {
        let file = lock(&self.file);
        let Some((target, about)) = file.target(&asked.uid)? else { return Ok(None) };
        let about = serde_json::from_str(&about).unwrap_or(Value::Null);
        let fine = file.ends(Tier::Fine).map_err(HistoryError::using(&self.path))?.map(|(first, _)| first);
        let plan = Plan::of(asked, now, fine);
        let (mut steps, first) = points(&file, target, plan)?;
        // The oldest seconds may be another target's, while of this one only steps are left.
        if plan.tier == Tier::Fine && are_kept(&file, target, plan.start, first)? {
            (steps, _) = points(&file, target, Plan::of(asked, now, None))?;
        }
        Ok(Some(steps.answer(asked.uid.clone(), about, "Store")))
    }

    /// Says that the file is damaged where a question found it so; then nothing more is written.
    fn noted<T>(&self, read: Result<T, HistoryError>) -> Result<T, HistoryError> {
        if let Err(error) = &read
            && error.is_damage()
        {
            lock(&self.status).failed(error, unix());
        }
        read
    }

    fn write(&self) {
        if lock(&self.status).state == State::Damaged {
            return;
        }
        // Before what waits is taken: who flushes then waits for whoever is writing it.
        let mut file = lock(&self.file);
        let batch = lock(&self.pending).take();
        let result = match file.put(&batch, Origin::Agent) {
            Ok(misplaced) => {
                lock(&self.pending).lose(misplaced);
                match self.now.load(Relaxed) {
                    0 => Ok(()),
                    now => file.upkeep(now),
                }
            }
            Err(error) => {
                lock(&self.pending).put_back(batch);
                Err(error)
            }
        };
        let status = result.and_then(|()| Status::of(&file, unix()));
        drop(file);
        let mut known = lock(&self.status);
        match status {
            // A question may have found damage meanwhile.
            Ok(_) if known.state == State::Damaged => {}
            Ok(status) => known.good(status),
            Err(error) => known.failed(&error, unix()),
        }
    }
}

fn start(inner: Arc<Inner>, ended: Receiver<()>) -> io::Result<JoinHandle<()>> {
    let keep = move || {
        while ended.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
            inner.write();
        }
    };
    thread::Builder::new().name("history".to_owned()).spawn(keep)
}

/// Whoever panicked left a database that takes care of itself, and maps of whole entries.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unix() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests;
