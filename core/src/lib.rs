//! netprecursor's domain: what is measured, what is forecast, what is decided, who was right.
//!
//! Everything here is pure: no clock, no randomness, no kernel, no Kubernetes. Time is a tick number that the caller
//! passes in. The data flows in one direction: [`signal`] → window → features → forecast → calibrate → decide → score.

pub mod adapt;
pub mod alert;
pub mod calibrate;
pub mod causes;
pub mod clock;
pub mod decide;
pub mod features;
pub mod forecast;
pub mod gate;
mod hex;
pub mod memory;
pub mod policy;
pub mod recurrence;
pub mod schema;
pub mod score;
pub mod sequence;
pub mod signal;
pub mod source;
pub mod tick;
pub mod watch;
pub mod window;

pub use hex::hex;
