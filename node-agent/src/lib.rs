//! The agent as a library: `main.rs` is its door.

pub mod cli;
pub mod cluster;
pub mod config;
pub mod dealt;
pub mod desired;
pub mod doctor;
pub mod error;
pub mod host;
pub mod keep;
pub mod lock;
pub mod metrics;
pub mod netlink;
pub mod publish;
pub mod run;
pub mod sensors;
pub mod serve;
pub mod status;
pub mod targets;
pub mod tick;

pub use netprecursor_sinks::health;
