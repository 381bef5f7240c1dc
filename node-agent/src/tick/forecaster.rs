//! What forecasts for the rules: models and rules of thumb, each loaded once and asked once per tick for all targets.

use std::{fs, io, sync::Arc};

use netprecursor_core::{
    alert::Model, causes::Cause, features::COUNT, hex, policy::ModelRef, watch::Basis, window::Window,
};
use netprecursor_models::{
    Batch, Forecaster as Engine, Refusal, Scorer, Use, builtin,
    child::{self, CheckError, Limits},
    contract::PolicyContract,
};
use netprecursor_settings::path::{PathError, path};
use thiserror::Error;

use crate::{
    desired::{Digest, Published},
    lock::lock,
};

/// Why a model is not used.
#[derive(Debug, Error)]
pub enum ModelError {
    /// No model of this name comes with the release.
    #[error("got builtin model {got:?}, expected one of {known}")]
    Unknown {
        /// The name.
        got: String,
        /// Those that there are.
        known: String,
    },
    /// The file cannot be read.
    #[error("cannot read model file {path}; expected an ONNX file that the agent may read")]
    Read {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The path is none that the agent can open.
    #[error("model file: {0}")]
    Path(#[from] PathError),
    /// The file is not the one that the policy means.
    #[error(
        "model file {path}: got sha256 {got}, expected {expected}; give the policy the digest of the file it means"
    )]
    Digest {
        /// The file.
        path: String,
        /// Its digest.
        got: String,
        /// The policy's.
        expected: String,
    },
    /// A published copy is fetched by the cluster thread, which hands it over when it has it.
    #[error("model {name} has not been fetched yet; expected the operator's copy of it within a minute")]
    NotYet {
        /// The model.
        name: String,
    },
    /// It is unsafe.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// It does not fit.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

#[derive(Debug)]
struct Forecaster {
    asked_for: ModelRef,
    model: Arc<Model>,
    engine: Engine,
}

impl Forecaster {
    fn put(&mut self, (model, engine): (Model, Engine)) {
        (self.model, self.engine) = (Arc::new(model), engine);
    }
}

/// Position of a forecaster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Id(usize);

/// All forecasters that some rule needs.
#[derive(Debug, Default)]
pub struct Forecasters {
    loaded: Vec<Forecaster>,
    /// Places in `loaded` that may be given to another.
    free: Vec<usize>,
    /// What they read of the tick.
    batch: Batch,
}

impl Forecasters {
    /// The forecaster for a rule. What cannot be loaded is replaced by the best rule of thumb, whose model names the reason.
    pub fn load(&mut self, wanted: &ModelRef) -> Id {
        if let Some(found) = self.loaded.iter().position(|loaded| is_same(&loaded.asked_for, wanted)) {
            return Id(found);
        }
        let (model, engine) = open(wanted).unwrap_or_else(|error| fall_back(crate::error::chain(&error)));
        let forecaster = Forecaster { asked_for: wanted.clone(), model: Arc::new(model), engine };
        // A place that no rule has any more, or a new one.
        match self.free.pop() {
            Some(free) => {
                self.loaded[free] = forecaster;
                Id(free)
            }
            None => {
                self.loaded.push(forecaster);
                Id(self.loaded.len() - 1)
            }
        }
    }

    /// Takes in the outcome for the published model of this digest.
    pub fn install(&mut self, sha256: &Digest, published: &Published) {
        let is_it = |asked: &ModelRef| matches!(asked, ModelRef::Published { sha256: wanted, .. } if wanted == sha256);
        let Some(forecaster) = self.loaded.iter_mut().find(|forecaster| is_it(&forecaster.asked_for)) else { return };
        let ModelRef::Published { name, .. } = &forecaster.asked_for else { return };
        match published {
            Published::Ready(scorer) => {
                let Some(scorer) = lock(scorer).take() else { return };
                forecaster.put(model(name.clone(), *scorer));
            }
            Published::Refused(reason) if forecaster.model.fallback.as_ref() != Some(reason) => {
                forecaster.put(fall_back(reason.clone()));
            }
            Published::Refused(_) => {}
        }
    }

    /// Drops the forecasters that no rule has any more.
    pub fn keep(&mut self, used: &[Id]) {
        for place in 0..self.loaded.len() {
            if used.contains(&Id(place)) || self.free.contains(&place) {
                continue;
            }
            let naive = builtin::best_naive();
            self.loaded[place] = Forecaster {
                asked_for: ModelRef::Builtin(String::new()),
                model: Arc::new(Model { name: naive.name().to_owned(), sha256: None, fallback: None }),
                engine: Engine::naive(naive, builtin::offsets()),
            };
            self.free.push(place);
        }
    }

