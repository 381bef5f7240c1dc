//! What to do about a sensor that cannot start, by what the machine lacks and how the agent runs: on one host something
//! that root can do, in a cluster something for the node's owner or for a value of the chart.

use super::{
    State, Status,
    capability::{self, Capability},
    kernel::{CgroupMode, Lockdown, Tracefs},
};

/// What sensors need of a machine, as found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Capabilities, held or not.
    pub capabilities: Vec<Capability>,
    /// Cgroup hierarchies.
    pub cgroup: CgroupMode,
    /// Whether tracepoints' formats can be read.
    pub tracefs: Tracefs,
    /// What the kernel's lockdown forbids.
    pub lockdown: Lockdown,
    /// Whether the agent watches pods.
    pub is_cluster: bool,
}

/// What a sensor needs.
struct Needs {
    capabilities: &'static [&'static str],
    cgroup: bool,
    tracefs: bool,
}

fn needs(sensor: &str) -> Option<Needs> {
    let (capabilities, cgroup, tracefs): (&[&str], _, _) = match sensor {
        "tcp" | "traffic" => (&["CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN"], true, false),
        "sched" => (&["CAP_BPF", "CAP_PERFMON"], false, true),
        super::IDENTITY => (&["CAP_BPF"], false, false),
        _ => return None,
    };
    Some(Needs { capabilities, cgroup, tracefs })
}

impl Machine {
    /// As it is now.
    pub fn survey(is_cluster: bool) -> Self {
        Self {
            capabilities: capability::survey().unwrap_or_default(),
            cgroup: CgroupMode::read(),
            tracefs: Tracefs::read(),
            lockdown: Lockdown::read(),
            is_cluster,
        }
    }

    /// The status, with what to do if the sensor cannot start.
    pub fn advised(&self, status: Status) -> Status {
        match (&status.state, self.advice(status.name)) {
            (State::Unavailable(reason), Some(advice)) => {
                let state = State::Unavailable(format!("{reason}; {advice}"));
                Status { state, ..status }
            }
            _ => status,
        }
    }

    /// What to do about the first thing that the sensor lacks.
    fn advice(&self, sensor: &str) -> Option<String> {
        let Needs { capabilities, cgroup, tracefs } = needs(sensor)?;
        let lacks = |name: &&&str| self.capabilities.iter().any(|known| known.name == **name && !known.held);
        let lacking: Vec<&str> = capabilities.iter().filter(lacks).copied().collect();
        if !lacking.is_empty() {
            return Some(self.without(&lacking.join(", ")));
        }
        if cgroup && matches!(self.cgroup, CgroupMode::Absent | CgroupMode::V1) {
            return Some(self.choose(
                "run `mkdir -p /run/cgroup2 && mount -t cgroup2 none /run/cgroup2` as root, then restart the agent",
                "boot the node with cgroup v2 (`systemd.unified_cgroup_hierarchy=1`): the agent's pod sees the node's \
                 /sys/fs/cgroup",
            ));
        }
        if tracefs && self.tracefs != Tracefs::Readable {
            return Some(self.choose(
                "run `mount -t tracefs tracefs /sys/kernel/tracing` as root, then restart the agent",
                "run `mount -t tracefs tracefs /sys/kernel/tracing` on the node, then delete the agent's pod",
            ));
        }
        if tracefs && self.lockdown == Lockdown::Confidentiality {
            return Some(
                "the kernel's lockdown mode forbids it: boot with lockdown=integrity or without lockdown".to_owned(),
            );
        }
        Some(self.choose(
            "run `bpftool cgroup tree` to see whether another program holds the root cgroup exclusively, and `dmesg` to see \
             whether a security module refuses BPF",
            "run `bpftool cgroup tree` on the node to see whether another program holds the root cgroup exclusively; if \
             SELinux refuses BPF, set `agent.securityContext.seLinuxOptions.type=spc_t` in the chart; if AppArmor does, set \
             `agent.securityContext.appArmorProfile.type=Unconfined`",
        ))
    }

    fn without(&self, lacking: &str) -> String {
        if self.is_cluster {
            format!(
                "the agent's container lacks {lacking}, which its DaemonSet requests: look for an admission webhook or a \
                 container runtime policy that removes them"
            )
        } else {
            format!("the agent lacks {lacking}: run it as root or, in a container, with `--cap-add`")
        }
    }

