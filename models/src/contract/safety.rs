//! What could hurt the host, beyond what the walk itself refuses: foreign operators, graphs without an order, numbers
//! that are not finite, and operators that blow a small file up.

use std::collections::{HashMap, HashSet};

use super::ops::{self, DOMAINS};
use super::tensor::Tensor;
use super::{AttributeValue, Graph, Model, Node, limits};
use crate::Refusal;
use crate::refusal::shown;

/// Checks the model and puts its nodes into an order in which they can be evaluated.
pub(super) fn check(model: &mut Model<'_>) -> Result<(), Refusal> {
    let versions = opsets(model)?;
    let bounds = bounds(&model.graph);
    for node in &model.graph.nodes {
        operator(node, &versions)?;
        attributes_are_finite(node, &bounds)?;
    }
    for tensor in &model.graph.initializers {
        is_finite(tensor, bounds.contains(tensor.name), || format!("initializer {}", shown(tensor.name)))?;
    }
    order(&mut model.graph)?;
    expansion(&model.graph)
}

fn opsets<'a>(model: &Model<'a>) -> Result<HashMap<&'a str, i64>, Refusal> {
    let mut versions = HashMap::new();
    for opset in &model.opsets {
        let Some((_, known)) = DOMAINS.iter().find(|(domain, _)| *domain == opset.domain) else {
            return Err(Refusal::Domain { place: "opset_import".into(), domain: shown(opset.domain) });
        };
        let refusal =
            |expected| Refusal::Opset { domain: shown(opset.domain), got: opset.version.to_string(), expected };
        if !known.contains(&opset.version) {
            return Err(refusal(format!("a version from {} to {}", known.start(), known.end())));
        }
        // Some exporters import the same version twice.
        if let Some(first) = versions.insert(opset.domain, opset.version).filter(|first| *first != opset.version) {
            return Err(refusal(format!("the version imported before, {first}")));
        }
    }
    Ok(versions)
}

fn operator(node: &Node<'_>, versions: &HashMap<&str, i64>) -> Result<(), Refusal> {
    let (op, domain) = (shown(node.op), shown(node.domain));
    if !DOMAINS.iter().any(|(known, _)| *known == node.domain) {
        return Err(Refusal::Domain { place: format!("node {}", node.label()), domain });
    }
    if ops::is_control_flow(node.op) {
        return Err(Refusal::ControlFlow { node: node.label(), op });
    }
    if !ops::is_allowed(node.domain, node.op) {
        return Err(Refusal::Operator { node: node.label(), op, domain });
    }
    if !versions.contains_key(node.domain) {
        return Err(Refusal::Opset { domain, got: "no import".into(), expected: format!("an import, {op} needs it") });
    }
    Ok(())
}

fn attributes_are_finite(node: &Node<'_>, bounds: &HashSet<&str>) -> Result<(), Refusal> {
    let is_bound = match node.op {
        "Constant" => node.outputs.first().is_some_and(|name| bounds.contains(name)),
        "Clip" => true,
        _ => false,
    };
    let is_wrong = |value: f32| value.is_nan() || (value.is_infinite() && !is_bound);
    for attribute in &node.attributes {
        let place = || format!("attribute {} of node {}", shown(attribute.name), node.label());
        let not_finite = |index, got: f32| Err(Refusal::NotFinite { place: place(), index, got: got.into() });
        match &attribute.value {
            _ if is_judged_by_the_forest(node.op, attribute.name) => {}
            // The value to be replaced: NaN is what an imputer is for.
            AttributeValue::Float(_) if (node.op, attribute.name) == ("Imputer", "replaced_value_float") => {}
            AttributeValue::Float(value) if is_wrong(*value) => return not_finite(0, *value),
            AttributeValue::Floats(values) => {
                if let Some(index) = values.iter().position(|value| is_wrong(*value)) {
                    return not_finite(index, values[index]);
                }
            }
            AttributeValue::Tensor(tensor) => is_finite(tensor, is_bound, place)?,
            _ => {}
        }
    }
    Ok(())
}

