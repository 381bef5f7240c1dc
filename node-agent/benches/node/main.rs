//! What the agent costs a node, measured on the real kernel: time per RTT sample, per target read, per tick, and memory.
//! Prints one JSON document; `cargo xtask bench` shows it beside the aims. Needs root; says so otherwise.
//!
//! `--quick` measures each thing for a shorter time.
#![expect(clippy::print_stdout, reason = "its output is the result")]

mod crowd;
mod memory;
mod sample;
mod tick;

#[path = "../../tests/kernel/fixture/addresses.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod addresses;

#[path = "../../tests/kernel/fixture/hosts.rs"]
#[expect(dead_code, clippy::unwrap_used, reason = "the tests use the rest; a failed set-up ends the measurement")]
mod hosts;

use std::{
    thread,
    time::{Duration, Instant},
};

use serde::Serialize;

/// How long things are measured.
#[derive(Debug, Clone, Copy)]
struct Effort {
    /// A program under traffic, each of three times.
    traffic: Duration,
    /// Ticks per number of targets.
    ticks: u64,
    /// Seconds that the agent runs before its memory is read.
    settle: Duration,
}

const QUICK: Effort = Effort { traffic: Duration::from_millis(700), ticks: 60, settle: Duration::from_secs(8) };
const FULL: Effort = Effort { traffic: Duration::from_secs(3), ticks: 300, settle: Duration::from_secs(75) };

/// The document.
#[derive(Debug, Serialize)]
struct Results {
    /// Why nothing was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<&'static str>,
    samples: Vec<sample::Cost>,
    reads: Vec<tick::Read>,
    ticks: Vec<tick::Whole>,
    memory: Option<memory::Footprint>,
}

/// Looks until `look` yields something: what the hosts wait with.
fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// CPU time of this thread so far: what others do meanwhile is not in it.
fn cpu_time() -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is valid for writes.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut now) };
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() -> anyhow::Result<()> {
    if let Some(done) = crowd::end(std::env::args()) {
        return done;
    }
    let effort = if std::env::args().any(|argument| argument == "--quick") { QUICK } else { FULL };
    // SAFETY: no preconditions.
    let results = if unsafe { libc::geteuid() } == 0 {
        Results {
            skipped: None,
            samples: sample::measure(effort.traffic)?,
            reads: tick::reads()?,
            ticks: tick::measure(effort.ticks)?,
            memory: Some(memory::measure(effort.settle)?),
        }
    } else {
        let skipped = Some("not root: BPF programs and namespaces need root");
        Results { skipped, samples: Vec::new(), reads: Vec::new(), ticks: Vec::new(), memory: None }
    };
    println!("{}", serde_json::to_string_pretty(&results)?);
    Ok(())
}
