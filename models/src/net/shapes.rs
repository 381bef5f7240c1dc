//! The shape of every value of a net and the work of every node, before tract sees it: tract multiplies dimensions
//! unchecked, and takes what it does not know of an operator (an activation, a direction) for the default.
//!
//! Sizes are worked out for the very batch that tract will be given. What is not listed here is not run.

use std::collections::HashMap;

use crate::Refusal;
use crate::contract::{AttributeValue, ElementType, Graph, Node, Tensor, limits};
use crate::refusal::shown;

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
            _ if !node.domain.is_empty() => return Err(refuse(node, "another domain", "operators of nets")),
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
            _ => return Err(refuse(node, "the operator", "operators of small nets, see docs/models.md")),
        };
        if node.outputs.len() > made.len() {
            let got = format!("{} outputs", node.outputs.len());
            return Err(refuse(node, &got, "as many outputs as the operator has without extras"));
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
        found.ok_or_else(|| refuse(node, &format!("no input {position}"), "the inputs that the operator needs"))
    }

    /// The shape of an input of floats.
    fn dims(&self, node: &Node<'_>, position: usize) -> Result<&[usize], Refusal> {
        let value = self.any(node, position)?;
        if value.ints.is_some() {
            return Err(refuse(node, &format!("integers as input {position}"), "floats"));
        }
        Ok(&value.dims)
    }

    /// Constant integers: an attribute of older operator sets, else an input; `None` without either.
    fn ints(&self, node: &Node<'_>, name: &str, position: usize) -> Result<Option<Vec<i64>>, Refusal> {
        match node.attribute(name) {
            Some(AttributeValue::Ints(values)) => return Ok(Some(values.clone())),
            Some(_) => return Err(refuse(node, &format!("attribute {name} of another type"), "integers")),
            None => {}
        }
        if node.inputs.get(position).is_none_or(|name| name.is_empty()) {
            return Ok(None);
        }
        let value = self.any(node, position)?;
        let values = value.ints.clone().filter(|_| value.dims.len() <= 1);
        values.map(Some).ok_or_else(|| {
            refuse(node, &format!("{name} computed at run time"), "constant shapes: export with fixed T and F")
        })
    }

    fn clip(&self, node: &Node<'_>) -> Result<Value, Refusal> {
        plain(node, &["min", "max"])?;
        for position in 1..node.inputs.len() {
            let is_scalar = |dims: &[usize]| dims.is_empty();
            if !node.inputs[position].is_empty() && !is_scalar(self.dims(node, position)?) {
                return Err(refuse(node, "bounds that are no scalars", "scalars"));
            }
        }
        Ok(float(self.dims(node, 0)?.to_vec()))
    }

    fn broadcast(&self, node: &Node<'_>) -> Result<Value, Refusal> {
        plain(node, &[])?;
        let mut result = self.dims(node, 0)?.to_vec();
        for position in 1..node.inputs.len() {
            result = wider(node, &result, self.dims(node, position)?)?;
        }
        Ok(float(result))
    }

    fn concat(&self, node: &Node<'_>) -> Result<Value, Refusal> {
        plain(node, &["axis"])?;
        inputs(node, 1..=64)?;
        let mut result = self.dims(node, 0)?.to_vec();
        let axis = axis(node, int(node, "axis", i64::MAX)?, result.len())?;
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

    fn gather(&self, node: &Node<'_>) -> Result<Value, Refusal> {
        plain(node, &["axis"])?;
        let dims = self.dims(node, 0)?;
        let axis = axis(node, int(node, "axis", 0)?, dims.len())?;
        let index = self.any(node, 1)?;
        let Some(indices) = &index.ints else {
            return Err(refuse(node, "indices computed at run time", "constant integers"));
        };
        let size = i64::try_from(dims[axis]).unwrap_or(i64::MAX);
        if let Some(wrong) = indices.iter().find(|index| !(-size..size).contains(*index)) {
            return Err(shape(node, format!("index {wrong}"), format!("an index from {} to {}", -size, size - 1)));
        }
        Ok(float([&dims[..axis], &index.dims, &dims[axis + 1..]].concat()))
    }

    fn slice(&self, node: &Node<'_>) -> Result<Value, Refusal> {
        plain(node, &["starts", "ends", "axes", "steps"])?;
        let mut dims = self.dims(node, 0)?.to_vec();
        let list = |name, position| self.ints(node, name, position);
        let (Some(starts), Some(ends)) = (list("starts", 1)?, list("ends", 2)?) else {
            return Err(refuse(node, "no bounds", "constant starts and ends"));
        };
        let axes = list("axes", 3)?.unwrap_or_else(|| (0..).take(starts.len()).collect());
        if list("steps", 4)?.is_some_and(|steps| steps.iter().any(|step| *step != 1)) {
            return Err(refuse(node, "a stride", "step 1"));
        }
        if starts.len() != ends.len() || starts.len() != axes.len() {
            return Err(refuse(node, "lists of different lengths", "a start and an end for each axis"));
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

    fn squeeze(&self, node: &Node<'_>) -> Result<Value, Refusal> {
        plain(node, &["axes"])?;
        let dims = self.dims(node, 0)?;
        let Some(axes) = self.ints(node, "axes", 1)? else {
            return Err(refuse(node, "no axes", "the axes to leave out"));
        };
        let axes = axes.iter().map(|at| axis(node, *at, dims.len())).collect::<Result<Vec<_>, _>>()?;
        if let Some(at) = axes.iter().find(|at| dims[**at] != 1) {
            return Err(shape(node, format!("{dims:?}"), format!("1 at axis {at}")));
        }
        Ok(float(dims.iter().enumerate().filter(|(at, _)| !axes.contains(at)).map(|(_, size)| *size).collect()))
    }

    fn unsqueeze(&self, node: &Node<'_>) -> Result<Value, Refusal> {
        plain(node, &["axes"])?;
        let mut dims = self.dims(node, 0)?.to_vec();
        let Some(axes) = self.ints(node, "axes", 1)? else {
            return Err(refuse(node, "no axes", "the axes to add"));
        };
        let rank = dims.len() + axes.len();
        let mut axes = axes.iter().map(|at| axis(node, *at, rank)).collect::<Result<Vec<_>, _>>()?;
        axes.sort_unstable();
        axes.dedup();
        if dims.len() + axes.len() != rank {
            return Err(refuse(node, "an axis twice", "each axis once"));
        }
        for at in axes {
            dims.insert(at, 1);
        }
        Ok(float(dims))
    }

    fn reshape(&self, node: &Node<'_>) -> Result<Value, Refusal> {
        plain(node, &["shape", "allowzero"])?;
        if int(node, "allowzero", 0)? != 0 {
            return Err(refuse(node, "allowzero", "a shape without empty dimensions"));
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

    fn flatten(&self, node: &Node<'_>) -> Result<Value, Refusal> {
        plain(node, &["axis"])?;
        let dims = self.dims(node, 0)?;
        let at = int(node, "axis", 1)?;
        let at = if usize::try_from(at) == Ok(dims.len()) { dims.len() } else { axis(node, at, dims.len())? };
        Ok(float(vec![size(&dims[..at]), size(&dims[at..])]))
    }

    fn transpose(&self, node: &Node<'_>) -> Result<Value, Refusal> {
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

    fn matmul(&mut self, node: &Node<'_>) -> Result<Value, Refusal> {
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

    fn gemm(&mut self, node: &Node<'_>) -> Result<Value, Refusal> {
        plain(node, &["alpha", "beta", "transA", "transB"])?;
        let matrix = |position, flag| -> Result<[usize; 2], Refusal> {
            let is_turned = match int(node, flag, 0)? {
                0 => false,
                1 => true,
                other => return Err(refuse(node, &format!("{flag} {other}"), "0 or 1")),
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

    fn softmax(&self, node: &Node<'_>) -> Result<Value, Refusal> {
        plain(node, &["axis"])?;
        if self.opset < 13 {
            return Err(refuse(node, &format!("operator set {}", self.opset), "13 or newer, where it has one axis"));
        }
        let dims = self.dims(node, 0)?;
        axis(node, int(node, "axis", -1)?, dims.len())?;
        Ok(float(dims.to_vec()))
    }

    fn layer_norm(&self, node: &Node<'_>) -> Result<Value, Refusal> {
        plain(node, &["axis", "epsilon", "stash_type"])?;
        inputs(node, 2..=3)?;
        let dims = self.dims(node, 0)?;
        let last = dims.len().saturating_sub(1);
        if axis(node, int(node, "axis", -1)?, dims.len())? != last || int(node, "stash_type", 1)? != 1 {
            return Err(refuse(node, "another axis or type", "the last axis, in single precision"));
        }
        for position in 1..node.inputs.len() {
            let part = self.dims(node, position)?;
            if part != &dims[last..] {
                return Err(shape(node, format!("{part:?}"), format!("{:?}", &dims[last..])));
            }
        }
        Ok(float(dims.to_vec()))
    }

    fn reduce(&self, node: &Node<'_>) -> Result<Value, Refusal> {
        plain(node, &["axes", "keepdims"])?;
        let dims = self.dims(node, 0)?;
        let Some(axes) = self.ints(node, "axes", 1)?.filter(|axes| !axes.is_empty()) else {
            return Err(refuse(node, "no axes", "constant axes: over all of them rows would mix"));
        };
        let axes = axes.iter().map(|at| axis(node, *at, dims.len())).collect::<Result<Vec<_>, _>>()?;
        let keeps = int(node, "keepdims", 1)? != 0;
        let reduced = dims.iter().enumerate().filter_map(|(at, size)| match axes.contains(&at) {
            false => Some(*size),
            true => keeps.then_some(1),
        });
        Ok(float(reduced.collect()))
    }

    /// Forward, with the default activations, without peepholes or lengths: tract runs no other one, whatever is asked.
    fn lstm(&mut self, node: &Node<'_>) -> Result<Vec<Value>, Refusal> {
        plain(node, &["hidden_size", "direction"])?;
        if !matches!(node.attribute("direction"), None | Some(AttributeValue::String(b"forward"))) {
            return Err(refuse(node, "another direction", "forward: what is to come is not known"));
        }
        if node.inputs.iter().enumerate().any(|(at, name)| at > 3 && !name.is_empty()) {
            return Err(refuse(node, "lengths, initial states or peepholes", "the input, W, R and B alone"));
        }
        let &[steps, batch, inputs] = self.dims(node, 0)? else {
            return Err(shape(node, format!("{:?}", self.dims(node, 0)?), "[T, N, F]".into()));
        };
        let hidden = usize::try_from(int(node, "hidden_size", -1)?).unwrap_or(0);
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
            _ => Err(refuse(node, "no tensor", "a tensor")),
        },
        _ => Err(refuse(node, "a value of another form", "a tensor")),
    }
}

/// Refuses attributes that are not among those known: what is not checked must not reach tract.
fn plain(node: &Node<'_>, known: &[&str]) -> Result<(), Refusal> {
    match node.attributes.iter().find(|attribute| !known.contains(&attribute.name)) {
        Some(attribute) => Err(refuse(node, &format!("attribute {}", shown(attribute.name)), "the default")),
        None => Ok(()),
    }
}

fn inputs(node: &Node<'_>, expected: std::ops::RangeInclusive<usize>) -> Result<(), Refusal> {
    if expected.contains(&node.inputs.len()) {
        return Ok(());
    }
    Err(refuse(node, &format!("{} inputs", node.inputs.len()), "the inputs that the operator needs"))
}

fn int(node: &Node<'_>, name: &str, default: i64) -> Result<i64, Refusal> {
    match node.attribute(name) {
        None => Ok(default),
        Some(AttributeValue::Int(value)) => Ok(*value),
        Some(_) => Err(refuse(node, &format!("attribute {name} of another type"), "an integer")),
    }
}

/// An axis, negative ones from the end.
fn axis(node: &Node<'_>, axis: i64, rank: usize) -> Result<usize, Refusal> {
    let size = i64::try_from(rank).unwrap_or(i64::MAX);
    let wrapped = if axis < 0 { axis.saturating_add(size) } else { axis };
    let found = usize::try_from(wrapped).ok().filter(|axis| *axis < rank);
    found.ok_or_else(|| shape(node, format!("axis {axis}"), format!("an axis of {rank} dimensions")))
}

/// The shape of two values side by side, as NumPy broadcasts.
fn wider(node: &Node<'_>, left: &[usize], right: &[usize]) -> Result<Vec<usize>, Refusal> {
    let rank = left.len().max(right.len());
    let at = |dims: &[usize], position: usize| (position + dims.len()).checked_sub(rank).map_or(1, |at| dims[at]);
    let side_by_side = |position| match (at(left, position), at(right, position)) {
        (one, other) if one == other => Ok(one),
        (1, other) => Ok(other),
        (one, 1) => Ok(one),
        _ => Err(shape(node, format!("{left:?} and {right:?}"), "shapes that fit side by side".into())),
    };
    (0..rank).map(side_by_side).collect()
}

/// Elements of a shape, saturated.
pub(super) fn size(dims: &[usize]) -> usize {
    dims.iter().fold(1, |product: usize, size| product.saturating_mul(*size))
}

const fn within(what: &'static str, got: usize, limit: usize) -> Result<(), Refusal> {
    if got <= limit { Ok(()) } else { Err(Refusal::NetTooLarge { what, got, limit }) }
}

fn refuse(node: &Node<'_>, got: &str, expected: &'static str) -> Refusal {
    Refusal::NotEvaluated { node: node.label(), op: shown(node.op), got: got.into(), expected }
}

fn shape(node: &Node<'_>, got: String, expected: String) -> Refusal {
    Refusal::Shape { place: format!("node {}", node.label()), got, expected }
}
