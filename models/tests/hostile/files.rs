//! Files that lie about sizes, shapes and order, that ask for what is not run, or that hold what is no number.

use netprecursor_models::contract::limits;
use netprecursor_models::{Refusal, Scorer, Use};

use super::onnx::{
    Message, Trees, float_attribute, floats_attribute, floats_tensor, int_attribute, ints_attribute, ints_tensor,
    model, node, tensor, value, wrap,
};
use super::{check, refusal, speaks_plainly, with_trees};

fn with_constant(tensor: Message) -> Message {
    model(1, vec![node("Add", "", &["x", "c"], &["y"], vec![])], vec![tensor])
}

fn with_op(op: &str, constants: Vec<Message>, names: &[&str]) -> Message {
    let inputs: Vec<&str> = std::iter::once("x").chain(names.iter().copied()).collect();
    model(1, vec![node(op, "", &inputs, &["y"], vec![])], constants)
}

#[test]
fn sizes_beyond_the_bounds_are_refused() {
    let large = with_trees(|_| {}).bytes(99, vec![0; limits::FILE_BYTES]);
    refused!(large, Refusal::FileTooLarge { .. });
    let identities = (0..=limits::NODES).map(|i| node("Identity", "", &["x"], &[&format!("v{i}")], vec![])).collect();
    refused!(model(1, identities, vec![]), Refusal::TooMany { what: "nodes", .. });
    refused!(with_constant(tensor("c", &[1_001, 1_000], 2, &vec![0; 1_001_000])), Refusal::TensorTooLarge { .. });
}

#[test]
fn dimensions_that_lie_are_refused() {
    refused!(with_constant(floats_tensor("c", &[-1], &[1.0])), Refusal::NegativeDimension { got: -1, .. });
    refused!(with_constant(floats_tensor("c", &[(1 << 62) + 1], &[1.0])), Refusal::TensorTooLarge { .. });
    refused!(with_constant(floats_tensor("c", &[1 << 32, 1 << 32], &[])), Refusal::TensorTooLarge { .. });
    refused!(with_constant(floats_tensor("c", &[0, 1 << 62], &[])), Refusal::TensorTooLarge { .. });
    refused!(with_constant(floats_tensor("c", &[3], &[1.0, 2.0])), Refusal::DataLength { got: 8, expected: 12, .. });
    refused!(with_constant(floats_tensor("c", &[1], &[1.0, 2.0])), Refusal::DataLength { got: 8, expected: 4, .. });
    let floats = Message::new().int(1, 2).int(2, 1).bytes(8, "c").float(4, 1.0);
    refused!(with_constant(floats), Refusal::DataLength { got: 1, expected: 2, unit: "elements", .. });
    let both = floats_tensor("c", &[1], &[1.0]).float(4, 1.0);
    refused!(with_constant(both), Refusal::Malformed { .. });
    refused!(
        with_constant(floats_tensor("c", &[1; 9], &[1.0])),
        Refusal::TooMany { what: "dimensions of a tensor", .. }
    );
}

#[test]
fn shapes_of_inputs_that_lie_are_refused() {
    let graph = |columns| {
        Message::new()
            .message(1, node("Identity", "", &["x"], &["y"], vec![]))
            .message(11, value("x", columns))
            .message(12, value("y", 1))
    };
    refused!(wrap(graph(-4)), Refusal::NegativeDimension { got: -4, .. });
    refused!(wrap(graph(1 << 62)), Refusal::TensorTooLarge { .. });
    refused!(wrap(graph(500_000)), Refusal::Shape { .. });
    let symbols = Message::new().message(1, Message::new().bytes(2, "N")).message(1, Message::new().bytes(2, "F"));
    let input = Message::new()
        .bytes(1, "x")
        .message(2, Message::new().message(1, Message::new().int(1, 1).message(2, symbols)));
    let graph = |x| {
        Message::new()
            .message(1, node("Identity", "", &["x"], &["y"], vec![]))
            .message(11, x)
            .message(12, value("y", 1))
    };
    refused!(wrap(graph(input.clone())), Refusal::Shape { .. });
    let named = wrap(graph(input)).message(14, Message::new().bytes(1, "feature_names").bytes(2, "[\"a\",\"b\"]"));
    assert_eq!(Scorer::load(&named.0, Use::Inspect).expect("names give the width").width(), 2);
    let integers = Message::new().bytes(1, "x").message(2, Message::new().message(1, Message::new().int(1, 7)));
    refused!(wrap(graph(integers)), Refusal::Shape { .. });
}

