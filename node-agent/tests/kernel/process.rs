//! The agent as a process: it gets ready, follows its targets, drains, and leaves nothing in the kernel.

use std::{collections::BTreeSet, ffi::OsString, fs, process::Command, time::Duration};

use crate::fixture::{Agent, Host, alone, policy, scratch, wait_for};

const ONE_RULE: &str = "[{name: rtt, signal: RttForecast, rttForecast: {threshold: 200ms}}]";

#[test]
fn it_gets_ready_and_follows_the_namespaces_that_match() {
    let Some(_alone) = alone() else { return };
    let (host, state) = (Host::new(), scratch());
    let pattern = format!("netns:{}*", host.name);
    let agent = Agent::start(state.path(), &["--target", &pattern]);
    assert_eq!(agent.until_ready_is(200), "ok\n");
    wait_for("the target is watched", || (agent.targets() == [host.name.clone()]).then_some(()));

    let newcomer = Host::named(format!("{}b", host.name));
    wait_for("the newcomer is watched", || (agent.targets().len() == 2).then_some(()));
    drop(host);
    wait_for("the target goes", || (agent.targets() == [newcomer.name.clone()]).then_some(()));
    let (status, _) = agent.get("/healthz").unwrap();
    assert_eq!(status, 200);
}

#[test]
fn sigterm_drains_within_two_seconds_and_keeps_the_scores() {
    let Some(_alone) = alone() else { return };
    let (host, state, policy) = (Host::new(), scratch(), policy(ONE_RULE));
    let target = format!("netns:{}", host.name);
    let policy_file = policy.path().to_str().unwrap();
    let agent = Agent::start(state.path(), &["--target", &target, "--policy", policy_file]);
    agent.until_ready_is(200);

    let (status, took) = agent.terminate();
    assert!(status.success(), "{status}; {}", agent.log());
    assert!(took < Duration::from_secs(2), "took {took:?}");
    let mut kept: BTreeSet<_> = fs::read_dir(state.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    // Where it ran for five seconds, the other one of the two is there as well.
    kept.remove(&OsString::from("handover.1"));
    let expected = ["handover.0", "ledger.PrecursorPolicy._.test.rtt.json", "lock", "memories.json"];
    let expected = expected.map(OsString::from);
    assert_eq!(kept, expected.into());
}

/// Ids of all BPF programs that the kernel holds.
fn loaded() -> BTreeSet<u32> {
    aya::programs::loaded_programs().flatten().map(|program| program.id()).collect()
}

#[test]
fn sigkill_leaves_no_program_behind() {
    let Some(_alone) = alone() else { return };
    let (host, state) = (Host::new(), scratch());
    let agent = Agent::start(state.path(), &["--target", &format!("netns:{}", host.name)]);
    agent.until_ready_is(200);
    let programs = agent.programs();
    assert!(programs.len() >= 8, "tcp, two of traffic, five of sched: {programs:?}");
    assert!(programs.is_subset(&loaded()));

    agent.kill();
    wait_for("the kernel lets go of every program", || programs.is_disjoint(&loaded()).then_some(()));
}

/// A file system without any room left.
struct FullDisk(tempfile::TempDir);

impl FullDisk {
    fn new() -> Self {
        let directory = scratch();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=4k", "npt"]).arg(directory.path()).status();
        assert!(mounted.unwrap().success());
        fs::write(directory.path().join("ballast"), [0; 4096]).unwrap();
        Self(directory)
    }
}

impl Drop for FullDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_costs_the_scores_and_nothing_else() {
    let Some(_alone) = alone() else { return };
    let (host, disk, policy) = (Host::new(), FullDisk::new(), policy(ONE_RULE));
    let target = format!("netns:{}", host.name);
    let policy_file = policy.path().to_str().unwrap();
    let agent = Agent::start(disk.0.path(), &["--target", &target, "--policy", policy_file]);
    agent.until_ready_is(200);
    let (status, _) = agent.terminate();
    let log = wait_for("a warning", || Some(agent.log()).filter(|log| log.contains("scores are not kept")));
    assert!(status.success(), "{status}; {log}");
    assert!(log.contains("--state-dir") && log.contains("No space left"), "{log}");
}
