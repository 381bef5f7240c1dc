//! From a checked graph to a plan.

use std::collections::HashMap;

use super::step::{Binary, Operand, Source, Step, Unary};
use super::{Buffer, Plan, Port};
use crate::Refusal;
use crate::contract::{AttributeValue, Dim, ElementType, Metadata, Model, Node, Tensor, limits, ops};
use crate::forest::{Ensemble, Forest};
use crate::refusal::shown;

/// What a name stands for.
#[derive(Debug, Clone)]
enum Value {
    /// One row per input row: `[N, width]`, or `[N]` when `flat`.
    Rows { from: Source, width: usize, flat: bool },
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
    let version = model.opsets.iter().find(|opset| opset.domain.is_empty()).map_or(1, |opset| opset.version);
    let (values, steps, buffers, forests) = (HashMap::new(), Vec::new(), Vec::new(), Vec::new());
    let mut compiler = Compiler { values, steps, buffers, forests, columns: 0, version };
    for tensor in &graph.initializers {
        compiler.constant(tensor.name, tensor);
    }
    let inputs = inputs(model, metadata)?;
    let width = inputs.iter().map(|port| port.width).sum();
    let mut start = 0;
    for (info, port) in graph.inputs.iter().filter(|info| !is_initializer(model, info.name)).zip(&inputs) {
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
        let Some(Value::Rows { from, width, .. }) = compiler.values.get(output.name) else {
            let (got, expected) = ("a constant".into(), "one row per input row".into());
            return Err(Refusal::Shape { place: format!("output {}", shown(output.name)), got, expected });
        };
        outputs.push(Port { name: output.name.to_owned(), width: *width });
        results.push(*from);
    }
    if outputs.is_empty() {
        let (got, expected) = ("none".into(), "at least one".into());
        return Err(Refusal::Shape { place: "the outputs".into(), got, expected });
    }
    let Compiler { steps, buffers, forests, .. } = compiler;
    Ok(Plan { width, inputs, outputs, forests, steps, results, buffers })
}

fn is_initializer(model: &Model<'_>, name: &str) -> bool {
    model.graph.initializers.iter().any(|tensor| tensor.name == name)
}

/// Inputs are float matrices whose columns stand side by side in a row of features, in the order of the model.
fn inputs(model: &Model<'_>, metadata: &Metadata) -> Result<Vec<Port>, Refusal> {
    let infos: Vec<_> = model.graph.inputs.iter().filter(|info| !is_initializer(model, info.name)).collect();
    let names = metadata.feature_names.as_ref().map(Vec::len);
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
                names.ok_or_else(|| wrong(format!("{:?} and no feature_names in the metadata", info.shape)))?
            }
            other => return Err(wrong(format!("{other:?}"))),
        };
        if !(1..=limits::COLUMNS).contains(&width) {
            return Err(wrong(format!("{width} columns")));
        }
        ports.push(Port { name: info.name.to_owned(), width });
    }
    let width = ports.iter().map(|port| port.width).sum::<usize>();
    if width == 0 || width > limits::COLUMNS {
        let expected = format!("1 to {}", limits::COLUMNS);
        return Err(Refusal::Shape { place: "the inputs".into(), got: format!("{width} columns"), expected });
    }
    if let Some(names) = names.filter(|names| *names != width) {
        let expected = format!("{width} names, as the input has columns");
        return Err(Refusal::Metadata { key: "feature_names", got: format!("{names} names"), expected });
    }
    Ok(ports)
}

