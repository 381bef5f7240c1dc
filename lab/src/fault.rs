//! The conditions at a time, as pure functions of the resolved scenario, and the spinners of a CPU fault.

mod desired;
pub(crate) mod spin;

pub use desired::{Bursts, Conditions, Spinners, load_strength};
