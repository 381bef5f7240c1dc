//! The chart: its rendering, its admission by a real API server, its access rules, and its lifecycle on a cluster.

#![expect(clippy::unwrap_used, reason = "tests say what they expect by unwrapping")]

mod access;
mod admission;
mod dialects;
mod documentation;
mod helm;
mod lifecycle;
mod monitors;
mod names;
mod network;
mod objects;
mod rendering;
mod road;
mod scaling;
mod server;
mod values;
