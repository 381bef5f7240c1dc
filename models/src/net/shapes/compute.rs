//! Operators that compute, with their multiplications.

use super::checks::{axis, inputs, plain, shape, wider};
use super::{Shapes, Value, float, size};
use crate::Refusal;
use crate::contract::{AttributeValue, Node, limits};

impl Shapes<'_> {
    pub(super) fn clip(&self, node: &Node<'_>) -> Result<Value, Refusal> {
        plain(node, &["min", "max"])?;
        for position in 1..node.inputs.len() {
            let is_scalar = |dims: &[usize]| dims.is_empty();
            if !node.inputs[position].is_empty() && !is_scalar(self.dims(node, position)?) {
                return Err(node.refuse("bounds that are no scalars", "scalars"));
            }
        }
        Ok(float(self.dims(node, 0)?.to_vec()))
    }

    pub(super) fn broadcast(&self, node: &Node<'_>) -> Result<Value, Refusal> {
        plain(node, &[])?;
        let mut result = self.dims(node, 0)?.to_vec();
        for position in 1..node.inputs.len() {
            result = wider(node, &result, self.dims(node, position)?)?;
        }
        Ok(float(result))
    }

    pub(super) fn matmul(&mut self, node: &Node<'_>) -> Result<Value, Refusal> {
        plain(node, &[])?;
        inputs(node, 2..=2)?;
        let (left, right) = (self.dims(node, 0)?, self.dims(node, 1)?);
        let ([batch @ .., rows, inner], [others @ .., same, columns]) = (left, right) else {
            return Err(shape(node, format!("{left:?} × {right:?}"), "matrices".into()));
        };
        if inner != same {
            return Err(shape(node, format!("{left:?} × {right:?}"), "an equal inner dimension".into()));
        }
        let (mut result, inner) = (wider(node, batch, others)?, *inner);
        result.extend([*rows, *columns]);
        self.multiply(&[size(&result), inner])?;
        Ok(float(result))
    }

    pub(super) fn gemm(&mut self, node: &Node<'_>) -> Result<Value, Refusal> {
        plain(node, &["alpha", "beta", "transA", "transB"])?;
        let matrix = |position, flag| -> Result<[usize; 2], Refusal> {
            let is_turned = match node.int(flag, 0)? {
                0 => false,
                1 => true,
                other => return Err(node.refuse(&format!("{flag} {other}"), "0 or 1")),
            };
            match self.dims(node, position)? {
                [rows, columns] if is_turned => Ok([*columns, *rows]),
                [rows, columns] => Ok([*rows, *columns]),
                other => Err(shape(node, format!("{other:?}"), "a matrix".into())),
            }
        };
        let ([rows, inner], [same, columns]) = (matrix(0, "transA")?, matrix(1, "transB")?);
        if inner != same {
            return Err(shape(node, format!("{inner} by {same}"), "an equal inner dimension".into()));
        }
        let result = vec![rows, columns];
        if node.inputs.get(2).is_some_and(|name| !name.is_empty())
            && wider(node, &result, self.dims(node, 2)?)? != result
        {
            return Err(shape(node, "a wider third input".into(), format!("one that fits {result:?}")));
        }
        self.multiply(&[rows, columns, inner])?;
        Ok(float(result))
    }

    pub(super) fn softmax(&self, node: &Node<'_>) -> Result<Value, Refusal> {
        plain(node, &["axis"])?;
        if self.opset < 13 {
            return Err(node.refuse(&format!("operator set {}", self.opset), "13 or newer, where it has one axis"));
        }
        let dims = self.dims(node, 0)?;
        axis(node, node.int("axis", -1)?, dims.len())?;
        Ok(float(dims.to_vec()))
    }

    pub(super) fn layer_norm(&self, node: &Node<'_>) -> Result<Value, Refusal> {
        plain(node, &["axis", "epsilon", "stash_type"])?;
        inputs(node, 2..=3)?;
        let dims = self.dims(node, 0)?;
        let last = dims.len().saturating_sub(1);
        if axis(node, node.int("axis", -1)?, dims.len())? != last || node.int("stash_type", 1)? != 1 {
            return Err(node.refuse("another axis or type", "the last axis, in single precision"));
        }
        for position in 1..node.inputs.len() {
            let part = self.dims(node, position)?;
            if part != &dims[last..] {
                return Err(shape(node, format!("{part:?}"), format!("{:?}", &dims[last..])));
            }
        }
        Ok(float(dims.to_vec()))
    }

    pub(super) fn reduce(&self, node: &Node<'_>) -> Result<Value, Refusal> {
        plain(node, &["axes", "keepdims"])?;
        let dims = self.dims(node, 0)?;
        let Some(axes) = self.ints(node, "axes", 1)?.filter(|axes| !axes.is_empty()) else {
            return Err(node.refuse("no axes", "constant axes: over all of them rows would mix"));
        };
        let axes = axes.iter().map(|at| axis(node, *at, dims.len())).collect::<Result<Vec<_>, _>>()?;
        let keeps = node.int("keepdims", 1)? != 0;
        let reduced = dims.iter().enumerate().filter_map(|(at, size)| match axes.contains(&at) {
            false => Some(*size),
            true => keeps.then_some(1),
        });
        Ok(float(reduced.collect()))
    }

    /// Forward, with the default activations, without peepholes or lengths: tract runs no other one, whatever is asked.
    pub(super) fn lstm(&mut self, node: &Node<'_>) -> Result<Vec<Value>, Refusal> {
        plain(node, &["hidden_size", "direction"])?;
        if !matches!(node.attribute("direction"), None | Some(AttributeValue::String(b"forward"))) {
            return Err(node.refuse("another direction", "forward: what is to come is not known"));
        }
        if node.inputs.iter().enumerate().any(|(at, name)| at > 3 && !name.is_empty()) {
            return Err(node.refuse("lengths, initial states or peepholes", "the input, W, R and B alone"));
        }
        let &[steps, batch, inputs] = self.dims(node, 0)? else {
            return Err(shape(node, format!("{:?}", self.dims(node, 0)?), "[T, N, F]".into()));
        };
        let hidden = usize::try_from(node.int("hidden_size", -1)?).unwrap_or(0);
        if !(1..=limits::HIDDEN).contains(&hidden) {
            return Err(Refusal::NetTooLarge { what: "hidden units", got: hidden, limit: limits::HIDDEN });
        }
        let mut wanted = vec![vec![1, 4 * hidden, inputs], vec![1, 4 * hidden, hidden]];
        if node.inputs.get(3).is_some_and(|name| !name.is_empty()) {
            wanted.push(vec![1, 8 * hidden]);
        }
        for (position, wanted) in (1..).zip(wanted) {
            let got = self.dims(node, position)?;
            if got != wanted {
                return Err(shape(node, format!("{got:?} as input {position}"), format!("{wanted:?}")));
            }
        }
        self.multiply(&[steps, batch, 4 * hidden, inputs.saturating_add(hidden)])?;
        self.add_elements(size(&[steps, batch, 8 * hidden]))?;
        let state = vec![1, batch, hidden];
        Ok(vec![float(vec![steps, 1, batch, hidden]), float(state.clone()), float(state)])
    }
}
