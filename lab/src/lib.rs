//! Reproducible network faults in namespaces, with ground-truth labels.
//!
//! The data flows in one direction: [`scenario`] (a file; the seed fills its ranges in) → [`topology`] (namespaces,
//! bottleneck, relay) → [`load`] (nginx, paced requests, wrk, iperf3) → [`fault`] (the conditions at a time) → [`labels`]
//! (what an independent observer measured). [`run()`] does all of it.

mod error;
pub mod fault;
pub mod labels;
pub mod load;
mod run;
pub mod scenario;
pub mod topology;

pub use error::LabError;
pub use run::{Outcome, Phase, Stage, run};
