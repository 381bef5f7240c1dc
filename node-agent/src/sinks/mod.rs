//! Where what happened goes: the log, the HTTP interface, metrics, the stream of ticks, the disk.

pub mod api;
pub mod ledgers;
pub mod metrics;
pub mod stream;
