//! Files made to hurt, one per refusal: each is refused for its own reason, in words that say what was got, what was
//! expected and what to do. And any other file, however broken, is read to a verdict without a panic.

#![expect(clippy::expect_used, reason = "a test says what it expects by unwrapping")]

mod onnx;

use netprecursor_models::contract::{KIND_RTT, PolicyContract, limits};
use netprecursor_models::{Refusal, Scorer, Use};
use onnx::{
    Message, Trees, float_attribute, floats_attribute, floats_tensor, int_attribute, ints_attribute, ints_tensor,
    model, node, strings_attribute, tensor, tensor_attribute, value, wrap,
};
use proptest::prelude::*;

fn refusal(file: &[u8]) -> Refusal {
    Scorer::load(file, Use::Inspect).map(|scorer| scorer.info().clone()).expect_err("this file must be refused")
}

#[track_caller]
fn check(file: &Message, is_expected: impl Fn(&Refusal) -> bool) {
    let refusal = refusal(&file.0);
    assert!(is_expected(&refusal), "refused for another reason: {refusal:?}");
    speaks_plainly(&refusal);
}

#[track_caller]
fn speaks_plainly(refusal: &Refusal) {
    let text = refusal.to_string();
    for part in ["got ", "expected ", "; fix: "] {
        assert!(text.contains(part), "{part:?} is missing in {text:?}");
    }
}

macro_rules! refused {
    ($file:expr, $pattern:pat $(if $guard:expr)?) => {
        check(&$file, |refusal| matches!(refusal, $pattern $(if $guard)?))
    };
}

fn with_trees(bend: impl FnOnce(&mut Trees)) -> Message {
    let mut trees = Trees::perfect(2, 2, 4);
    bend(&mut trees);
    model(4, vec![trees.node()], vec![])
}

fn with_constant(tensor: Message) -> Message {
    model(1, vec![node("Add", "", &["x", "c"], &["y"], vec![])], vec![tensor])
}

fn with_op(op: &str, constants: Vec<Message>, names: &[&str]) -> Message {
    let inputs: Vec<&str> = std::iter::once("x").chain(names.iter().copied()).collect();
    model(1, vec![node(op, "", &inputs, &["y"], vec![])], constants)
}

