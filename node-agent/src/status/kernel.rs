//! What of the running kernel matters to the sensors, from files that anyone may read.

use std::{fmt, fs, io, path::Path};

use serde::Serialize;

/// Which cgroup hierarchies are mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum CgroupMode {
    /// None.
    Absent,
    /// v1 controllers only: nothing to attach to.
    V1,
    /// v1 controllers with a v2 hierarchy beside them.
    Hybrid,
    /// v2 only.
    V2,
}

/// Whether BPF programs run as machine code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Jit {
    /// Yes.
    Enabled,
    /// They are interpreted: correct, and several times slower.
    Disabled,
    /// The kernel does not report it.
    Unknown,
}

/// What kernel_lockdown(7) forbids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Lockdown {
    /// Nothing.
    None,
    /// Changing the kernel; measuring stays allowed.
    Integrity,
    /// Reading the kernel's memory as well: tracepoint programs are refused.
    Confidentiality,
    /// The kernel does not report it (no lockdown, or securityfs is not mounted).
    Unknown,
}

/// Whether tracepoints' formats can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Tracefs {
    /// They can.
    Readable,
    /// Mounted, but not for this user.
    Refused,
    /// Not mounted at /sys/kernel/tracing.
    Absent,
}

impl CgroupMode {
    /// From the text of a `mountinfo` file (proc(5)).
    fn of(mountinfo: &str) -> Self {
        let mounted = |wanted: &str| {
            let kinds = mountinfo.lines().filter_map(|line| line.split_once(" - ")?.1.split(' ').next());
            kinds.into_iter().any(|kind| kind == wanted)
        };
        match (mounted("cgroup"), mounted("cgroup2")) {
            (false, false) => Self::Absent,
            (true, false) => Self::V1,
            (true, true) => Self::Hybrid,
            (false, true) => Self::V2,
        }
    }

    /// As mounted for this process; [`CgroupMode::Absent`] where that cannot be read.
    pub fn read() -> Self {
        Self::of(&fs::read_to_string("/proc/self/mountinfo").unwrap_or_default())
    }
}

impl Jit {
    /// From net.core.bpf_jit_enable: 2 is 1 with a trace of what is compiled.
    fn of(setting: Option<&str>) -> Self {
        match setting.map(str::trim) {
            Some("1" | "2") => Self::Enabled,
            Some("0") => Self::Disabled,
            _ => Self::Unknown,
        }
    }

    /// As set now.
    pub fn read() -> Self {
        Self::of(fs::read_to_string("/proc/sys/net/core/bpf_jit_enable").ok().as_deref())
    }
}

impl Lockdown {
    /// From the file that has the mode in force in brackets.
    fn of(file: Option<&str>) -> Self {
        let mode = file.and_then(|text| text.split_once('[')?.1.split_once(']')).map(|(mode, _)| mode);
        match mode {
            Some("none") => Self::None,
            Some("integrity") => Self::Integrity,
            Some("confidentiality") => Self::Confidentiality,
            _ => Self::Unknown,
        }
    }

    /// In force now.
    pub fn read() -> Self {
        Self::of(fs::read_to_string("/sys/kernel/security/lockdown").ok().as_deref())
    }
}

impl Tracefs {
    /// As it is for this process.
    pub fn read() -> Self {
        match fs::File::open("/sys/kernel/tracing/events/sched/sched_switch/format") {
            Ok(_) => Self::Readable,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Self::Refused,
            Err(_) => Self::Absent,
        }
    }
}

/// Whether the kernel carries type information of its own.
pub fn has_btf() -> bool {
    Path::new("/sys/kernel/btf/vmlinux").exists()
}

/// The variants' names are the words.
macro_rules! shown_as_named {
    ($($kind:ty),+) => {
        $(impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self, f)
            }
        })+
    };
}

shown_as_named!(CgroupMode, Jit, Lockdown, Tracefs);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cgroup_mode_follows_from_what_is_mounted() {
        let v1 = "31 29 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n";
        let v2 = "30 29 0:26 / /sys/fs/cgroup rw shared:10 - cgroup2 cgroup2 rw\n";
        assert_eq!(CgroupMode::of("23 1 0:5 / /proc rw - proc proc rw\n"), CgroupMode::Absent);
        assert_eq!(CgroupMode::of(v1), CgroupMode::V1);
        assert_eq!(CgroupMode::of(v2), CgroupMode::V2);
        assert_eq!(CgroupMode::of(&format!("{v1}{v2}")), CgroupMode::Hybrid);
    }

    #[test]
    fn lockdown_is_the_word_in_brackets() {
        assert_eq!(Lockdown::of(Some("none [integrity] confidentiality\n")), Lockdown::Integrity);
        assert_eq!(Lockdown::of(Some("[none] integrity confidentiality\n")), Lockdown::None);
        assert_eq!(Lockdown::of(Some("none integrity")), Lockdown::Unknown);
        assert_eq!(Lockdown::of(None), Lockdown::Unknown);
    }

    #[test]
    fn a_setting_that_is_not_known_is_not_taken_for_off() {
        assert_eq!(Jit::of(Some("1\n")), Jit::Enabled);
        assert_eq!(Jit::of(Some("0\n")), Jit::Disabled);
        assert_eq!(Jit::of(None), Jit::Unknown);
    }
}
