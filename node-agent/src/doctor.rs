//! `doctor`: what this machine offers, and what each sensor makes of it — found out by starting them all and stopping
//! them again. It changes nothing, works without privileges and reports what is missing.

use std::{
    fmt,
    io::{self, Write},
    path::PathBuf,
};

use netprecursor_core::policy::Policy;
use serde::Serialize;

use crate::{
    host::kernel_release,
    sensors::{
        cgroup,
        suite::{Setting, Suite},
    },
    status::{
        Need, State, Status,
        capability::{self, Capability},
        kernel::{self, CgroupMode, Jit, Lockdown, Tracefs},
    },
    targets::{namespace, selector::Selector},
    tick::selection::Selection,
};

/// The report; `--json` prints it with these names in camelCase.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Version of the agent.
    pub agent: &'static str,
    /// Release of the kernel, as `uname -r` prints it.
    pub kernel: String,
    /// Architecture that the agent was built for, which the kernel runs.
    pub architecture: &'static str,
    /// Whether the kernel carries BTF. No sensor needs it.
    pub btf: bool,
    /// Where the programs come from: always `Embedded`, so neither clang nor kernel headers are needed.
    pub programs: &'static str,
    /// Whether they run as machine code.
    pub bpf_jit: Jit,
    /// Cgroup hierarchies.
    pub cgroup: Cgroup,
    /// Whether tracepoints' formats can be read, after the sensors had the chance to mount tracefs.
    pub tracefs: Tracefs,
    /// What the kernel's lockdown forbids.
    pub lockdown: Lockdown,
    /// What is needed, held or not; empty when the kernel does not report it.
    pub capabilities: Vec<Capability>,
    /// Each sensor: `name`, `need` (`Required`, `Optional`), `state` (`Active`, `Degraded`, `Unavailable`), `reason`.
    pub sensors: Vec<Status>,
    /// Whether every required sensor works, in full or in part.
    pub ready: bool,
    /// What the targets and policies that were given select, if any were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selection: Option<Selection>,
}

/// Cgroup hierarchies.
#[derive(Debug, Clone, Serialize)]
pub struct Cgroup {
    /// Which are mounted.
    pub mode: CgroupMode,
    /// Where the v2 hierarchy is; programs attach to its root.
    pub mount: Option<PathBuf>,
}

/// Starts every sensor, stops them, looks for the targets, and reports.
pub fn examine(targets: &[Selector], policies: &[Policy]) -> Report {
    let setting = if is_in_a_pod() { Setting::cluster() } else { Setting::Host };
    let sensors = Suite::start(setting).statuses();
    let ready =
        sensors.iter().all(|status| status.need == Need::Optional || !matches!(status.state, State::Unavailable(_)));
    Report {
        agent: env!("CARGO_PKG_VERSION"),
        kernel: kernel_release(),
        architecture: std::env::consts::ARCH,
        btf: kernel::has_btf(),
        programs: "Embedded",
        bpf_jit: Jit::read(),
        cgroup: Cgroup { mode: CgroupMode::read(), mount: cgroup::path().ok() },
        tracefs: Tracefs::read(),
        lockdown: Lockdown::read(),
        capabilities: capability::survey().unwrap_or_default(),
        sensors,
        ready,
        selection: selection(targets, policies),
    }
}

fn selection(targets: &[Selector], policies: &[Policy]) -> Option<Selection> {
    // What cannot be listed is not there for the agent either.
    let named = namespace::named().unwrap_or_default();
    (!targets.is_empty() || !policies.is_empty()).then(|| Selection::of(targets, policies, &named))
}

/// Whether this runs in a pod of Kubernetes, which names the API server to each.
fn is_in_a_pod() -> bool {
    std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
}

