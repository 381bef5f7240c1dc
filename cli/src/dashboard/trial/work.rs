//! One trial from request to answer. It blocks, for seconds at most.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use axum::http::StatusCode;
use netprecursor_core::policy::{Rule, Thresholds};
use thiserror::Error;

use super::{
    MOST_SECONDS, MOST_TARGETS,
    answer::Answer,
    asked::{Asked, Wrong},
    bounded::Bounded,
    kept::Kept,
    shelf::{Shelf, Unreadable},
};
use crate::{
    backtest::{forecaster, trial},
    dashboard::api::Shared,
    recording::{Recording, RecordingError},
    replay::Source,
};

/// Other thresholds that are tried besides, as multiples of the rule's own.
const FACTORS: [f64; 4] = [0.5, 0.7, 1.4, 2.0];

/// Why there is no answer.
#[derive(Debug, Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Wrong(#[from] Wrong),
    #[error("the page has asked for another trial, or has gone")]
    Overtaken,
    #[error(transparent)]
    Shelf(#[from] Unreadable),
    #[error(transparent)]
    Recording(#[from] RecordingError),
    #[error("{0:#}")]
    Play(anyhow::Error),
}

impl Failure {
    /// The status that says so.
    pub(super) const fn status(&self) -> StatusCode {
        match self {
            Self::Wrong(_) => StatusCode::BAD_REQUEST,
            Self::Overtaken => StatusCode::CONFLICT,
            // The file is what cannot be tried; the request is as it should be.
            Self::Recording(_) | Self::Play(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Shelf(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// Tries a rule until it is done or stopped.
pub(super) fn attempt(
    asked: &Asked,
    shared: &Shared,
    shelf: Option<&Shelf>,
    stop: &AtomicBool,
) -> Result<Answer, Failure> {
    match &asked.recording {
        Some(name) => recording(asked, name, shelf, stop),
        None => kept(asked, shared, stop),
    }
}

fn kept(asked: &Asked, shared: &Shared, stop: &AtomicBool) -> Result<Answer, Failure> {
    let most = (MOST_TARGETS, MOST_SECONDS);
    let kept = shared.read(|fleet| Kept::of(fleet.lines(), fleet.unix(), asked.uids.as_ref(), most));
    if asked.uids.is_some() && kept.len() == 0 {
        return Err(Wrong::at("uids", "got none that is watched now; /api/v1/overview lists those that are").into());
    }
    let minutes = kept.seconds() / 60;
    let newest = kept.is_cut.then(|| format!("only the newest {minutes} min of each target"));
    let targets = (kept.left_out > 0).then(|| format!("{} targets left out: choose some", kept.left_out));
    let cut: Vec<String> = newest.into_iter().chain(targets).collect();
    play(asked, &kept, stop, |_| (!cut.is_empty()).then(|| cut.join(", ")))
}

fn recording(asked: &Asked, name: &str, shelf: Option<&Shelf>, stop: &AtomicBool) -> Result<Answer, Failure> {
    let unknown = |expected: &str| {
        let shown: String = name.chars().take(80).collect();
        Wrong::at("recording", format_args!("got {shown:?}, expected {expected}"))
    };
    let shelf = shelf.ok_or_else(|| unknown("none: start the dashboard with --recordings DIRECTORY"))?;
    let path = shelf.path(name)?.ok_or_else(|| unknown("one of those that GET /api/v1/try lists"))?;
    let first = format!("only the first {MOST_SECONDS} s of all targets together: choose some of them");
    play(asked, &Recording::open(&path)?, stop, |is_cut| is_cut.then_some(first))
}

/// `cut` says what was not played, given whether the source had more.
fn play(
    asked: &Asked,
    source: &impl Source,
    stop: &AtomicBool,
    cut: impl FnOnce(bool) -> Option<String>,
) -> Result<Answer, Failure> {
    let source = Bounded::new(source, asked.uids.as_ref(), MOST_SECONDS, stop);
    let mut forecaster = forecaster::of_release(&asked.model).map_err(Failure::Play)?;
    let prior = forecaster::prior(&asked.model);
    let others = others(&asked.rule);
    let tried = trial::attempt(&source, &mut forecaster, &asked.policy, &asked.rule, &others, &prior);
    if stop.load(Relaxed) {
        return Err(Failure::Overtaken);
    }
    Ok(Answer::of(asked, &tried.map_err(Failure::Play)?, cut(source.is_cut())))
}

/// The rule at thresholds around its own, as far as they are thresholds.
fn others(rule: &Rule) -> Vec<Rule> {
    let own = rule.thresholds.breach_us();
    let scaled = |factor: &f64| {
        let us = (own as f64 * factor).round() as u64;
        let thresholds = Thresholds::new(us, None).ok().filter(|_| us != own)?;
        Some(Rule { thresholds, ..rule.clone() })
    };
    FACTORS.iter().filter_map(scaled).collect()
}
