//! What all that publishes alerts has in common: it never keeps the tick waiting, it holds no more than it has room for,
//! it tries again, and it says how it is doing.

use netprecursor_core::alert::Transition;

use crate::health::Health;

/// Something that publishes alerts. Held by the tick thread.
pub trait Sink: Send {
    /// Takes in a transition, to be published soon. Returns at once; what finds no room is counted in [`Health::dropped`].
    fn tell(&mut self, transition: &Transition);

    /// Called each tick: a sink whose other end was busy may try again.
    fn flush(&mut self) {}

    /// How it is doing.
    fn health(&self) -> Health;
}
