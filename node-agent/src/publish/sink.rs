//! What all publishers of alerts have in common: they never block the tick, hold a bounded number of transitions, retry,
//! and report their health.

use netprecursor_core::{alert::Transition, tick::Tick};

use crate::{health::Health, status::Status};

/// Something that publishes alerts. Held by the tick thread.
pub trait Sink: Send {
    /// Takes in a transition, to be published soon. Returns at once; what finds no room is counted in [`Health::dropped`].
    fn publish(&mut self, transition: &Transition);

    /// Called each tick: a sink whose other end was busy may try again.
    fn flush(&mut self) {}

    /// Called each tick with the state of the node's sensors. Returns at once, as [`Sink::publish`] does.
    fn observe(&mut self, _now: Tick, _sensors: &[Status]) {}

    /// How it is doing.
    fn health(&self) -> Health;
}
