//! From the bytes of an ONNX file to quantiles of the round trip to come.
//!
//! The data flows in one direction: [`contract`] walks the file and refuses what is unsafe, [`forest`] evaluates tree
//! ensembles, [`plan`] the arithmetic around them, [`net`] hands nets to tract, [`Scorer`] runs a model and [`Forecaster`] is
//! what the agent calls. [`child`] does the same once in a process of its own, under limits, before the agent trusts a
//! file. [`detect`] scores what somebody posts with the models that ship.

pub mod builtin;
pub mod child;
pub mod contract;
pub mod detect;
mod forecaster;
pub mod forest;
pub mod net;
pub mod plan;
mod refusal;
mod scorer;

pub use forecaster::{Batch, Forecaster, Reads};
pub use refusal::Refusal;
pub use scorer::{ForestInfo, ModelInfo, ScoreError, Scorer, Use};
