//! The BPF object: loaded once, with what only this machine knows filled in as constants.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use aya::{Ebpf, EbpfError, EbpfLoader};
use netprecursor_agent_common::{
    MAX_SLOTS,
    names::{constant, map},
};
use thiserror::Error;

use super::{
    btf::{Btf, BtfError},
    tracepoint::{self, TracepointError},
};

/// Why the object could not be loaded.
#[derive(Debug, Error)]
pub enum ObjectError {
    /// The number of CPUs is not known.
    #[error("cannot read /sys/devices/system/cpu/possible; expected a range such as 0-3")]
    Cpus(#[source] io::Error),
    /// The kernel refused the maps or the object.
    #[error("the kernel refused the BPF object, which takes kernel 5.8 or later")]
    Load(#[source] EbpfError),
}

/// The object as it was built.
const OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/netprecursor.bpf.o"));

/// Where the kernel describes itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptions {
    /// Its types.
    pub btf: PathBuf,
    /// The fields of its tracepoints.
    pub tracefs: PathBuf,
}

impl Default for Descriptions {
    fn default() -> Self {
        Self { btf: "/sys/kernel/btf/vmlinux".into(), tracefs: tracepoint::TRACEFS.into() }
    }
}

/// Constants of the BPF programs, by name.
type Constants = Vec<(&'static str, u32)>;

/// Where tasks have what raw tracepoints are read for.
fn task_offsets(btf: &Path) -> Result<Constants, BtfError> {
    const TASK: &str = "task_struct";
    let btf = Btf::read(btf)?;
    for (tracepoint, places, expected) in [
        ("sched_wakeup", &[0][..], "a task"),
        ("sched_wakeup_new", &[0], "a task"),
        ("sched_switch", &[1, 2], "whether it preempts, and two tasks"),
        ("sched_process_fork", &[0, 1], "two tasks"),
    ] {
        if !btf.passes(tracepoint, TASK, places) {
            return Err(BtfError::Tracepoint { tracepoint, expected });
        }
    }
    let (pid, _) = btf.field(TASK, "pid")?;
    // Its name since 5.14; the eight bytes before begin with the same four on machines whose least byte comes first.
    let (state, _) = btf.field(TASK, "__state").or_else(|_| btf.field(TASK, "state"))?;
    Ok(vec![(constant::TASK_PID_OFFSET, pid), (constant::TASK_STATE_OFFSET, state)])
}

/// Where tracepoints have what they are read for.
fn field_offsets(tracefs: &Path) -> Result<Constants, TracepointError> {
    let offset = |event, field, size| tracepoint::sched_offset(tracefs, event, field, size);
    Ok(vec![
        (constant::WAKEUP_PID_OFFSET, offset("sched_wakeup", "pid", 4)?),
        (constant::SWITCH_PREV_PID_OFFSET, offset("sched_switch", "prev_pid", 4)?),
        (constant::SWITCH_PREV_STATE_OFFSET, offset("sched_switch", "prev_state", 8)?),
        (constant::SWITCH_NEXT_PID_OFFSET, offset("sched_switch", "next_pid", 4)?),
        (constant::FORK_CHILD_PID_OFFSET, offset("sched_process_fork", "child_pid", 4)?),
    ])
}

/// The loaded object. Its programs are not attached yet.
#[derive(Debug)]
pub struct Object {
    /// Maps and programs.
    pub bpf: Ebpf,
    /// CPUs that a slot has a copy for.
    pub cpus: u32,
    /// Whether the offsets in tasks are known, which raw tracepoints pass.
    pub tasks: Result<(), BtfError>,
    /// Whether the offsets of the tracepoints' fields are known.
    pub fields: Result<(), TracepointError>,
}

impl Object {
    /// Creates the maps and prepares the programs.
    pub fn load() -> Result<Self, ObjectError> {
        Self::load_with(&Descriptions::default())
    }

    /// The same on a kernel that describes itself elsewhere, or not at all.
    pub fn load_with(descriptions: &Descriptions) -> Result<Self, ObjectError> {
        let cpus = possible_cpus().map_err(ObjectError::Cpus)?;
        let mut constants = vec![(constant::POSSIBLE_CPUS, cpus), (constant::JIFFY_NS, jiffy_ns())];
        let Descriptions { btf, tracefs } = descriptions;
        let tasks = task_offsets(btf).map(|offsets| constants.extend(offsets));
        // Nothing is mounted that is not needed.
        let is_wanted = tasks.is_err() && tracefs == Path::new(tracepoint::TRACEFS);
        let mounted = if is_wanted { tracepoint::mount() } else { Ok(()) };
        let fields = mounted.and_then(|()| field_offsets(tracefs)).map(|offsets| constants.extend(offsets));
        let mut loader = EbpfLoader::new();
        // Nothing is relocated by kernel types: kernels without BTF of their own will do.
        loader.btf(None);
        for map in [map::TCP_SLOTS, map::OLDER_SLOTS, map::TRAFFIC_SLOTS, map::SCHED_SLOTS] {
            loader.map_max_entries(map, MAX_SLOTS * cpus);
        }
        for (name, value) in &constants {
            loader.override_global(name, value, true);
        }
        let bpf = loader.load(OBJECT).map_err(ObjectError::Load)?;
        Ok(Self { bpf, cpus, tasks, fields })
    }
}

/// How many CPUs the kernel may ever bring up: the copies of a slot.
fn possible_cpus() -> io::Result<u32> {
    let range = fs::read_to_string("/sys/devices/system/cpu/possible")?;
    let last = range.trim().rsplit(['-', ',']).next().and_then(|last| last.parse::<u32>().ok());
    last.map(|last| last + 1).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("got {range:?}")))
}

/// Length of a jiffy: the coarse clocks advance once per jiffy, and report that resolution.
fn jiffy_ns() -> u32 {
    let mut resolution = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `resolution` is valid for writes.
    let result = unsafe { libc::clock_getres(libc::CLOCK_MONOTONIC_COARSE, &raw mut resolution) };
    match u32::try_from(resolution.tv_nsec) {
        Ok(ns) if result == 0 && ns > 0 => ns,
        // CONFIG_HZ=250, the kernel's default, where no clock says otherwise.
        _ => 4_000_000,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use netprecursor_agent_common::names::program;

    use super::*;

    #[test]
    fn the_object_has_the_names_that_both_sides_use() {
        let mut object = aya_obj::Object::parse(OBJECT).unwrap();
        // `.rodata` holds the constants.
        let maps: BTreeSet<&str> =
            object.maps.keys().map(String::as_str).filter(|name| !name.starts_with('.')).collect();
        assert_eq!(maps, map::ALL.iter().copied().collect());
        let programs: BTreeSet<&str> = object.programs.keys().map(String::as_str).collect();
        assert_eq!(programs, program::ALL.iter().copied().collect());
        let constants = constant::ALL.iter().map(|name| (*name, ([0u8; size_of::<u32>()].as_slice(), true)));
        object.patch_map_data(constants.collect()).unwrap();
    }

    #[test]
    fn a_jiffy_is_one_of_the_lengths_that_kernels_are_built_with() {
        assert!([1_000_000, 3_333_333, 4_000_000, 10_000_000].contains(&jiffy_ns()), "got {} ns", jiffy_ns());
    }
}