impl<'a> Compiler<'a> {
    fn constant(&mut self, name: &'a str, tensor: &Tensor<'_>) {
        if let Some(values) = tensor.floats() {
            self.values.insert(name, Value::Floats { dims: tensor.dims.clone(), values });
        } else if let Some(values) = tensor.ints() {
            self.values.insert(name, Value::Ints { dims: tensor.dims.clone(), values });
        }
    }

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
            ("", "Constant") => constant(node)?,
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
            (ops::ML, "ArrayFeatureExtractor") => {
                let (from, width, flat) = self.rows(node, 0)?;
                let columns = self.columns_of(node, self.ints(node, 1)?, width)?;
                if flat {
                    return Err(refuse(node, "a vector", "[N, F]"));
                }
                self.pick(from, columns, false)?
            }
            ("", "Slice") => self.slice(node)?,
            ("", "Reshape" | "Squeeze" | "Unsqueeze" | "Flatten") => self.reshape(node)?,
            (ops::ML, "Scaler") => self.scaler(node)?,
            (ops::ML, "TreeEnsembleRegressor") => self.forest(node, &Ensemble::regressor(node)?)?,
            (ops::ML, "TreeEnsemble") => self.forest(node, &Ensemble::tensors(node)?)?,
            _ => return Err(refuse(node, "the operator", "trees and arithmetic on columns")),
        };
        let [output] = node.outputs.as_slice() else {
            return Err(refuse(node, &format!("{} outputs", node.outputs.len()), "one output"));
        };
        self.values.insert(output, value);
        Ok(())
    }

    fn input(&self, node: &Node<'_>, position: usize) -> Result<&Value, Refusal> {
        let found = node.inputs.get(position).and_then(|name| self.values.get(*name));
        found.ok_or_else(|| {
            refuse(node, &format!("no usable input {position}"), "float rows, or float or int constants")
        })
    }

    fn rows(&self, node: &Node<'_>, position: usize) -> Result<(Source, usize, bool), Refusal> {
        match self.input(node, position)? {
            Value::Rows { from, width, flat } => Ok((*from, *width, *flat)),
            _ => Err(refuse(node, &format!("a constant as input {position}"), "rows")),
        }
    }

    fn ints(&self, node: &Node<'_>, position: usize) -> Result<&[i64], Refusal> {
        match self.input(node, position)? {
            Value::Ints { values, .. } => Ok(values),
            _ => Err(refuse(node, &format!("input {position} computed at run time"), "constant integers")),
        }
    }

    fn map(&mut self, node: &Node<'_>, function: Unary) -> Result<Value, Refusal> {
        let (from, width, flat) = self.rows(node, 0)?;
        self.step(Step::Map { function, from }, width, flat)
    }

    /// A cast that changes nothing; single precision is what everything is evaluated in.
    fn cast(&self, node: &Node<'_>) -> Result<Value, Refusal> {
        match (self.input(node, 0)?, node.attribute("to")) {
            (value @ (Value::Rows { .. } | Value::Floats { .. }), Some(AttributeValue::Int(1))) => Ok(value.clone()),
            (value @ Value::Ints { .. }, Some(AttributeValue::Int(7))) => Ok(value.clone()),
            _ => Err(refuse(node, "a cast to another type", "float to float (to = 1)")),
        }
    }

    fn clip(&mut self, node: &Node<'_>) -> Result<Value, Refusal> {
        let mut bounds = [f32::MIN, f32::MAX];
        for ((position, name), bound) in (1..).zip(["min", "max"]).zip(&mut bounds) {
            if let Some(AttributeValue::Float(value)) = node.attribute(name) {
                *bound = *value;
            } else if node.inputs.get(position).is_some_and(|name| !name.is_empty()) {
                match self.input(node, position)? {
                    Value::Floats { values, .. } if values.len() == 1 => *bound = values[0],
                    _ => return Err(refuse(node, &format!("{name} that is no constant number"), "constant bounds")),
                }
            }
        }
        self.map(node, Unary::Clip(bounds[0], bounds[1]))
    }

    /// A binary operator over two or more inputs, from the left.
    fn fold(&mut self, node: &Node<'_>, function: Binary) -> Result<Value, Refusal> {
        if self.version < 7 && !matches!(node.op, "Sum" | "Max" | "Min") {
            return Err(refuse(node, &format!("opset {}", self.version), "opset 7 or later, where operands broadcast"));
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
                return Err(refuse(
                    node,
                    "operands [N] and [N, F], or two unequal constants",
                    "two of [N, F], or a constant",
                ));
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

    fn concat(&mut self, node: &Node<'_>) -> Result<Value, Refusal> {
        let axis = int(node, "axis", 1)?;
        let all = (0..node.inputs.len()).map(|position| self.input(node, position).cloned());
        let all = all.collect::<Result<Vec<_>, _>>()?;
        if all.iter().all(|value| matches!(value, Value::Ints { .. })) {
            let parts =
                all.into_iter().map(|value| if let Value::Ints { values, .. } = value { values } else { Vec::new() });
            let values: Vec<i64> = parts.flatten().collect();
            return Ok(Value::Ints { dims: vec![values.len()], values });
        }
        if !matches!(axis, 1 | -1) {
            return Err(refuse(node, &format!("axis {axis}"), "axis 1"));
        }
        let (mut parts, mut width) = (Vec::new(), 0);
        for value in all {
            match value {
                Value::Rows { from, width: part, flat: false } => {
                    parts.push(Operand::Rows(from));
                    width += part;
                }
                _ => return Err(refuse(node, "a part that is not [N, F]", "parts [N, F]")),
            }
        }
        self.step(Step::Concat { parts }, width, false)
    }

    fn gather(&mut self, node: &Node<'_>) -> Result<Value, Refusal> {
        let axis = int(node, "axis", 0)?;
        let (from, width, flat) = self.rows(node, 0)?;
        if flat || !matches!(axis, 1 | -1) {
            return Err(refuse(
                node,
                &format!("axis {axis} of {}", if flat { "[N]" } else { "[N, F]" }),
                "axis 1 of [N, F]",
            ));
        }
        let Value::Ints { dims, values } = self.input(node, 1)? else {
            return Err(refuse(node, "indices computed at run time", "constant integers"));
        };
        // A scalar index drops the axis.
        let scalar = match dims.len() {
            0 => true,
            1 => false,
            rank => return Err(refuse(node, &format!("indices of rank {rank}"), "a scalar or a list")),
        };
        let columns = self.columns_of(node, values, width)?;
        self.pick(from, columns, scalar)
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

    fn slice(&mut self, node: &Node<'_>) -> Result<Value, Refusal> {
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
            return Err(refuse(node, "other axes", "one slice of axis 1"));
        };
        if flat || !matches!(steps.as_deref(), None | Some([1])) {
            return Err(refuse(node, "a vector or a stride", "step 1 over [N, F]"));
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
    fn reshape(&mut self, node: &Node<'_>) -> Result<Value, Refusal> {
        let (from, width, flat) = self.rows(node, 0)?;
        let list = match node.attribute("axes") {
            Some(AttributeValue::Ints(axes)) => axes.clone(),
            _ if node.op == "Flatten" => vec![int(node, "axis", 1)?],
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
                return Err(refuse(
                    node,
                    &format!("{list:?} of {width} columns"),
                    "[N, F] to [N, F], [N, 1] to [N] or back",
                ));
            }
        };
        Ok(Value::Rows { from, width, flat })
    }

    /// (x − offset) · scale.
    fn scaler(&mut self, node: &Node<'_>) -> Result<Value, Refusal> {
        let (_, width, _) = self.rows(node, 0)?;
        let mut value = self.input(node, 0)?.clone();
        for (name, function) in [("offset", Binary::Sub), ("scale", Binary::Mul)] {
            let Some(AttributeValue::Floats(values)) = node.attribute(name) else {
                return Err(refuse(node, &format!("no {name}"), "offset and scale, one or one per column"));
            };
            if values.len() != width && values.len() != 1 {
                return Err(refuse(node, &format!("{} numbers in {name}", values.len()), "one or one per column"));
            }
            let constant = Value::Floats { dims: vec![values.len()], values: values.clone() };
            value = self.zip(node, function, value, constant)?;
        }
        Ok(value)
    }

    fn forest(&mut self, node: &Node<'_>, ensemble: &Ensemble) -> Result<Value, Refusal> {
        let (from, width, flat) = self.rows(node, 0)?;
        let forest = Forest::new(ensemble)?;
        if flat || forest.columns() > width {
            return Err(Refusal::TreeIndex {
                node: node.label(),
                attribute: "nodes_featureids",
                got: (forest.columns().saturating_sub(1)).to_string(),
                expected: format!("0 to {} by the input [N, {width}]", width - 1),
            });
        }
        let comparisons: usize = self.forests.iter().chain([&forest]).flat_map(Forest::depths).sum();
        let limit = limits::COMPARISONS_PER_ROW;
        if comparisons > limit {
            return Err(Refusal::TreeDepth { node: node.label(), got: comparisons, limit });
        }
        let targets = forest.targets();
        self.forests.push(forest);
        self.step(Step::Forest { forest: self.forests.len() - 1, from }, targets, false)
    }
}

fn refuse(node: &Node<'_>, got: &str, expected: &'static str) -> Refusal {
    Refusal::NotEvaluated { node: node.label(), op: shown(node.op), got: got.into(), expected }
}

fn int(node: &Node<'_>, name: &str, default: i64) -> Result<i64, Refusal> {
    match node.attribute(name) {
        None => Ok(default),
        Some(AttributeValue::Int(value)) => Ok(*value),
        Some(_) => Err(refuse(node, &format!("attribute {name} of another type"), "an integer")),
    }
}

fn constant(node: &Node<'_>) -> Result<Value, Refusal> {
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
    found.ok_or_else(|| refuse(node, "another element type", "floats or integers of 32 or 64 bits"))
}

/// A value as one side of a binary operator, with its width. A constant may repeat along rows, never differ by row.
fn operand(node: &Node<'_>, value: Value, flat: bool) -> Result<(Operand, usize), Refusal> {
    match value {
        Value::Rows { from, width, .. } => Ok((Operand::Rows(from), width)),
        Value::Floats { dims, values } => {
            let columns = dims.last().copied().unwrap_or(1);
            let by_row = dims.iter().rev().skip(1).any(|size| *size != 1) || dims.len() > 2;
            if values.is_empty() || by_row || (flat && !(values.len() == 1 && dims.len() <= 1)) {
                return Err(refuse(node, &format!("a constant of shape {dims:?}"), "constants [], [1], [F] or [1, F]"));
            }
            Ok((Operand::Constant(values), columns))
        }
        Value::Ints { .. } => Err(refuse(node, "an integer operand", "floats")),
    }
}