/// Thresholds may be infinite: exporters write a split between missing and present so. The forest, which knows what is a
/// threshold and what is never read, refuses NaN among them. `membership_values` separates its sets by NaN.
fn is_judged_by_the_forest(op: &str, attribute: &str) -> bool {
    let is_forest = matches!(op, "TreeEnsemble" | "TreeEnsembleClassifier" | "TreeEnsembleRegressor");
    is_forest && (attribute.starts_with("nodes_") || attribute == "membership_values")
}

/// Names that are read only as bounds, by `Clip`, `Max` and `Min`: an infinite one says that there is none.
fn bounds<'a>(graph: &Graph<'a>) -> HashSet<&'a str> {
    let (mut bounds, mut others) = (HashSet::new(), HashSet::new());
    for node in &graph.nodes {
        for (position, name) in node.inputs.iter().enumerate() {
            match node.op {
                "Clip" if position > 0 => bounds.insert(*name),
                "Max" | "Min" => bounds.insert(*name),
                _ => others.insert(*name),
            };
        }
    }
    others.extend(graph.outputs.iter().map(|output| output.name));
    bounds.retain(|name| !others.contains(name));
    bounds
}

fn is_finite(tensor: &Tensor<'_>, is_bound: bool, place: impl Fn() -> String) -> Result<(), Refusal> {
    match tensor.first_not_finite(is_bound) {
        Some((index, got)) => Err(Refusal::NotFinite { place: place(), index, got }),
        None => Ok(()),
    }
}

/// Kahn's algorithm: takes nodes whose inputs are there until none is left, or the rest waits for itself.
fn order(graph: &mut Graph<'_>) -> Result<(), Refusal> {
    let mut defined: HashSet<&str> = HashSet::new();
    for tensor in &graph.initializers {
        if !defined.insert(tensor.name) {
            return Err(Refusal::Duplicate { place: "initializers".into(), name: shown(tensor.name) });
        }
    }
    let mut inputs = HashSet::new();
    for input in &graph.inputs {
        if !inputs.insert(input.name) {
            return Err(Refusal::Duplicate { place: "inputs".into(), name: shown(input.name) });
        }
    }
    defined.extend(inputs);
    let mut producer: HashMap<&str, usize> = HashMap::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        for output in node.outputs.iter().filter(|name| !name.is_empty()) {
            if defined.contains(output) || producer.insert(output, index).is_some() {
                return Err(Refusal::Duplicate { place: format!("node {}", node.label()), name: shown(output) });
            }
        }
    }
    let undefined = |place: String, name: &str| Refusal::Undefined { place, name: shown(name) };
    let mut waiting = vec![0usize; graph.nodes.len()];
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); graph.nodes.len()];
    for (index, node) in graph.nodes.iter().enumerate() {
        for input in node.inputs.iter().filter(|name| !name.is_empty() && !defined.contains(*name)) {
            let Some(source) = producer.get(input) else {
                return Err(undefined(format!("node {}", node.label()), input));
            };
            waiting[index] += 1;
            readers[*source].push(index);
        }
    }
    for output in &graph.outputs {
        if !defined.contains(output.name) && !producer.contains_key(output.name) {
            return Err(undefined("the outputs".into(), output.name));
        }
    }
    let mut ready: Vec<usize> = (0..waiting.len()).filter(|index| waiting[*index] == 0).collect();
    let mut position = 0;
    while let Some(index) = ready.get(position).copied() {
        for reader in &readers[index] {
            waiting[*reader] -= 1;
            if waiting[*reader] == 0 {
                ready.push(*reader);
            }
        }
        position += 1;
    }
    if let Some(stuck) = waiting.iter().position(|count| *count > 0) {
        let nodes = waiting.len() - ready.len();
        return Err(Refusal::GraphCycle { nodes, node: graph.nodes[stuck].label() });
    }
    let mut nodes: Vec<_> = std::mem::take(&mut graph.nodes).into_iter().map(Some).collect();
    graph.nodes = ready.into_iter().filter_map(|index| nodes[index].take()).collect();
    Ok(())
}

