//! The checked graph as tract's own message, value by value: nothing of the file that the walk has skipped or read in
//! another way reaches tract, and names, which tract compares and joins, are ours.

use std::collections::HashMap;

use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TypeProto, ValueInfoProto,
    attribute_proto::AttributeType, tensor_proto::DataType, type_proto,
};

use crate::contract::{Attribute, AttributeValue, Graph, Tensor};

/// The model, with `input` as its only input.
pub(super) fn model(graph: &Graph<'_>, opset: i64, input: &str) -> ModelProto {
    let mut names = Names::default();
    let value = |name: String, r#type| ValueInfoProto { name, r#type, ..Default::default() };
    let float = type_proto::Tensor { elem_type: DataType::Float as i32, shape: None };
    let float = TypeProto { value: Some(type_proto::Value::TensorType(float)), ..Default::default() };
    let constants = graph.initializers.iter().filter(|constant| constant.name != input);
    let graph = GraphProto {
        input: vec![value(names.of(input), Some(float))],
        initializer: constants.map(|constant| tensor(names.of(constant.name), constant)).collect(),
        node: graph
            .nodes
            .iter()
            .map(|node| NodeProto {
                op_type: node.op.to_owned(),
                input: node.inputs.iter().map(|name| names.of(name)).collect(),
                output: node.outputs.iter().map(|name| names.of(name)).collect(),
                attribute: node.attributes.iter().map(attribute).collect(),
                ..Default::default()
            })
            .collect(),
        output: graph.outputs.iter().map(|output| value(names.of(output.name), None)).collect(),
        ..Default::default()
    };
    let version = OperatorSetIdProto { domain: String::new(), version: opset };
    ModelProto { ir_version: 8, opset_import: vec![version], graph: Some(graph), ..Default::default() }
}

/// A short name of our own for each name of the file.
#[derive(Default)]
struct Names<'a>(HashMap<&'a str, usize>);

impl<'a> Names<'a> {
    /// An empty name stays: it stands for what is left out.
    fn of(&mut self, name: &'a str) -> String {
        if name.is_empty() {
            return String::new();
        }
        let next = self.0.len();
        format!("v{}", self.0.entry(name).or_insert(next))
    }
}

fn tensor(name: String, tensor: &Tensor<'_>) -> TensorProto {
    // Their product was checked to be small.
    let dims = tensor.dims.iter().map(|size| i64::try_from(*size).unwrap_or(i64::MAX)).collect();
    match tensor.floats() {
        Some(float_data) => {
            TensorProto { name, dims, data_type: DataType::Float as i32, float_data, ..Default::default() }
        }
        None => TensorProto {
            name,
            dims,
            data_type: DataType::Int64 as i32,
            int64_data: tensor.ints().unwrap_or_default(),
            ..Default::default()
        },
    }
}

fn attribute(attribute: &Attribute<'_>) -> AttributeProto {
    let mut made = AttributeProto { name: attribute.name.to_owned(), ..Default::default() };
    made.r#type = match &attribute.value {
        AttributeValue::Float(value) => {
            made.f = *value;
            AttributeType::Float
        }
        AttributeValue::Int(value) => {
            made.i = *value;
            AttributeType::Int
        }
        AttributeValue::String(value) => {
            made.s = value.to_vec();
            AttributeType::String
        }
        AttributeValue::Tensor(value) => {
            made.t = Some(tensor(String::new(), value));
            AttributeType::Tensor
        }
        AttributeValue::Floats(values) => {
            made.floats.clone_from(values);
            AttributeType::Floats
        }
        AttributeValue::Ints(values) => {
            made.ints.clone_from(values);
            AttributeType::Ints
        }
        AttributeValue::Strings(values) => {
            made.strings = values.iter().map(|value| value.to_vec()).collect();
            AttributeType::Strings
        }
    } as i32;
    made
}
