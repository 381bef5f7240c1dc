//! The agent as a DaemonSet's pod would run it: few capabilities, an API server to follow, pods that come and go. What it
//! is short of shows in its sensors' states, as `docs/privileges.md` says.

use std::{
    io,
    os::unix::process::CommandExt,
    path::Path as FilePath,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use netprecursor_agent::sensors::{cgroup, tracepoint};
use netprecursor_child::{Ending, Prepare, Running};
use serde_json::{Value, json};

use crate::fixture::{
    Agent, Api, Behaviour, Driver, Family, Group, Path, Server, alone, ask, exchange, program_for_anyone, scratch,
    wait_for,
};

const NET_ADMIN: u32 = 12;
const SYS_ADMIN: u32 = 21;
const PERFMON: u32 = 38;
const BPF: u32 = 39;
/// What the DaemonSet asks for.
const GRANTED: [u32; 3] = [BPF, PERFMON, NET_ADMIN];

/// Leaves a command these capabilities of root's, as a container runtime does.
fn only(command: &mut Command, capabilities: &'static [u32]) {
    // SAFETY: prctl takes numbers.
    unsafe {
        command.pre_exec(move || {
            for capability in (0..64).filter(|capability| !capabilities.contains(capability)) {
                // EINVAL: the kernel has no capability of this number.
                let result = libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(capability), 0, 0, 0);
                if result != 0 && io::Error::last_os_error().raw_os_error() != Some(libc::EINVAL) {
                    return Err(io::Error::last_os_error());
                }
            }
            match libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        });
    }
}

fn policy(threshold: &str) -> Value {
    json!({
        "apiVersion": "netprecursor.io/v1alpha1", "kind": "PrecursorPolicy",
        "metadata": {"namespace": "shop", "name": "web", "uid": "policy-uid"},
        "spec": {
            "target": {"podSelector": {"matchLabels": {"app": "web"}}},
            "rules": [{"name": "rtt", "signal": "RttForecast", "rttForecast": {"threshold": threshold}}],
        },
    })
}

fn namespace() -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
}

/// The far end of a [`Path`] as a pod.
fn pod(uid: &str, app: &str) -> Value {
    let [v4, v6] = Path::far_addresses();
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": "shop", "name": "web-1", "uid": uid, "labels": {"app": app}},
        "spec": {"nodeName": "node1", "containers": []},
        "status": {"phase": "Running", "podIPs": [{"ip": v4}, {"ip": v6}], "podIP": v4,
                   "hostIP": "192.0.2.1"},
    })
}

/// A pod with a process and a server in it, and the API server that knows it.
struct Scene {
    api: Api,
    path: Path,
    server: Server,
    // Before its group, which goes once it is empty.
    _process: Running,
    group: Group,
}

impl Scene {
    fn set() -> Self {
        // As on a node that mounts it at boot: the agent may not.
        tracepoint::mount().unwrap();
        let path = Path::new();
        let group = Group::new(Driver::Systemd);
        let server = group.within(|| Server::start(&path.far, Path::far_address(Family::V4, 0), Behaviour::PROMPT));
        let mut command = path.far.command("sh");
        command.args(["-c", "while :; do sleep 0.05; done"]).stdout(Stdio::null());
        group.hold(&mut command);
        let process = Running::spawn(&mut command, Ending::Killed).unwrap();
        let api = Api::start();
        api.put("precursorpolicies", policy("200ms"));
        api.put("namespaces", namespace());
        api.put("pods", pod(&group.uid, "web"));
        Self { api, path, server, _process: process, group }
    }

    fn call(&self) {
        exchange(&mut ask(&self.path.near, self.server.address), 64);
    }
}

fn state_of(agent: &Agent, name: &str) -> (String, String) {
    let sensors = agent.json("/api/v1/sensors")["sensors"].clone();
    let found = sensors.as_array().unwrap().iter().find(|sensor| sensor["name"] == name).unwrap();
    let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
    (text("state"), text("reason"))
}

/// Seconds until `reached`, once a connection is made again and again.
fn seconds_until(scene: &Scene, what: &str, mut reached: impl FnMut() -> bool) -> f64 {
    let begun = Instant::now();
    wait_for(what, || {
        scene.call();
        reached().then_some(())
    });
    begun.elapsed().as_secs_f64()
}

fn is_measured(agent: &Agent) -> bool {
    let targets = agent.json("/api/v1/targets");
    targets.as_array().unwrap().iter().any(|target| target["measuredUs"].as_f64().is_some_and(|us| us > 0.0))
}

