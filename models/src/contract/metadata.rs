//! What a model says of itself in `metadata_props`.
//!
//! Keys, each with or without the prefix `netprecursor.`: `schema_hash` (hex, of the feature schema), `kind`
//! ([`KIND_RTT`]), `horizon_s` (whole seconds), `quantiles` and `feature_names` (JSON lists; comma-separated also read).

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

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

impl Metadata {
    /// Reads the known keys; an entry that cannot be read is refused, one that is absent is not.
    ///
    /// # Errors
    /// [`Refusal::MetadataWrong`], or [`Refusal::Duplicate`] for a key given twice with different values.
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
            |key, got: &str, expected: &str| Refusal::MetadataWrong { key, got: shown(got), expected: expected.into() };
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
            Some(text) => {
                let names = list(text).ok_or_else(|| unreadable("feature_names", text, "a JSON list of names"))?;
                if let Some((name, places)) = twice(&names) {
                    let got = format!("\"{}\" at {places}", shown(name));
                    return Err(Refusal::MetadataWrong { key: "feature_names", got, expected: "a name once".into() });
                }
                if names.iter().any(String::is_empty) {
                    return Err(unreadable("feature_names", text, "names that are not empty"));
                }
                Some(names)
            }
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
}

/// The first name that comes again, and where: two columns of one name are one column too few.
fn twice(names: &[String]) -> Option<(&str, String)> {
    let mut seen = HashMap::new();
    let again = |(at, name)| Some((name, seen.insert(name, at)?, at));
    let (name, first, second) = names.iter().map(String::as_str).enumerate().find_map(again)?;
    Some((name, format!("positions {} and {}", first + 1, second + 1)))
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
