//! What tests of sinks share.
#![allow(dead_code, unused_imports, reason = "each test program uses its part")]

pub(crate) mod checkout;
pub(crate) mod disk;
mod firing;
pub(crate) mod transitions;

pub(crate) use firing::{affected, alert, reference, subject};
