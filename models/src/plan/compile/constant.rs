//! Constants of the graph: initializers and `Constant` nodes.

use super::{Compiler, Value};
use crate::Refusal;
use crate::contract::{AttributeValue, Node, Tensor};

impl<'a> Compiler<'a> {
    /// Takes in an initializer.
    pub(super) fn constant(&mut self, name: &'a str, tensor: &Tensor<'_>) {
        if let Some(values) = tensor.floats() {
            self.values.insert(name, Value::Floats { dims: tensor.dims.clone(), values });
        } else if let Some(values) = tensor.ints() {
            self.values.insert(name, Value::Ints { dims: tensor.dims.clone(), values });
        }
    }
}

/// What a `Constant` node stands for.
pub(super) fn value(node: &Node<'_>) -> Result<Value, Refusal> {
    let tensor = |tensor: &Tensor<'_>| {
        let dims = tensor.dims.clone();
        match (tensor.floats(), tensor.ints()) {
            (Some(values), _) => Some(Value::Floats { dims, values }),
            (_, Some(values)) => Some(Value::Ints { dims, values }),
            _ => None,
        }
    };
    let found = node.attributes.first().and_then(|attribute| match (attribute.name, &attribute.value) {
        ("value", AttributeValue::Tensor(value)) => tensor(value),
        ("value_float", AttributeValue::Float(value)) => Some(Value::Floats { dims: Vec::new(), values: vec![*value] }),
        ("value_int", AttributeValue::Int(value)) => Some(Value::Ints { dims: Vec::new(), values: vec![*value] }),
        ("value_floats", AttributeValue::Floats(values)) => {
            Some(Value::Floats { dims: vec![values.len()], values: values.clone() })
        }
        ("value_ints", AttributeValue::Ints(values)) => {
            Some(Value::Ints { dims: vec![values.len()], values: values.clone() })
        }
        _ => None,
    });
    found.ok_or_else(|| node.refuse("another element type", "floats or integers of 32 or 64 bits"))
}
