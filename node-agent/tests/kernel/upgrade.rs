//! An agent that is replaced under load: the old one ends before the new one starts, or once that is ready.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver},
    },
    thread::{self, Scope},
    time::Duration,
};

use netprecursor_core::signal::Signal;
use serde_json::Value;

use crate::fixture::{Agent, Behaviour, Ended, Family, Path, Server, Step, alone, ask, policy, scratch, wait_for};

const RULE: &str = "[{name: rtt, signal: RttForecast, rttForecast: {threshold: 100ms}, model: {builtin: max-10}}]";
/// More than a segment, so that its ACK is not delayed.
const REQUEST: usize = 10_000;
const ANSWER: usize = 300;
const BEHAVIOUR: Behaviour = Behaviour::Script { request: REQUEST, steps: &[Step::Send(ANSWER)] };
/// Longest time without samples, s.
const LONGEST_GAP: f64 = 2.0;

fn converse(stream: &mut TcpStream) {
    stream.write_all(&[b'q'; REQUEST]).unwrap();
    stream.read_exact(&mut [0; ANSWER]).unwrap();
}

/// Opens a pool and keeps it busy until it is over.
fn busy<'scope>(
    scope: &'scope Scope<'scope, '_>,
    path: &Path,
    server: SocketAddr,
    connections: usize,
    is_over: &'scope AtomicBool,
) {
    let mut pool: Vec<TcpStream> = (0..connections).map(|_| ask(&path.near, server)).collect();
    pool.iter_mut().for_each(converse);
    scope.spawn(move || {
        while !is_over.load(Ordering::Relaxed) {
            pool.iter_mut().for_each(converse);
            thread::sleep(Duration::from_millis(20));
        }
    });
}

/// When the ticks ended in which a target had clean samples, unix s, as they come.
fn sampled<'scope>(scope: &'scope Scope<'scope, '_>, agent: &Agent, target: String) -> Receiver<f64> {
    let (ticks, sampled) = mpsc::channel();
    let stream = agent.stream();
    scope.spawn(move || {
        for line in stream {
            let is_it = |seen: &&Value| seen["target"] == target.as_str();
            let seen = line["targets"].as_array().and_then(|targets| targets.iter().find(is_it));
            let count = seen.and_then(|seen| seen["signals"][Signal::RttCount as usize].as_f64());
            // Nobody listens any more when the test is over.
            if count.is_some_and(|count| count > 0.0)
                && ticks.send(line["unix_ms"].as_f64().unwrap() / 1_000.0).is_err()
            {
                return;
            }
        }
    });
    sampled
}

fn of(agent: &Agent, target: &str) -> Option<Value> {
    agent.get("/api/v1/targets")?;
    agent.json("/api/v1/targets").as_array()?.iter().find(|seen| seen["target"] == target).cloned()
}

#[test]
fn an_upgrade_under_load_loses_no_socket_and_what_is_opened_meanwhile_is_measured_by_its_smoothed_rtt() {
    let Some(_alone) = alone() else { return };
    let [kept, newer] = [Path::new(), Path::new()];
    let servers = [&kept, &newer].map(|path| Server::start(&path.far, Path::far_address(Family::V4, 0), BEHAVIOUR));
    let (state, policy, is_over) = (scratch(), policy(RULE), AtomicBool::new(false));
    let targets = [&kept, &newer].map(|path| path.near.name.clone());
    let [first, second] = targets.each_ref().map(|name| format!("netns:{name}"));
    let policy = policy.path().display().to_string();
    let start = || Agent::start(state.path(), &["--target", &first, "--target", &second, "--policy", &policy]);
    thread::scope(|scope| {
        let _over = Ended(&is_over);
        let agent = start();
        agent.until_ready_is(200);
        busy(scope, &kept, servers[0].address, 4, &is_over);
        let before = sampled(scope, &agent, targets[0].clone());
        let last = (0..5).fold(None, |_, _| before.recv().ok()).unwrap();
        assert!(agent.terminate().0.success(), "{}", agent.log());
        let last = before.iter().last().unwrap_or(last);

        // While no agent runs.
        busy(scope, &newer, servers[1].address, 2, &is_over);
        let agent = start();
        wait_for("the new agent listens", || agent.get("/readyz"));
        let after = sampled(scope, &agent, targets[0].clone());
        // The first tick with samples began a second before it ended.
        let gap = after.recv().unwrap() - 1.0 - last;
        eprintln!("{gap:.2} s without samples");
        assert!(gap <= LONGEST_GAP, "{gap} s; {}", agent.log());

        wait_for("nothing is lost of what was open before", || {
            let seen = of(&agent, &targets[0])?;
            (seen["established"] == 4 && seen["coveragePercent"] == 100 && seen["rttFrom"] == "Clean").then_some(())
        });
        wait_for("what was opened meanwhile is measured", || {
            let seen = of(&agent, &targets[1])?;
            let is_smoothed = seen["coveragePercent"] == 0 && seen["smoothedPercent"] == 100;
            (is_smoothed && seen["rttFrom"] == "Smoothed" && seen["measuredUs"].as_f64()? > 0.0).then_some(())
        });
    });
}

#[test]
fn an_agent_that_stands_by_takes_over_when_the_one_before_ends_and_misses_no_connection() {
    let Some(_alone) = alone() else { return };
    let path = Path::new();
    let server = Server::start(&path.far, Path::far_address(Family::V4, 0), BEHAVIOUR);
    let (state, policy, is_over) = (scratch(), policy(RULE), AtomicBool::new(false));
    let target = format!("netns:{}", path.near.name);
    let policy = policy.path().display().to_string();
    let start = || Agent::start(state.path(), &["--target", &target, "--policy", &policy]);
    thread::scope(|scope| {
        let _over = Ended(&is_over);
        let before = start();
        before.until_ready_is(200);
        busy(scope, &path, server.address, 4, &is_over);

        let after = start();
        assert!(after.until_ready_is(200).contains("standing by"), "{}", after.log());
        assert!(after.get("/metrics").is_some_and(|(status, _)| status == 503), "nobody scrapes two agents of a node");
        // While both run.
        busy(scope, &path, server.address, 2, &is_over);
        assert!(before.terminate().0.success(), "{}", before.log());
        let gap = wait_for("the next one takes over", || {
            let (_, metrics) = after.get("/metrics")?;
            let gap = metrics.lines().find(|line| line.starts_with("netprecursor_handover_gap_seconds"))?;
            gap.rsplit(' ').next()?.parse::<f64>().ok()
        });
        eprintln!("nobody watched for {gap:.2} s");
        assert!(gap <= LONGEST_GAP, "{gap} s; {}", after.log());
        wait_for("all connections are seen", || {
            let seen = of(&after, &path.near.name)?;
            (seen["established"] == 6 && seen["coveragePercent"] == 100 && seen["rttFrom"] == "Clean").then_some(())
        });
    });
}

#[test]
fn an_agent_that_stands_by_can_be_ended() {
    let Some(_alone) = alone() else { return };
    let state = scratch();
    let start = || Agent::start(state.path(), &["--target", "netns:none"]);
    let before = start();
    before.until_ready_is(200);
    let after = start();
    after.until_ready_is(200);
    assert!(after.terminate().0.success(), "{}", after.log());
    assert!(before.get("/readyz").is_some_and(|(status, _)| status == 200), "{}", before.log());
}
