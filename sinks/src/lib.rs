//! Receivers that alerts are pushed to, from agents on single hosts and from the operator in a cluster: Alertmanager
//! ([`alertmanager`]) and webhooks ([`webhook`]).
//!
//! alert → [`notice`] (what receivers learn) → [`inbox`] (bounded) → one worker for each receiver, which decides purely
//! what is due and sends it with [`http`]. Whoever hands in a notice never waits, and no receiver waits for another.

pub mod alertmanager;
pub mod health;
pub mod http;
pub mod inbox;
pub mod link;
pub mod notice;
pub mod receivers;
pub mod settings;
pub mod webhook;
pub mod words;
mod worker;

/// What is counted from: seconds and the wall clock, for a worker that decides purely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Time since the worker began; never runs backwards.
    pub since: std::time::Duration,
    /// The wall clock, unix s.
    pub unix: u64,
}
