//! What is kept of a pipeline for later runs of the agent, and when.

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use netprecursor_core::tick::Tick;

use crate::{
    host::{boot_id, monotonic_ns, unix},
    keep::{
        self, Keeper, Writer,
        handover::{self, Found, HandoverFiles, Moment},
        ledgers::Ledgers,
        memories::MemoryFile,
    },
    tick::{handover::Handover, pipeline::Pipeline},
};

/// Where every target stands is written this often, in seconds, and at the end: what a crash may lose.
const HAND_OVER_EVERY: u64 = 5;

/// What rules learned is written this often, in seconds, and at the end.
const KEEP_EVERY: u64 = 60;

/// Likewise the memories of workloads: they span hours, so that a few lost minutes matter little.
const KEEP_MEMORIES_EVERY: u64 = 10 * KEEP_EVERY;

/// The threads that write.
pub(super) struct Keepers {
    ledgers: Ledgers,
    keeper: Keeper,
    are_memories_due: bool,
    successor: Option<Successor>,
}

/// The next run of the agent, as the tick thread knows it.
struct Successor {
    writer: Writer<Handover>,
    unwritten: Arc<AtomicU64>,
}

/// The files in which one run hands over to the next; none where the machine has no id of its boot.
pub(super) fn handover_files(state_dir: &Path) -> Option<HandoverFiles> {
    let boot = boot_id().inspect_err(|error| {
        tracing::warn!(%error, "cannot read /proc/sys/kernel/random/boot_id: after a restart every target warms up anew");
    });
    boot.ok().map(|boot| HandoverFiles::new(state_dir, boot))
}

/// What the last run handed over.
pub(super) fn find(files: &mut Option<HandoverFiles>) -> Found {
    let moment = Moment { monotonic_ns: monotonic_ns(), now: Tick(unix()) };
    files.as_mut().map_or_else(Found::default, |files| files.read(moment))
}

impl Keepers {
    pub(super) fn start(ledgers: Ledgers, memories: MemoryFile, files: Option<HandoverFiles>) -> io::Result<Self> {
        let successor = files.map(|files| {
            let unwritten = Arc::default();
            Ok::<_, io::Error>(Successor { writer: handover::start(files, Arc::clone(&unwritten))?, unwritten })
        });
        let keeper = keep::start(ledgers.clone(), memories)?;
        Ok(Self { ledgers, keeper, are_memories_due: false, successor: successor.transpose()? })
    }

    /// Keeps what is due after this second of the agent. Never waits: what the disk has no time for is tried again.
    pub(super) fn keep(&mut self, second: u64, pipeline: &mut Pipeline) {
        if let Some(Successor { writer, unwritten }) =
            self.successor.as_ref().filter(|_| second.is_multiple_of(HAND_OVER_EVERY))
        {
            if pipeline.hand_over(monotonic_ns()).is_some_and(|handover| writer.try_keep(handover).is_err()) {
                unwritten.fetch_add(1, Ordering::Relaxed);
            }
            pipeline.counters.handover_unwritten = unwritten.load(Ordering::Relaxed);
        }
        if second.is_multiple_of(KEEP_EVERY) {
            self.are_memories_due |= second.is_multiple_of(KEEP_MEMORIES_EVERY);
            match self.keeper.try_keep(keep::State::of(pipeline, &self.ledgers, self.are_memories_due)) {
                Ok(()) => {
                    pipeline.mark_kept();
                    self.are_memories_due = false;
                }
                Err(_) => tracing::warn!("the disk has not taken what was to be kept a minute ago; it is tried again"),
            }
        }
    }

    /// Keeps everything for the last time, and returns when it is on disk.
    pub(super) fn finish(self, pipeline: &Pipeline) {
        if let Some(successor) = self.successor {
            successor.writer.finish(pipeline.hand_over(monotonic_ns()));
        }
        self.keeper.finish(keep::State::of(pipeline, &self.ledgers, true));
    }
}
