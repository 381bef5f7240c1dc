//! Signals as a slot of a ring.

use netprecursor_core::signal::Signals;

use super::ring::Slot;

/// The signals of a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Second(pub(super) Signals);

impl Slot for Second {
    // What is absent here was not received; that is not the same as a count of zero.
    const ABSENT: Self = Self(Signals::ABSENT);

    fn merge(&mut self, later: Self) {
        *self = later;
    }
}