#[test]
fn data_outside_the_file_is_refused() {
    let location = Message::new().bytes(1, "location").bytes(2, "/etc/passwd");
    let external = Message::new().int(1, 1).int(2, 1).bytes(8, "c").message(13, location).int(14, 1);
    refused!(with_constant(external), Refusal::ExternalData { .. });
}

#[test]
fn control_flow_subgraphs_and_functions_are_refused() {
    for op in ["If", "Loop", "Scan"] {
        let body = Message::new().bytes(1, "body").message(6, Message::new()).int(20, 5);
        refused!(model(1, vec![node(op, "", &["x"], &["y"], vec![body])], vec![]), Refusal::ControlFlow { .. });
        refused!(model(1, vec![node(op, "", &["x"], &["y"], vec![])], vec![]), Refusal::ControlFlow { .. });
    }
    let body = || Message::new().bytes(1, "body").message(6, Message::new()).int(20, 5);
    refused!(model(1, vec![node("Identity", "", &["x"], &["y"], vec![body()])], vec![]), Refusal::Subgraph { .. });
    let disguised = Message::new().bytes(1, "body").message(6, Message::new()).int(3, 1).int(20, 2);
    refused!(model(1, vec![node("Identity", "", &["x"], &["y"], vec![disguised])], vec![]), Refusal::Subgraph { .. });
    refused!(with_trees(|_| {}).message(25, Message::new()), Refusal::LocalFunctions { got: 1 });
    refused!(with_trees(|_| {}).message(20, Message::new()), Refusal::Unsupported { .. });
    refused!(with_trees(|_| {}).message(7, Message::new()), Refusal::Malformed { .. });
}

#[test]
fn foreign_domains_operators_and_versions_are_refused() {
    refused!(model(1, vec![node("Add", "com.evil", &["x", "x"], &["y"], vec![])], vec![]), Refusal::Domain { .. });
    let import = Message::new().bytes(1, "com.evil").int(2, 1);
    refused!(with_trees(|_| {}).message(8, import), Refusal::Domain { .. });
    refused!(model(1, vec![node("SystemCall", "", &["x"], &["y"], vec![])], vec![]), Refusal::Operator { .. });
    refused!(model(1, vec![node("Add", "ai.onnx.ml", &["x", "x"], &["y"], vec![])], vec![]), Refusal::Operator { .. });
    refused!(with_trees(|_| {}).message(8, Message::new().bytes(1, "").int(2, 99)), Refusal::Opset { .. });
    refused!(with_trees(|_| {}).message(8, Message::new().bytes(1, "").int(2, 18)), Refusal::Opset { .. });
}

