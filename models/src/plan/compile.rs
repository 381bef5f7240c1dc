//! From a checked graph to a plan: names to values, node by node. What a node becomes, its kind of operation decides.

mod arithmetic;
mod columns;
mod constant;
mod trees;

use std::collections::HashMap;

use super::step::{Binary, Source, Step, Unary};
use super::{Buffer, Plan, Port};
use crate::Refusal;
use crate::contract::{Dim, ElementType, Metadata, Model, Node, limits, ops};
use crate::forest::{Ensemble, Forest, Labels};
use crate::refusal::shown;

/// What a name stands for.
#[derive(Debug, Clone)]
enum Value {
    /// One row per input row: `[N, width]`, or `[N]` when `flat`.
    Rows { from: Source, width: usize, flat: bool },
    /// The position of a class per row, `[N]`, and the names of the classes.
    Classes { from: Source, labels: Labels },
    /// Constant floats.
    Floats { dims: Vec<usize>, values: Vec<f32> },
    /// Constant integers.
    Ints { dims: Vec<usize>, values: Vec<i64> },
}

struct Compiler<'a> {
    values: HashMap<&'a str, Value>,
    steps: Vec<Step>,
    buffers: Vec<Buffer>,
    forests: Vec<Forest>,
    columns: usize,
    version: i64,
}

pub(super) fn plan(model: &Model<'_>, metadata: &Metadata) -> Result<Plan, Refusal> {
    let graph = &model.graph;
    let (values, steps, buffers, forests) = (HashMap::new(), Vec::new(), Vec::new(), Vec::new());
    let mut compiler = Compiler { values, steps, buffers, forests, columns: 0, version: model.opset() };
    for tensor in &graph.initializers {
        compiler.constant(tensor.name, tensor);
    }
    let inputs = inputs(model, metadata)?;
    let width = inputs.iter().map(|port| port.width).sum();
    let mut start = 0;
    for (info, port) in graph.open_inputs().zip(&inputs) {
        let columns: Vec<usize> = (start..start + port.width).collect();
        start += port.width;
        let value = if columns.len() == width {
            Value::Rows { from: Source::Input, width, flat: false }
        } else {
            compiler.pick(Source::Input, columns, false)?
        };
        compiler.values.insert(info.name, value);
    }
    for node in &graph.nodes {
        compiler.node(node)?;
    }
    let (mut outputs, mut results) = (Vec::new(), Vec::new());
    for output in &graph.outputs {
        let (from, width, labels) = match compiler.values.get(output.name) {
            Some(Value::Rows { from, width, .. }) => (*from, *width, None),
            Some(Value::Classes { from, labels }) => (*from, 1, Some(labels.clone())),
            _ => {
                let (got, expected) = ("a constant".into(), "one row per input row".into());
                return Err(Refusal::Shape { place: format!("output {}", shown(output.name)), got, expected });
            }
        };
        outputs.push(Port { name: output.name.to_owned(), width, labels, steps: None });
        results.push(from);
    }
    if outputs.is_empty() {
        let (got, expected) = ("none".into(), "at least one".into());
        return Err(Refusal::Shape { place: "the outputs".into(), got, expected });
    }
    let Compiler { steps, buffers, forests, .. } = compiler;
    Ok(Plan { width, inputs, outputs, forests, steps, results, buffers })
}

/// Inputs are float matrices whose columns stand side by side in a row of features, in the order of the model.
fn inputs(model: &Model<'_>, metadata: &Metadata) -> Result<Vec<Port>, Refusal> {
    let infos: Vec<_> = model.graph.open_inputs().collect();
    let mut ports = Vec::new();
    for info in &infos {
        let wrong = |got: String| Refusal::Shape {
            place: format!("input {}", shown(info.name)),
            got,
            expected: "[N, F] of single-precision floats".into(),
        };
        if info.element != Some(ElementType::Float) {
            return Err(wrong(format!("elements of type {:?}", info.element)));
        }
        let width = match info.shape.as_deref() {
            Some([_, Dim::Size(width)]) => *width,
            Some([_, _]) | None if infos.len() == 1 => {
                let names = metadata.feature_names.as_ref().map(Vec::len);
                names.ok_or_else(|| wrong(format!("{:?} and no feature_names in the metadata", info.shape)))?
            }
            other => return Err(wrong(format!("{other:?}"))),
        };
        if !(1..=limits::COLUMNS).contains(&width) {
            return Err(wrong(format!("{width} columns")));
        }
        ports.push(Port { name: info.name.to_owned(), width, labels: None, steps: None });
    }
    let width = ports.iter().map(|port| port.width).sum::<usize>();
    if width == 0 || width > limits::COLUMNS {
        let expected = format!("1 to {}", limits::COLUMNS);
        return Err(Refusal::Shape { place: "the inputs".into(), got: format!("{width} columns"), expected });
    }
    if let Some(names) = &metadata.feature_names {
        named_alike(&ports, width, names)?;
    }
    Ok(ports)
}

