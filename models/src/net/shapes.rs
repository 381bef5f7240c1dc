//! The shape of every value of a net and the work of every node, before tract sees it: tract multiplies dimensions
//! unchecked, and takes what it does not know of an operator (an activation, a direction) for the default.
//!
//! Sizes are worked out for the very batch that tract will be given. What is not listed here is not run.

mod checks;
mod compute;
mod rearrange;

use std::collections::HashMap;

use crate::Refusal;
use crate::contract::{AttributeValue, ElementType, Graph, Node, Tensor, limits};
use crate::refusal::shown;
use checks::{inputs, plain, shape};

/// A value whose shape is known.
#[derive(Debug, Clone)]
pub(super) struct Value {
    pub(super) dims: Vec<usize>,
    /// Of constant integers: the numbers.
    ints: Option<Vec<i64>>,
}

/// What a net costs for a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Work {
    pub(super) multiply_adds: usize,
    pub(super) elements: usize,
}

/// The values of a graph by name.
#[derive(Debug)]
pub(super) struct Shapes<'a> {
    values: HashMap<&'a str, Value>,
    opset: i64,
    work: Work,
    limit: Work,
}

impl<'a> Shapes<'a> {
    /// Walks the graph, whose nodes are in order, with `input` as the shape of its only input.
    ///
    /// # Errors
    /// What is not run, shapes that do not fit, and more work than the limits allow.
    pub(super) fn of(graph: &Graph<'a>, opset: i64, name: &'a str, input: [usize; 3]) -> Result<Self, Refusal> {
        let batch = input[0];
        let limit = Work {
            multiply_adds: limits::MULTIPLY_ADDS_PER_ROW.saturating_mul(batch),
            elements: limits::ELEMENTS_PER_ROW.saturating_mul(batch),
        };
        let mut shapes = Self { values: HashMap::new(), opset, work: Work::default(), limit };
        for tensor in graph.initializers.iter().filter(|tensor| tensor.name != name) {
            shapes.values.insert(tensor.name, constant(tensor, || format!("initializer {}", shown(tensor.name)))?);
        }
        shapes.values.insert(name, Value { dims: input.to_vec(), ints: None });
        for node in &graph.nodes {
            shapes.node(node)?;
        }
        Ok(shapes)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    pub(super) const fn work(&self) -> Work {
        self.work
    }

    fn node(&mut self, node: &Node<'a>) -> Result<(), Refusal> {
        let made: Vec<Value> = match node.op {
            _ if !node.domain.is_empty() => return Err(node.refuse("another domain", "operators of nets")),
            "Constant" => vec![constant_node(node)?],
            "Identity" => vec![self.any(node, 0)?.clone()],
            "Abs" | "Erf" | "Exp" | "Log" | "Neg" | "Reciprocal" | "Relu" | "Sigmoid" | "Softplus" | "Sqrt"
            | "Tanh" => {
                plain(node, &[])?;
                vec![float(self.dims(node, 0)?.to_vec())]
            }
            "Clip" => vec![self.clip(node)?],
            "Add" | "Sub" | "Mul" | "Div" | "Pow" => {
                inputs(node, 2..=2)?;
                vec![self.broadcast(node)?]
            }
            "Max" | "Min" | "Sum" => {
                inputs(node, 1..=8)?;
                vec![self.broadcast(node)?]
            }
            "Concat" => vec![self.concat(node)?],
            "Gather" => vec![self.gather(node)?],
            "Slice" => vec![self.slice(node)?],
            "Squeeze" => vec![self.squeeze(node)?],
            "Unsqueeze" => vec![self.unsqueeze(node)?],
            "Reshape" => vec![self.reshape(node)?],
            "Flatten" => vec![self.flatten(node)?],
            "Transpose" => vec![self.transpose(node)?],
            "MatMul" => vec![self.matmul(node)?],
            "Gemm" => vec![self.gemm(node)?],
            "Softmax" => vec![self.softmax(node)?],
            "LayerNormalization" => vec![self.layer_norm(node)?],
            "ReduceMax" | "ReduceMean" | "ReduceMin" | "ReduceSum" => vec![self.reduce(node)?],
            "LSTM" => self.lstm(node)?,
            _ => return Err(node.refuse("the operator", "operators of small nets, see docs/models.md")),
        };
        if node.outputs.len() > made.len() {
            let got = format!("{} outputs", node.outputs.len());
            return Err(node.refuse(&got, "as many outputs as the operator has without extras"));
        }
        for (name, value) in node.outputs.iter().zip(made) {
            self.add_elements(size(&value.dims))?;
            if value.dims.len() > limits::RANK {
                return Err(shape(node, format!("{:?}", value.dims), format!("at most {} dimensions", limits::RANK)));
            }
            self.values.insert(name, value);
        }
        Ok(())
    }

    fn add_elements(&mut self, elements: usize) -> Result<(), Refusal> {
        self.work.elements = self.work.elements.saturating_add(elements);
        within("elements of intermediate results for a batch", self.work.elements, self.limit.elements)
    }

    fn multiply(&mut self, factors: &[usize]) -> Result<(), Refusal> {
        self.work.multiply_adds = self.work.multiply_adds.saturating_add(size(factors));
        within("multiplications for a batch", self.work.multiply_adds, self.limit.multiply_adds)
    }

    fn any(&self, node: &Node<'_>, position: usize) -> Result<&Value, Refusal> {
        let found = node.inputs.get(position).and_then(|name| self.values.get(*name));
        found.ok_or_else(|| node.refuse(&format!("no input {position}"), "the inputs that the operator needs"))
    }

    /// The shape of an input of floats.
    fn dims(&self, node: &Node<'_>, position: usize) -> Result<&[usize], Refusal> {
        let value = self.any(node, position)?;
        if value.ints.is_some() {
            return Err(node.refuse(&format!("integers as input {position}"), "floats"));
        }
        Ok(&value.dims)
    }

    /// Constant integers: an attribute of older operator sets, else an input; `None` without either.
    fn ints(&self, node: &Node<'_>, name: &str, position: usize) -> Result<Option<Vec<i64>>, Refusal> {
        match node.attribute(name) {
            Some(AttributeValue::Ints(values)) => return Ok(Some(values.clone())),
            Some(_) => return Err(node.refuse(&format!("attribute {name} of another type"), "integers")),
            None => {}
        }
        if node.inputs.get(position).is_none_or(|name| name.is_empty()) {
            return Ok(None);
        }
        let value = self.any(node, position)?;
        let values = value.ints.clone().filter(|_| value.dims.len() <= 1);
        values.map(Some).ok_or_else(|| {
            node.refuse(&format!("{name} computed at run time"), "constant shapes: export with fixed T and F")
        })
    }
}

const fn float(dims: Vec<usize>) -> Value {
    Value { dims, ints: None }
}

fn constant(tensor: &Tensor<'_>, place: impl Fn() -> String) -> Result<Value, Refusal> {
    match tensor.element {
        ElementType::Float => Ok(float(tensor.dims.clone())),
        ElementType::Int64 => Ok(Value { dims: tensor.dims.clone(), ints: tensor.ints() }),
        other => Err(Refusal::Unsupported {
            place: place(),
            got: format!("elements of type {other:?}"),
            expected: "single-precision floats, and 64-bit integers as shapes",
        }),
    }
}

fn constant_node(node: &Node<'_>) -> Result<Value, Refusal> {
    match node.attributes.as_slice() {
        [attribute] if attribute.name == "value" => match &attribute.value {
            AttributeValue::Tensor(tensor) => constant(tensor, || format!("node {}", node.label())),
            _ => Err(node.refuse("no tensor", "a tensor")),
        },
        _ => Err(node.refuse("a value of another form", "a tensor")),
    }
}

/// Elements of a shape, saturated.
fn size(dims: &[usize]) -> usize {
    dims.iter().fold(1, |product: usize, size| product.saturating_mul(*size))
}

const fn within(what: &'static str, got: usize, limit: usize) -> Result<(), Refusal> {
    if got <= limit { Ok(()) } else { Err(Refusal::NetTooLarge { what, got, limit }) }
}
