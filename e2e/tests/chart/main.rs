//! The chart: what it renders, what a real API server says to it, what its access rules allow, and its life on a cluster.

#![expect(clippy::unwrap_used, reason = "tests say what they expect by unwrapping")]

mod access;
mod admission;
mod documentation;
mod helm;
mod lifecycle;
mod monitors;
mod objects;
mod rendering;
mod server;
