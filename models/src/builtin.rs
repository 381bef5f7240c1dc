//! What comes with the release: trained models, the offsets of the rules of thumb, and which of them is the default.
//! All of it is written by training (`make train`) into `models/artifacts` and compiled in.

use std::sync::LazyLock;

use netprecursor_core::forecast::{Naive, QuantileOffsets};

/// Trained models by name.
const MODELS: &[(&str, &[u8])] = &[("rtt-xgboost", include_bytes!("../artifacts/rtt-xgboost.onnx"))];

/// What forecasts when a policy names nothing: what ranks coming breaches best on the families of faults held out of
/// training (`models/artifacts/default.json` says so, and by how much; a test compares).
pub const DEFAULT: &str = "damped-holt";

#[expect(clippy::expect_used, reason = "compiled in, and read by a test")]
static OFFSETS: LazyLock<QuantileOffsets> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../artifacts/naive-offsets.json")).expect("the offsets that training wrote")
});

/// A trained model.
pub fn model(name: &str) -> Option<&'static [u8]> {
    MODELS.iter().find(|(known, _)| *known == name).map(|(_, bytes)| *bytes)
}

/// The names that a policy may give as `builtin`.
pub fn names() -> impl Iterator<Item = &'static str> {
    MODELS.iter().map(|(name, _)| *name).chain(Naive::ALL.into_iter().map(Naive::name))
}

/// What stands in for a model that is refused: the best rule of thumb on the families held out.
pub const fn best_naive() -> Naive {
    Naive::DampedHolt
}

/// The offsets of the rules of thumb, from the residuals of training.
pub fn offsets() -> QuantileOffsets {
    OFFSETS.clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Scorer, Use, contract::PolicyContract};

    #[test]
    fn every_model_that_ships_may_be_used_by_a_policy_of_this_release() {
        for (name, bytes) in MODELS {
            let scorer = Scorer::load(bytes, Use::Policy(&PolicyContract::rtt())).unwrap_or_else(|refusal| {
                panic!("{name}: {refusal}; the schema changed: train again");
            });
            assert!(!scorer.info().forests.is_empty(), "{name} has no trees");
        }
    }

    #[test]
    fn the_default_is_what_training_chose() {
        let chosen: serde_json::Value = serde_json::from_str(include_str!("../artifacts/default.json")).unwrap();
        assert_eq!(chosen["builtin"], DEFAULT);
        assert!(names().any(|name| name == DEFAULT));
    }

    #[test]
    fn offsets_come_from_training() {
        assert!(offsets().source().starts_with("quantiles of training residuals"), "{}", offsets().source());
    }
}
