//! With less than it needs, the agent runs on and says what is missing.

use std::{os::unix::process::CommandExt, process::Command};

use netprecursor_agent::sensors::cgroup;
use netprecursor_child::Prepare;
use serde_json::Value;

use crate::fixture::{Agent, Host, alone, program_for_anyone, scratch};

const NOBODY: u32 = 65_534;

/// State and reason of a sensor in a JSON array of sensors.
fn sensor(sensors: &Value, name: &str) -> (String, String) {
    let found = sensors.as_array().unwrap().iter().find(|sensor| sensor["name"] == name).unwrap();
    let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
    (text("state"), text("reason"))
}

/// `doctor --json`, prepared in some way: exit code and report.
fn doctor(prepare: impl FnOnce(&mut Command)) -> (Option<i32>, Value) {
    let directory = scratch();
    let mut command = Command::new(program_for_anyone(&directory));
    prepare(command.args(["doctor", "--json"]));
    let output = command.output().unwrap();
    let report = serde_json::from_slice(&output.stdout);
    let report = report.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), report)
}

fn missing(report: &Value) -> Vec<&str> {
    let capabilities = report["capabilities"].as_array().unwrap();
    capabilities.iter().filter(|one| one["held"] == false).map(|one| one["name"].as_str().unwrap()).collect()
}

#[test]
fn doctor_finds_a_machine_that_has_everything_ready() {
    let Some(_alone) = alone() else { return };
    let (code, report) = doctor(|_| ());
    assert_eq!((code, &report["ready"]), (Some(0), &Value::Bool(true)), "{report:#}");
    assert!(missing(&report).is_empty(), "{report:#}");
    assert_eq!(report["sensors"].as_array().unwrap().len(), 5);
    assert_eq!(report["cgroup"]["mount"].as_str(), cgroup::path().unwrap().to_str());
    // Where the kernel's own types tell what sched needs, tracefs is not mounted for it.
    let sensors = report["sensors"].as_array().unwrap();
    let sched = sensors.iter().find(|sensor| sensor["name"] == "sched").unwrap();
    assert!(sched["means"].as_str().unwrap().contains("BTF") || report["tracefs"] == "Readable", "{report:#}");
}

#[test]
fn doctor_shows_a_user_without_privileges_what_is_missing() {
    let Some(_alone) = alone() else { return };
    let (code, report) = doctor(|command| {
        command.uid(NOBODY).gid(NOBODY);
    });
    assert_eq!((code, &report["ready"]), (Some(1), &Value::Bool(false)), "{report:#}");
    assert_eq!(missing(&report), ["CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN", "CAP_SYS_ADMIN", "CAP_SYS_PTRACE"]);
    let (state, reason) = sensor(&report["sensors"], "tcp");
    assert_eq!(state, "Unavailable");
    assert!(reason.contains("CAP_BPF"), "{reason}");
    // It needs files only.
    assert_ne!(sensor(&report["sensors"], "node").0, "Unavailable");
}

#[test]
fn without_privileges_it_runs_on_not_ready_and_says_why() {
    let Some(_alone) = alone() else { return };
    let (host, directory) = (Host::new(), scratch());
    let program = program_for_anyone(&directory);
    let target = format!("netns:{}", host.name);
    let (mut command, address) = Agent::command(&program, directory.path(), &["--target", &target]);
    command.uid(NOBODY).gid(NOBODY);
    let agent = Agent::spawn(command, address);
    let answer = agent.until_ready_is(503);
    assert!(answer.contains("tcp: Unavailable") && answer.contains("CAP_BPF"), "{answer}");
    for name in ["tcp", "traffic", "sched"] {
        let (state, reason) = sensor(&agent.json("/api/v1/sensors")["sensors"], name);
        assert_eq!(state, "Unavailable", "{name}");
        assert!(!reason.is_empty(), "{name}");
    }
    assert!(agent.is_running());
}

/// Takes the cgroup2 hierarchy out of the command's sight.
fn without_cgroup2(command: &mut Command) {
    command.without_mount(&cgroup::path().unwrap()).unwrap();
}

#[test]
fn where_no_cgroup2_is_mounted_the_sensors_say_so_and_the_agent_runs_on() {
    let Some(_alone) = alone() else { return };
    let (code, report) = doctor(without_cgroup2);
    assert_eq!(code, Some(1), "{report:#}");
    assert_eq!(report["cgroup"]["mount"], Value::Null);
    for name in ["tcp", "traffic"] {
        let (state, reason) = sensor(&report["sensors"], name);
        assert_eq!(state, "Unavailable", "{name}");
        assert!(reason.contains("no cgroup2 mount") && reason.contains("mount -t cgroup2"), "{reason}");
    }
    assert_eq!(sensor(&report["sensors"], "sched").0, "Active");

    let (host, state) = (Host::new(), scratch());
    let directory = scratch();
    let program = program_for_anyone(&directory);
    let (mut command, address) = Agent::command(&program, state.path(), &["--target", &format!("netns:{}", host.name)]);
    without_cgroup2(&mut command);
    let agent = Agent::spawn(command, address);
    assert!(agent.until_ready_is(503).contains("tcp: Unavailable: no cgroup2 mount"));
    assert!(agent.is_running());
}
