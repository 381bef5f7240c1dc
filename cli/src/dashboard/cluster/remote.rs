//! Follows one agent of a cluster: each tick of its stream is the clock by which the rest is asked for, on a connection of its
//! own. As `follow` does for an agent that is reached by an address.

use std::{convert::Infallible, time::Instant};

use serde::Deserialize as _;
use serde_json::Value;

use super::{
    Dial,
    wire::{Wire, WireError},
};
use crate::{
    dashboard::{
        agent::ScoreView,
        api::Shared,
        follow::{SCORES_EVERY, since},
        store::Frame,
    },
    stream::{self, Header, Line, TickLine},
};

/// One connection, to its end.
pub(super) async fn session(
    dial: &impl Dial,
    node: &str,
    shared: &Shared,
    failures: &mut u32,
) -> Result<Infallible, WireError> {
    let mut ticks = Wire::open(node, dial.dial(node).await?).await?;
    match follow(dial, &mut ticks, node, shared, failures).await {
        Ok(never) => match never {},
        Err(error) => Err(ticks.explained(error).await),
    }
}

async fn follow(
    dial: &impl Dial,
    ticks: &mut Wire,
    node: &str,
    shared: &Shared,
    failures: &mut u32,
) -> Result<Infallible, WireError> {
    let mut lines = ticks.lines("stream?features=false").await?;
    let first = lines.next().await?;
    let header: Header = serde_json::from_slice(&first).map_err(|_| lines.gone(stream::shown(&first)))?;
    stream::check(&header, false, node)?;
    shared.change(|fleet| {
        fleet.permit(node, None);
        if let Some(store) = fleet.store(node) {
            store.connected(header.agent_version, header.kernel);
        }
    });
    let mut documents = Wire::open(node, dial.dial(node).await?).await?;
    let (mut seconds, mut lost) = (0_u64, 0_u64);
    loop {
        let line = lines.next().await?;
        let tick = match serde_json::from_slice(&line) {
            Ok(Line::Tick(tick)) => tick,
            Ok(Line::Lost { lost: more }) => {
                lost = lost.saturating_add(more);
                continue;
            }
            Err(error) => return Err(lines.gone(format!("{} ({error})", stream::shown(&line))).into()),
        };
        tick.check(false)?;
        let known = shared.read(|fleet| fleet.unix_of(node));
        let frame = frame(&mut documents, tick, known, seconds.is_multiple_of(SCORES_EVERY)).await?;
        shared.change(|fleet| {
            if let Some(store) = fleet.store(node) {
                store.take(frame, lost, Instant::now());
            }
            fleet.settle();
        });
        seconds += 1;
        *failures = 0;
    }
}

/// All that there is to a tick. `known` is the last second that was read.
async fn frame(agent: &mut Wire, tick: TickLine, known: u64, with_scores: bool) -> Result<Frame, WireError> {
    let unix = tick.unix_ms / 1000;
    let signals = tick.targets.iter().map(|target| (target.uid.clone(), target.signals())).collect();
    Ok(Frame {
        tick: tick.tick,
        unix,
        targets: agent.read("targets").await?,
        forecasts: agent.read("forecast").await?,
        history: agent.read(&format!("history?since={}", since(known, unix))).await?,
        signals,
        alerts: agent.read("alerts").await?,
        scores: if with_scores { Some(scores(agent).await?) } else { None },
        // The node's report says more.
        health: None,
    })
}

async fn scores(agent: &mut Wire) -> Result<(Value, Vec<ScoreView>), WireError> {
    let scores: Value = agent.read("scores").await?;
    let views = Vec::deserialize(&scores).map_err(|source| agent.strange("scores", source))?;
    Ok((scores, views))
}
