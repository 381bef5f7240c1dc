//! `ModelProto` as borrowed, typed parts. Depth is fixed by construction: model → graph → node → attribute → tensor;
//! whatever could nest further (subgraphs, functions) is refused where it starts.

use super::limits;
use super::tensor::{ElementType, Tensor};
use super::wire::{Field, Reader, push, push_within};
use crate::Refusal;
use crate::refusal::shown;

/// A model file.
#[derive(Debug, Clone, PartialEq)]
pub struct Model<'a> {
    /// Version of the file format.
    pub ir_version: i64,
    /// The tool that wrote it.
    pub producer: &'a str,
    /// Operator sets that its nodes use.
    pub opsets: Vec<Opset<'a>>,
    /// `metadata_props` in the order of the file.
    pub metadata: Vec<(&'a str, &'a str)>,
    /// The computation.
    pub graph: Graph<'a>,
}

/// A version of the operators of one domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opset<'a> {
    /// "" (also written "ai.onnx") or "ai.onnx.ml".
    pub domain: &'a str,
    /// Its version.
    pub version: i64,
}

/// The computation of a model.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Graph<'a> {
    /// Its name.
    pub name: &'a str,
    /// Operations.
    pub nodes: Vec<Node<'a>>,
    /// Constants.
    pub initializers: Vec<Tensor<'a>>,
    /// Inputs; may repeat the names of initializers.
    pub inputs: Vec<ValueInfo<'a>>,
    /// Outputs.
    pub outputs: Vec<ValueInfo<'a>>,
}

/// One operation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Node<'a> {
    /// Its name, often empty.
    pub name: &'a str,
    /// The operator.
    pub op: &'a str,
    /// The operator's domain, normalised: "" or "ai.onnx.ml".
    pub domain: &'a str,
    /// Names of the values that it reads; empty for an optional input left out.
    pub inputs: Vec<&'a str>,
    /// Names of the values that it makes; empty for an optional output left out.
    pub outputs: Vec<&'a str>,
    /// Its parameters.
    pub attributes: Vec<Attribute<'a>>,
}

/// A named parameter of a node.
#[derive(Debug, Clone, PartialEq)]
pub struct Attribute<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its value.
    pub value: AttributeValue<'a>,
}

/// The value of a parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum AttributeValue<'a> {
    /// A float.
    Float(f32),
    /// An integer.
    Int(i64),
    /// A byte string.
    String(&'a [u8]),
    /// A tensor.
    Tensor(Tensor<'a>),
    /// Floats.
    Floats(Vec<f32>),
    /// Integers.
    Ints(Vec<i64>),
    /// Byte strings.
    Strings(Vec<&'a [u8]>),
}

/// Name and type of an input or output.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueInfo<'a> {
    /// Its name.
    pub name: &'a str,
    /// Element type; `None` where it is no tensor, or the type is unknown.
    pub element: Option<ElementType>,
    /// Dimensions; `None` where the rank is unknown.
    pub shape: Option<Vec<Dim<'a>>>,
}

/// One dimension of an input or output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dim<'a> {
    /// Known.
    Size(usize),
    /// A symbol such as "N".
    Symbol(&'a str),
    /// Unknown.
    Unknown,
}

impl Model<'_> {
    /// The version of ONNX's own operators.
    pub(crate) fn opset(&self) -> i64 {
        self.opsets.iter().find(|opset| opset.domain.is_empty()).map_or(1, |opset| opset.version)
    }
}

impl<'a> Graph<'a> {
    /// The inputs that are to be fed: those without a constant of their name.
    pub(crate) fn open_inputs(&self) -> impl Iterator<Item = &ValueInfo<'a>> {
        self.inputs.iter().filter(|input| self.initializers.iter().all(|tensor| tensor.name != input.name))
    }
}

impl<'a> Node<'a> {
    /// The value of a parameter.
    pub fn attribute(&self, name: &str) -> Option<&AttributeValue<'a>> {
        self.attributes.iter().find(|attribute| attribute.name == name).map(|attribute| &attribute.value)
    }

    /// What to call it in a message.
    pub fn label(&self) -> String {
        match (self.name, self.outputs.first()) {
            ("", Some(output)) => format!("producing {}", shown(output)),
            ("", None) => shown(self.op),
            (name, _) => shown(name),
        }
    }

    /// An integer parameter, or else its default.
    pub(crate) fn int(&self, name: &str, default: i64) -> Result<i64, Refusal> {
        match self.attribute(name) {
            None => Ok(default),
            Some(AttributeValue::Int(value)) => Ok(*value),
            Some(_) => Err(self.refuse(&format!("attribute {name} of another type"), "an integer")),
        }
    }

    /// Refuses it in the form that it has: allowed, and not evaluated.
    pub(crate) fn refuse(&self, got: &str, expected: &'static str) -> Refusal {
        Refusal::NotEvaluated { node: self.label(), op: shown(self.op), got: got.into(), expected }
    }
}