    fn choose(&self, on_a_host: &str, in_a_cluster: &str) -> String {
        if self.is_cluster { in_a_cluster } else { on_a_host }.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Need;

    fn machine(is_cluster: bool) -> Machine {
        let capabilities = capability::among(u64::MAX);
        let (cgroup, tracefs, lockdown) = (CgroupMode::V2, Tracefs::Readable, Lockdown::None);
        Machine { capabilities, cgroup, tracefs, lockdown, is_cluster }
    }

    fn without(name: &str, is_cluster: bool) -> Machine {
        let mut machine = machine(is_cluster);
        machine.capabilities.iter_mut().filter(|known| known.name == name).for_each(|known| known.held = false);
        machine
    }

    fn advised_reason(machine: &Machine, sensor: &'static str) -> String {
        let (need, state) = (Need::Required, State::Unavailable("EPERM".to_owned()));
        machine.advised(Status::new(sensor, need, state)).state.reason().to_owned()
    }

    #[test]
    fn in_a_cluster_nobody_is_sent_for_a_capability_that_the_chart_does_not_give() {
        let given = ["CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN"];
        let machines = given.map(|name| without(name, true)).into_iter().chain([
            machine(true),
            Machine { cgroup: CgroupMode::V1, ..machine(true) },
            Machine { tracefs: Tracefs::Absent, ..machine(true) },
            Machine { lockdown: Lockdown::Confidentiality, ..machine(true) },
            without("CAP_SYS_ADMIN", true),
        ]);
        for machine in machines {
            for sensor in ["tcp", "traffic", "sched", "identity"] {
                let text = advised_reason(&machine, sensor);
                let (reason, advice) = text.split_once("; ").unwrap();
                assert_eq!(reason, "EPERM");
                for never in ["SYS_ADMIN", "SYS_PTRACE", "as root", "sudo", "--cap-add"] {
                    assert!(!advice.contains(never), "{sensor}: {advice}");
                }
            }
        }
    }

    #[test]
    fn advice_is_about_what_is_lacking_and_fits_the_way_the_agent_runs() {
        for (machine, sensor, words) in [
            (without("CAP_BPF", true), "tcp", "lacks CAP_BPF, which its DaemonSet requests"),
            (without("CAP_BPF", false), "tcp", "lacks CAP_BPF: run it as root"),
            (without("CAP_PERFMON", false), "traffic", "lacks CAP_PERFMON: run it as root"),
            (
                Machine { tracefs: Tracefs::Absent, ..machine(true) },
                "sched",
                "/sys/kernel/tracing` on the node, then delete the agent's pod",
            ),
            (Machine { tracefs: Tracefs::Absent, ..machine(false) }, "sched", "/sys/kernel/tracing` as root"),
            (Machine { cgroup: CgroupMode::V1, ..machine(false) }, "traffic", "mount -t cgroup2 none /run/cgroup2"),
            (Machine { cgroup: CgroupMode::V1, ..machine(true) }, "tcp", "boot the node with cgroup v2"),
            (machine(true), "tcp", "agent.securityContext.seLinuxOptions.type=spc_t"),
        ] {
            let text = advised_reason(&machine, sensor);
            assert!(text.contains(words), "{text}");
        }
        // A sensor lacks only what it needs.
        assert!(!advised_reason(&without("CAP_PERFMON", false), crate::status::IDENTITY).contains("PERFMON"));
        let active = Status::new("tcp", Need::Required, State::Active);
        assert_eq!(without("CAP_BPF", false).advised(active.clone()), active);
        assert_eq!(advised_reason(&without("CAP_BPF", true), "node"), "EPERM");
    }

    #[test]
    fn values_that_the_chart_is_asked_for_are_values_of_the_chart() {
        let values = include_str!("../../../charts/netprecursor/values.yaml");
        let advice = advised_reason(&machine(true), "tcp");
        let asked: Vec<&str> = advice.split('`').filter(|text| text.starts_with("agent.")).collect();
        assert_eq!(asked.len(), 2, "{advice}");
        for value in asked {
            let key = value.split(['.', '=']).nth(2).unwrap();
            assert!(values.contains(&format!("\n    {key}: ")), "{key} is no value of the chart");
        }
    }
}
