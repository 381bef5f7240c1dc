//! What forecasts in a backtest.

use std::{fs, path::Path};

use anyhow::Context as _;
use netprecursor_core::{
    causes::{self, Cause},
    features::COUNT,
    forecast::{Forecast, Naive, QuantileOffsets},
    window::Window,
};
use netprecursor_models::{Scorer, Use, builtin, contract::PolicyContract};

/// A model or a rule of thumb.
pub(crate) enum Forecaster {
    Naive(Naive, Box<QuantileOffsets>),
    Model(Box<Scorer>, Vec<f32>),
}

impl Forecaster {
    /// `naive:NAME` or the path of a model.
    pub(crate) fn open(name: &str, offsets: Option<&Path>) -> anyhow::Result<Self> {
        let Some(rule) = name.strip_prefix("naive:") else {
            let bytes = fs::read(name).with_context(|| format!("{name}: expected an ONNX file, or naive:NAME"))?;
            return Ok(Self::Model(Box::new(Scorer::load(&bytes, Use::Policy(&PolicyContract::rtt()))?), Vec::new()));
        };
        let naive = Naive::from_name(rule).with_context(|| {
            let known = Naive::ALL.map(Naive::name).join(", ");
            format!("got rule of thumb '{rule}', expected one of {known}")
        })?;
        let offsets = match offsets {
            Some(path) => {
                let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
                serde_json::from_str(&text).with_context(|| path.display().to_string())?
            }
            None => builtin::offsets(),
        };
        Ok(Self::Naive(naive, Box::new(offsets)))
    }

    /// The forecast at the end of a tick.
    pub(crate) fn forecast(&mut self, features: &[f32; COUNT], window: &Window) -> anyhow::Result<Option<Forecast>> {
        match self {
            Self::Naive(naive, offsets) => Ok(naive.forecast(window.measured(), offsets)),
            Self::Model(scorer, out) => {
                scorer.score(features, out)?;
                Ok(out.first_chunk::<3>().and_then(|ln_us| Forecast::from_ln(*ln_us)))
            }
        }
    }

    /// Why the forecast for these features is what it is, as the agent says it.
    pub(crate) fn causes(&mut self, features: &[f32; COUNT], baseline: &[f32; COUNT]) -> Vec<Cause> {
        match self {
            Self::Naive(..) => causes::causes(causes::naive_score, features, baseline),
            Self::Model(scorer, out) => causes::causes(
                |row| match scorer.score(row, out) {
                    // The 0.9 quantile: the upper bound is what a cause raises first.
                    Ok(()) => out.get(1).copied().unwrap_or(f32::NAN),
                    Err(_) => f32::NAN,
                },
                features,
                baseline,
            ),
        }
    }
}