#[test]
fn graphs_without_an_order_are_refused() {
    let add = |inputs: &[&str], output: &str| node("Add", "", inputs, &[output], vec![]);
    refused!(
        model(1, vec![add(&["x", "b"], "a"), add(&["a", "x"], "b"), add(&["a", "b"], "y")], vec![]),
        Refusal::GraphCycle { nodes: 3, .. }
    );
    refused!(model(1, vec![add(&["y", "x"], "y")], vec![]), Refusal::GraphCycle { nodes: 1, .. });
    refused!(model(1, vec![add(&["x", "ghost"], "y")], vec![]), Refusal::Undefined { name, .. } if name == "ghost");
    refused!(model(1, vec![add(&["x", "x"], "z")], vec![]), Refusal::Undefined { name, .. } if name == "y");
    refused!(model(1, vec![add(&["x", "x"], "y"), add(&["x", "x"], "y")], vec![]), Refusal::Duplicate { .. });
    refused!(model(1, vec![add(&["x", "x"], "x"), add(&["x", "x"], "y")], vec![]), Refusal::Duplicate { .. });
    let twice = vec![floats_tensor("c", &[1], &[1.0]), floats_tensor("c", &[1], &[1.0])];
    refused!(model(1, vec![add(&["x", "c"], "y")], twice), Refusal::Duplicate { .. });
    let backwards = model(1, vec![add(&["a", "x"], "y"), add(&["x", "x"], "a")], vec![]);
    assert!(Scorer::load(&backwards.0, Use::Inspect).is_ok(), "an order that exists is found");
}

#[test]
fn a_gigabyte_from_a_small_file_is_refused() {
    let gigabyte = 1 << 28;
    refused!(with_op("Tile", vec![ints_tensor("r", &[2], &[1, gigabyte])], &["r"]), Refusal::Expansion { .. });
    refused!(with_op("Expand", vec![ints_tensor("r", &[2], &[1 << 14, 1 << 14])], &["r"]), Refusal::Expansion { .. });
    refused!(with_op("Pad", vec![ints_tensor("r", &[4], &[0, 0, 0, gigabyte])], &["r"]), Refusal::Expansion { .. });
    refused!(with_op("Resize", vec![floats_tensor("r", &[2], &[1.0, 1e9])], &["", "r"]), Refusal::Expansion { .. });
    refused!(with_op("Tile", vec![], &["x"]), Refusal::Expansion { got, .. } if got.starts_with("an unknown"));
    let fill = node("ConstantOfShape", "", &["r"], &["y"], vec![]);
    refused!(model(1, vec![fill], vec![ints_tensor("r", &[1], &[gigabyte])]), Refusal::Expansion { .. });
    let range = node("Range", "", &["a", "b", "c"], &["y"], vec![]);
    let bounds = [("a", 0.0), ("b", 1e9), ("c", 1.0)].map(|(name, v)| floats_tensor(name, &[], &[v]));
    refused!(model(1, vec![range], bounds.into()), Refusal::Expansion { .. });
    let tile = |from: &str, to: &str| node("Tile", "", &[from, "r"], &[to], vec![]);
    let chain = vec![tile("x", "a"), tile("a", "b"), tile("b", "c"), tile("c", "y")];
    refused!(model(1, chain, vec![ints_tensor("r", &[2], &[1, 1_000])]), Refusal::Expansion { .. });
    let double = |from: &str, to: &str| node("Concat", "", &[from, from], &[to], vec![int_attribute("axis", 1)]);
    let names: Vec<String> = (0..30).map(|i| format!("v{i}")).collect();
    let mut nodes = vec![double("x", "v0")];
    nodes.extend(names.windows(2).map(|pair| double(&pair[0], &pair[1])));
    nodes.push(double("v29", "y"));
    refused!(model(1, nodes, vec![]), Refusal::TooMany { what: "columns of intermediate results", .. });
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let whole = with_trees(|_| {}).0;
    for length in 0..whole.len() {
        // Cut between fields of the model, a file can only lack what comes last.
        speaks_plainly(&refusal(&whole[..length]));
    }
    let inside = &whole[..whole.len() / 2];
    assert!(matches!(refusal(inside), Refusal::Truncated { .. }), "{:?}", refusal(inside));
}

