//! What forecasts for the rules: models and rules of thumb, each loaded once and asked once per tick for all targets.

use std::{fs, io};

use netprecursor_core::{
    causes,
    features::COUNT,
    forecast::{Forecast, Naive, QUANTILES, QuantileOffsets},
    policy::ModelRef,
    window::Window,
};
use netprecursor_models::{
    Refusal, Scorer, Use, builtin,
    child::{self, CheckError, Limits},
    contract::PolicyContract,
};
use serde::Serialize;
use thiserror::Error;

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

/// What speaks for a rule, as status and alerts name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Speaker {
    /// Name of the model or rule of thumb.
    pub name: String,
    /// Digest of the model; absent for a rule of thumb.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Why it stands in for the model that the rule asks for; absent when it is that model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stands_in: Option<String>,
}

#[derive(Debug)]
enum Engine {
    Naive(Naive),
    Model { scorer: Box<Scorer>, out: Vec<f32> },
}

#[derive(Debug)]
struct Forecaster {
    asked_for: ModelRef,
    speaker: Speaker,
    engine: Engine,
}

/// Position of a forecaster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Id(usize);

/// All forecasters that some rule needs.
#[derive(Debug)]
pub struct Forecasters {
    loaded: Vec<Forecaster>,
    offsets: QuantileOffsets,
    /// Feature rows of the tick.
    rows: Vec<f32>,
    /// One target's row, for causes.
    single: Vec<f32>,
}

impl Default for Forecasters {
    fn default() -> Self {
        Self { loaded: Vec::new(), offsets: builtin::offsets(), rows: Vec::new(), single: Vec::new() }
    }
}

impl Forecasters {
    /// The forecaster for a rule. What cannot be loaded is replaced by the best rule of thumb, which says so.
    pub fn load(&mut self, wanted: &ModelRef) -> Id {
        if let Some(found) = self.loaded.iter().position(|loaded| loaded.asked_for == *wanted) {
            return Id(found);
        }
        let (speaker, engine) = open(wanted).unwrap_or_else(|error| {
            let reason = crate::sensors::chain(&error);
            let naive = builtin::best_naive();
            tracing::warn!(reason, fallback = naive.name(), "a model is not used");
            let speaker = Speaker { name: naive.name().to_owned(), sha256: None, stands_in: Some(reason) };
            (speaker, Engine::Naive(naive))
        });
        self.loaded.push(Forecaster { asked_for: wanted.clone(), speaker, engine });
        Id(self.loaded.len() - 1)
    }

    /// Who speaks.
    pub fn speaker(&self, id: Id) -> &Speaker {
        &self.loaded[id.0].speaker
    }

    /// Starts a tick: no rows.
    pub fn clear(&mut self) {
        self.rows.clear();
    }

    /// Adds a target's features; its row is the number of rows before.
    pub fn add(&mut self, features: &[f32; COUNT]) {
        self.rows.extend_from_slice(features);
    }

    /// Runs every model once over all rows.
    pub fn run(&mut self) {
        for forecaster in &mut self.loaded {
            if let Engine::Model { scorer, out } = &mut forecaster.engine
                && let Err(error) = scorer.score(&self.rows, out)
            {
                // The contract fixes the width; without output the rule has no forecast in this tick.
                tracing::error!(%error, model = forecaster.speaker.name, "scoring failed");
                out.clear();
            }
        }
    }

    /// The forecast for one row.
    pub fn forecast(&self, id: Id, row: usize, window: &Window) -> Option<Forecast> {
        match &self.loaded[id.0].engine {
            Engine::Naive(naive) => naive.forecast(window.measured(), &self.offsets),
            Engine::Model { out, .. } => {
                let start = row * QUANTILES.len();
                let row = out.get(start..start + QUANTILES.len())?;
                Forecast::from_ln([row[0], row[1], row[2]])
            }
        }
    }

    /// Why the forecast is what it is.
    pub fn causes(&mut self, id: Id, features: &[f32; COUNT], baseline: &[f32; COUNT]) -> Vec<causes::Cause> {
        let single = &mut self.single;
        match &mut self.loaded[id.0].engine {
            Engine::Naive(_) => causes::causes(causes::naive_score, features, baseline),
            Engine::Model { scorer, .. } => causes::causes(
                |row| match scorer.score(row, single) {
                    // The 0.9 quantile: the upper bound is what a cause raises first.
                    Ok(()) => single.get(1).copied().unwrap_or(f32::NAN),
                    Err(_) => f32::NAN,
                },
                features,
                baseline,
            ),
        }
    }
}

fn open(wanted: &ModelRef) -> Result<(Speaker, Engine), ModelError> {
    match wanted {
        ModelRef::Default => open_builtin(builtin::DEFAULT),
        ModelRef::Builtin(name) => open_builtin(name),
        ModelRef::File { path, sha256 } => open_file(path, *sha256),
        ModelRef::Published { name, .. } => Err(ModelError::NotYet { name: name.clone() }),
    }
}

fn open_builtin(name: &str) -> Result<(Speaker, Engine), ModelError> {
    if let Some(naive) = Naive::from_name(name) {
        return Ok((Speaker { name: name.to_owned(), sha256: None, stands_in: None }, Engine::Naive(naive)));
    }
    let bytes = builtin::model(name).ok_or_else(|| ModelError::Unknown {
        got: name.to_owned(),
        known: builtin::names().collect::<Vec<_>>().join(", "),
    })?;
    // It came with the binary: whoever could change it could change the checks as well.
    let scorer = Scorer::load(bytes, Use::Policy(&PolicyContract::rtt()))?;
    Ok(model(name.to_owned(), scorer))
}

fn open_file(path: &str, expected: Option<[u8; 32]>) -> Result<(Speaker, Engine), ModelError> {
    let bytes = read_bounded(path).map_err(|source| ModelError::Read { path: path.to_owned(), source })?;
    child::check(&bytes, Limits::default())?;
    let scorer = Scorer::load(&bytes, Use::Policy(&PolicyContract::rtt()))?;
    if let Some(expected) = expected {
        let expected: String = expected.iter().map(|byte| format!("{byte:02x}")).collect();
        let got = scorer.info().sha256.clone();
        if got != expected {
            return Err(ModelError::Digest { path: path.to_owned(), got, expected });
        }
    }
    Ok(model(path.to_owned(), scorer))
}

/// Reads one byte more than a model may have at most, so that the contract can say that it is too large.
fn read_bounded(path: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = netprecursor_models::contract::limits::FILE_BYTES as u64 + 1;
    io::Read::read_to_end(&mut io::Read::take(fs::File::open(path)?, limit), &mut bytes)?;
    Ok(bytes)
}

fn model(name: String, scorer: Scorer) -> (Speaker, Engine) {
    let sha256 = Some(scorer.info().sha256.clone());
    let engine = Engine::Model { scorer: Box::new(scorer), out: Vec::new() };
    (Speaker { name, sha256, stands_in: None }, engine)
}
