//! An agent that starts again goes on where the last one stopped.

use std::{
    io::Write as _,
    sync::atomic::{AtomicU8, Ordering},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::Value;

use crate::fixture::{Agent, Behaviour, Family, PATIENCE, Path, Server, alone, ask, policy, scratch, wait_for};

/// A queue of 100 kB that empties with 2 Mbit/s holds packets for 400 ms, whatever a rule means by RTT.
fn rules() -> String {
    let rule = |name| {
        let measure = if name == PLAIN { "Rtt" } else { "Inflation" };
        format!(
            "{{name: {name}, signal: RttForecast, rttForecast: {{threshold: 100ms, resolveThreshold: 60ms, measure: {measure}}}, \
             holdFor: 2s, keepFiringFor: 2s, model: {{builtin: max-10}}}}"
        )
    };
    format!("[{}]", NAMES.map(rule).join(", "))
}

const PLAIN: &str = "rtt";
const NAMES: [&str; 2] = [PLAIN, "inflation"];

const CALM: u8 = 0;
const SURGE: u8 = 1;
const OVER: u8 = 2;

/// Traffic that fills the queue while there is a surge.
fn traffic(path: &Path, server: &Server, phase: &AtomicU8) {
    loop {
        match phase.load(Ordering::Relaxed) {
            CALM => {
                drop(ask(&path.near, server.address));
                thread::sleep(Duration::from_millis(100));
            }
            SURGE => {
                // Each fills its window; together they fill the queue.
                let mut streams = [(); 4].map(|()| ask(&path.near, server.address));
                for stream in &streams {
                    stream.set_nonblocking(true).unwrap();
                }
                while phase.load(Ordering::Relaxed) == SURGE {
                    for stream in &mut streams {
                        while stream.write(&[b'x'; 16 * 1024]).is_ok() {}
                    }
                    thread::sleep(Duration::from_millis(20));
                }
            }
            _ => return,
        }
    }
}

fn unix() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// The alert of each rule, once there are some.
fn alerts(agent: &Agent) -> Option<[Value; 2]> {
    agent.get("/api/v1/alerts")?;
    let alerts = agent.json("/api/v1/alerts");
    let of = |rule: &str| alerts.as_array()?.iter().find(|alert| alert["rule"] == rule).cloned();
    Some([of(NAMES[0])?, of(NAMES[1])?])
}

fn until_alerts_are(agent: &Agent, what: &str, is: impl Fn(&Value) -> bool) -> [Value; 2] {
    let began = Instant::now();
    loop {
        if let Some(found) = alerts(agent).filter(|alerts| alerts.iter().all(&is)) {
            return found;
        }
        let state = || format!("{}; log: {}", agent.json("/api/v1/targets"), agent.log());
        // The rule of thumb remembers the surge for ten seconds.
        assert!(began.elapsed() < 2 * PATIENCE, "waited in vain: {what}; {}", state());
        thread::sleep(Duration::from_millis(50));
    }
}

fn is_firing(alert: &Value) -> bool {
    alert["state"] == "Firing"
}

/// Whether nothing forbids the rules to fire; before their first step, nobody knows.
fn is_warm(agent: &Agent) -> bool {
    let target = &agent.json("/api/v1/targets")[0];
    let is_free = |rule: usize| target["rules"][rule].is_object() && target["rules"][rule].get("gate").is_none();
    target["watchedSeconds"].as_u64().is_some_and(|seconds| seconds > 10) && is_free(0) && is_free(1)
}

/// Ends the traffic, also when a test fails.
struct Ending<'a>(&'a AtomicU8);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(OVER, Ordering::Relaxed);
    }
}

/// When the latest handover was written.
fn written(state: &std::path::Path) -> Option<SystemTime> {
    let files = ["handover.0", "handover.1"].map(|name| state.join(name));
    files.iter().filter_map(|file| file.metadata().ok()?.modified().ok()).max()
}

#[test]
fn after_a_planned_restart_and_after_a_crash_it_warns_within_seconds_and_open_alerts_go_on() {
    let Some(_alone) = alone() else { return };
    let path = Path::through_a_queue(2, 100_000);
    let server = Server::start(&path.far, Path::far_address(Family::V4, 0), Behaviour::Swallow);
    let (state, policy, phase) = (scratch(), policy(&rules()), AtomicU8::new(CALM));
    let arguments = [
        "--target".to_owned(),
        format!("netns:{}", path.near.name),
        "--policy".to_owned(),
        policy.path().display().to_string(),
    ];
    let start = || Agent::start(state.path(), &arguments.each_ref().map(String::as_str));
    thread::scope(|scope| {
        let _ending = Ending(&phase);
        scope.spawn(|| traffic(&path, &server, &phase));
        let agent = start();
        agent.until_ready_is(200);
        // A minute of warm-up, of which there is none again.
        let began = Instant::now();
        while !is_warm(&agent) {
            assert!(began.elapsed() < Duration::from_secs(90), "{}", agent.json("/api/v1/targets"));
            thread::sleep(Duration::from_millis(200));
        }
        assert!(agent.terminate().0.success(), "{}", agent.log());

        let (began, agent) = (unix(), start());
        // Connections that are opened while no agent runs have smoothed RTT alone.
        agent.until_ready_is(200);
        phase.store(SURGE, Ordering::Relaxed);
        let surged = unix();
        let fired = until_alerts_are(&agent, "alerts after the planned restart", is_firing);
        let planned = unix() - began;
        // Seconds of hold, and one of the clock; how long a process takes to start is the machine's.
        let late = fired.each_ref().map(|alert| alert["firedUnix"].as_f64().unwrap() - surged);
        let is_soon = late.iter().all(|late| *late <= 5.0);
        assert!(is_soon, "{late:?} s after the surge began, {planned} s after the start; {}", agent.log());

        let since = SystemTime::now();
        wait_for("it is on disk that the alerts are out", || written(state.path()).filter(|at| *at > since));
        agent.kill();
        let agent = start();
        let went_on = until_alerts_are(&agent, "the alerts go on", is_firing);
        for (after, before) in went_on.iter().zip(&fired) {
            for field in ["name", "count", "firedUnix"] {
                assert_eq!(after[field], before[field], "{field}");
            }
        }
        phase.store(CALM, Ordering::Relaxed);
        // A handshake is its connection's floor: nothing shows of the other one that it is over, and it just goes on.
        let is_over = |alert: &Value| alert["state"] == "Resolved" && alert["count"] == 1;
        until_alerts_are(&agent, "the alert resolves once", |alert| alert["rule"] != PLAIN || is_over(alert));

        agent.kill();
        let (began, agent) = (unix(), start());
        // Connections that are opened while no agent runs have smoothed RTT alone.
        agent.until_ready_is(200);
        phase.store(SURGE, Ordering::Relaxed);
        until_alerts_are(&agent, "alerts after the crash", is_firing);
        let crashed = unix() - began;
        assert!(crashed <= 15.0, "{crashed} s after the crash; {}", agent.log());
        eprintln!("fired {planned:.1} s after a planned restart, {crashed:.1} s after a crash");
    });
}
