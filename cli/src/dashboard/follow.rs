//! Follows an agent: each tick of its stream is the clock by which the rest is asked for. When the connection ends, it is
//! made again, after waits that grow.

use std::{
    convert::Infallible,
    io,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use thiserror::Error;

use super::{agent::Agent, api::Shared, store::Frame};
use crate::{
    agent_api::ReadError,
    stream::{AgentStream, StreamError, TickLine},
};

/// The first wait, and the longest.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(15);

/// Scores change by the minute and are the longest answer.
pub(super) const SCORES_EVERY: u64 = 5;

#[derive(Debug, Error)]
enum FollowError {
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error(transparent)]
    Agent(#[from] ReadError),
}

/// Follows on a thread of its own, because the stream's client blocks. It ends with the program.
pub(super) fn start(agent: Agent, shared: Arc<Shared>) -> io::Result<()> {
    thread::Builder::new().name("agent".to_owned()).spawn(move || follow(&agent, &shared))?;
    Ok(())
}

fn follow(agent: &Agent, shared: &Shared) {
    let mut failures = 0;
    loop {
        match session(agent, shared, &mut failures) {
            Ok(never) => match never {},
            Err(error) => shared.disconnected(&error.to_string()),
        }
        thread::sleep(wait(failures));
        failures += 1;
    }
}

/// How long to wait after so many failures in a row.
pub(super) fn wait(failures: u32) -> Duration {
    FIRST.saturating_mul(1 << failures.min(10)).min(LONGEST)
}

/// One connection, to its end.
fn session(agent: &Agent, shared: &Shared, failures: &mut u32) -> Result<Infallible, FollowError> {
    let mut stream = AgentStream::open(agent.url(), false)?;
    shared.connected(stream.header().agent_version.clone(), stream.header().kernel.clone());
    let mut seconds = 0_u64;
    loop {
        let line = stream.tick()?;
        line.check(false)?;
        let frame = frame(agent, line, shared.unix(), seconds.is_multiple_of(SCORES_EVERY))?;
        shared.take(frame, stream.lost(), Instant::now());
        seconds += 1;
        *failures = 0;
    }
}

/// All that there is to a tick. `known` is the last second that was read.
fn frame(agent: &Agent, line: TickLine, known: u64, with_scores: bool) -> Result<Frame, ReadError> {
    let unix = line.unix_ms / 1000;
    let signals = line.targets.iter().map(|target| (target.uid.clone(), target.signals())).collect();
    Ok(Frame {
        tick: line.tick,
        unix,
        targets: agent.targets()?,
        forecasts: agent.forecasts()?,
        history: agent.history(since(known, unix))?,
        signals,
        alerts: agent.alerts()?,
        scores: with_scores.then(|| agent.scores()).transpose()?,
        health: with_scores.then(|| agent.health()).transpose()?,
    })
}

/// The second behind which a tick's history begins. The last known one is asked for again, because two ticks may end in it,
/// and what is read twice stays the same: within a second the highest counts. A clock that was set back makes all of it new.
pub(super) const fn since(known: u64, unix: u64) -> u64 {
    if known > unix { 0 } else { known.saturating_sub(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_in_which_two_ticks_end_is_read_at_both() {
        assert_eq!(since(2_000, 2_000), 1_999);
        assert_eq!(since(2_000, 2_001), 1_999);
    }

    #[test]
    fn a_new_agent_and_a_clock_that_was_set_back_are_asked_for_everything() {
        assert_eq!((since(0, 2_000), since(2_001, 2_000)), (0, 0));
    }

    #[test]
    fn waits_grow_to_a_limit() {
        let waits: Vec<u64> = [0, 1, 2, 3, 4, 5, 1_000].map(|failures| wait(failures).as_secs()).into();
        assert_eq!(waits, [1, 2, 4, 8, 15, 15, 15]);
    }
}
