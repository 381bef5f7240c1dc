//! Labs on the real kernel. They need root, iproute2, nginx, wrk and iperf3.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use netprecursor_lab::{
    LabError, Outcome, Stage, run,
    scenario::{Addresses, Scenario},
    topology::ownership,
};

/// Names a directory: the test binary then only runs a lab into it, to be killed.
const CHILD: &str = "NETPRECURSOR_LAB_TEST_CHILD";

macro_rules! need_root {
    () => {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: not root, and namespaces need root");
            return;
        }
    };
}

/// A short scenario: a calm of `lead_in_s`, then the faults.
fn scenario(base_rtt_ms: f64, lead_in_s: u32, faults: &str) -> Scenario {
    let text = format!(
        "name: test\nfamily: test\ndoc: a test\ntopology:\n  servers: 2\n  clients: 2\n  rate_mbit: 10\n  \
         base_rtt_ms: {base_rtt_ms}\n  queue_ms: 100\n  bottleneck: router\n  congestion_control: [cubic]\n\
         loads:\n  - trickle: {{requests_per_s: 40, response_bytes: 2000, fresh_share: 0.3}}\n\
         lead_in_s: {lead_in_s}\ntail_s: 1\nfaults: {faults}\n"
    );
    Scenario::parse(&text, "test").unwrap()
}

fn play(scenario: &Scenario, out: &Path) -> Outcome {
    run(scenario, 7, out, &AtomicBool::new(false), |_| {}).unwrap()
}

fn namespaces(lab: &str) -> Vec<String> {
    let names = fs::read_dir("/run/netns").map(|entries| entries.flatten().collect::<Vec<_>>()).unwrap_or_default();
    let names = names.into_iter().map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(&format!("npl{lab}-"))).collect()
}

/// Command lines of all processes.
fn commands() -> impl Iterator<Item = String> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).into_owned())
}

/// Round trips in ms and losses of `observer.csv` between two seconds of the load.
fn observed(outcome: &Outcome, from_s: f64, to_s: f64) -> (Vec<f64>, usize) {
    let begun = outcome.labels.started.monotonic_ns as f64;
    let text = fs::read_to_string(outcome.directory.join("observer.csv")).unwrap();
    let (mut rtts, mut lost) = (Vec::new(), 0);
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let at = (fields[1].parse::<f64>().unwrap() - begun) / 1e9;
        match (at >= from_s && at < to_s, fields[4]) {
            (true, "0") => rtts.push(fields[3].parse::<f64>().unwrap() / 1e3),
            (true, _) => lost += 1,
            (false, _) => {}
        }
    }
    rtts.sort_by(f64::total_cmp);
    (rtts, lost)
}

#[test]
fn the_relay_delays_exactly_and_the_observer_sees_it() {
    need_root!();
    for base_rtt_ms in [1.0, 40.0] {
        let out = tempfile::tempdir().unwrap();
        let labels = play(&scenario(base_rtt_ms, 2, "[]"), out.path()).labels;
        println!("relay at {base_rtt_ms} ms: error {:+.0} µs", labels.observer.error_us);
        assert!((-20.0..1000.0).contains(&labels.observer.error_us), "{:?}", labels.observer);
        assert!(labels.complete && labels.requests.answered > 20 && labels.requests.failed == 0, "{labels:?}");
    }
}

#[test]
fn without_a_relay_the_path_is_a_plain_link() {
    need_root!();
    let out = tempfile::tempdir().unwrap();
    let labels = play(&scenario(0.0, 2, "[]"), out.path()).labels;
    assert!(labels.observer.measured_us < 1000.0 && labels.requests.answered > 20, "{labels:?}");
    assert_eq!(labels.relay.forwarded, 0);
}