    /// The model that forecasts.
    pub fn model(&self, id: Id) -> &Arc<Model> {
        &self.loaded[id.0].model
    }

    /// Starts a tick: no rows.
    pub fn clear(&mut self) {
        self.batch.start(self.loaded.iter().map(|forecaster| &forecaster.engine));
    }

    /// Adds a target; its row is the number of rows before.
    pub fn add(&mut self, window: &Window, features: &[f32; COUNT]) {
        self.batch.push(window, features);
    }

    /// Runs every model once over all rows.
    pub fn run(&mut self) {
        for forecaster in &mut self.loaded {
            if let Err(error) = forecaster.engine.run(&self.batch) {
                // The contract fixes the width; without output the rule has no forecast in this tick.
                tracing::error!(%error, model = forecaster.model.name, "scoring failed");
            }
        }
    }

    /// The basis of the forecasts for the target of one row.
    pub fn basis(&self, id: Id, row: usize, window: &Window, features: &[f32; COUNT]) -> Option<Basis> {
        self.loaded[id.0].engine.basis(row, window, features)
    }

    /// The causes of an alert that fires, with the target's features now and before.
    pub fn causes(
        &mut self,
        id: Id,
        window: &Window,
        features: &[f32; COUNT],
        baseline: Option<&[f32; COUNT]>,
    ) -> Vec<Cause> {
        self.loaded[id.0].engine.causes(window, features, baseline)
    }
}

/// Whether one forecaster does for both: a published model is its digest, whatever its user calls it.
fn is_same(one: &ModelRef, other: &ModelRef) -> bool {
    match (one, other) {
        (ModelRef::Published { sha256: one, .. }, ModelRef::Published { sha256: other, .. }) => one == other,
        _ => one == other,
    }
}

/// The best rule of thumb, for the reason given.
fn fall_back(reason: String) -> (Model, Engine) {
    let naive = builtin::best_naive();
    tracing::warn!(reason, fallback = naive.name(), "a model is not used");
    let model = Model { name: naive.name().to_owned(), sha256: None, fallback: Some(reason) };
    (model, Engine::naive(naive, builtin::offsets()))
}

fn open(wanted: &ModelRef) -> Result<(Model, Engine), ModelError> {
    match wanted {
        ModelRef::Default => open_builtin(builtin::DEFAULT),
        ModelRef::Builtin(name) => open_builtin(name),
        ModelRef::File { path, sha256 } => open_file(path, *sha256),
        ModelRef::Published { name, .. } => Err(ModelError::NotYet { name: name.clone() }),
    }
}

fn open_builtin(name: &str) -> Result<(Model, Engine), ModelError> {
    builtin::forecaster(name)?.ok_or_else(|| ModelError::Unknown {
        got: name.to_owned(),
        known: builtin::names().collect::<Vec<_>>().join(", "),
    })
}

fn open_file(file: &str, expected: Option<[u8; 32]>) -> Result<(Model, Engine), ModelError> {
    path(file.into())?;
    let bytes = read_bounded(file).map_err(|source| ModelError::Read { path: file.to_owned(), source })?;
    child::check(&bytes, Limits::default())?;
    let scorer = Scorer::load(&bytes, Use::Policy(&PolicyContract::rtt()))?;
    if let Some(expected) = expected {
        let expected = hex(&expected);
        let got = scorer.info().sha256.clone();
        if got != expected {
            return Err(ModelError::Digest { path: file.to_owned(), got, expected });
        }
    }
    Ok(model(file.to_owned(), scorer))
}

/// Reads one byte more than a model may have at most, so that the contract can report that it is too large.
fn read_bounded(path: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = netprecursor_models::contract::limits::FILE_BYTES as u64 + 1;
    io::Read::read_to_end(&mut io::Read::take(fs::File::open(path)?, limit), &mut bytes)?;
    Ok(bytes)
}

fn model(name: String, scorer: Scorer) -> (Model, Engine) {
    let sha256 = Some(scorer.info().sha256.clone());
    (Model { name, sha256, fallback: None }, Engine::model(scorer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_file_below_an_unexpanded_home_directory_says_what_to_write() {
        let mut forecasters = Forecasters::default();
        for path in ["~", "~/m.onnx"] {
            let id = forecasters.load(&ModelRef::File { path: path.to_owned(), sha256: None });
            let reason = forecasters.model(id).fallback.as_deref().unwrap();
            assert!(
                reason.contains(path) && reason.contains("expected the whole path: write for example `/"),
                "{reason}"
            );
        }
    }
}
