//! How the weights of leaves become outputs.

use serde::{Deserialize, Serialize};

use super::tables::Tables;
use crate::Refusal;

/// How the trees' weights combine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Aggregate {
    /// Their sum.
    Sum,
    /// Their sum over the number of trees.
    Average,
    /// The smallest.
    Min,
    /// The largest.
    Max,
}

/// What happens to the aggregated values of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PostTransform {
    /// Nothing.
    None,
    /// exp(x) over its sum.
    Softmax,
    /// 1 / (1 + exp(-x)).
    Logistic,
    /// Softmax that keeps zeros at zero.
    SoftmaxZero,
    /// The inverse of the normal distribution, by Winitzki's approximation.
    Probit,
}

impl Aggregate {
    pub(super) fn read(tables: &Tables<'_, '_>) -> Result<Self, Refusal> {
        Ok(match tables.string("aggregate_function", "SUM")? {
            "SUM" => Self::Sum,
            "AVERAGE" => Self::Average,
            "MIN" => Self::Min,
            "MAX" => Self::Max,
            other => return Err(tables.unknown("aggregate_function", other, "SUM, AVERAGE, MIN or MAX")),
        })
    }

    pub(super) fn from_onnx(number: i64, tables: &Tables<'_, '_>) -> Result<Self, Refusal> {
        let index = tables.index("aggregate_function", number, 4)?;
        Ok([Self::Average, Self::Sum, Self::Min, Self::Max][index])
    }

    /// The value before the first weight: NaN, since weights are finite. Only a single sum starts at zero.
    pub(super) const fn start(self, targets: usize) -> f32 {
        match self {
            Self::Sum | Self::Average if targets == 1 => 0.0,
            _ => f32::NAN,
        }
    }

    /// Adds a weight to the only target's value.
    #[inline(always)]
    pub(super) fn add(self, to: &mut f32, weight: f32) {
        match self {
            Self::Sum | Self::Average => *to += weight,
            // Both skip NaN.
            Self::Min => *to = to.min(weight),
            Self::Max => *to = to.max(weight),
        }
    }

    /// Adds a weight to the value of one target of several.
    #[inline(always)]
    pub(super) fn add_first(self, to: &mut f32, weight: f32) {
        if to.is_nan() {
            *to = weight;
        } else {
            self.add(to, weight);
        }
    }

    /// The weight of a leaf without one.
    pub(super) const fn nothing(self) -> f32 {
        self.start(1)
    }

    /// The value after all trees. One of several targets that no leaf gave a weight is zero, without its base, as in
    /// onnxruntime.
    pub(super) fn finish(self, value: f32, trees: usize, base: f32, targets: usize) -> f32 {
        if value.is_nan() {
            return if targets == 1 { base } else { 0.0 };
        }
        match self {
            Self::Average => value / trees.max(1) as f32 + base,
            Self::Sum | Self::Min | Self::Max => value + base,
        }
    }
}

impl PostTransform {
    pub(super) fn read(tables: &Tables<'_, '_>) -> Result<Self, Refusal> {
        Ok(match tables.string("post_transform", "NONE")? {
            "NONE" => Self::None,
            "SOFTMAX" => Self::Softmax,
            "LOGISTIC" => Self::Logistic,
            "SOFTMAX_ZERO" => Self::SoftmaxZero,
            "PROBIT" => Self::Probit,
            other => {
                let expected = "NONE, SOFTMAX, LOGISTIC, SOFTMAX_ZERO or PROBIT";
                return Err(tables.unknown("post_transform", other, expected));
            }
        })
    }

    pub(super) fn from_onnx(number: i64, tables: &Tables<'_, '_>) -> Result<Self, Refusal> {
        let index = tables.index("post_transform", number, 5)?;
        Ok([Self::None, Self::Softmax, Self::Logistic, Self::SoftmaxZero, Self::Probit][index])
    }

    /// Transforms one row. With a single value only `Probit` does anything, as in onnxruntime.
    pub(super) fn apply(self, row: &mut [f32]) {
        match self {
            Self::Probit => row.iter_mut().for_each(|value| *value = probit(*value)),
            _ if row.len() < 2 => {}
            Self::None => {}
            Self::Logistic => row.iter_mut().for_each(|value| *value = logistic(*value)),
            Self::Softmax => softmax(row, |_| false),
            Self::SoftmaxZero => softmax(row, |value| value.abs() <= 1e-7),
        }
    }
}

/// The logistic function, from exp(-|x|) so that it cannot overflow.
pub(crate) fn logistic(value: f32) -> f32 {
    let upper = 1.0 / (1.0 + (-value.abs()).exp());
    if value < 0.0 { 1.0 - upper } else { upper }
}

/// Softmax over the values that are not `skipped`; those are scaled, not exponentiated.
fn softmax(row: &mut [f32], skipped: impl Fn(f32) -> bool) {
    let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for value in row.iter_mut() {
        if skipped(*value) {
            *value *= (-max).exp();
        } else {
            *value = (*value - max).exp();
            sum += *value;
        }
    }
    if sum > 0.0 {
        row.iter_mut().for_each(|value| *value /= sum);
    }
}

/// √2 · erf⁻¹(2p − 1), the inverse error function by S. Winitzki, "A handy approximation for the error function and its
/// inverse" (2008), with the constants that onnxruntime uses.
fn probit(p: f32) -> f32 {
    let x = 2.0 * p - 1.0;
    let log = ((1.0 - x) * (1.0 + x)).ln();
    let v = 2.0 / (std::f32::consts::PI * 0.147) + 0.5 * log;
    let inverse = (-v + (v * v - log / 0.147).sqrt()).sqrt();
    std::f32::consts::SQRT_2 * if x < 0.0 { -inverse } else { inverse }
}
