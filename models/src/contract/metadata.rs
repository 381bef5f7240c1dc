//! What a model says of itself in `metadata_props`, and whether that is what a policy needs.
//!
//! Keys, each with or without the prefix `netprecursor.`: `schema_hash` (hex, of the feature schema), `kind`
//! ([`KIND_RTT`]), `horizon_s` (whole seconds), `quantiles` and `feature_names` (JSON lists; comma-separated also read).

use serde::{Deserialize, Serialize};

use netprecursor_core::tick::HORIZON;
use netprecursor_core::{features, schema};

use super::Model;
use crate::Refusal;
use crate::refusal::shown;

/// `kind` of a model that forecasts quantiles of ln(maximum clean RTT in µs), named as the policy's signal is.
pub const KIND_RTT: &str = "RttForecast";

const PREFIX: &str = "netprecursor.";

/// The metadata of a model; absent entries are `None`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// Hash of the feature schema that it was trained on.
    pub schema_hash: Option<String>,
    /// What it forecasts.
    pub kind: Option<String>,
    /// How far ahead, in seconds.
    pub horizon_s: Option<u64>,
    /// Which quantiles its output columns are.
    pub quantiles: Option<Vec<f32>>,
    /// The names of its input columns.
    pub feature_names: Option<Vec<String>>,
}

/// What a policy needs of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyContract {
    /// The kind, [`KIND_RTT`].
    pub kind: String,
    /// Hash of this build's feature schema.
    pub schema_hash: String,
    /// Seconds ahead.
    pub horizon_s: u64,
    /// Features per row, F.
    pub features: usize,
    /// Output columns, Q of them, ascending.
    pub quantiles: Vec<f32>,
}

impl PolicyContract {
    /// What this build's policies need of a model for the RTT forecast.
    pub fn rtt() -> Self {
        Self {
            kind: KIND_RTT.into(),
            schema_hash: schema::hash().into(),
            horizon_s: HORIZON,
            features: features::all().len(),
            quantiles: schema::QUANTILES.to_vec(),
        }
    }
}

impl Metadata {
    /// Reads the known keys; an entry that cannot be read is refused, one that is absent is not.
    ///
    /// # Errors
    /// [`Refusal::Metadata`], or [`Refusal::Duplicate`] for a key given twice with different values.
    pub fn read(model: &Model<'_>) -> Result<Self, Refusal> {
        let find = |key: &'static str| -> Result<Option<&str>, Refusal> {
            let mut found = model.metadata.iter().filter(|(k, _)| k.strip_prefix(PREFIX).unwrap_or(k) == key);
            let first = found.next().map(|(_, value)| *value);
            match found.find(|(_, value)| Some(*value) != first) {
                Some(_) => Err(Refusal::Duplicate { place: "metadata_props".into(), name: key.into() }),
                None => Ok(first),
            }
        };
        let unreadable =
            |key, got: &str, expected: &str| Refusal::Metadata { key, got: shown(got), expected: expected.into() };
        let horizon_s = match find("horizon_s")? {
            Some(text) => Some(text.trim().parse().map_err(|_| unreadable("horizon_s", text, "whole seconds"))?),
            None => None,
        };
        let quantiles = match find("quantiles")? {
            Some(text) => {
                let read: Option<Vec<f32>> =
                    list(text).map(|items| items.iter().map(|q| q.parse().ok()).collect()).unwrap_or_default();
                let valid = |q: &Vec<f32>| q.is_sorted_by(|a, b| a < b) && q.iter().all(|q| *q > 0.0 && *q < 1.0);
                let expected = "ascending numbers between 0 and 1, such as [0.5, 0.9, 0.99]";
                Some(read.filter(valid).ok_or_else(|| unreadable("quantiles", text, expected))?)
            }
            None => None,
        };
        let feature_names = match find("feature_names")? {
            Some(text) => Some(list(text).ok_or_else(|| unreadable("feature_names", text, "a JSON list of names"))?),
            None => None,
        };
        Ok(Self {
            schema_hash: find("schema_hash")?.map(str::to_owned),
            kind: find("kind")?.map(str::to_owned),
            horizon_s,
            quantiles,
            feature_names,
        })
    }

    /// Whether a policy may use a model with `inputs` input columns and `outputs` columns in each output.
    ///
    /// # Errors
    /// The first contract refusal, most telling first.
    pub fn check(&self, wanted: &PolicyContract, inputs: usize, outputs: &[usize]) -> Result<(), Refusal> {
        match &self.kind {
            None => return Err(Refusal::MetadataMissing { key: "kind", expected: wanted.kind.clone() }),
            Some(kind) => equal("kind", kind, &wanted.kind)?,
        }
        match &self.schema_hash {
            None => return Err(Refusal::MetadataMissing { key: "schema_hash", expected: wanted.schema_hash.clone() }),
            Some(got) if *got != wanted.schema_hash => {
                return Err(Refusal::SchemaHash { got: shown(got), expected: wanted.schema_hash.clone() });
            }
            Some(_) => {}
        }
        match self.horizon_s {
            None => return Err(Refusal::MetadataMissing { key: "horizon_s", expected: wanted.horizon_s.to_string() }),
            Some(horizon) => equal("horizon_s", &horizon, &wanted.horizon_s)?,
        }
        let quantiles = format!("{:?}", wanted.quantiles);
        match &self.quantiles {
            None => return Err(Refusal::MetadataMissing { key: "quantiles", expected: quantiles }),
            Some(got) => equal("quantiles", &format!("{got:?}"), &quantiles)?,
        }
        let count = format!("{} names", wanted.features);
        match &self.feature_names {
            None => return Err(Refusal::MetadataMissing { key: "feature_names", expected: count }),
            Some(names) => equal("feature_names", &format!("{} names", names.len()), &count)?,
        }
        let shape = |place: &str, got, expected| Refusal::Shape { place: place.into(), got, expected };
        if inputs != wanted.features {
            return Err(shape("the input", format!("[N, {inputs}]"), format!("[N, {}]", wanted.features)));
        }
        if outputs != [wanted.quantiles.len()] {
            let expected = format!("one output [N, {}]", wanted.quantiles.len());
            return Err(shape("the outputs", format!("{} outputs of width {outputs:?}", outputs.len()), expected));
        }
        Ok(())
    }
}

fn equal<T: PartialEq + ToString>(key: &'static str, got: &T, expected: &T) -> Result<(), Refusal> {
    if got == expected {
        return Ok(());
    }
    Err(Refusal::Metadata { key, got: shown(&got.to_string()), expected: expected.to_string() })
}

/// Items of a JSON list, or between commas.
fn list(text: &str) -> Option<Vec<String>> {
    if !text.trim_start().starts_with('[') {
        return Some(text.split(',').map(|item| item.trim().to_owned()).collect());
    }
    let items: Vec<serde_json::Value> = serde_json::from_str(text).ok()?;
    items
        .into_iter()
        .map(|item| match item {
            serde_json::Value::String(text) => Some(text),
            serde_json::Value::Number(number) => Some(number.to_string()),
            _ => None,
        })
        .collect()
}