/// Sets a singular field, which a well-formed file has once: readers that merge and readers that take the last would
/// otherwise see different models.
fn set<T>(slot: &mut Option<T>, value: T, field: &Field<'_>) -> Result<(), Refusal> {
    if slot.replace(value).is_some() {
        let got = format!("field {} again", field.number);
        return Err(Refusal::Malformed { offset: field.offset, got, expected: "a singular field once" });
    }
    Ok(())
}

pub(super) fn model(bytes: &[u8]) -> Result<Model<'_>, Refusal> {
    let mut reader = Reader::new(bytes);
    let (mut ir_version, mut producer, mut graph_reader) = (None, None, None);
    let (mut opsets, mut metadata, mut functions) = (Vec::new(), Vec::new(), 0);
    while let Some(field) = reader.next()? {
        match field.number {
            1 => set(&mut ir_version, field.int()?, &field)?,
            2 => set(&mut producer, field.text()?, &field)?,
            7 => set(&mut graph_reader, field.message()?, &field)?,
            8 => push_within(&mut opsets, opset(field.message()?)?, "operator sets", limits::ENTRIES)?,
            14 => push_within(&mut metadata, entry(field.message()?)?, "metadata entries", limits::ENTRIES)?,
            20 => {
                let (place, got) = ("the model".into(), "training_info".into());
                return Err(Refusal::Unsupported { place, got, expected: "an inference graph only" });
            }
            25 => functions += 1,
            _ => {}
        }
    }
    if functions > 0 {
        return Err(Refusal::LocalFunctions { got: functions });
    }
    let missing = |got: &str, expected| Refusal::Malformed { offset: bytes.len(), got: got.into(), expected };
    Ok(Model {
        ir_version: ir_version.ok_or_else(|| missing("no ir_version", "ir_version (field 1)"))?,
        producer: producer.unwrap_or_default(),
        opsets,
        metadata,
        graph: graph(graph_reader.ok_or_else(|| missing("no graph", "a graph (field 7)"))?)?,
    })
}