#[test]
fn with_three_capabilities_it_follows_the_cluster_and_lives_without_it() {
    let Some(_alone) = alone() else { return };
    let (mut scene, state, directory) = (Scene::set(), scratch(), scratch());
    let program = program_for_anyone(&directory);
    let (mut command, address) = Agent::in_cluster(&program, state.path(), &scene.api.kubeconfig());
    only(&mut command, &GRANTED);
    let agent = Agent::spawn(command, address);
    assert_eq!(agent.until_ready_is(200), "ok\n");
    for (name, expected) in [("tcp", "Active"), ("traffic", "Active"), ("identity", "Active"), ("sched", "Active")] {
        let (state, reason) = state_of(&agent, name);
        assert_eq!(state, expected, "{name}: {reason}");
    }
    wait_for("the pod is watched", || (agent.targets() == ["shop/web-1"]).then_some(()));
    let took = seconds_until(&scene, "the pod is measured", || is_measured(&agent));
    assert!(took < 2.0, "measured {took:.1} s after its first connection");

    // A policy that is edited is in force at once.
    let threshold = |agent: &Agent| agent.json("/api/v1/targets")[0]["rules"][0]["thresholdUs"].as_u64();
    assert_eq!(threshold(&agent), Some(200_000));
    scene.api.put("precursorpolicies", policy("50ms"));
    wait_for("the new threshold is in force", || (threshold(&agent) == Some(50_000)).then_some(()));

    // Labels decide who is watched.
    scene.api.put("pods", pod(&scene.group.uid, "db"));
    wait_for("the pod is no longer watched", || agent.targets().is_empty().then_some(()));
    scene.api.put("pods", pod(&scene.group.uid, "web"));
    wait_for("the pod is watched again", || (agent.targets().len() == 1).then_some(()));
    seconds_until(&scene, "the pod is measured again", || is_measured(&agent));

    // An API server that is away changes nothing.
    scene.api.go_down();
    let ticks = |agent: &Agent| agent.json("/api/v1/sensors")["ticks"].as_u64().unwrap();
    let before = ticks(&agent);
    wait_for("it goes on", || (ticks(&agent) > before + 3).then_some(()));
    assert_eq!(agent.targets(), ["shop/web-1"]);
    assert_eq!(agent.get("/healthz").unwrap().0, 200);
    let (status, took) = agent.terminate();
    assert!(status.success() && took < Duration::from_secs(5), "{status} after {took:?}; {}", agent.log());
}

#[test]
fn a_pod_that_ends_is_dropped_within_ten_seconds() {
    let Some(_alone) = alone() else { return };
    let (scene, state) = (Scene::set(), scratch());
    let directory = scratch();
    let (mut command, address) =
        Agent::in_cluster(&program_for_anyone(&directory), state.path(), &scene.api.kubeconfig());
    only(&mut command, &GRANTED);
    let agent = Agent::spawn(command, address);
    wait_for("the pod is watched", || agent.get("/healthz").is_some_and(|_| agent.targets().len() == 1).then_some(()));
    let begun = Instant::now();
    let mut ended = pod(&scene.group.uid, "web");
    ended["status"]["phase"] = json!("Succeeded");
    scene.api.put("pods", ended);
    wait_for("the pod is dropped", || agent.targets().is_empty().then_some(()));
    assert!(begun.elapsed() < Duration::from_secs(10), "after {:?}", begun.elapsed());
    scene.api.delete("pods", "web-1");
    assert_eq!(agent.get("/healthz").unwrap().0, 200);
}

/// Something that is missing, and what then is expected.
struct Shortage<'a> {
    missing: &'static str,
    prepare: Box<dyn Fn(&mut Command) + 'a>,
    /// What `/readyz` answers.
    ready: u16,
    /// Sensor, state, and a part of the reason.
    sensors: &'a [(&'a str, &'a str, &'a str)],
}