#[test]
fn numbers_that_are_not_finite_are_refused() {
    refused!(with_constant(floats_tensor("c", &[2], &[1.0, f32::NAN])), Refusal::NotFinite { index: 1, .. });
    refused!(with_constant(tensor("c", &[1], 11, &f64::INFINITY.to_le_bytes())), Refusal::NotFinite { .. });
    refused!(with_constant(tensor("c", &[1], 10, &0x7e00u16.to_le_bytes())), Refusal::NotFinite { .. });
    refused!(with_constant(tensor("c", &[1], 16, &0xff80u16.to_le_bytes())), Refusal::NotFinite { .. });
    for weight in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        refused!(with_trees(|trees| trees.weights[3] = weight), Refusal::NotFinite { index: 3, .. });
    }
    let base = node("Scaler", "ai.onnx.ml", &["x"], &["y"], vec![floats_attribute("scale", &[f32::INFINITY])]);
    refused!(model(1, vec![base], vec![]), Refusal::NotFinite { .. });
    let alpha = node("LeakyRelu", "", &["x"], &["y"], vec![float_attribute("alpha", f32::NAN)]);
    refused!(model(1, vec![alpha], vec![]), Refusal::NotFinite { .. });
}

#[test]
fn a_bound_may_be_infinite_and_not_nan() {
    let clip = |low: f32| {
        let clip = node("Clip", "", &["x", "low"], &["y"], vec![]);
        model(1, vec![clip], vec![floats_tensor("low", &[], &[low])])
    };
    Scorer::load(&clip(f32::NEG_INFINITY).0, Use::Inspect).expect("no bound below");
    refused!(clip(f32::NAN), Refusal::NotFinite { .. });
    let as_attribute =
        |max| model(1, vec![node("Clip", "", &["x"], &["y"], vec![float_attribute("max", max)])], vec![]);
    Scorer::load(&as_attribute(f32::INFINITY).0, Use::Inspect).expect("no bound above");
    refused!(as_attribute(f32::NAN), Refusal::NotFinite { .. });
    // The weight of a leaf is no bound, though only a bound is taken of what the tree gives.
    let mut trees = Trees::perfect(1, 1, 4);
    trees.weights[0] = f32::INFINITY;
    let capped = node("Max", "", &["t", "t"], &["y"], vec![]);
    let tree = trees.regressor(1, "t");
    refused!(model(4, vec![tree, capped], vec![]), Refusal::NotFinite { .. });
    // Read by an addition as well, it is no bound only.
    let both = vec![node("Max", "", &["x", "c"], &["a"], vec![]), node("Add", "", &["a", "c"], &["y"], vec![])];
    refused!(model(1, both, vec![floats_tensor("c", &[], &[f32::INFINITY])]), Refusal::NotFinite { .. });
}

#[test]
fn what_is_allowed_but_not_evaluated_says_so() {
    let matmul = node("MatMul", "", &["x", "c"], &["y"], vec![]);
    refused!(model(1, vec![matmul], vec![floats_tensor("c", &[1, 1], &[1.0])]), Refusal::NotEvaluated { op, .. } if op == "MatMul");
    let gather = node("Gather", "", &["x", "c"], &["y"], vec![int_attribute("axis", 0)]);
    refused!(model(1, vec![gather], vec![ints_tensor("c", &[1], &[0])]), Refusal::NotEvaluated { .. });
    let gather = node("Gather", "", &["x", "c"], &["y"], vec![int_attribute("axis", 1)]);
    refused!(model(1, vec![gather], vec![ints_tensor("c", &[1], &[5])]), Refusal::Shape { .. });
    refused!(with_constant(floats_tensor("c", &[2, 1], &[1.0, 2.0])), Refusal::NotEvaluated { .. });
    let wide = node("Add", "", &["x", "c"], &["y"], vec![]);
    refused!(model(3, vec![wide], vec![floats_tensor("c", &[2], &[1.0, 2.0])]), Refusal::Shape { .. });
    let cast = node("Cast", "", &["x"], &["y"], vec![int_attribute("to", 11)]);
    refused!(model(1, vec![cast], vec![]), Refusal::NotEvaluated { .. });
    let axes = node("Squeeze", "", &["x"], &["y"], vec![ints_attribute("axes", &[0])]);
    refused!(model(1, vec![axes], vec![]), Refusal::NotEvaluated { .. });
}