fn opset(mut reader: Reader<'_>) -> Result<Opset<'_>, Refusal> {
    let mut opset = Opset { domain: "", version: 0 };
    while let Some(field) = reader.next()? {
        match field.number {
            1 => opset.domain = normal(field.text()?),
            2 => opset.version = field.int()?,
            _ => {}
        }
    }
    Ok(opset)
}

/// "ai.onnx" is the long name of the default domain.
fn normal(domain: &str) -> &str {
    if domain == "ai.onnx" { "" } else { domain }
}

fn entry(mut reader: Reader<'_>) -> Result<(&str, &str), Refusal> {
    let mut entry = ("", "");
    while let Some(field) = reader.next()? {
        match field.number {
            1 => entry.0 = field.text()?,
            2 => entry.1 = field.text()?,
            _ => {}
        }
    }
    Ok(entry)
}

fn graph(mut reader: Reader<'_>) -> Result<Graph<'_>, Refusal> {
    let mut graph = Graph::default();
    while let Some(field) = reader.next()? {
        match field.number {
            1 => push_within(&mut graph.nodes, node(field.message()?)?, "nodes", limits::NODES)?,
            2 => graph.name = field.text()?,
            5 => {
                let tensor = Tensor::read(field.message()?)?;
                push_within(&mut graph.initializers, tensor, "initializers", limits::ENTRIES)?;
            }
            11 => push_within(&mut graph.inputs, value_info(field.message()?)?, "inputs", limits::ENTRIES)?,
            12 => push_within(&mut graph.outputs, value_info(field.message()?)?, "outputs", limits::ENTRIES)?,
            15 => {
                let (place, got) = ("the graph".into(), "a sparse initializer".into());
                return Err(Refusal::Unsupported { place, got, expected: "dense tensors" });
            }
            _ => {}
        }
    }
    Ok(graph)
}

fn node(mut reader: Reader<'_>) -> Result<Node<'_>, Refusal> {
    let mut node = Node::default();
    let mut attributes = Vec::new();
    while let Some(field) = reader.next()? {
        match field.number {
            1 => push_within(&mut node.inputs, field.text()?, "inputs of a node", limits::ENTRIES)?,
            2 => push_within(&mut node.outputs, field.text()?, "outputs of a node", limits::ENTRIES)?,
            3 => node.name = field.text()?,
            4 => node.op = field.text()?,
            5 => push_within(&mut attributes, field.message()?, "attributes of a node", limits::ENTRIES)?,
            7 => node.domain = normal(field.text()?),
            _ => {}
        }
    }
    // Only now is the node's name known for messages.
    for reader in attributes {
        let attribute = attribute(reader, &node)?;
        if node.attribute(attribute.name).is_some() {
            return Err(Refusal::Duplicate { place: format!("node {}", node.label()), name: shown(attribute.name) });
        }
        node.attributes.push(attribute);
    }
    Ok(node)
}

fn attribute<'a>(mut reader: Reader<'a>, node: &Node<'_>) -> Result<Attribute<'a>, Refusal> {
    let offset = reader.offset();
    let (mut name, mut kind) = ("", 0);
    let (mut float, mut int, mut string, mut tensor) = (None, None, None, None);
    let (mut floats, mut ints, mut strings) = (Vec::new(), Vec::new(), Vec::new());
    let (mut graph, mut other) = (false, None);
    while let Some(field) = reader.next()? {
        match field.number {
            1 => name = field.text()?,
            2 => set(&mut float, field.float()?, &field)?,
            3 => set(&mut int, field.int()?, &field)?,
            4 => set(&mut string, field.bytes()?, &field)?,
            5 => set(&mut tensor, Tensor::read(field.message()?)?, &field)?,
            6 | 11 => graph = true,
            7 => field.floats(&mut floats)?,
            8 => field.ints(&mut ints)?,
            9 => push(&mut strings, field.bytes()?)?,
            20 => kind = field.int()?,
            10 | 14 | 15 | 21 | 22 | 23 => other = Some(field.number),
            _ => {}
        }
    }
    if graph || kind == 5 || kind == 10 {
        if super::ops::is_control_flow(node.op) {
            return Err(Refusal::ControlFlow { node: node.label(), op: shown(node.op) });
        }
        return Err(Refusal::Subgraph { node: node.label(), attribute: shown(name) });
    }
    let odd = |got: String| Refusal::Unsupported {
        place: format!("attribute {} of node {}", shown(name), node.label()),
        got,
        expected: "one value of the declared type: number, string, tensor or a list of numbers or strings",
    };
    if let Some(number) = other {
        return Err(odd(format!("field {number}")));
    }
    let present = [
        (float.is_some(), 1),
        (int.is_some(), 2),
        (string.is_some(), 3),
        (tensor.is_some(), 4),
        (!floats.is_empty(), 6),
        (!ints.is_empty(), 7),
        (!strings.is_empty(), 8),
    ];
    if let Some((_, got)) = present.into_iter().find(|(present, of)| *present && *of != kind) {
        return Err(odd(format!("a value of type {got} declared as type {kind}")));
    }
    let value = match kind {
        1 => AttributeValue::Float(float.unwrap_or_default()),
        2 => AttributeValue::Int(int.unwrap_or_default()),
        3 => AttributeValue::String(string.unwrap_or_default()),
        4 => AttributeValue::Tensor(tensor.ok_or_else(|| odd("no tensor".into()))?),
        6 => AttributeValue::Floats(floats),
        7 => AttributeValue::Ints(ints),
        8 => AttributeValue::Strings(strings),
        other => return Err(odd(format!("type {other} at byte {offset}"))),
    };
    Ok(Attribute { name, value })
}

fn value_info(mut reader: Reader<'_>) -> Result<ValueInfo<'_>, Refusal> {
    let (mut name, mut kind) = ("", None);
    while let Some(field) = reader.next()? {
        match field.number {
            1 => name = field.text()?,
            2 => set(&mut kind, field.message()?, &field)?,
            _ => {}
        }
    }
    let mut info = ValueInfo { name, element: None, shape: None };
    let Some(mut kind) = kind else { return Ok(info) };
    let mut tensor = None;
    while let Some(field) = kind.next()? {
        if field.number == 1 {
            set(&mut tensor, field.message()?, &field)?;
        }
    }
    let Some(mut tensor) = tensor else { return Ok(info) };
    let mut shape = None;
    while let Some(field) = tensor.next()? {
        match field.number {
            1 => info.element = ElementType::from_onnx(field.int()?),
            2 => set(&mut shape, field.message()?, &field)?,
            _ => {}
        }
    }
    if let Some(mut reader) = shape {
        let mut dims = Vec::new();
        while let Some(field) = reader.next()? {
            if field.number == 1 {
                push_within(&mut dims, dim(field.message()?, name)?, "dimensions of a value", limits::RANK)?;
            }
        }
        let sizes: Vec<i64> = dims
            .iter()
            .filter_map(|dim| if let Dim::Size(size) = dim { i64::try_from(*size).ok() } else { None })
            .collect();
        super::tensor::dimensions(&shown(name), &sizes)?;
        info.shape = Some(dims);
    }
    Ok(info)
}

fn dim<'a>(mut reader: Reader<'a>, of: &str) -> Result<Dim<'a>, Refusal> {
    let mut dim = Dim::Unknown;
    while let Some(field) = reader.next()? {
        match field.number {
            1 => {
                let got = field.int()?;
                let place = shown(of);
                dim = Dim::Size(usize::try_from(got).map_err(|_| Refusal::NegativeDimension { place, got })?);
            }
            2 => dim = Dim::Symbol(field.text()?),
            _ => {}
        }
    }
    Ok(dim)
}
