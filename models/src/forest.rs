//! Tree ensembles on flat arrays.
//!
//! [`parse`] reads an ensemble from the attributes of its ONNX node ([`rows`] its nodes, [`tensors`] an ensemble of
//! opset 5), [`descent`] checks that it is made of trees, [`layout`] turns every node into twelve bytes whose children are
//! neighbours, [`predict`] walks many rows through one tree at a time, [`transform`] finishes the sums, [`classes`] those
//! of a classifier. Semantics are those of `ai.onnx.ml` with single precision throughout, as in onnxruntime (comparisons,
//! and sums in the order of the trees).

mod branch;
mod classes;
mod descent;
mod layout;
mod parse;
mod predict;
mod rows;
mod tables;
mod tensors;
mod transform;

pub use classes::Labels;
pub use layout::Forest;
pub(crate) use parse::Ensemble;
pub(crate) use transform::logistic;
pub use transform::{Aggregate, PostTransform};
