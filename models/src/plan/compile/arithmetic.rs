//! Functions of numbers: of each value, of two values side by side, and the scaler that is made of them.

use super::super::step::{Binary, Operand, Step, Unary};
use super::{Compiler, Value};
use crate::Refusal;
use crate::contract::{AttributeValue, Node};
use crate::forest::Labels;

impl Compiler<'_> {
    pub(super) fn map(&mut self, node: &Node<'_>, function: Unary) -> Result<Value, Refusal> {
        let (from, width, flat) = self.rows(node, 0)?;
        self.step(Step::Map { function, from }, width, flat)
    }

    /// A cast that changes nothing; single precision is what everything is evaluated in.
    pub(super) fn cast(&self, node: &Node<'_>) -> Result<Value, Refusal> {
        match (self.input(node, 0)?, node.attribute("to")) {
            (value @ (Value::Rows { .. } | Value::Floats { .. }), Some(AttributeValue::Int(1))) => Ok(value.clone()),
            (value @ Value::Ints { .. }, Some(AttributeValue::Int(7))) => Ok(value.clone()),
            (value @ Value::Classes { labels: Labels::Ints(_), .. }, Some(AttributeValue::Int(7)))
            | (value @ Value::Classes { labels: Labels::Strings(_), .. }, Some(AttributeValue::Int(8))) => {
                Ok(value.clone())
            }
            _ => Err(node.refuse("a cast to another type", "a cast that changes nothing")),
        }
    }

    pub(super) fn clip(&mut self, node: &Node<'_>) -> Result<Value, Refusal> {
        let mut bounds = [f32::MIN, f32::MAX];
        for ((position, name), bound) in (1..).zip(["min", "max"]).zip(&mut bounds) {
            if let Some(AttributeValue::Float(value)) = node.attribute(name) {
                *bound = *value;
            } else if node.inputs.get(position).is_some_and(|name| !name.is_empty()) {
                match self.input(node, position)? {
                    Value::Floats { values, .. } if values.len() == 1 => *bound = values[0],
                    _ => return Err(node.refuse(&format!("{name} that is no constant number"), "constant bounds")),
                }
            }
        }
        self.map(node, Unary::Clip(bounds[0], bounds[1]))
    }

    /// A binary operator over two or more inputs, from the left.
    pub(super) fn fold(&mut self, node: &Node<'_>, function: Binary) -> Result<Value, Refusal> {
        if self.version < 7 && !matches!(node.op, "Sum" | "Max" | "Min") {
            return Err(node.refuse(&format!("opset {}", self.version), "opset 7 or later, where operands broadcast"));
        }
        let mut left = self.input(node, 0)?.clone();
        for position in 1..node.inputs.len() {
            let right = self.input(node, position)?.clone();
            left = self.zip(node, function, left, right)?;
        }
        Ok(left)
    }

    fn zip(&mut self, node: &Node<'_>, function: Binary, left: Value, right: Value) -> Result<Value, Refusal> {
        if let (Value::Floats { values: left, dims }, Value::Floats { values: right, .. }) = (&left, &right)
            && left.len() == right.len()
        {
            let values = left.iter().zip(right).map(|(left, right)| function.of(*left, *right)).collect();
            return Ok(Value::Floats { dims: dims.clone(), values });
        }
        let flat = |value: &Value| if let Value::Rows { flat, .. } = value { Some(*flat) } else { None };
        let flat = match (flat(&left), flat(&right)) {
            (Some(left), Some(right)) if left == right => left,
            (Some(flat), None) | (None, Some(flat)) => flat,
            _ => {
                return Err(
                    node.refuse("operands [N] and [N, F], or two unequal constants", "two of [N, F], or a constant")
                );
            }
        };
        let (left, left_width) = operand(node, left, flat)?;
        let (right, right_width) = operand(node, right, flat)?;
        if left_width != right_width && left_width != 1 && right_width != 1 {
            let (place, expected) = (format!("node {}", node.label()), "equal widths, or one of them 1".into());
            return Err(Refusal::Shape { place, got: format!("widths {left_width} and {right_width}"), expected });
        }
        self.step(Step::Zip { function, left, right }, left_width.max(right_width), flat)
    }

    /// (x − offset) · scale.
    pub(super) fn scaler(&mut self, node: &Node<'_>) -> Result<Value, Refusal> {
        let (_, width, _) = self.rows(node, 0)?;
        let mut value = self.input(node, 0)?.clone();
        for (name, function) in [("offset", Binary::Sub), ("scale", Binary::Mul)] {
            let Some(AttributeValue::Floats(values)) = node.attribute(name) else {
                return Err(node.refuse(&format!("no {name}"), "offset and scale, one or one per column"));
            };
            if values.len() != width && values.len() != 1 {
                return Err(node.refuse(&format!("{} numbers in {name}", values.len()), "one or one per column"));
            }
            let constant = Value::Floats { dims: vec![values.len()], values: values.clone() };
            value = self.zip(node, function, value, constant)?;
        }
        Ok(value)
    }
}

/// A value as one side of a binary operator, with its width. A constant may repeat along rows, never differ by row.
fn operand(node: &Node<'_>, value: Value, flat: bool) -> Result<(Operand, usize), Refusal> {
    match value {
        Value::Rows { from, width, .. } => Ok((Operand::Rows(from), width)),
        Value::Floats { dims, values } => {
            let columns = dims.last().copied().unwrap_or(1);
            let by_row = dims.iter().rev().skip(1).any(|size| *size != 1) || dims.len() > 2;
            if values.is_empty() || by_row || (flat && !(values.len() == 1 && dims.len() <= 1)) {
                return Err(node.refuse(&format!("a constant of shape {dims:?}"), "constants [], [1], [F] or [1, F]"));
            }
            Ok((Operand::Constant(values), columns))
        }
        Value::Ints { .. } | Value::Classes { .. } => Err(node.refuse("an operand of integers or classes", "floats")),
    }
}
