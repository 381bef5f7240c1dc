//! One tick: read the sensors, push windows, extract features, forecast all targets at once, decide, and emit what
//! happened. One thread, no allocation per target in steady state; effects leave through [`Transition`](netprecursor_core::alert::Transition).

pub mod active;
pub mod alerts;
pub mod forecaster;
pub mod frames;
pub mod handover;
pub mod memories;
pub mod pipeline;
pub mod report;
pub mod selection;
pub mod snapshot;
pub mod target;
pub mod viewed;
