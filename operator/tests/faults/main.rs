//! The operator against everything that can go wrong between it and the API server, in paused time: a crash before and
//! after every write, every fault at every write, and mixes drawn by seed. Whatever happens, the cluster ends the same.
//!
//! `NETPRECURSOR_MIXES` sets how many mixes are drawn, or `all` of them; `NETPRECURSOR_MIX` plays one of them alone.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests say what they expect by unwrapping")]

mod enumerated;
mod leaders;
mod mixes;
mod play;
mod retired;
mod scenes;
mod state;
