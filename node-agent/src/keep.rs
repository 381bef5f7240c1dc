//! What outlives the agent: ledgers of rules, memories of workloads, and where every target stands. Written by threads of
//! their own, because a disk may take seconds to sync and the tick never waits.

pub mod handover;
pub mod ledgers;
pub mod memories;
mod writer;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use netprecursor_core::{
    memory::Memory,
    watch::{Ledger, LedgerError},
};
use thiserror::Error;

pub use self::writer::Writer;
use self::{ledgers::Ledgers, memories::MemoryFile};
use crate::tick::{
    active::{ActivePolicy, ActiveRule},
    pipeline::Pipeline,
};

/// Why something was not kept.
#[derive(Debug, Error)]
pub enum KeepError {
    /// The disk refused.
    #[error("cannot write {path}: {source}; {loss} if the agent stops; {}", advice(source))]
    Write {
        /// The file.
        path: PathBuf,
        /// What is lost, with its verb.
        loss: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is more of it than expected.
    #[error("got {got} bytes for {path}, expected at most {most}; {loss} if the agent stops")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// What there is.
        got: usize,
        /// What there may be.
        most: usize,
        /// What is lost, with its verb.
        loss: &'static str,
    },
    /// A ledger cannot be encoded.
    #[error(transparent)]
    Encode(#[from] LedgerError),
}

/// What is to be kept, cloned by the tick thread.
#[derive(Debug, Default)]
pub struct State {
    /// The file of every rule at work, with the ledger where it has changed.
    pub ledgers: BTreeMap<PathBuf, Option<Ledger>>,
    /// The memories of all workloads, when they are due.
    pub memories: Option<BTreeMap<String, Memory>>,
}

/// The thread that writes it.
pub type Keeper = Writer<State>;

impl State {
    /// What is to be kept of the rules, each in its file among `ledgers`; with the memories when they are due.
    pub fn of(pipeline: &Pipeline, ledgers: &Ledgers, with_memories: bool) -> Self {
        let rules = pipeline.policies.iter().flat_map(|active| active.rules.iter().map(move |rule| (active, rule)));
        let of_rule = |(active, rule): (&ActivePolicy, &ActiveRule)| {
            // A cluster's policies that watch nothing here have nothing to keep.
            let is_idle = active.reference.is_some() && rule.counted() == 0;
            let is_kept = rule.kept == Some(rule.counted()) || is_idle;
            (ledgers.path(&active.policy, &rule.rule), (!is_kept).then(|| rule.ledger.clone()))
        };
        let memories = with_memories.then(|| pipeline.memories.snapshot(&pipeline.targets));
        Self { ledgers: rules.map(of_rule).collect(), memories }
    }
}

/// Starts the thread that writes.
///
/// # Errors
/// There may be no more threads.
pub fn start(ledgers: Ledgers, memories: MemoryFile) -> io::Result<Keeper> {
    Writer::start("keep", move |received| keep(received.into_iter(), &ledgers, &memories))
}

fn keep(received: impl Iterator<Item = State>, ledgers: &Ledgers, memories: &MemoryFile) {
    // What the disk refused is tried again the next time, unless it has something newer.
    let mut refused = BTreeMap::new();
    for state in received {
        let claimed = state.ledgers.keys().cloned().collect();
        refused.retain(|path, _| state.ledgers.contains_key(path));
        refused.extend(state.ledgers.into_iter().filter_map(|(path, ledger)| Some((path, ledger?))));
        refused.retain(|path, ledger| {
            let written = ledgers.write(path, ledger);
            written
                .inspect_err(|error| tracing::warn!(error = %crate::error::chain(error), "scores are not kept"))
                .is_err()
        });
        ledgers.sweep(&claimed);
        if let Some(kept) = state.memories
            && let Err(error) = memories.write(&kept)
        {
            tracing::warn!(error = %crate::error::chain(&error), "what workloads were like is not kept");
        }
    }
}

/// Replaces a file whole: written beside, synced, then renamed, so that a crash leaves the old one or the new one.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let mut file = File::create(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

/// What helps against a disk's refusal.
fn advice(refusal: &io::Error) -> &'static str {
    use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};

    match refusal.kind() {
        StorageFull | QuotaExceeded => "free space, or name another --state-dir",
        PermissionDenied | ReadOnlyFilesystem => "make it writable for the agent, or name another --state-dir",
        _ => "name another --state-dir",
    }
}

#[cfg(test)]
mod tests {
    use nix::{sys::stat::Mode, unistd::mkfifo};

    use super::*;

    fn counted(alerts: u64) -> Ledger {
        let mut ledger = Ledger::default();
        ledger.scorecard.alerts = alerts;
        ledger
    }

    fn of_rules(ledgers: &[(&Path, Option<Ledger>)]) -> State {
        let ledgers = ledgers.iter().map(|(path, ledger)| ((*path).to_owned(), ledger.clone())).collect();
        State { ledgers, memories: None }
    }

    fn read(path: &Path) -> Option<Ledger> {
        Ledger::from_json(&fs::read_to_string(path).ok()?).ok()
    }

    #[test]
    fn a_disk_that_stalls_holds_up_nobody_and_gets_the_latest_when_it_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.json");
        // Opening a pipe for writing waits for a reader, as a disk that hangs does.
        let pipe = directory.path().join("ledger.json.new");
        mkfifo(&pipe, Mode::S_IRWXU).unwrap();
        let keeper = start(Ledgers::new(directory.path()), MemoryFile::new(directory.path())).unwrap();
        let refused = (1..=50)
            .map(|alerts| keeper.try_keep(of_rules(&[(&path, Some(counted(alerts)))])))
            .filter(Result::is_err)
            .count();
        // One hangs, at most one waits behind it.
        assert!(refused >= 48, "{refused}");
        let mut reader = File::open(&pipe).unwrap();
        fs::remove_file(&pipe).unwrap();
        // A pipe cannot be synced: what was written into it was refused, and is superseded.
        io::copy(&mut reader, &mut io::sink()).unwrap();
        keeper.finish(of_rules(&[(&path, Some(counted(51)))]));
        assert_eq!(read(&path), Some(counted(51)));
    }

    #[test]
    fn what_the_disk_refused_is_written_with_the_next_snapshot_unless_its_rule_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let [kept, gone] = ["kept.json", "gone.json"].map(|name| directory.path().join(name));
        let in_the_way = [&kept, &gone].map(|path| path.with_extension("json.new"));
        for path in &in_the_way {
            fs::create_dir(path).unwrap();
        }
        let first = of_rules(&[(&kept, Some(counted(1))), (&gone, Some(counted(2)))]);
        let next = std::iter::from_fn(|| {
            in_the_way.iter().for_each(|path| fs::remove_dir(path).unwrap());
            Some(of_rules(&[(&kept, None)]))
        });
        let snapshots = std::iter::once(first).chain(next.take(1));
        keep(snapshots, &Ledgers::new(directory.path()), &MemoryFile::new(directory.path()));
        assert_eq!((read(&kept), read(&gone)), (Some(counted(1)), None));
    }

    #[test]
    fn advice_fits_the_refusal_of_the_disk() {
        assert!(advice(&io::ErrorKind::StorageFull.into()).contains("free space"));
        for kind in [io::ErrorKind::InvalidFilename, io::ErrorKind::PermissionDenied, io::ErrorKind::NotADirectory] {
            assert!(!advice(&kind.into()).contains("free space"), "{kind}");
        }
    }
}
