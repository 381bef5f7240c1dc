//! Operators that pass numbers on in another shape.

use super::checks::{axis, inputs, plain, shape};
use super::{Shapes, Value, float, size};
use crate::Refusal;
use crate::contract::Node;

impl Shapes<'_> {
    pub(super) fn concat(&self, node: &Node<'_>) -> Result<Value, Refusal> {
        plain(node, &["axis"])?;
        inputs(node, 1..=64)?;
        let mut result = self.dims(node, 0)?.to_vec();
        let axis = axis(node, node.int("axis", i64::MAX)?, result.len())?;
        for position in 1..node.inputs.len() {
            let part = self.dims(node, position)?;
            let fits = |at: usize| at == axis || part.get(at) == result.get(at);
            if part.len() != result.len() || !(0..result.len()).all(fits) {
                return Err(shape(node, format!("{part:?} beside {result:?}"), format!("equal but for axis {axis}")));
            }
            result[axis] = result[axis].saturating_add(part[axis]);
        }
        Ok(float(result))
    }

    pub(super) fn gather(&self, node: &Node<'_>) -> Result<Value, Refusal> {
        plain(node, &["axis"])?;
        let dims = self.dims(node, 0)?;
        let axis = axis(node, node.int("axis", 0)?, dims.len())?;
        let index = self.any(node, 1)?;
        let Some(indices) = &index.ints else {
            return Err(node.refuse("indices computed at run time", "constant integers"));
        };
        let size = i64::try_from(dims[axis]).unwrap_or(i64::MAX);
        if let Some(wrong) = indices.iter().find(|index| !(-size..size).contains(*index)) {
            return Err(shape(node, format!("index {wrong}"), format!("an index from {} to {}", -size, size - 1)));
        }
        Ok(float([&dims[..axis], &index.dims, &dims[axis + 1..]].concat()))
    }

    pub(super) fn slice(&self, node: &Node<'_>) -> Result<Value, Refusal> {
        plain(node, &["starts", "ends", "axes", "steps"])?;
        let mut dims = self.dims(node, 0)?.to_vec();
        let list = |name, position| self.ints(node, name, position);
        let (Some(starts), Some(ends)) = (list("starts", 1)?, list("ends", 2)?) else {
            return Err(node.refuse("no bounds", "constant starts and ends"));
        };
        let axes = list("axes", 3)?.unwrap_or_else(|| (0..).take(starts.len()).collect());
        if list("steps", 4)?.is_some_and(|steps| steps.iter().any(|step| *step != 1)) {
            return Err(node.refuse("a stride", "step 1"));
        }
        if starts.len() != ends.len() || starts.len() != axes.len() {
            return Err(node.refuse("lists of different lengths", "a start and an end for each axis"));
        }
        let mut seen = Vec::new();
        for ((start, end), at) in starts.iter().zip(&ends).zip(&axes) {
            let at = axis(node, *at, dims.len())?;
            let size = i64::try_from(dims[at]).unwrap_or(i64::MAX);
            let bound = |index: i64| (if index < 0 { index.saturating_add(size) } else { index }).clamp(0, size);
            let (start, end) = (bound(*start), bound(*end));
            if seen.contains(&at) || start >= end {
                return Err(shape(node, format!("{start} to {end} of axis {at}"), "a part that is not empty".into()));
            }
            seen.push(at);
            dims[at] = usize::try_from(end - start).unwrap_or_default();
        }
        Ok(float(dims))
    }

    pub(super) fn squeeze(&self, node: &Node<'_>) -> Result<Value, Refusal> {
        plain(node, &["axes"])?;
        let dims = self.dims(node, 0)?;
        let Some(axes) = self.ints(node, "axes", 1)? else {
            return Err(node.refuse("no axes", "the axes to leave out"));
        };
        let axes = axes.iter().map(|at| axis(node, *at, dims.len())).collect::<Result<Vec<_>, _>>()?;
        if let Some(at) = axes.iter().find(|at| dims[**at] != 1) {
            return Err(shape(node, format!("{dims:?}"), format!("1 at axis {at}")));
        }
        Ok(float(dims.iter().enumerate().filter(|(at, _)| !axes.contains(at)).map(|(_, size)| *size).collect()))
    }

    pub(super) fn unsqueeze(&self, node: &Node<'_>) -> Result<Value, Refusal> {
        plain(node, &["axes"])?;
        let mut dims = self.dims(node, 0)?.to_vec();
        let Some(axes) = self.ints(node, "axes", 1)? else {
            return Err(node.refuse("no axes", "the axes to add"));
        };
        let rank = dims.len() + axes.len();
        let mut axes = axes.iter().map(|at| axis(node, *at, rank)).collect::<Result<Vec<_>, _>>()?;
        axes.sort_unstable();
        axes.dedup();
        if dims.len() + axes.len() != rank {
            return Err(node.refuse("an axis twice", "each axis once"));
        }
        for at in axes {
            dims.insert(at, 1);
        }
        Ok(float(dims))
    }

    pub(super) fn reshape(&self, node: &Node<'_>) -> Result<Value, Refusal> {
        plain(node, &["shape", "allowzero"])?;
        if node.int("allowzero", 0)? != 0 {
            return Err(node.refuse("allowzero", "a shape without empty dimensions"));
        }
        let dims = self.dims(node, 0)?;
        let wanted = self.ints(node, "shape", 1)?.unwrap_or_default();
        let wrong = || shape(node, format!("{dims:?} as {wanted:?}"), "a shape of as many elements".into());
        let mut result = Vec::new();
        for (at, size) in wanted.iter().enumerate() {
            result.push(match size {
                0 => *dims.get(at).ok_or_else(wrong)?,
                -1 => 1,
                size => usize::try_from(*size).map_err(|_| wrong())?,
            });
        }
        let (before, after) = (size(dims), size(&result));
        let mut open = wanted.iter().enumerate().filter(|(_, size)| **size == -1).map(|(at, _)| at);
        match (open.next(), open.next()) {
            (Some(at), None) if after > 0 && before.is_multiple_of(after) => result[at] = before / after,
            (None, _) if before == after => {}
            _ => return Err(wrong()),
        }
        Ok(float(result))
    }

    pub(super) fn flatten(&self, node: &Node<'_>) -> Result<Value, Refusal> {
        plain(node, &["axis"])?;
        let dims = self.dims(node, 0)?;
        let at = node.int("axis", 1)?;
        let at = if usize::try_from(at) == Ok(dims.len()) { dims.len() } else { axis(node, at, dims.len())? };
        Ok(float(vec![size(&dims[..at]), size(&dims[at..])]))
    }

    pub(super) fn transpose(&self, node: &Node<'_>) -> Result<Value, Refusal> {
        plain(node, &["perm"])?;
        let dims = self.dims(node, 0)?;
        let order = match self.ints(node, "perm", usize::MAX)? {
            Some(order) => order.iter().map(|at| axis(node, *at, dims.len())).collect::<Result<Vec<_>, _>>()?,
            None => (0..dims.len()).rev().collect(),
        };
        let mut sorted = order.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..dims.len()) {
            return Err(shape(node, format!("perm {order:?}"), format!("each of {} axes once", dims.len())));
        }
        Ok(float(order.iter().map(|at| dims[*at]).collect()))
    }
}