/// Prints the report on standard output, as a table or in JSON. Returns whether the agent can do its work here.
///
/// # Errors
/// Standard output is gone.
pub fn run(json: bool, targets: &[Selector], policies: &[Policy]) -> io::Result<bool> {
    let report = examine(targets, policies);
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, &report)?;
        writeln!(out)?;
    } else {
        write!(out, "{report}")?;
    }
    Ok(report.ready)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mount = self.cgroup.mount.as_ref().map_or("no cgroup2 mount".into(), |path| path.display().to_string());
        let mut fact = |name: &str, value: &dyn fmt::Display, note: &str| match note {
            "" => writeln!(f, "{name:<14} {value}"),
            note => writeln!(f, "{name:<14} {:<16} {note}", value.to_string()),
        };
        fact("agent", &self.agent, "")?;
        fact("kernel", &self.kernel, self.architecture)?;
        fact("kernel BTF", &if self.btf { "Present" } else { "Absent" }, "no sensor needs it")?;
        fact("programs", &self.programs, "neither clang nor kernel headers are needed")?;
        fact("BPF JIT", &self.bpf_jit, "net.core.bpf_jit_enable")?;
        fact("cgroups", &self.cgroup.mode, &mount)?;
        fact("tracefs", &self.tracefs, "/sys/kernel/tracing")?;
        fact("lockdown", &self.lockdown, "")?;
        writeln!(f, "\nCAPABILITY      HELD  NEEDED FOR")?;
        for Capability { name, held, needed_for } in &self.capabilities {
            writeln!(f, "{name:<15} {:<5} {needed_for}", if *held { "yes" } else { "no" })?;
        }
        writeln!(f, "\nSENSOR    NEED      STATE        REASON")?;
        for Status { name, need, state, limits, means } in &self.sensors {
            let why = match (state.reason(), limits, means) {
                ("", Some(limits), _) => format!("by design: {limits}"),
                ("", None, Some(means)) => (*means).to_owned(),
                (reason, ..) => reason.to_owned(),
            };
            let line = format!("{name:<9} {:<9} {:<12} {why}", format!("{need:?}"), state.word());
            writeln!(f, "{}", line.trim_end())?;
        }
        if let Some(selection) = &self.selection {
            write!(f, "{selection}")?;
        }
        let verdict = if self.ready { "ready" } else { "not ready: a required sensor is unavailable, see its reason" };
        writeln!(f, "\n{verdict}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(state: State) -> Report {
        Report {
            agent: "0.1.0",
            kernel: "6.1.0".into(),
            architecture: "x86_64",
            btf: false,
            programs: "Embedded",
            bpf_jit: Jit::Enabled,
            cgroup: Cgroup { mode: CgroupMode::V1, mount: None },
            tracefs: Tracefs::Absent,
            lockdown: Lockdown::Unknown,
            capabilities: vec![Capability { name: "CAP_BPF", held: false, needed_for: "loading" }],
            sensors: vec![Status::new("tcp", Need::Required, state)],
            ready: false,
            selection: None,
        }
    }

    #[test]
    fn a_target_that_matches_nothing_is_reported() {
        let targets = ["netns:no-such-name,app=web".parse().unwrap()];
        let selection = selection(&targets, &[]);
        let text = Report { selection, ..report(State::Active) }.to_string();
        assert!(text.contains("netns:no-such-name,app=web  0") && text.contains("soon as it is there"), "{text}");
        assert!(self::selection(&[], &[]).is_none());
    }

    #[test]
    fn the_table_says_what_is_missing_and_why() {
        let text = report(State::Unavailable("no cgroup2 mount".into())).to_string();
        assert!(text.contains("CAP_BPF         no    loading"), "{text}");
        assert!(text.contains("tcp       Required  Unavailable  no cgroup2 mount"), "{text}");
        assert!(text.ends_with("see its reason\n"), "{text}");
    }

    #[test]
    fn in_json_a_sensor_has_its_state_and_reason_beside_its_name() {
        let json = serde_json::to_value(report(State::Degraded("old kernel".into()))).unwrap();
        let tcp = serde_json::json!({"name": "tcp", "need": "Required", "state": "Degraded", "reason": "old kernel"});
        assert_eq!(json["sensors"][0], tcp);
        assert_eq!(json["bpfJit"], "Enabled");
        assert_eq!(json["cgroup"], serde_json::json!({"mode": "V1", "mount": null}));
        assert_eq!(json["capabilities"][0]["neededFor"], "loading");
    }
}
