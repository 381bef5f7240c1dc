//! Who owns what was made: a process by its id and start time, so that what a killed one left can be told from what a
//! living one uses.

use std::fs;

use serde::{Deserialize, Serialize};

/// A process that cannot be mistaken for a later one with the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Its id.
    pub pid: u32,
    /// Its start time in clock ticks since boot: an id alone may have been given out again.
    pub started_ticks: u64,
}

impl Owner {
    /// This process.
    pub fn this() -> Self {
        let pid = std::process::id();
        Self { pid, started_ticks: started_ticks(pid).unwrap_or(0) }
    }

    /// The process that has the id `pid` now; `None` when there is none.
    pub fn of(pid: u32) -> Option<Self> {
        Some(Self { pid, started_ticks: started_ticks(pid)? })
    }

    /// Whether it still runs. A process that ended and was not waited for does not.
    pub fn alive(self) -> bool {
        started_ticks(self.pid) == Some(self.started_ticks)
    }
}

/// Field 22 of `/proc/PID/stat` (proc(5)); the name before it may contain anything. Nothing of a zombie.
fn started_ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    (state != "Z" && state != "X").then_some(())?;
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_was_given_out_again_is_somebody_else() {
        let me = Owner::this();
        assert!(me.alive());
        assert!(!Owner { started_ticks: me.started_ticks - 1, ..me }.alive());
    }

    #[test]
    fn a_process_that_ended_is_not_alive() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let owner = Owner::of(child.id());
        child.wait().unwrap();
        assert!(!owner.is_some_and(Owner::alive));
    }
}
