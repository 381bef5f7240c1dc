//! How far the truth lies from a rule of thumb: quantiles of ln(maximum of the horizon ÷ point).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Naive, QUANTILES};

/// Per rule of thumb, the offsets in ln(µs) at which [`QUANTILES`] of the truth lie above its point.
///
/// As JSON: `{"source": "…", "offsets": {"last": [0.3, 0.8, 1.1], …}}`, one entry per rule; the training report
/// writes it from its own residuals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "OffsetsFile", into = "OffsetsFile")]
pub struct QuantileOffsets {
    source: String,
    table: [[f32; 3]; Naive::ALL.len()],
}

/// A table of offsets that cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum OffsetsError {
    /// A rule has no entry.
    #[error("quantile offsets: no entry for `{rule}`; write one list of {count} numbers per rule", count = QUANTILES.len())]
    Absent {
        /// Its name.
        rule: &'static str,
    },
    /// An entry names no rule.
    #[error("quantile offsets: `{name}` is no rule of thumb; expected one of {known}", known = known())]
    Unknown {
        /// The name that was found.
        name: String,
    },
    /// An entry does not ascend or is not finite.
    #[error("quantile offsets of `{rule}`: got {got:?}, expected finite numbers that ascend with the quantile")]
    NotAscending {
        /// Its name.
        rule: &'static str,
        /// What was found.
        got: [f32; 3],
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OffsetsFile {
    source: String,
    offsets: BTreeMap<String, [f32; 3]>,
}

impl QuantileOffsets {
    /// The offsets of one rule, ln(µs), in the order of [`QUANTILES`].
    pub const fn of(&self, naive: Naive) -> [f32; 3] {
        self.table[naive as usize]
    }

    /// Where the numbers come from.
    pub fn source(&self) -> &str {
        &self.source
    }
}

impl Default for QuantileOffsets {
    /// What holds until fitted offsets are loaded: residual quantiles on a made-up process, ln RTT as an
    /// autoregression of order 1 with coefficient 0.9 and normal steps of 0.15 (the test regenerates the table).
    fn default() -> Self {
        Self {
            source: "synthetic: ln RTT as AR(1), coefficient 0.9, normal steps of 0.15".to_owned(),
            table: [
                [0.24, 0.63, 0.98],
                [0.00, 0.39, 0.73],
                [-0.18, 0.22, 0.56],
                [-0.09, 0.32, 0.65],
                [-0.30, 0.11, 0.46],
                [0.19, 0.61, 0.98],
            ],
        }
    }
}

impl TryFrom<OffsetsFile> for QuantileOffsets {
    type Error = OffsetsError;

    fn try_from(file: OffsetsFile) -> Result<Self, OffsetsError> {
        if let Some(name) = file.offsets.keys().find(|name| Naive::from_name(name).is_none()) {
            return Err(OffsetsError::Unknown { name: name.clone() });
        }
        let mut table = [[0.0; 3]; Naive::ALL.len()];
        for (naive, entry) in Naive::ALL.into_iter().zip(&mut table) {
            let rule = naive.name();
            let got = *file.offsets.get(rule).ok_or(OffsetsError::Absent { rule })?;
            if !got.is_sorted() || got.iter().any(|offset| !offset.is_finite()) {
                return Err(OffsetsError::NotAscending { rule, got });
            }
            *entry = got;
        }
        Ok(Self { source: file.source, table })
    }
}

impl From<QuantileOffsets> for OffsetsFile {
    fn from(offsets: QuantileOffsets) -> Self {
        let entries = Naive::ALL.into_iter().map(|naive| (naive.name().to_owned(), offsets.of(naive)));
        Self { offsets: entries.collect(), source: offsets.source }
    }
}

fn known() -> String {
    Naive::ALL.map(Naive::name).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tick::HORIZON;

    /// A standard normal number as a sum of twelve uniform ones, from a 64-bit linear congruence.
    fn normal(state: &mut u64) -> f32 {
        let mut uniform = || {
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (*state >> 40) as f32 / (1u64 << 24) as f32
        };
        (0..12).map(|_| uniform()).sum::<f32>() - 6.0
    }

    #[test]
    fn the_default_table_is_what_its_source_says() {
        let (mut state, mut ln) = (1, 0.0);
        let series: Vec<Option<f32>> = (0..60_000)
            .map(|_| {
                ln = 0.9 * ln + 0.15 * normal(&mut state);
                Some(1_000.0 * f32::exp(ln))
            })
            .collect();
        let found = Naive::ALL.map(|naive| {
            let mut residuals: Vec<f32> = (60..series.len() - HORIZON as usize)
                .map(|now| {
                    let truth = series[now..now + HORIZON as usize].iter().flatten().copied().reduce(f32::max).unwrap();
                    (truth / naive.point_us(series[now - 60..now].iter().copied()).unwrap()).ln()
                })
                .collect();
            residuals.sort_unstable_by(f32::total_cmp);
            QUANTILES.map(|q| residuals[(q * residuals.len() as f32) as usize])
        });
        let shipped = QuantileOffsets::default().table;
        let apart = found.as_flattened().iter().zip(shipped.as_flattened()).any(|(a, b)| (a - b).abs() > 0.01);
        assert!(!apart, "found {found:.2?}, shipped {shipped:?}");
    }

    #[test]
    fn a_table_survives_json() {
        let json = serde_json::to_string(&QuantileOffsets::default()).unwrap();
        assert_eq!(serde_json::from_str::<QuantileOffsets>(&json).unwrap(), QuantileOffsets::default());
    }

    #[test]
    fn a_table_that_lacks_invents_or_crosses_is_refused_by_name() {
        let good = serde_json::to_value(QuantileOffsets::default()).unwrap();
        let refusal = |edit: fn(&mut serde_json::Map<String, serde_json::Value>)| {
            let mut json = good.clone();
            edit(json["offsets"].as_object_mut().unwrap());
            serde_json::from_value::<QuantileOffsets>(json).unwrap_err().to_string()
        };
        assert!(refusal(|o| drop(o.remove("ewma"))).contains("no entry for `ewma`"));
        assert!(refusal(|o| drop(o.insert("max10".into(), vec![0.0, 1.0, 2.0].into()))).contains("`max10` is no rule"));
        assert!(refusal(|o| drop(o.insert("last".into(), vec![1.0, 0.0, 2.0].into()))).contains("ascend"));
    }
}
