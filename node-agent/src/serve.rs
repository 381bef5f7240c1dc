//! What the agent answers when asked: the HTTP interface, metrics in Prometheus' text format, the stream of ticks.

pub mod api;
pub mod metrics;
mod page;
pub mod stream;
mod views;
