//! The contract between recordings, training and the agent: which numbers, in which order, of which meaning.
//!
//! The JSON is generated from the tables of [`crate::signal`], [`crate::features`] and [`crate::sequence`]; the copy in the repository is
//! checked by a test and made again by `cargo xtask bless features`.

pub(crate) mod version;

use std::sync::LazyLock;

use serde::Serialize;

use crate::{
    features::{self, Group, RESIDUAL_BASELINE, Scale, Transform},
    memory, sequence,
    signal::{Absence, Signal},
    tick::{BIN_TICKS, HORIZON},
    window,
};
use version::digest;

pub use version::VERSION;

/// The quantiles that every model predicts.
pub const QUANTILES: [f32; 3] = [0.5, 0.9, 0.99];

#[derive(Serialize)]
struct Schema {
    version: u32,
    hash: &'static str,
    horizon_s: u64,
    quantiles: [f32; 3],
    window_ticks: usize,
    memory_bin_ticks: u64,
    memory_bins: usize,
    target: &'static str,
    residual_baseline: &'static str,
    groups: [Group; Group::ALL.len()],
    features: Vec<FeatureEntry>,
    sequence: SequenceEntry,
    signals: Vec<SignalEntry>,
}

#[derive(Serialize)]
struct SequenceEntry {
    hash: &'static str,
    steps: usize,
    channels: Vec<ChannelEntry>,
}

#[derive(Serialize)]
struct ChannelEntry {
    name: &'static str,
    is_rtt: bool,
    is_level: bool,
    doc: &'static str,
}

#[derive(Serialize)]
struct FeatureEntry {
    name: &'static str,
    group: Group,
    unit: &'static str,
    scale: Scale,
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transform: Option<Transform>,
    doc: &'static str,
}

#[derive(Serialize)]
struct SignalEntry {
    name: &'static str,
    unit: &'static str,
    absence: Absence,
    doc: &'static str,
}

/// The schema as JSON, with a newline at its end.
///
/// # Errors
/// When serde_json cannot write it, which no content of the tables causes.
pub fn schema_json() -> Result<String, serde_json::Error> {
    let schema = Schema {
        version: VERSION,
        hash: hash(),
        horizon_s: HORIZON,
        quantiles: QUANTILES,
        window_ticks: window::LENGTH,
        memory_bin_ticks: BIN_TICKS,
        memory_bins: memory::BINS,
        target: "ln of the maximum measured RTT in µs over the next horizon_s seconds",
        residual_baseline: features::name(RESIDUAL_BASELINE),
        groups: Group::ALL,
        features: features::all()
            .iter()
            .map(|feature| FeatureEntry {
                name: &feature.name,
                group: feature.group,
                unit: feature.unit,
                scale: feature.scale,
                signal: feature.source.map(|(signal, _)| signal.name()),
                transform: feature.source.map(|(_, transform)| transform),
                doc: &feature.doc,
            })
            .collect(),
        sequence: SequenceEntry {
            hash: sequence::hash(),
            steps: sequence::STEPS,
            channels: sequence::CHANNELS
                .iter()
                .map(|channel| ChannelEntry {
                    name: channel.name,
                    is_rtt: channel.is_rtt,
                    is_level: channel.is_level,
                    doc: channel.doc,
                })
                .collect(),
        },
        signals: Signal::ALL
            .iter()
            .map(|signal| SignalEntry {
                name: signal.name(),
                unit: signal.unit(),
                absence: signal.absence(),
                doc: signal.doc().trim(),
            })
            .collect(),
    };
    serde_json::to_string_pretty(&schema).map(|json| json + "\n")
}

/// SHA-256, in lower-case hex, of what a model depends on: version, horizon, window, memory, and per feature its name,
/// signal, transform and scale, in order. Documentation does not change it.
pub fn hash() -> &'static str {
    static HASH: LazyLock<String> = LazyLock::new(|| digest(&canonical()));
    &HASH
}

fn canonical() -> String {
    let memory = format!("{}x{}", memory::BINS, BIN_TICKS);
    let head = format!("version {VERSION}\nhorizon {HORIZON}\nwindow {}\nmemory {memory}\n", window::LENGTH);
    features::all().iter().fold(head, |mut text, feature| {
        let source = feature.source.map(|(signal, transform)| (signal.name(), transform.suffix()));
        let (signal, transform) = source.unwrap_or(("derived", "formula"));
        text.extend([feature.name.as_str(), " ", signal, " ", transform, " ", feature.scale.name(), "\n"]);
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schema_in_the_repository_is_the_one_that_is_generated() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.json");
        let generated = schema_json().unwrap();
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(path, &generated).unwrap();
        }
        assert!(
            std::fs::read_to_string(path).unwrap_or_default() == generated,
            "{path} differs from the tables; every model trained on the old one stops being accepted. \
             If that is meant: cargo xtask bless features"
        );
    }

    #[test]
    fn hash_is_sha256_in_hex_and_covers_every_feature() {
        assert!(hash().len() == 64 && hash().bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(canonical().lines().count(), 4 + features::COUNT);
    }
}