#[test]
fn a_delay_step_and_a_loss_burst_are_seen_at_their_times() {
    need_root!();
    let out = tempfile::tempdir().unwrap();
    let faults = "[{after_s: 1, lasts_s: 3, effect: {delay: {add_ms: 60}}}, \
                   {after_s: 2, lasts_s: 5, effect: {loss: {percent: 30, over_s: 0}}}]";
    let outcome = play(&scenario(10.0, 3, faults), out.path());
    let (calm, lost) = observed(&outcome, 1.0, 3.8);
    assert!(calm[calm.len() / 2] < 13.0 && lost == 0, "calm: {calm:?}, {lost} lost");
    let (slow, _) = observed(&outcome, 4.3, 6.8);
    assert!((70.0..75.0).contains(&slow[slow.len() / 2]), "delayed: {slow:?}");
    let (kept, lost) = observed(&outcome, 9.2, 13.8);
    let share = lost as f64 / (lost + kept.len()) as f64;
    // Lost on the way out or back: 1 − 0.7² = 0.51 of about 180 probes.
    assert!((0.36..0.66).contains(&share), "{share}");
    let onsets = outcome.labels.faults.iter().map(|fault| fault.onset.monotonic_ns);
    let seconds: Vec<f64> = onsets.map(|at| (at - outcome.labels.started.monotonic_ns) as f64 / 1e9).collect();
    assert!((4.0..4.3).contains(&seconds[0]) && (9.0..9.3).contains(&seconds[1]), "{seconds:?}");
}

#[test]
fn greedy_flows_fill_the_queue_and_no_more_than_the_queue() {
    need_root!();
    let out = tempfile::tempdir().unwrap();
    let outcome = play(&scenario(10.0, 2, "[{after_s: 1, lasts_s: 6, effect: {bulk: {flows: 2}}}]"), out.path());
    let (full, _) = observed(&outcome, 5.0, 8.5);
    // One probe in twenty may have waited for a CPU instead of the queue.
    let (median, high) = (full[full.len() / 2], full[full.len() * 19 / 20]);
    assert!(median > 40.0, "the queue of 100 ms stays half empty: {median} ms");
    assert!(high < 10.0 + 100.0 + 25.0, "more than base, queue and a burst: {high} ms");
}

#[test]
fn version_6_is_a_path_like_any_other_with_and_without_the_relay() {
    need_root!();
    for (base_rtt_ms, faults) in
        [(10.0, "[{after_s: 0, lasts_s: 4, effect: {flood: {offered: 1.5, shape: constant}}}]"), (0.0, "[]")]
    {
        let out = tempfile::tempdir().unwrap();
        let mut scenario = scenario(base_rtt_ms, 3, faults);
        scenario.topology.addresses = Addresses::Ipv6;
        let outcome = play(&scenario, out.path());
        let labels = &outcome.labels;
        assert!(labels.targets.iter().all(|target| target.address.starts_with("fd00:2:")), "{labels:?}");
        assert!(labels.requests.answered > 40 && labels.requests.failed == 0, "{labels:?}");
        if base_rtt_ms > 0.0 {
            assert!((labels.observer.measured_us - base_rtt_ms * 1e3).abs() < 1000.0, "{:?}", labels.observer);
            // Datagrams of a neighbour fill the queue of 100 ms.
            let (full, _) = observed(&outcome, 4.5, 6.5);
            assert!(full.get(full.len() / 2).is_none_or(|median| *median > 60.0), "{full:?}");
        }
    }
}

#[test]
fn losses_come_in_bursts_and_a_stalled_reader_answers_late() {
    need_root!();
    let out = tempfile::tempdir().unwrap();
    let faults = "[{after_s: 0, lasts_s: 5, effect: {burst-loss: {enter_percent: 2, leave_percent: 10, lost_percent: 100}}}, \
                   {after_s: 3, lasts_s: 3, effect: stall}]";
    let outcome = play(&scenario(10.0, 3, faults), out.path());
    let (_, calm) = observed(&outcome, 0.5, 2.8);
    let (kept, lost) = observed(&outcome, 3.2, 7.8);
    // In the bad state for a sixth of the packets, out and back: far from none, and from all.
    let share = lost as f64 / (lost + kept.len()) as f64;
    assert!(calm == 0 && (0.1..0.6).contains(&share), "{calm} {share}");
    let effects: Vec<&str> = outcome.labels.faults.iter().map(|fault| fault.effect.as_str()).collect();
    assert_eq!(effects, ["burst-loss", "stall"]);
    // Requests of the stall are answered after it, whose tail is a second.
    let counts = outcome.labels.requests;
    assert!(counts.answered > 300 && counts.sent - counts.answered < 40, "{counts:?}");
}

