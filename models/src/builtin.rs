//! What comes with the release: trained models, the offsets of the rules of thumb, and which of them is the default.

use netprecursor_core::forecast::{Naive, QuantileOffsets};

/// Trained models by name.
const MODELS: &[(&str, &[u8])] = &[];

/// What forecasts when a policy names nothing: what won on the families held out of training.
pub const DEFAULT: &str = "damped-holt";

/// A trained model.
pub fn model(name: &str) -> Option<&'static [u8]> {
    MODELS.iter().find(|(known, _)| *known == name).map(|(_, bytes)| *bytes)
}

/// The names that a policy may give as `builtin`.
pub fn names() -> impl Iterator<Item = &'static str> {
    MODELS.iter().map(|(name, _)| *name).chain(Naive::ALL.into_iter().map(Naive::name))
}

/// What stands in for a model that is refused.
pub const fn best_naive() -> Naive {
    Naive::DampedHolt
}

/// The offsets of the rules of thumb.
pub fn offsets() -> QuantileOffsets {
    QuantileOffsets::default()
}
