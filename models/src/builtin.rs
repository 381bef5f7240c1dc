//! What comes with the release: trained models, the offsets of the rules of thumb, and which of them is the default.
//! All of it is written by training (`make train`) into `models/artifacts` and compiled in.

use std::sync::LazyLock;

use netprecursor_core::{
    adapt::{self, Learned},
    alert::Model,
    forecast::{Naive, QuantileOffsets},
};

use crate::{Forecaster, Refusal, Scorer, Use, contract::PolicyContract};

/// The name of the forecaster that learns in place.
pub const ADAPTIVE: &str = "adaptive";

/// Trained models by name.
const MODELS: &[(&str, &[u8])] = &[
    ("rtt-xgboost", include_bytes!("../artifacts/rtt-xgboost.onnx")),
    ("rtt-lstm", include_bytes!("../artifacts/rtt-lstm.onnx")),
    ("rtt-transformer", include_bytes!("../artifacts/rtt-transformer.onnx")),
];

/// What forecasts when a policy names nothing: [`ADAPTIVE`], unless training found a single rule of thumb better in the
/// mean over all sets (`models/artifacts/default.json` says by how much, and where it is behind; a test compares).
pub const DEFAULT: &str = ADAPTIVE;

#[expect(clippy::expect_used, reason = "compiled in, and read by a test")]
static OFFSETS: LazyLock<QuantileOffsets> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../artifacts/naive-offsets.json")).expect("the offsets that training wrote")
});

#[expect(clippy::expect_used, reason = "compiled in, and read by a test")]
static PRIOR: LazyLock<Learned> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../artifacts/adaptive-prior.json")).expect("the prior that training wrote")
});

/// A trained model.
pub fn model(name: &str) -> Option<&'static [u8]> {
    MODELS.iter().find(|(known, _)| *known == name).map(|(_, bytes)| *bytes)
}

/// The names that a policy may give as `builtin`.
pub fn names() -> impl Iterator<Item = &'static str> {
    [ADAPTIVE].into_iter().chain(MODELS.iter().map(|(name, _)| *name)).chain(Naive::ALL.into_iter().map(Naive::name))
}

/// What stands in for a model that is refused: the best rule of thumb on the families held out.
pub const fn best_naive() -> Naive {
    Naive::DampedHolt
}

/// The offsets of the rules of thumb, from the residuals of training.
pub fn offsets() -> QuantileOffsets {
    OFFSETS.clone()
}

/// What training learned for [`ADAPTIVE`]: where every rule begins.
pub fn prior() -> Learned {
    PRIOR.clone()
}

/// The forecaster that learns in place, with the models that ship.
///
/// # Errors
/// A model of this release that is refused, which a test rules out.
pub fn adaptive() -> Result<Forecaster, Refusal> {
    let [name] = adapt::MODELS;
    // It came with the binary: whoever could change it could change the checks as well.
    adaptive_with(model(name).unwrap_or_default())
}

/// The same with another file in the place of the model that ships: for training, which must not judge a model where it was
/// trained.
///
/// # Errors
/// Why the model is refused.
pub fn adaptive_with(model: &[u8]) -> Result<Forecaster, Refusal> {
    let scorer = Scorer::load(model, Use::Policy(&PolicyContract::rtt()))?;
    Ok(Forecaster::adaptive([scorer], offsets()))
}

/// The forecaster of one of the [`names`], and what alerts say of it; `None` for another name.
///
/// # Errors
/// As [`adaptive`].
pub fn forecaster(name: &str) -> Result<Option<(Model, Forecaster)>, Refusal> {
    let (forecaster, sha256) = if let Some(bytes) = model(name) {
        // It came with the binary: whoever could change it could change the checks as well.
        let scorer = Scorer::load(bytes, Use::Policy(&PolicyContract::rtt()))?;
        let sha256 = scorer.info().sha256.clone();
        (Forecaster::model(scorer), Some(sha256))
    } else if let Some(naive) = Naive::from_name(name) {
        (Forecaster::naive(naive, offsets()), None)
    } else if name == ADAPTIVE {
        (adaptive()?, None)
    } else {
        return Ok(None);
    };
    Ok(Some((Model { name: name.to_owned(), sha256, fallback: None }, forecaster)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_that_ships_may_be_used_by_a_policy_of_this_release() {
        for (name, bytes) in MODELS {
            let scorer = Scorer::load(bytes, Use::Policy(&PolicyContract::rtt())).unwrap_or_else(|refusal| {
                panic!("{name}: {refusal}; the schema changed: train again");
            });
            let is_net = scorer.info().net.is_some();
            assert!(!scorer.info().forests.is_empty() || is_net, "{name} computes nothing");
            assert!(!is_net || bytes.len() <= 300_000, "{name}: {} bytes in every agent", bytes.len());
        }
    }

    #[test]
    fn the_default_is_what_training_chose() {
        let chosen: serde_json::Value = serde_json::from_str(include_str!("../artifacts/default.json")).unwrap();
        assert_eq!(chosen["builtin"], DEFAULT);
        assert!(names().any(|name| name == DEFAULT));
    }

    #[test]
    fn every_name_has_a_forecaster_and_no_other() {
        for name in names() {
            let (model, _) = forecaster(name).unwrap().unwrap_or_else(|| panic!("{name}"));
            assert_eq!((model.name.as_str(), model.sha256.is_some()), (name, super::model(name).is_some()));
        }
        assert!(forecaster("rtt").unwrap().is_none());
    }

    #[test]
    fn every_expert_that_is_a_model_ships() {
        assert!(adapt::MODELS.iter().all(|name| model(name).is_some()));
        assert!(adaptive().is_ok() && prior() != Learned::default());
    }

    #[test]
    fn offsets_come_from_training() {
        assert!(offsets().source().starts_with("quantiles of training residuals"), "{}", offsets().source());
    }
}
