//! Learning in place: forecasts and chances that fit the network they are made on, learned from truth ten seconds late.
//!
//! Rules of thumb and trained models are *experts* ([`Evidence`]). What they forecast is corrected by offsets that are
//! tracked in place ([`Offsets`]), joined by a quantile regression that is learned in place ([`Regression`]) and mixed
//! with weights that follow who was right ([`Aggregation`]); together they are a [`Mixture`]. Beside it a [`Hazard`]
//! learns how likely the horizon is to breach a rule's threshold. All of it is pooled over the targets of a rule.
//!
//! Targets of a rule share networks: the labels of one tick count as one where a mean is followed, and as the root of their
//! number where [coefficients are learned](newton). Whoever learns takes in labels and ends a tick with `close`.

mod aggregation;
mod evidence;
mod hazard;
mod merits;
mod mixture;
mod newton;
mod offsets;
mod peers;
mod regression;
mod standing;
mod store;

#[cfg(test)]
mod tests;

pub use aggregation::Aggregation;
pub use evidence::{EXPERTS, Evidence, Expert, FEATURES, MODELS, feature_name};
pub use hazard::{Hazard, Odds, Situation, Source, chance};
pub use merits::{Merit, Merits, skills};
pub use mixture::{Made, Mixture, VOICES, voice_name};
pub use offsets::Offsets;
pub use peers::{Peers, Seen, Shown};
pub use regression::Regression;
pub use standing::{MEMBERS, Standing, leading, standings};
pub use store::{Learned, StoreError};
