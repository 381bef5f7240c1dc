//! The queue of alerts under everything that a disk, a crash and a server can do to it.

#![expect(clippy::unwrap_used, reason = "tests say what they expect by unwrapping")]

mod anything;
mod crash;
mod sending;
#[path = "../sinks/mod.rs"]
mod sinks;

use std::time::Duration;

use fastrand::Rng;
use netprecursor_agent::publish::queue::{Limits, Op, Outcome, Pick, Purse, Queue};
use netprecursor_core::alert::{Alert, AlertState};
use sinks::disk::MemoryDisk;

const PLENTY: Purse = Purse { tokens: 100, burst: 30 };
const DAY: u64 = 1_700_000_000;

/// State and count: what an alert is, as far as anybody is warned.
type State = (u64, AlertState);

fn fired(alert: usize, times: u64) -> Alert {
    Alert { count: times, fired_unix: DAY + 100 * times, ..sinks::alert(alert) }
}

fn over(alert: usize, times: u64) -> Alert {
    Alert { state: AlertState::Resolved, resolved_unix: Some(DAY + 100 * times + 50), ..fired(alert, times) }
}

fn state(record: &Alert) -> State {
    (record.count, record.state)
}

/// The order of an alert's life.
fn order(state: State) -> (u64, bool) {
    (state.0, state.1 == AlertState::Resolved)
}

fn open(disk: &MemoryDisk) -> Queue<MemoryDisk> {
    Queue::open(disk.clone(), Limits::default())
}

/// Does what is picked until nothing is left; what was done.
fn publish(queue: &mut Queue<MemoryDisk>, rng: &mut Rng) -> Vec<Op> {
    let mut done = Vec::new();
    while let Pick::Do(op) = queue.pick(Duration::ZERO, DAY, PLENTY) {
        queue.settle(&op, &Outcome::Done { uid: Some("u".to_owned()) }, Duration::ZERO, rng);
        done.push(op);
        assert!(done.len() < 1000, "it goes on for ever: {done:?}");
    }
    done
}
