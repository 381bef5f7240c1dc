//! How the kernel's scheduler is listened to: by the arguments of raw tracepoints where the kernel's types are known, else by the
//! fields of tracepoints where tracefs shows them.

use aya::{
    Ebpf,
    programs::{Program, ProgramError, RawTracePoint, TracePoint},
};
use netprecursor_agent_common::names::program;
use thiserror::Error;

use super::SchedError;
use crate::{error::chain, sensors::object::Object};

/// One of the two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Raw tracepoints, with offsets in tasks from BTF.
    Arguments,
    /// Tracepoints, with offsets of their fields from tracefs.
    Fields,
}

/// Why a program is not attached.
#[derive(Debug, Error)]
enum Refused {
    #[error("the BPF object has no program {0}; the agent and its BPF object are from different builds")]
    Missing(&'static str),
    #[error("the kernel refused the program {program}")]
    Program {
        program: &'static str,
        #[source]
        source: ProgramError,
    },
}

/// Raw tracepoints and their programs.
const ARGUMENTS: [(&str, &str); 5] = [
    ("sched_process_exit", program::RAW_PROCESS_EXIT),
    ("sched_process_fork", program::RAW_PROCESS_FORK),
    ("sched_wakeup", program::RAW_WAKEUP),
    ("sched_wakeup_new", program::RAW_WAKEUP_NEW),
    ("sched_switch", program::RAW_SWITCH),
];

/// Programs of tracepoints, by whose names they go.
const FIELDS: [&str; 5] = [
    program::SCHED_PROCESS_EXIT,
    program::SCHED_PROCESS_FORK,
    program::SCHED_WAKEUP,
    program::SCHED_WAKEUP_NEW,
    program::SCHED_SWITCH,
];

impl Way {
    /// Attaches the programs of the first way that works.
    pub(super) fn attach(object: &mut Object) -> Result<Self, SchedError> {
        let Object { bpf, tasks, fields, .. } = object;
        let arguments = match tasks {
            Err(error) => chain(error),
            Ok(()) => match ARGUMENTS.iter().try_for_each(|(tracepoint, program)| attach_raw(bpf, tracepoint, program))
            {
                Ok(()) => return Ok(Self::Arguments),
                Err(error) => chain(&error),
            },
        };
        // Some of them may be attached: nothing is counted twice.
        ARGUMENTS.iter().for_each(|(_, program)| detach_raw(bpf, program));
        let fields = match fields {
            Err(error) => chain(error),
            Ok(()) => match FIELDS.iter().try_for_each(|program| attach(bpf, program)) {
                Ok(()) => return Ok(Self::Fields),
                Err(error) => chain(&error),
            },
        };
        Err(SchedError::NoWay { arguments, fields })
    }

    /// In words, for the sensor's status.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Arguments => "by raw tracepoints, with offsets from the kernel's BTF",
            Self::Fields => "by tracepoints, with offsets from tracefs",
        }
    }
}

fn attach_raw(bpf: &mut Ebpf, tracepoint: &str, program: &'static str) -> Result<(), Refused> {
    let refused = |source| Refused::Program { program, source };
    let found = bpf.program_mut(program).ok_or(Refused::Missing(program))?;
    let raw: &mut RawTracePoint = found.try_into().map_err(refused)?;
    raw.load().map_err(refused)?;
    raw.attach(tracepoint).map_err(refused)?;
    Ok(())
}

fn detach_raw(bpf: &mut Ebpf, program: &str) {
    if let Some(Program::RawTracePoint(raw)) = bpf.program_mut(program) {
        // One that was never loaded has nothing to give back.
        let _ = raw.unload();
    }
}

fn attach(bpf: &mut Ebpf, program: &'static str) -> Result<(), Refused> {
    let refused = |source| Refused::Program { program, source };
    let found = bpf.program_mut(program).ok_or(Refused::Missing(program))?;
    let point: &mut TracePoint = found.try_into().map_err(refused)?;
    point.load().map_err(refused)?;
    point.attach("sched", program).map_err(refused)?;
    Ok(())
}
