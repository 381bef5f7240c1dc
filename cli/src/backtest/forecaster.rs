//! The forecaster that a command line names.

use std::{fs, path::Path};

use anyhow::Context as _;
use netprecursor_core::{adapt::Learned, forecast::Naive};
use netprecursor_models::{Forecaster, Scorer, Use, builtin, contract::PolicyContract};
use netprecursor_settings::path::path;

/// `adaptive`, with the given expert or the one that ships.
pub(crate) fn adaptive(expert: Option<&Path>) -> anyhow::Result<Forecaster> {
    let Some(path) = expert else { return Ok(builtin::adaptive()?) };
    let bytes = fs::read(path).with_context(|| format!("cannot read {}; expected an ONNX file", path.display()))?;
    builtin::adaptive_with(&bytes).with_context(|| format!("{} is refused", path.display()))
}

/// `adaptive`, with the given expert or the one that ships; `naive:NAME`, with the given offsets or those of the release; or
/// the path of a model.
pub(crate) fn open(name: &str, offsets: Option<&Path>, expert: Option<&Path>) -> anyhow::Result<Forecaster> {
    if name == builtin::ADAPTIVE {
        anyhow::ensure!(
            offsets.is_none(),
            "got --offsets with `adaptive`, expected none: it begins with those of the release and tracks its own"
        );
        return adaptive(expert);
    }
    anyhow::ensure!(expert.is_none(), "got --expert with {name}, expected none: only `adaptive` has experts");
    let Some(rule) = name.strip_prefix("naive:") else {
        let path = path(name.into())?;
        let bytes = fs::read(path).with_context(|| format!("{name}: expected an ONNX file, naive:NAME or adaptive"))?;
        let scorer = Scorer::load(&bytes, Use::Policy(&PolicyContract::rtt()));
        return Ok(Forecaster::model(scorer.with_context(|| format!("{name} is refused"))?));
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
    Ok(Forecaster::naive(naive, offsets))
}

/// A forecaster of the release, by the name that a policy gives it as `builtin`.
pub(crate) fn of_release(name: &str) -> anyhow::Result<Forecaster> {
    if name == builtin::ADAPTIVE {
        return adaptive(None);
    }
    if let Some(naive) = Naive::from_name(name) {
        return Ok(Forecaster::naive(naive, builtin::offsets()));
    }
    let bytes = builtin::model(name).with_context(|| {
        let known = builtin::names().collect::<Vec<_>>().join(", ");
        format!("got model '{name}', expected one of {known}")
    })?;
    let scorer = Scorer::load(bytes, Use::Policy(&PolicyContract::rtt()));
    Ok(Forecaster::model(scorer.with_context(|| format!("{name} is refused"))?))
}

/// What a rule begins with that is forecast for by the forecaster of this name.
pub(crate) fn prior(name: &str) -> Learned {
    if name == builtin::ADAPTIVE { builtin::prior() } else { Learned::default() }
}
