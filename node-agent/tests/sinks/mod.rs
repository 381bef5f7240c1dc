//! What tests of sinks share.
#![allow(dead_code, reason = "each test program uses its part")]

pub(crate) mod disk;
mod firing;
pub(crate) mod transitions;

pub(crate) use firing::{alert, subject};
