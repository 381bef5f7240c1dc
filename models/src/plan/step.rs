//! The steps of a plan and how they run.

use super::Buffer;
use crate::forest::Forest;
use crate::plan::step::Operand::{Constant, Rows};

/// Where rows come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The model's input.
    Input,
    /// An earlier step.
    Step(usize),
}

/// One side of a binary operator.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operand {
    /// Rows; one column is repeated where the result is wider.
    Rows(Source),
    /// The same values for every row, as many as the result has columns, or one.
    Constant(Vec<f32>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// A tree ensemble.
    Forest { forest: usize, from: Source },
    /// Columns in a new order.
    Pick { from: Source, columns: Vec<usize> },
    /// Columns side by side.
    Concat { parts: Vec<Operand> },
    /// A function of each value.
    Map { function: Unary, from: Source },
    /// A function of two values.
    Zip { function: Binary, left: Operand, right: Operand },
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Unary {
    Neg,
    Abs,
    Exp,
    Log,
    Sqrt,
    Relu,
    Sigmoid,
    Tanh,
    /// To within bounds; NaN stays.
    Clip(f32, f32),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Pow,
    /// NaN wins, as in ONNX.
    Max,
    /// NaN wins, as in ONNX.
    Min,
}

/// What a step may read.
pub(super) struct View<'a> {
    pub(super) rows: &'a [f32],
    pub(super) width: usize,
    pub(super) before: &'a [Buffer],
}

impl View<'_> {
    fn get(&self, source: Source) -> (&[f32], usize) {
        match source {
            Source::Input => (self.rows, self.width),
            Source::Step(index) => {
                let buffer = &self.before[index];
                (&buffer.values, buffer.width)
            }
        }
    }
}

impl Step {
    /// Writes the step's rows, of `width` columns, into `out`.
    pub(super) fn run(&self, view: &View<'_>, forests: &[Forest], out: &mut [f32], width: usize) {
        match self {
            Self::Forest { forest, from } => {
                let (rows, columns) = view.get(*from);
                forests[*forest].predict(rows, columns, out);
            }
            Self::Pick { from, columns } => {
                let (rows, from_width) = view.get(*from);
                for (row, out) in rows.chunks_exact(from_width).zip(out.chunks_exact_mut(width)) {
                    for (out, column) in out.iter_mut().zip(columns) {
                        *out = row[*column];
                    }
                }
            }
            Self::Concat { parts } => {
                let mut start = 0;
                for part in parts {
                    let taken = match part {
                        Rows(source) => view.get(*source).1,
                        Constant(values) => values.len(),
                    };
                    for (index, out) in out.chunks_exact_mut(width).enumerate() {
                        let from = match part {
                            Rows(source) => &view.get(*source).0[index * taken..][..taken],
                            Constant(values) => values,
                        };
                        out[start..start + taken].copy_from_slice(from);
                    }
                    start += taken;
                }
            }
            Self::Map { function, from } => {
                for (out, value) in out.iter_mut().zip(view.get(*from).0) {
                    *out = function.of(*value);
                }
            }
            Self::Zip { function, left, right } => {
                for (index, out) in out.chunks_exact_mut(width).enumerate() {
                    let (left, right) = (left.row(view, index), right.row(view, index));
                    for (column, out) in out.iter_mut().enumerate() {
                        *out = function.of(at(left, column), at(right, column));
                    }
                }
            }
        }
    }
}

impl Operand {
    fn row<'a>(&'a self, view: &'a View<'_>, index: usize) -> &'a [f32] {
        match self {
            Rows(source) => {
                let (rows, width) = view.get(*source);
                &rows[index * width..][..width]
            }
            Constant(values) => values,
        }
    }
}

/// The value of a column, or the only one.
fn at(row: &[f32], column: usize) -> f32 {
    if let [only] = row { *only } else { row[column] }
}

impl Unary {
    fn of(self, value: f32) -> f32 {
        match self {
            Self::Neg => -value,
            Self::Abs => value.abs(),
            Self::Exp => value.exp(),
            Self::Log => value.ln(),
            Self::Sqrt => value.sqrt(),
            Self::Relu => Self::Clip(0.0, f32::INFINITY).of(value),
            Self::Sigmoid => crate::forest::logistic(value),
            Self::Tanh => value.tanh(),
            Self::Clip(low, high) => {
                // Not `clamp`, which panics when the bounds cross; ONNX then gives the upper one.
                let raised = if value < low { low } else { value };
                if raised > high { high } else { raised }
            }
        }
    }
}

impl Binary {
    pub(super) fn of(self, left: f32, right: f32) -> f32 {
        match self {
            Self::Add => left + right,
            Self::Sub => left - right,
            Self::Mul => left * right,
            Self::Div => left / right,
            Self::Pow => left.powf(right),
            Self::Max if left.is_nan() || left > right => left,
            Self::Min if left.is_nan() || left < right => left,
            Self::Max | Self::Min => right,
        }
    }
}
