//! The agent that publishes: its own exporter in a process of its own, because the variables that configure it are a whole
//! process's.

#[allow(dead_code, reason = "other tests use the rest of it")]
#[path = "../../../../node-agent/tests/sinks/firing.rs"]
mod firing;
#[allow(dead_code, reason = "other tests use the rest of it")]
#[path = "../../../../node-agent/tests/sinks/transitions.rs"]
mod transitions;

use std::{
    env, fs,
    io::{self, BufRead as _, Write as _},
    path::PathBuf,
    pin::pin,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use firing::{alert, reference};
use futures_util::FutureExt as _;
use netprecursor_agent::{
    metrics::seen::{By, Place, Seen, SeenAlert, SeenTarget},
    publish::{otlp, sink::Sink as _},
    status::{Need, State, Status},
};
use netprecursor_core::{alert::AlertState, tick::Tick};
use netprecursor_testbed::Scratch;
use serde_json::Value;

use crate::exposition;

/// Names the file for how the exporter of records is doing.
const HEALTH: &str = "NETPRECURSOR_TEST_HEALTH";
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// It, running until it is ended or dropped.
pub(crate) struct Agent {
    child: Child,
    scratch: Scratch,
}

impl Agent {
    /// On node `node1` of the cluster `east`, with these variables.
    pub(crate) fn start(variables: &[(&str, String)]) -> Self {
        let scratch = Scratch::new().unwrap();
        let child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "collector::agent::publishes", "--ignored", "--nocapture"])
            .env_clear()
            .env(HEALTH, scratch.path().join("health"))
            .env("NODE_NAME", "node1")
            .env("OTEL_METRIC_EXPORT_INTERVAL", "100")
            .envs(variables.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, scratch }
    }

    /// Has it publish that an alert `fired` or `resolved`, or that a sensor is `degraded`.
    pub(crate) fn publish(&mut self, event: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{event}").unwrap();
    }

    /// How its exporter of records is doing.
    pub(crate) fn health(&self) -> Option<Value> {
        serde_json::from_slice(&fs::read(self.scratch.path().join("health")).ok()?).ok()
    }

    /// Ends it; how its exporter of records did.
    pub(crate) fn end(mut self) -> Value {
        drop(self.child.stdin.take());
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}");
        self.health().unwrap()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It has ended when the test asked it to.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Each line of its input is an event; it ends with them.
#[test]
#[ignore = "runs as the agent of other tests"]
fn publishes() {
    let Some(path) = env::var_os(HEALTH).map(PathBuf::from) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (telemetry, mut sink) = otlp::from_environment("node1", Some("east")).unwrap();
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        thread::spawn(move || {
            for line in io::stdin().lock().lines() {
                let transition = |state| transitions::transition(&reference("policy-uid"), 1, 1, state);
                match line.unwrap().as_str() {
                    "fired" => sink.publish(&transition(AlertState::Firing)),
                    "resolved" => sink.publish(&transition(AlertState::Resolved)),
                    _ => sink.observe(Tick(1), &[sched()]),
                }
            }
            drop(end);
        });
        let boards = telemetry.boards();
        let board = boards.iter().find(|board| board.read().name == "otlp-logs").unwrap();
        let ended = async { drop(ended.await) }.shared();
        let mut exporting = pin!(telemetry.run(seen, ended));
        let mut is_over = false;
        while !is_over {
            is_over = tokio::select! {
                () = &mut exporting => true,
                () = tokio::time::sleep(LOOK_EVERY) => false,
            };
            let (next, text) = (path.with_extension("next"), serde_json::to_string(&board.read()).unwrap());
            fs::write(&next, text).and_then(|()| fs::rename(&next, &path)).unwrap();
        }
    });
}

/// A sensor that measures less than it should.
fn sched() -> Status {
    Status::new("sched", Need::Optional, State::Degraded("no tracefs".to_owned()))
}

/// What it sees, by workload: one of the two pods is as good as both.
fn seen() -> Seen {
    let of_workload = |place: Place| Place { target: None, pod: None, ..place };
    let seen = exposition::seen(2);
    let target = |one: SeenTarget| SeenTarget { place: of_workload(one.place), ..one };
    let alert = |one: SeenAlert| SeenAlert { place: of_workload(one.place), ..one };
    Seen {
        targets: seen.targets.into_iter().take(1).map(target).collect(),
        alerts: seen.alerts.into_iter().map(alert).collect(),
        by: By::Workload,
        ..seen
    }
}
