//! The capabilities that the sensors need, and whether this process holds them.

use std::{fs, io};

use serde::Serialize;

/// A capability and what the agent does with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Capability {
    /// As capabilities(7) names it.
    pub name: &'static str,
    /// Whether it is in the effective set.
    pub held: bool,
    /// What cannot be done without it.
    pub needed_for: &'static str,
}

/// Name, bit (include/uapi/linux/capability.h) and purpose.
const NEEDED: [(&str, u32, &str); 5] = [
    ("CAP_BPF", 39, "loading programs and maps (tcp, traffic, sched)"),
    ("CAP_PERFMON", 38, "tracepoints, and the verifier's trust in pointers (tcp, traffic, sched)"),
    ("CAP_NET_ADMIN", 12, "attaching to cgroups, listing all sockets of a namespace (tcp, traffic, sockets)"),
    (
        "CAP_SYS_ADMIN",
        21,
        "on one host only: entering the namespaces of --target netns:NAME, mounting tracefs if it is not mounted",
    ),
    ("CAP_SYS_PTRACE", 19, "on one host only: finding the namespaces of other users' processes (sched)"),
];

/// What this process may do, from the effective set.
///
/// # Errors
/// `/proc/self/status` cannot be read, or names no effective set.
pub fn survey() -> io::Result<Vec<Capability>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let effective = effective(&status)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "got no CapEff line in /proc/self/status"))?;
    Ok(among(effective))
}

/// The needed capabilities, held or not, when `effective` is the effective set.
pub(super) fn among(effective: u64) -> Vec<Capability> {
    let held = |bit: u32| effective >> bit & 1 == 1;
    NEEDED.iter().map(|(name, bit, needed_for)| Capability { name, held: held(*bit), needed_for }).collect()
}

/// The effective set in a `status` file (proc(5)).
fn effective(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effective_set_says_what_is_held() {
        let status = "Name:\tx\nCapPrm:\tffffffffffffffff\nCapEff:\t000000c000001000\nCapBnd:\t0\n";
        let held = |name: &str| {
            let capabilities = among(effective(status).unwrap());
            capabilities.iter().find(|capability| capability.name == name).unwrap().held
        };
        assert!(held("CAP_BPF") && held("CAP_PERFMON") && held("CAP_NET_ADMIN"));
        assert!(!held("CAP_SYS_ADMIN") && !held("CAP_SYS_PTRACE"));
    }

    #[test]
    fn a_file_without_the_set_says_nothing() {
        assert_eq!(effective("Name:\tx\n"), None);
        assert_eq!(effective("CapEff:\tnone\n"), None);
    }
}
