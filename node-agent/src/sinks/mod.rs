//! Where what happened goes: the log, the HTTP interface, metrics, the stream of ticks, the disk,
//! the API server, collectors of telemetry.

pub mod api;
pub mod kubernetes;
pub mod ledgers;
pub mod metrics;
pub mod otlp;
pub mod queue;
pub mod sink;
pub mod stream;
pub mod words;