#[test]
fn each_privilege_that_is_missing_costs_what_is_documented_and_no_more() {
    let Some(_alone) = alone() else { return };
    let scene = Scene::set();
    let directory = scratch();
    let program = program_for_anyone(&directory);
    let cgroups = cgroup::path().unwrap();
    let tracing = FilePath::new("/sys/kernel/tracing");
    let table = [
        Shortage {
            missing: "BPF",
            prepare: Box::new(|command| only(command, &[PERFMON, NET_ADMIN])),
            ready: 503,
            sensors: &[
                ("tcp", "Unavailable", "CAP_BPF"),
                ("traffic", "Unavailable", "CAP_BPF"),
                ("identity", "Unavailable", "CAP_BPF"),
                ("sched", "Unavailable", "CAP_BPF"),
                ("sockets", "Degraded", ""),
            ],
        },
        Shortage {
            missing: "PERFMON",
            prepare: Box::new(|command| only(command, &[BPF, NET_ADMIN])),
            ready: 503,
            sensors: &[
                ("tcp", "Unavailable", "CAP_PERFMON"),
                ("traffic", "Unavailable", "CAP_PERFMON"),
                ("sched", "Unavailable", "CAP_PERFMON"),
            ],
        },
        Shortage {
            missing: "NET_ADMIN",
            prepare: Box::new(|command| only(command, &[BPF, PERFMON])),
            ready: 503,
            sensors: &[("tcp", "Unavailable", ""), ("traffic", "Unavailable", ""), ("sched", "Active", "")],
        },
        Shortage {
            missing: "the cgroup2 hierarchy",
            prepare: Box::new(|command| {
                // Before capabilities go.
                command.without_mount(&cgroups).unwrap();
                only(command, &GRANTED);
            }),
            ready: 503,
            sensors: &[
                ("tcp", "Unavailable", "no cgroup2 mount"),
                ("traffic", "Unavailable", "no cgroup2 mount"),
                ("sched", "Active", ""),
            ],
        },
        Shortage {
            missing: "tracefs",
            prepare: Box::new(|command| {
                command.without_mount(tracing).unwrap();
                only(command, &GRANTED);
            }),
            ready: 200,
            sensors: &[("tcp", "Active", ""), ("identity", "Active", ""), ("sched", "Active", "")],
        },
    ];
    for Shortage { missing, prepare, ready, sensors } in table {
        let state = scratch();
        let (mut command, address) = Agent::in_cluster(&program, state.path(), &scene.api.kubeconfig());
        prepare(&mut command);
        let agent = Agent::spawn(command, address);
        agent.until_ready_is(ready);
        for (name, expected, part) in sensors {
            let (state, reason) = state_of(&agent, name);
            assert_eq!(state, *expected, "without {missing}, {name}: {reason}");
            assert!(reason.contains(part), "without {missing}, {name}: {reason}");
        }
        // No crash loop: it lives, ticks and follows the cluster.
        wait_for("the pod is watched", || (agent.targets().len() == 1).then_some(()));
        assert!(agent.is_running(), "without {missing}");
        assert_eq!(agent.get("/healthz").unwrap().0, 200, "without {missing}");
    }
}

#[test]
fn without_the_nodes_processes_it_measures_and_says_what_it_cannot_see() {
    let Some(_alone) = alone() else { return };
    let (scene, state, directory) = (Scene::set(), scratch(), scratch());
    let program = program_for_anyone(&directory);
    let (inner, address) = Agent::in_cluster(&program, state.path(), &scene.api.kubeconfig());
    let mut command = Command::new("unshare");
    command.args(["--fork", "--pid", "--mount-proc", "--kill-child"]).arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let agent = Agent::spawn(command, address);
    agent.until_ready_is(200);
    for name in ["sched", "sockets"] {
        wait_for("it says that processes are hidden", || {
            let (state, reason) = state_of(&agent, name);
            (state == "Degraded" && reason.contains("hostPID")).then_some(())
        });
    }
    seconds_until(&scene, "the pod is measured all the same", || is_measured(&agent));
}

#[test]
fn a_state_directory_that_cannot_be_written_costs_memory_of_scores_only() {
    let Some(_alone) = alone() else { return };
    let (scene, directory) = (Scene::set(), scratch());
    let program = program_for_anyone(&directory);
    let (mut command, address) = Agent::in_cluster(&program, FilePath::new("/proc/nowhere"), &scene.api.kubeconfig());
    only(&mut command, &[BPF, PERFMON, NET_ADMIN, SYS_ADMIN]);
    let agent = Agent::spawn(command, address);
    agent.until_ready_is(200);
    seconds_until(&scene, "the pod is measured", || is_measured(&agent));
    let (status, _) = agent.terminate();
    assert!(status.success(), "{status}; {}", agent.log());
    assert!(agent.log().contains("scores are not kept"), "{}", agent.log());
}
