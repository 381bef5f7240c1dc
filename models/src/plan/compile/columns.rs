//! Columns in another order or another shape: nothing is computed.

use super::super::step::{Operand, Step};
use super::{Compiler, Value};
use crate::Refusal;
use crate::contract::{AttributeValue, Node};

impl Compiler<'_> {
    pub(super) fn concat(&mut self, node: &Node<'_>) -> Result<Value, Refusal> {
        let axis = node.int("axis", 1)?;
        let all = (0..node.inputs.len()).map(|position| self.input(node, position).cloned());
        let all = all.collect::<Result<Vec<_>, _>>()?;
        if all.iter().all(|value| matches!(value, Value::Ints { .. })) {
            let parts =
                all.into_iter().map(|value| if let Value::Ints { values, .. } = value { values } else { Vec::new() });
            let values: Vec<i64> = parts.flatten().collect();
            return Ok(Value::Ints { dims: vec![values.len()], values });
        }
        if !matches!(axis, 1 | -1) {
            return Err(node.refuse(&format!("axis {axis}"), "axis 1"));
        }
        let (mut parts, mut width) = (Vec::new(), 0);
        for value in all {
            match value {
                Value::Rows { from, width: part, flat: false } => {
                    parts.push(Operand::Rows(from));
                    width += part;
                }
                _ => return Err(node.refuse("a part that is not [N, F]", "parts [N, F]")),
            }
        }
        self.step(Step::Concat { parts }, width, false)
    }

    pub(super) fn gather(&mut self, node: &Node<'_>) -> Result<Value, Refusal> {
        let axis = node.int("axis", 0)?;
        let (from, width, flat) = self.rows(node, 0)?;
        if flat || !matches!(axis, 1 | -1) {
            return Err(
                node.refuse(&format!("axis {axis} of {}", if flat { "[N]" } else { "[N, F]" }), "axis 1 of [N, F]")
            );
        }
        let Value::Ints { dims, values } = self.input(node, 1)? else {
            return Err(node.refuse("indices computed at run time", "constant integers"));
        };
        // A scalar index drops the axis.
        let scalar = match dims.len() {
            0 => true,
            1 => false,
            rank => return Err(node.refuse(&format!("indices of rank {rank}"), "a scalar or a list")),
        };
        let columns = self.columns_of(node, values, width)?;
        self.pick(from, columns, scalar)
    }

    pub(super) fn extract(&mut self, node: &Node<'_>) -> Result<Value, Refusal> {
        let (from, width, flat) = self.rows(node, 0)?;
        let columns = self.columns_of(node, self.ints(node, 1)?, width)?;
        if flat {
            return Err(node.refuse("a vector", "[N, F]"));
        }
        self.pick(from, columns, false)
    }

    /// Column indices, negative ones from the end.
    fn columns_of(&self, node: &Node<'_>, indices: &[i64], width: usize) -> Result<Vec<usize>, Refusal> {
        let size = i64::try_from(width).unwrap_or(i64::MAX);
        let column = |index: &i64| {
            let wrapped = if *index < 0 { index.saturating_add(size) } else { *index };
            usize::try_from(wrapped).ok().filter(|column| *column < width).ok_or_else(|| Refusal::Shape {
                place: format!("node {}", node.label()),
                got: format!("column {index}"),
                expected: format!("a column from {} to {}", -size, size - 1),
            })
        };
        indices.iter().map(column).collect()
    }

    pub(super) fn slice(&mut self, node: &Node<'_>) -> Result<Value, Refusal> {
        let (from, width, flat) = self.rows(node, 0)?;
        let argument = |name: &str, position: usize| -> Result<Option<Vec<i64>>, Refusal> {
            match node.attribute(name) {
                Some(AttributeValue::Ints(values)) => Ok(Some(values.clone())),
                _ if node.inputs.get(position).is_none_or(|name| name.is_empty()) => Ok(None),
                _ => self.ints(node, position).map(|values| Some(values.to_vec())),
            }
        };
        let (starts, ends) = (argument("starts", 1)?.unwrap_or_default(), argument("ends", 2)?.unwrap_or_default());
        let axes = argument("axes", 3)?;
        let steps = argument("steps", 4)?;
        let ([start], [end], Some([1 | -1])) = (starts.as_slice(), ends.as_slice(), axes.as_deref()) else {
            return Err(node.refuse("other axes", "one slice of axis 1"));
        };
        if flat || !matches!(steps.as_deref(), None | Some([1])) {
            return Err(node.refuse("a vector or a stride", "step 1 over [N, F]"));
        }
        let bound = |index: i64| {
            let size = i64::try_from(width).unwrap_or(i64::MAX);
            let wrapped = if index < 0 { index.saturating_add(size) } else { index };
            usize::try_from(wrapped.clamp(0, size)).unwrap_or(width)
        };
        let columns: Vec<usize> = (bound(*start)..bound(*end)).collect();
        if columns.is_empty() {
            let (place, expected) = (format!("node {}", node.label()), "at least one column".into());
            return Err(Refusal::Shape { place, got: "an empty slice".into(), expected });
        }
        self.pick(from, columns, false)
    }

    /// Changes of shape that keep rows apart: `[N, F]` to itself, `[N, 1]` to `[N]` and back.
    pub(super) fn reshape(&mut self, node: &Node<'_>) -> Result<Value, Refusal> {
        let (from, width, flat) = self.rows(node, 0)?;
        let list = match node.attribute("axes") {
            Some(AttributeValue::Ints(axes)) => axes.clone(),
            _ if node.op == "Flatten" => vec![node.int("axis", 1)?],
            _ => self.ints(node, 1)?.to_vec(),
        };
        let same = i64::try_from(width).unwrap_or(i64::MAX);
        let flat = match (node.op, list.as_slice()) {
            ("Reshape", [-1]) if width == 1 => true,
            ("Reshape", [-1, columns]) if *columns == same || (*columns == 0 && !flat) => false,
            ("Reshape", [0, columns]) if *columns == same || *columns == -1 => false,
            ("Flatten", [1]) => false,
            ("Squeeze", [1 | -1]) if width == 1 && !flat => true,
            ("Unsqueeze", [1 | -1]) if flat => false,
            _ => {
                return Err(
                    node.refuse(&format!("{list:?} of {width} columns"), "[N, F] to [N, F], [N, 1] to [N] or back")
                );
            }
        };
        Ok(Value::Rows { from, width, flat })
    }
}