/// Operators whose output can be far larger than their input must say by constants how large, and stay within
/// [`limits::TENSOR_ELEMENTS`]: those that set a size one by one, those that multiply one all together.
fn expansion(graph: &Graph<'_>) -> Result<(), Refusal> {
    let mut constants: HashMap<&str, Tensor<'_>> =
        graph.initializers.iter().map(|tensor| (tensor.name, tensor.clone())).collect();
    let inputs: HashSet<&str> = graph.inputs.iter().map(|input| input.name).collect();
    // An initializer that is also an input can be overridden by the caller.
    constants.retain(|name, _| !inputs.contains(name));
    let mut factors = 1.0f64;
    for node in &graph.nodes {
        if let ("Constant", Some(AttributeValue::Tensor(value)), Some(name)) =
            (node.op, node.attribute("value"), node.outputs.first())
        {
            constants.insert(name, value.clone());
        }
        if node.op == "Constant"
            && let (Some(AttributeValue::Ints(_) | AttributeValue::Floats(_)), Some(_)) =
                (node.attribute("value_ints").or(node.attribute("value_floats")), node.outputs.first())
        {
            continue;
        }
        let Some(growth) = growth(node, &constants) else { continue };
        let elements = match growth {
            Growth::Elements(elements) => elements,
            Growth::Factor(factor) => {
                factors *= factor.max(1.0);
                factors
            }
            Growth::Unknown => f64::INFINITY,
        };
        let limit = limits::TENSOR_ELEMENTS as f64;
        if elements.is_nan() || elements > limit {
            let got = if elements.is_finite() { format!("{elements:.0}") } else { "an unknown number of".into() };
            return Err(Refusal::Expansion { node: node.label(), op: shown(node.op), got });
        }
    }
    Ok(())
}

enum Growth {
    /// The output has so many elements, the batch aside.
    Elements(f64),
    /// The output is so many times the input.
    Factor(f64),
    /// Only known at run time.
    Unknown,
}

fn growth(node: &Node<'_>, constants: &HashMap<&str, Tensor<'_>>) -> Option<Growth> {
    let tensor = |position: usize| node.inputs.get(position).and_then(|name| constants.get(name));
    let numbers = |tensor: &Tensor<'_>| -> Vec<f64> {
        let floats = tensor.floats().map(|values| values.into_iter().map(f64::from).collect());
        floats.or_else(|| Some(tensor.ints()?.into_iter().map(|v| v as f64).collect())).unwrap_or_default()
    };
    let product = |values: &[f64]| values.iter().map(|value| value.abs()).product::<f64>();
    let known = |position, make: &dyn Fn(&[f64]) -> Growth| match tensor(position) {
        Some(tensor) => make(&numbers(tensor)),
        None => Growth::Unknown,
    };
    Some(match node.op {
        "ConstantOfShape" => known(0, &|dims| Growth::Elements(product(dims))),
        "Expand" => known(1, &|dims| Growth::Elements(product(dims))),
        "Tile" => match tensor(0) {
            Some(input) => known(1, &|times| Growth::Elements(product(times) * input.elements() as f64)),
            None => known(1, &|times| Growth::Factor(product(times))),
        },
        "Pad" => match node.attribute("pads") {
            Some(AttributeValue::Ints(pads)) => {
                Growth::Factor(pads.iter().map(|pad| 1.0 + (pad.abs() as f64)).product())
            }
            _ => known(1, &|pads| Growth::Factor(pads.iter().map(|pad| 1.0 + pad.abs()).product())),
        },
        "Resize" => match (tensor(3), tensor(2).or_else(|| tensor(1))) {
            (Some(sizes), _) => Growth::Elements(product(&numbers(sizes))),
            (None, Some(scales)) => Growth::Factor(numbers(scales).iter().map(|scale| scale.abs().max(1.0)).product()),
            (None, None) => Growth::Unknown,
        },
        "Range" => match (tensor(0), tensor(1), tensor(2)) {
            (Some(start), Some(limit), Some(step)) => {
                match (numbers(start).as_slice(), numbers(limit).as_slice(), numbers(step).as_slice()) {
                    ([start], [limit], [step]) => Growth::Elements(((limit - start) / step).abs()),
                    _ => Growth::Unknown,
                }
            }
            _ => Growth::Unknown,
        },
        _ => return None,
    })
}
