//! How long each target's tasks wait for a CPU, from the scheduler's tracepoints.

mod way;

use std::{
    collections::HashSet,
    fs,
    os::unix::fs::MetadataExt,
    sync::{Arc, Mutex},
};

use aya::maps::{HashMap, MapData, MapError};
use netprecursor_agent_common::{
    MAX_SLOTS,
    histogram::BUCKETS,
    names::map,
    sched::{SchedSlot, Task},
};
use netprecursor_core::signal::{Signal, Signals};
use thiserror::Error;

pub use self::way::Way;
use super::{
    histogram::Tally,
    mapped::{Mapped, MappedError},
    object::Object,
};
use crate::lock::lock;

/// Why the sensor does not work.
#[derive(Debug, Error)]
pub enum SchedError {
    /// Its map cannot be read.
    #[error(transparent)]
    Mapped(#[from] MappedError),
    /// The object has no such program or map.
    #[error("the BPF object has no {0}; the agent and its BPF object are from different builds")]
    Missing(&'static str),
    /// There is no way to the scheduler's events.
    #[error(
        "neither way to the scheduler's events works; by BTF: {arguments}; by tracefs: {fields}; expected one of them, and \
         CAP_PERFMON"
    )]
    NoWay {
        /// Why not by the arguments of raw tracepoints.
        arguments: String,
        /// Why not by the fields of tracepoints.
        fields: String,
    },
    /// The table of tasks is not usable.
    #[error("cannot use the table of tasks")]
    Tasks(#[source] MapError),
}

// SAFETY: `repr(C)`, integers only, explicit to the byte.
unsafe impl aya::Pod for TaskValue {}

/// [`Task`] as aya wants its map values.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
struct TaskValue(Task);

/// The table of tasks that the kernel times; filled by the surveyor, inherited at fork, emptied at exit.
#[derive(Debug, Clone)]
pub struct Tasks(Arc<Mutex<HashMap<MapData, u32, TaskValue>>>);

/// The sensor: the attached programs, their slots and their last values.
#[derive(Debug)]
pub struct Sched {
    /// How it learns of the scheduler's events.
    pub way: Way,
    slots: Mapped<SchedSlot>,
    cpus: usize,
    before: Vec<SchedSlot>,
    /// The table of tasks.
    pub tasks: Tasks,
}

const NOTHING: SchedSlot = SchedSlot { waits: 0, wait_sum_ns: 0, waits_us: [0; BUCKETS] };

impl Sched {
    /// Attaches to the scheduler's tracepoints.
    pub fn start(object: &mut Object) -> Result<Self, SchedError> {
        let bpf = &mut object.bpf;
        let tasks = bpf.take_map(map::TASKS).ok_or(SchedError::Missing("map TASKS"))?;
        let tasks = Tasks(Arc::new(Mutex::new(HashMap::try_from(tasks).map_err(SchedError::Tasks)?)));
        let slots = Mapped::take(bpf, map::SCHED_SLOTS)?;
        let way = Way::attach(object)?;
        Ok(Self { way, slots, cpus: object.cpus as usize, before: vec![NOTHING; MAX_SLOTS as usize], tasks })
    }

    /// Forgets what the slot counted for its previous target.
    pub fn watch(&mut self, slot: u32) {
        let now = self.sum(slot);
        if let Some(before) = self.before.get_mut(slot as usize) {
            *before = now;
        }
    }

    /// What `slot` counted since it was read last.
    pub fn read(&mut self, slot: u32, signals: &mut Signals) {
        let now = self.sum(slot);
        let Some(before) = self.before.get_mut(slot as usize) else { return };
        let waits = now.waits.wrapping_sub(before.waits);
        let [p99] = Tally::between(&now.waits_us, &before.waits_us).quantiles([0.99]);
        signals.set(Signal::RunQueueCount, waits as f32);
        if waits > 0 {
            let mean_us = now.wait_sum_ns.wrapping_sub(before.wait_sum_ns) as f64 / waits as f64 / 1000.0;
            signals.set(Signal::RunQueueMean, mean_us as f32);
            signals.set(Signal::RunQueueP99, p99);
        }
        *before = now;
    }

    fn sum(&self, slot: u32) -> SchedSlot {
        let mut sum = NOTHING;
        for counts in (0..self.cpus).filter_map(|cpu| self.slots.read(slot as usize * self.cpus + cpu)) {
            sum.waits = sum.waits.wrapping_add(counts.waits);
            sum.wait_sum_ns = sum.wait_sum_ns.wrapping_add(counts.wait_sum_ns);
            for (sum, count) in sum.waits_us.iter_mut().zip(&counts.waits_us) {
                *sum = sum.wrapping_add(*count);
            }
        }
        sum
    }
}

impl Tasks {
    /// Names the threads that live in the network namespaces `slot_of` knows (by inode) and are not in the table yet.
    /// Returns how many were added.
    pub fn adopt(&self, slot_of: impl Fn(u64) -> Option<u32>) -> usize {
        let mut table = lock(&self.0);
        let known: HashSet<u32> = table.keys().filter_map(Result::ok).collect();
        let mut added = 0;
        for process in numbers_in("/proc") {
            let Ok(namespace) = fs::metadata(format!("/proc/{process}/ns/net")) else { continue };
            let Some(slot) = slot_of(namespace.ino()) else { continue };
            for thread in numbers_in(&format!("/proc/{process}/task")) {
                // A full table is counted in the kernel as well; the sensor then times the tasks it has.
                if !known.contains(&thread) && table.insert(thread, TaskValue(Task::new(slot)), 0).is_ok() {
                    added += 1;
                }
            }
        }
        added
    }

    /// Names these threads as the tasks of `slot`, those that are not in the table yet. Returns how many were added.
    pub fn name(&self, threads: impl IntoIterator<Item = u32>, slot: u32) -> usize {
        /// include/uapi/linux/bpf.h: an entry that is there stays as it is.
        const BPF_NOEXIST: u64 = 1;
        let mut table = lock(&self.0);
        let task = TaskValue(Task::new(slot));
        // Refused are those that are there, and what finds no room: the sensor then times the tasks it has.
        threads.into_iter().filter(|thread| table.insert(thread, task, BPF_NOEXIST).is_ok()).count()
    }

    /// Forgets the tasks of a slot that is about to be given to another target.
    pub fn forget(&self, slot: u32) {
        let mut table = lock(&self.0);
        let stale: Vec<u32> =
            table.iter().filter_map(Result::ok).filter(|(_, task)| task.0.slot == slot).map(|(id, _)| id).collect();
        for thread in stale {
            // Exited in between: the kernel has removed it.
            let _ = table.remove(&thread);
        }
    }
}

fn numbers_in(directory: &str) -> impl Iterator<Item = u32> {
    fs::read_dir(directory)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
}
