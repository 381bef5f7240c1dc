//! The agent as a library: `main.rs` is its door.

pub mod sensors;
pub mod targets;