#[test]
fn the_model_that_the_hostile_ones_are_bent_from_is_accepted() {
    let file = with_trees(|_| {}).0;
    let mut scorer = Scorer::load(&file, Use::Inspect).expect("a good model");
    let mut out = Vec::new();
    scorer.score(&[0.1, 0.9, f32::NAN, 0.5], &mut out).expect("one row");
    assert!(out.len() == 1 && out[0].is_finite());
    assert!(scorer.score(&[0.1; 5], &mut out).is_err(), "five values are no row of four");
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
fn a_threshold_may_be_infinite_and_not_nan() {
    for value in [f32::INFINITY, f32::NEG_INFINITY] {
        let file = with_trees(|trees| trees.values[0] = value);
        Scorer::load(&file.0, Use::Inspect).expect("an infinite threshold is lawful");
    }
    let file = with_trees(|trees| trees.values[1] = f32::NAN);
    refused!(file, Refusal::NanThreshold { attribute: "nodes_values", index: 1, .. });
    assert!(refusal(&file.0).to_string().contains("take infinite values out of the training data"));
    // The row of a leaf has no threshold.
    let leaf = Trees::perfect(2, 2, 4).modes.iter().position(|mode| *mode == "LEAF").expect("a leaf");
    let file = with_trees(|trees| trees.values[leaf] = f32::NAN);
    Scorer::load(&file.0, Use::Inspect).expect("what is never read may be anything");
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
fn a_target_or_class_without_a_leaf_is_refused_by_name() {
    let named = |file: &Message, what: &str, counts: (usize, usize)| {
        let refusal = refusal(&file.0);
        assert!(
            matches!(&refusal, Refusal::NoLeaf { what: named, got, expected, .. } if named == what && (*got, *expected) == counts),
            "{what}: {refusal:?}"
        );
        speaks_plainly(&refusal);
    };
    let targets = |count: i64, bend: fn(&mut Trees)| {
        let mut trees = Trees::perfect(2, 1, 4);
        bend(&mut trees);
        model(4, vec![trees.regressor(count, "y")], vec![])
    };
    named(&targets(3, |_| ()), "target 1", (1, 3));
    named(&targets(3, |trees| trees.targets[0] = 2), "target 1", (2, 3));
    named(&targets(2, |trees| trees.targets.fill(1)), "target 0", (1, 2));
    let none = |trees: &mut Trees| {
        trees.target_trees.clear();
        trees.target_nodes.clear();
        trees.targets.clear();
        trees.weights.clear();
    };
    named(&targets(1, none), "target 0", (0, 1));
    Scorer::load(&targets(2, |trees| trees.targets[0] = 1).0, Use::Inspect).expect("both have leaves");

    let classes = |labels: Message, bend: fn(&mut Trees)| {
        let mut trees = Trees::perfect(2, 1, 4);
        bend(&mut trees);
        model(4, vec![trees.classifier(vec![labels])], vec![])
    };
    let words = || strings_attribute("classlabels_strings", &["low", "middle", "high"]);
    named(&classes(words(), |trees| trees.targets[0] = 2), "class \"middle\"", (2, 3));
    named(&classes(ints_attribute("classlabels_int64s", &[7, 8, 9]), |_| ()), "class 8", (1, 3));
    named(&classes(ints_attribute("classlabels_int64s", &[7, 8]), none), "class 7", (0, 2));
    Scorer::load(&classes(ints_attribute("classlabels_int64s", &[7, 8]), |_| ()).0, Use::Inspect)
        .expect("of two classes one is the opposite of the other");
}

#[test]
fn a_leaf_that_no_tree_leads_to_does_not_count() {
    // One tree, both sides of whose root are leaf 0; leaf 1, of target 1, hangs nowhere.
    let forest = |right: i64| {
        let attributes = vec![
            int_attribute("n_targets", 2),
            ints_attribute("tree_roots", &[0]),
            ints_attribute("nodes_featureids", &[0]),
            tensor_attribute("nodes_modes", tensor("", &[1], 2, &[0])),
            tensor_attribute("nodes_splits", floats_tensor("", &[1], &[f32::INFINITY])),
            ints_attribute("nodes_truenodeids", &[0]),
            ints_attribute("nodes_trueleafs", &[1]),
            ints_attribute("nodes_falsenodeids", &[right]),
            ints_attribute("nodes_falseleafs", &[1]),
            ints_attribute("leaf_targetids", &[0, 1]),
            tensor_attribute("leaf_weights", floats_tensor("", &[2], &[1.0, 2.0])),
        ];
        model(4, vec![node("TreeEnsemble", "ai.onnx.ml", &["x"], &["y"], attributes)], vec![])
    };
    refused!(forest(0), Refusal::NoLeaf { what, attribute: "leaf_targetids", .. } if what == "target 1");
    Scorer::load(&forest(1).0, Use::Inspect).expect("both leaves hang on the tree");
}

#[test]
fn indices_of_trees_out_of_range_are_refused() {
    refused!(with_trees(|trees| trees.features[0] = 4), Refusal::TreeIndex { attribute: "nodes_featureids", .. });
    refused!(with_trees(|trees| trees.features[0] = -1), Refusal::TreeIndex { attribute: "nodes_featureids", .. });
    refused!(with_trees(|trees| trees.features[0] = 1 << 40), Refusal::TreeIndex { attribute: "nodes_featureids", .. });
    refused!(with_trees(|trees| trees.yes[0] = 77), Refusal::TreeIndex { attribute: "nodes_truenodeids", .. });
    refused!(with_trees(|trees| trees.no[0] = -2), Refusal::TreeIndex { attribute: "nodes_falsenodeids", .. });
    refused!(with_trees(|trees| trees.targets[0] = 1), Refusal::TreeIndex { attribute: "target_ids", .. });
    refused!(with_trees(|trees| trees.target_nodes[0] = 99), Refusal::TreeIndex { attribute: "target_nodeids", .. });
    refused!(with_trees(|trees| trees.target_nodes[0] = 0), Refusal::TreeIndex { attribute: "target_nodeids", .. });
    refused!(with_trees(|trees| trees.target_trees[0] = 9), Refusal::TreeIndex { attribute: "target_nodeids", .. });
    refused!(with_trees(|trees| trees.target_nodes[1] = trees.target_nodes[0]), Refusal::Duplicate { .. });
    refused!(with_trees(|trees| trees.ids[1] = trees.ids[2]), Refusal::Duplicate { .. });
}

#[test]
fn trees_that_lead_back_to_themselves_are_refused() {
    // The root's child leads to the root: the tree has no root left.
    refused!(with_trees(|trees| trees.yes[1] = 0), Refusal::TreeCycle { tree: 0, .. });
    // A node below the root leads to itself; its leaves are cut off.
    refused!(
        with_trees(|trees| {
            trees.yes[1] = 1;
            trees.no[1] = 1;
        }),
        Refusal::TreeCycle { tree: 0, .. }
    );
    refused!(with_trees(|trees| trees.yes[0] = 2), Refusal::TreeCycle { tree: 0, .. });
}

#[test]
fn attribute_lists_of_unequal_length_are_refused() {
    refused!(with_trees(|trees| trees.values.truncate(3)), Refusal::ListLength { attribute: "nodes_values", .. });
    refused!(with_trees(|trees| trees.modes.truncate(3)), Refusal::ListLength { attribute: "nodes_modes", .. });
    refused!(
        with_trees(|trees| trees.missing.truncate(3)),
        Refusal::ListLength { attribute: "nodes_missing_value_tracks_true", .. }
    );
    refused!(with_trees(|trees| trees.weights.truncate(3)), Refusal::ListLength { attribute: "target_weights", .. });
}

#[test]
fn unknown_modes_and_missing_lists_are_refused() {
    refused!(with_trees(|trees| trees.modes[0] = "BRANCH_LIKE"), Refusal::Argument { .. });
    let bare = node("TreeEnsembleRegressor", "ai.onnx.ml", &["x"], &["y"], vec![]);
    refused!(model(4, vec![bare], vec![]), Refusal::Argument { .. });
    let typed =
        node("TreeEnsembleRegressor", "ai.onnx.ml", &["x"], &["y"], vec![floats_attribute("nodes_treeids", &[0.0])]);
    refused!(model(4, vec![typed], vec![]), Refusal::Argument { .. });
}

#[test]
fn classifiers_without_classes_or_with_what_has_no_meaning_are_refused() {
    let with = |change: fn(&mut Trees), more: Vec<Message>| {
        let mut trees = Trees::perfect(2, 1, 4);
        change(&mut trees);
        model(4, vec![trees.classifier(more)], vec![])
    };
    let labels = |names: &[i64]| ints_attribute("classlabels_int64s", names);
    let loaded = Scorer::load(&with(|_| (), vec![labels(&[3, 7])]).0, Use::Inspect).expect("a good classifier");
    assert_eq!(loaded.info().outputs[0].width, 2, "y is the second output of the node, and the model's first");
    refused!(with(|_| (), vec![]), Refusal::Argument { .. });
    refused!(with(|_| (), vec![labels(&[3])]), Refusal::Argument { .. });
    let both = vec![labels(&[3, 7]), strings_attribute("classlabels_strings", &["a", "b"])];
    refused!(with(|_| (), both), Refusal::Argument { .. });
    refused!(
        with(|trees| trees.targets[0] = 2, vec![labels(&[3, 7])]),
        Refusal::TreeIndex { attribute: "class_ids", .. }
    );
    refused!(
        with(|_| (), vec![labels(&[3, 7]), floats_attribute("base_values", &[0.5, 0.5])]),
        Refusal::ListLength { attribute: "base_values", got: 2, expected: 1, .. }
    );
    let map = node("ZipMap", "ai.onnx.ml", &["x"], &["y"], vec![labels(&[3, 7])]);
    refused!(model(2, vec![map], vec![]), Refusal::NotEvaluated { .. });
}

#[test]
fn trees_too_deep_to_be_fast_are_refused() {
    let mut chain = Trees::default();
    for id in 0..limits::TREE_DEPTH as i64 + 1 {
        for (leaf, id) in [(false, 2 * id), (true, 2 * id + 1)] {
            chain.trees.push(0);
            chain.ids.push(id);
            chain.features.push(0);
            chain.values.push(0.0);
            chain.modes.push(if leaf { "LEAF" } else { "BRANCH_LEQ" });
            chain.yes.push(if leaf { 0 } else { id + 1 });
            chain.no.push(if leaf { 0 } else { id + 2 });
            chain.missing.push(0);
        }
    }
    chain.trees.push(0);
    chain.ids.push(2 * (limits::TREE_DEPTH as i64 + 1));
    chain.features.push(0);
    chain.values.push(0.0);
    chain.modes.push("LEAF");
    chain.yes.push(0);
    chain.no.push(0);
    chain.missing.push(0);
    chain.weigh(0, 2 * (limits::TREE_DEPTH as i64 + 1), 1.0);
    refused!(model(4, vec![chain.node()], vec![]), Refusal::TreeDepth { .. });
}

#[test]
fn subtrees_shared_into_an_exponential_number_are_refused() {
    let mut trees = Trees::default();
    for id in 0..=40i64 {
        let leaf = id == 40;
        trees.trees.push(0);
        trees.ids.push(id);
        trees.features.push(0);
        trees.values.push(0.0);
        trees.modes.push(if leaf { "LEAF" } else { "BRANCH_LEQ" });
        trees.yes.push(if leaf { 0 } else { id + 1 });
        trees.no.push(if leaf { 0 } else { id + 1 });
        trees.missing.push(0);
    }
    trees.weigh(0, 40, 1.0);
    refused!(model(4, vec![trees.node()], vec![]), Refusal::TooMany { what: "tree nodes", .. });
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

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn contract() -> PolicyContract {
    PolicyContract {
        kind: KIND_RTT.into(),
        schema_hash: "abc".into(),
        horizon_s: 10,
        feature_names: names(&["a", "b", "c", "d"]),
        quantiles: vec![0.5],
        ..PolicyContract::rtt()
    }
}

/// A model with metadata that fits, but for one entry: another value, or none.
fn with_metadata(changed: &str, to: Option<&str>) -> Message {
    metadata_entries(changed, to).fold(with_trees(|_| {}), |file, entry| file.message(14, entry))
}

fn metadata_entries(changed: &str, to: Option<&str>) -> impl Iterator<Item = Message> {
    let entries = [
        ("netprecursor.schema_hash", "abc"),
        ("netprecursor.kind", KIND_RTT),
        ("netprecursor.horizon_s", "10"),
        ("netprecursor.quantiles", "[0.5]"),
        ("netprecursor.feature_names", r#"["a","b","c","d"]"#),
    ];
    entries.into_iter().filter_map(move |(key, fits)| {
        let value = if key.ends_with(changed) { to } else { Some(fits) };
        value.map(|value| Message::new().bytes(1, key).bytes(2, value))
    })
}

#[track_caller]
fn policy_refusal(file: &Message) -> Refusal {
    let refusal = Scorer::load(&file.0, Use::Policy(&contract())).map(drop).expect_err("no policy may use this");
    speaks_plainly(&refusal);
    refusal
}

#[test]
fn a_policy_takes_a_model_that_fits() {
    Scorer::load(&with_metadata("none", None).0, Use::Policy(&contract())).expect("it fits");
}

#[test]
fn a_contract_refusal_refuses_only_the_policy() {
    let wrong = [("schema_hash", "def"), ("kind", "PortScan"), ("horizon_s", "30"), ("quantiles", "[0.9]")];
    for (key, value) in wrong {
        let file = with_metadata(key, Some(value));
        let refusal = policy_refusal(&file);
        assert!(refusal.is_contract(), "{key}: {refusal:?}");
        assert!(refusal.to_string().contains(value), "{refusal}");
        Scorer::load(&file.0, Use::Inspect).expect("safe all the same");
        let missing = policy_refusal(&with_metadata(key, None));
        assert!(matches!(missing, Refusal::MetadataMissing { key: got, .. } if got == key), "{missing:?}");
    }
    assert!(matches!(policy_refusal(&with_metadata("schema_hash", Some("def"))), Refusal::SchemaHash { .. }));
}

#[test]
fn names_are_compared_one_by_one_and_the_first_difference_is_named() {
    let table = [
        (r#"["b","a","c","d"]"#, 1, "\"b\"", "\"a\", which it has at position 2"),
        (r#"["a","b","c","e"]"#, 4, "\"e\"", "\"d\""),
        ("a, b, d, c", 3, "\"d\"", "\"c\", which it has at position 4"),
        (r#"["a","B","c","d"]"#, 2, "\"B\"", "\"b\""),
    ];
    for (value, at, got, wanted) in table {
        let file = with_metadata("feature_names", Some(value));
        let refusal = policy_refusal(&file);
        assert!(refusal.is_contract(), "{value}: {refusal:?}");
        assert!(
            matches!(&refusal, Refusal::FeatureName { position, got: name, expected, names: 4, features: 4 }
                if *position == at && name == got && expected == wanted),
            "{value}: {refusal:?}"
        );
        let scorer = Scorer::load(&file.0, Use::Inspect).expect("safe all the same");
        assert_eq!(scorer.info().check(&contract()), Err(refusal.clone()), "an inspected model is judged alike");
        assert_eq!(scorer.info().columns(&contract()), Err(refusal), "and not run with columns by other names");
    }
    let missing = policy_refusal(&with_metadata("feature_names", None));
    assert!(matches!(missing, Refusal::MetadataMissing { key: "feature_names", .. }), "{missing:?}");
    let fewer = PolicyContract { feature_names: names(&["a", "b", "c"]), ..contract() };
    let refusal = fewer.check_names(&contract().feature_names).expect_err("four names are not three");
    assert!(refusal.to_string().contains("got \"d\" at position 4 of 4, expected no more names"), "{refusal}");
    let refusal = contract().check_names(&fewer.feature_names).expect_err("three names are not four");
    assert!(refusal.to_string().contains("got no name at position 4 of 3, expected \"d\""), "{refusal}");
}

#[test]
fn metadata_that_cannot_be_meant_is_refused_for_every_use() {
    let table = [
        ("feature_names", r#"["a","b","a","d"]"#, "\"a\" at positions 1 and 3"),
        ("feature_names", r#"["a","b","","d"]"#, "not empty"),
        ("feature_names", r#"["a"]"#, "4 names, as the input has columns"),
        ("feature_names", r#"["a",["b"],"c","d"]"#, "a JSON list of names"),
        ("quantiles", "[0.9, 0.5]", "ascending"),
        ("quantiles", "50, 90", "between 0 and 1"),
        ("horizon_s", "10s", "whole seconds"),
    ];
    for (key, value, words) in table {
        let file = with_metadata(key, Some(value));
        let refusal = refusal(&file.0);
        assert!(matches!(&refusal, Refusal::MetadataWrong { key: got, .. } if *got == key), "{value}: {refusal:?}");
        assert!(refusal.to_string().contains(words) && !refusal.is_contract(), "{refusal}");
        speaks_plainly(&refusal);
    }
}

#[test]
fn names_that_contradict_those_of_the_inputs_are_refused() {
    let of_inputs = |inputs: [&str; 2], names: Option<&str>| {
        let graph = Message::new().message(1, node("Max", "", &inputs, &["y"], vec![]));
        let graph = inputs.iter().fold(graph, |graph, name| graph.message(11, value(name, 1)));
        let file = wrap(graph.message(12, value("y", 1)));
        names.map_or(file.clone(), |names| file.message(14, Message::new().bytes(1, "feature_names").bytes(2, names)))
    };
    let file = of_inputs(["a", "b"], Some(r#"["b","a"]"#));
    refused!(file, Refusal::MetadataWrong { key: "feature_names", got, .. } if got == "\"b\" at position 1");
    for (inputs, said, columns) in [
        (["a", "b"], Some(r#"["a","b"]"#), ["a", "b"]),
        (["input_0", "input_1"], Some(r#"["b","a"]"#), ["b", "a"]),
        (["a", "b"], None, ["a", "b"]),
    ] {
        let scorer = Scorer::load(&of_inputs(inputs, said).0, Use::Inspect).expect("no contradiction");
        assert_eq!(scorer.info().columns(&contract()), Ok(Some(names(&columns))));
    }
}

#[test]
fn a_model_of_this_schema_without_names_has_those_of_the_schema() {
    let scorer = Scorer::load(&with_metadata("feature_names", None).0, Use::Inspect).expect("a safe model");
    assert_eq!(scorer.info().columns(&contract()), Ok(Some(contract().feature_names)));
    let scorer = Scorer::load(&with_trees(|_| {}).0, Use::Inspect).expect("a safe model");
    assert_eq!(scorer.info().columns(&contract()), Ok(None), "only the order is known");
}

#[test]
fn the_features_of_a_model_that_ships_swapped_are_refused_by_the_release() {
    let shipped = netprecursor_models::builtin::model("rtt-xgboost").expect("it ships");
    let [one, other] = ["\"rtt_p90_us_mean4\"", "\"rtt_p99_us_mean4\""];
    let at = |name: &str| shipped.windows(name.len()).position(|window| window == name.as_bytes()).expect("a feature");
    let mut swapped = shipped.to_vec();
    swapped[at(one)..][..one.len()].copy_from_slice(other.as_bytes());
    swapped[at(other)..][..other.len()].copy_from_slice(one.as_bytes());
    let refusal = Scorer::load(&swapped, Use::Policy(&PolicyContract::rtt())).map(drop).expect_err("other columns");
    assert!(matches!(&refusal, Refusal::FeatureName { got, .. } if got == other), "{refusal:?}");
    speaks_plainly(&refusal);
}

#[test]
fn a_policy_refuses_another_shape() {
    let classes = {
        let mut trees = Trees::perfect(2, 1, 4);
        trees.targets[0] = 1;
        let node = trees.classifier(vec![ints_attribute("classlabels_int64s", &[3, 7])]);
        let graph = Message::new().message(1, node).message(11, value("x", 4)).message(12, value("label", 1));
        metadata_entries("none", None).fold(wrap(graph), |file, entry| file.message(14, entry))
    };
    let refusal = policy_refusal(&classes);
    assert!(refusal.to_string().contains("classes among them"), "a class is no quantile: {refusal}");
    let several = PolicyContract { quantiles: vec![0.5, 0.9], ..contract() };
    let file = with_metadata("quantiles", Some("[0.5, 0.9]"));
    let refusal = Scorer::load(&file.0, Use::Policy(&several)).map(drop).expect_err("one column is not two");
    assert!(matches!(refusal, Refusal::Shape { .. }), "{refusal:?}");
    speaks_plainly(&refusal);
}

/// Loads and, where it loads, scores: neither may panic.
fn survives(file: &[u8]) {
    match Scorer::load(file, Use::Inspect) {
        Err(refusal) => assert!(!refusal.to_string().is_empty()),
        Ok(mut scorer) => {
            let rows: Vec<f32> =
                (0..scorer.width() * 3).map(|i| if i % 5 == 0 { f32::NAN } else { i as f32 - 2.0 }).collect();
            let outputs = scorer.score_all(&rows).expect("whole rows");
            assert!(outputs.iter().all(|(port, values)| values.len() == port.width * 3));
        }
    }
}

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name)).expect("a golden model")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_to_a_verdict(file in proptest::collection::vec(any::<u8>(), 0..600)) {
        survives(&file);
    }

    #[test]
    fn any_change_to_a_good_model_is_read_to_a_verdict(
        which in 0usize..5,
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        cut in proptest::option::weighted(0.2, any::<proptest::sample::Index>()),
    ) {
        let names = ["mode-mixed", "graph-residual", "graph-arithmetic", "aggregate-max-targets", "onnx-tree-ensemble-set-membership"];
        let mut file = golden(&format!("{}.onnx", names[which]));
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if let Some(cut) = cut {
            file.truncate(cut.index(file.len()));
        }
        survives(&file);
    }
}
