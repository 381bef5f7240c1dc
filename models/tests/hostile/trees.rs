//! Ensembles that are not made of trees, that are too deep, or whose leaves say nothing.

use netprecursor_models::contract::limits;
use netprecursor_models::{Refusal, Scorer, Use};

use super::onnx::{
    Message, Trees, floats_attribute, floats_tensor, int_attribute, ints_attribute, model, node, strings_attribute,
    tensor, tensor_attribute,
};
use super::{check, refusal, speaks_plainly, with_trees};

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
