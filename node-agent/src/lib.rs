//! The agent as a library: `main.rs` is its door.

pub mod cli;
pub mod cluster;
pub mod config;
pub mod keep;
pub mod run;
pub mod sensors;
pub mod sinks;
pub mod status;
pub mod targets;
pub mod tick;