#[test]
fn nothing_stays_behind_after_an_early_stop() {
    need_root!();
    let out = tempfile::tempdir().unwrap();
    let stop = AtomicBool::new(false);
    let mut lab = String::new();
    let begun = Instant::now();
    let outcome = run(&scenario(5.0, 60, "[]"), 7, out.path(), &stop, |phase| {
        if phase.stage == Stage::Calm {
            assert_eq!(namespaces(&phase.lab).len(), 5);
            lab = phase.lab;
            stop.store(true, Relaxed);
        }
    });
    let outcome = outcome.unwrap();
    assert!(!outcome.labels.complete && begun.elapsed() < Duration::from_secs(30));
    assert!(out.path().join("labels.json").exists() && namespaces(&lab).is_empty());
    assert!(!Path::new(ownership::DIRECTORY).join(format!("{lab}.json")).exists());
}

#[test]
fn two_labs_run_side_by_side() {
    need_root!();
    let outcomes: Vec<Outcome> = thread::scope(|scope| {
        let labs = [5.0, 25.0].map(|rtt| {
            scope.spawn(move || {
                let out = tempfile::tempdir().unwrap();
                play(&scenario(rtt, 3, "[]"), out.path())
            })
        });
        labs.into_iter().map(|lab| lab.join().unwrap()).collect()
    });
    assert_ne!(outcomes[0].labels.lab, outcomes[1].labels.lab);
    for (outcome, rtt) in outcomes.iter().zip([5_000.0, 25_000.0]) {
        assert!((outcome.labels.observer.measured_us - rtt).abs() < 1000.0, "{:?}", outcome.labels.observer);
    }
}

#[test]
fn what_a_killed_lab_left_is_swept_with_its_processes() {
    need_root!();
    let out = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_lab_that_waits_to_be_killed", "--ignored", "--nocapture"])
        .env(CHILD, out.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let lab = lines.find_map(|line| line.split_once("lab=").map(|(_, lab)| lab.to_owned())).expect("the lab starts");
    assert_eq!(namespaces(&lab).len(), 5);
    child.kill().unwrap();
    child.wait().unwrap();
    // Another test's lab may sweep it first: what counts is that it is gone.
    ownership::sweep().unwrap();
    assert!(namespaces(&lab).is_empty());
    let web = format!("npl{lab}-web1");
    let deadline = Instant::now() + Duration::from_secs(5);
    while commands().any(|line| line.contains(&web)) {
        assert!(Instant::now() < deadline, "nginx of the killed lab still runs");
        thread::yield_now();
    }
    assert!(!Path::new(ownership::DIRECTORY).join(format!("{lab}.json")).exists());
}

#[test]
#[ignore = "only run by the test above, which kills it"]
fn a_lab_that_waits_to_be_killed() {
    let Some(out) = std::env::var_os(CHILD) else { return };
    let mut is_printed = false;
    let _ = run(&scenario(5.0, 600, "[]"), 7, Path::new(&out), &AtomicBool::new(false), |phase| {
        if phase.stage == Stage::Calm && !is_printed {
            is_printed = true;
            println!("\nlab={}", phase.lab);
        }
    });
}

#[test]
fn a_full_disk_is_an_error_before_anything_is_built() {
    need_root!();
    let disk = tempfile::tempdir().unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=4k", "tmpfs"]).arg(disk.path()).status();
    assert!(mounted.unwrap().success());
    let _ = fs::write(disk.path().join("fill"), vec![0; 8192]);
    let result = run(&scenario(5.0, 1, "[]"), 7, &disk.path().join("out"), &AtomicBool::new(false), |phase| {
        assert_ne!(phase.stage, Stage::Idle, "nothing is built");
    });
    Command::new("umount").arg(disk.path()).status().unwrap();
    let error = result.unwrap_err();
    assert!(matches!(error, LabError::File { .. }) && error.to_string().contains("free space"), "{error}");
}

#[test]
fn an_output_directory_that_is_a_file_is_refused() {
    need_root!();
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = run(&scenario(5.0, 1, "[]"), 7, file.path(), &AtomicBool::new(false), |_| {}).unwrap_err();
    assert!(error.to_string().contains("directory"), "{error}");
}