/// Whether the metadata can be meant for these inputs: a name for each column, and where an input of one column is called
/// like one of the names, that column's.
fn named_alike(ports: &[Port], width: usize, names: &[String]) -> Result<(), Refusal> {
    let wrong = |got, expected| Err(Refusal::MetadataWrong { key: "feature_names", got, expected });
    if names.len() != width {
        return wrong(format!("{} names", names.len()), format!("{width} names, as the input has columns"));
    }
    let mut column = 0;
    for port in ports {
        let name = &names[column];
        if ports.len() > 1 && port.width == 1 && *name != port.name && names.contains(&port.name) {
            let place = format!("\"{}\" at position {}", shown(name), column + 1);
            return wrong(place, format!("\"{}\", as the input of that column is called", shown(&port.name)));
        }
        column += port.width;
    }
    Ok(())
}

impl<'a> Compiler<'a> {
    /// Adds a step; its rows are a new value.
    fn step(&mut self, step: Step, width: usize, flat: bool) -> Result<Value, Refusal> {
        self.columns += width;
        if self.columns > limits::COLUMNS {
            return Err(Refusal::TooMany { what: "columns of intermediate results", limit: limits::COLUMNS });
        }
        self.steps.push(step);
        self.buffers.push(Buffer { width, values: Vec::new() });
        Ok(Value::Rows { from: Source::Step(self.steps.len() - 1), width, flat })
    }

    fn pick(&mut self, from: Source, columns: Vec<usize>, flat: bool) -> Result<Value, Refusal> {
        let width = columns.len();
        self.step(Step::Pick { from, columns }, width, flat)
    }

    fn node(&mut self, node: &Node<'a>) -> Result<(), Refusal> {
        let value = match (node.domain, node.op) {
            ("", "Identity") => self.input(node, 0)?.clone(),
            ("", "Constant") => constant::value(node)?,
            ("", "Cast") => self.cast(node)?,
            ("", "Neg") => self.map(node, Unary::Neg)?,
            ("", "Abs") => self.map(node, Unary::Abs)?,
            ("", "Exp") => self.map(node, Unary::Exp)?,
            ("", "Log") => self.map(node, Unary::Log)?,
            ("", "Sqrt") => self.map(node, Unary::Sqrt)?,
            ("", "Relu") => self.map(node, Unary::Relu)?,
            ("", "Sigmoid") => self.map(node, Unary::Sigmoid)?,
            ("", "Tanh") => self.map(node, Unary::Tanh)?,
            ("", "Clip") => self.clip(node)?,
            ("", "Add" | "Sum") => self.fold(node, Binary::Add)?,
            ("", "Sub") => self.fold(node, Binary::Sub)?,
            ("", "Mul") => self.fold(node, Binary::Mul)?,
            ("", "Div") => self.fold(node, Binary::Div)?,
            ("", "Pow") => self.fold(node, Binary::Pow)?,
            ("", "Max") => self.fold(node, Binary::Max)?,
            ("", "Min") => self.fold(node, Binary::Min)?,
            ("", "Concat") => self.concat(node)?,
            ("", "Gather") => self.gather(node)?,
            (ops::ML, "ArrayFeatureExtractor") => self.extract(node)?,
            ("", "Slice") => self.slice(node)?,
            ("", "Reshape" | "Squeeze" | "Unsqueeze" | "Flatten") => self.reshape(node)?,
            (ops::ML, "Scaler") => self.scaler(node)?,
            (ops::ML, "TreeEnsembleRegressor") => self.forest(node, &Ensemble::regressor(node)?)?,
            (ops::ML, "TreeEnsemble") => self.forest(node, &Ensemble::tensors(node)?)?,
            (ops::ML, "TreeEnsembleClassifier") => return self.classifier(node),
            (ops::ML, "ZipMap") => {
                return Err(node.refuse("scores as dictionaries", "scores as [N, C]: export with zipmap switched off"));
            }
            _ => return Err(node.refuse("the operator", "trees and arithmetic on columns")),
        };
        let [output] = node.outputs.as_slice() else {
            return Err(node.refuse(&format!("{} outputs", node.outputs.len()), "one output"));
        };
        self.values.insert(output, value);
        Ok(())
    }

    fn input(&self, node: &Node<'_>, position: usize) -> Result<&Value, Refusal> {
        let found = node.inputs.get(position).and_then(|name| self.values.get(*name));
        found
            .ok_or_else(|| node.refuse(&format!("no usable input {position}"), "float rows, or float or int constants"))
    }

    fn rows(&self, node: &Node<'_>, position: usize) -> Result<(Source, usize, bool), Refusal> {
        match self.input(node, position)? {
            Value::Rows { from, width, flat } => Ok((*from, *width, *flat)),
            Value::Classes { .. } => Err(node.refuse(&format!("classes as input {position}"), "rows of numbers")),
            _ => Err(node.refuse(&format!("a constant as input {position}"), "rows")),
        }
    }

    fn ints(&self, node: &Node<'_>, position: usize) -> Result<&[i64], Refusal> {
        match self.input(node, position)? {
            Value::Ints { values, .. } => Ok(values),
            _ => Err(node.refuse(&format!("input {position} computed at run time"), "constant integers")),
        }
    }
}
