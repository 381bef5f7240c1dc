//! An ensemble as its ONNX node describes it, checked to be made of trees.

use std::collections::HashMap;

use super::branch::{Branch, Child, Test};
use super::classes::{Classes, Labels};
use super::descent::{self, Colours};
use super::tables::Tables;
use super::transform::{Aggregate, PostTransform};
use crate::Refusal;
use crate::contract::{Node, limits};

/// Trees over shared leaves, as parsed: nothing is laid out for speed yet.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ensemble {
    /// The ONNX node, for messages.
    pub(super) node: String,
    pub(super) branches: Vec<Branch>,
    /// Weights by leaf.
    pub(super) leaves: Vec<Leaf>,
    /// One per tree.
    pub(super) roots: Vec<Child>,
    pub(super) sets: Vec<Vec<f32>>,
    pub(super) targets: usize,
    /// By target, whether some leaf that can be reached has a weight for it.
    pub(super) voted: Vec<bool>,
    /// Empty, or one per target.
    pub(super) base: Vec<f32>,
    pub(super) aggregate: Aggregate,
    pub(super) transform: PostTransform,
    /// What a classifier makes of its targets, which are classes.
    pub(super) classes: Option<Classes>,
}

/// The attributes that hold the weights of leaves.
struct Weights {
    trees: &'static str,
    nodes: &'static str,
    ids: &'static str,
    values: &'static str,
}

const REGRESSOR: Weights =
    Weights { trees: "target_treeids", nodes: "target_nodeids", ids: "target_ids", values: "target_weights" };
const CLASSIFIER: Weights =
    Weights { trees: "class_treeids", nodes: "class_nodeids", ids: "class_ids", values: "class_weights" };

/// (target, weight) pairs of a leaf, at most one per target.
pub(super) type Leaf = Vec<(usize, f32)>;

impl Ensemble {
    /// `TreeEnsembleRegressor` of `ai.onnx.ml` 1 to 3 (deprecated since 5, still what exporters write).
    pub(crate) fn regressor(node: &Node<'_>) -> Result<Self, Refusal> {
        let tables = Tables(node);
        let targets = targets(&tables)?;
        let base = tables.floats_or_empty("base_values")?.to_vec();
        if !base.is_empty() {
            tables.same_length("n_targets", targets, &[("base_values", base.len())])?;
        }
        let aggregate = Aggregate::read(&tables)?;
        let ensemble = Self::trees(&tables, &REGRESSOR, targets)?;
        every_target(&tables, &ensemble.voted, REGRESSOR.ids)?;
        Ok(Self { base, aggregate, ..ensemble })
    }

    /// `TreeEnsembleClassifier` of `ai.onnx.ml` 1 to 3: the targets are its classes.
    pub(crate) fn classifier(node: &Node<'_>, labels: &Labels) -> Result<Self, Refusal> {
        let tables = Tables(node);
        let ensemble = Self::trees(&tables, &CLASSIFIER, labels.len())?;
        labels.have_leaves(&tables, &ensemble.voted, CLASSIFIER.ids)?;
        let votes = ensemble.leaves.iter().flatten();
        let classes = Classes::read(&tables, labels.len(), votes, ensemble.transform)?;
        Ok(Self { classes: Some(classes), ..ensemble })
    }

    /// What regressors and classifiers share: nodes by (tree, id), and the weights of leaves for `targets`.
    fn trees(tables: &Tables<'_, '_>, names: &Weights, targets: usize) -> Result<Self, Refusal> {
        let node = tables.0;
        let trees = tables.ints("nodes_treeids")?;
        let ids = tables.ints("nodes_nodeids")?;
        let features = tables.ints("nodes_featureids")?;
        let values = tables.floats("nodes_values")?;
        let modes = tables.strings("nodes_modes")?;
        let yes = tables.ints("nodes_truenodeids")?;
        let no = tables.ints("nodes_falsenodeids")?;
        let missing = tables.ints_or_empty("nodes_missing_value_tracks_true")?;
        let lists = [
            ("nodes_nodeids", ids.len()),
            ("nodes_featureids", features.len()),
            ("nodes_values", values.len()),
            ("nodes_modes", modes.len()),
            ("nodes_truenodeids", yes.len()),
            ("nodes_falsenodeids", no.len()),
            ("nodes_missing_value_tracks_true", if missing.is_empty() { trees.len() } else { missing.len() }),
        ];
        tables.same_length("nodes_treeids", trees.len(), &lists)?;

        let mut children = HashMap::with_capacity(trees.len());
        let mut leaves: Vec<Leaf> = Vec::new();
        let mut branch_rows = Vec::new();
        for (row, key) in trees.iter().copied().zip(ids.iter().copied()).enumerate() {
            let child = if modes[row] == b"LEAF" {
                leaves.push(Leaf::new());
                Child::Leaf(leaves.len() - 1)
            } else {
                branch_rows.push(row);
                Child::Branch(branch_rows.len() - 1)
            };
            if children.insert(key, child).is_some() {
                let name = format!("node id {} of tree {}", key.1, key.0);
                return Err(Refusal::Duplicate { place: format!("node {}", node.label()), name });
            }
        }
        let child = |attribute: &'static str, tree: i64, id: i64| {
            children.get(&(tree, id)).copied().ok_or_else(|| Refusal::TreeIndex {
                node: node.label(),
                attribute,
                got: id.to_string(),
                expected: format!("a node id of tree {tree}"),
            })
        };
        let mut branches = Vec::with_capacity(branch_rows.len());
        let mut has_parent = vec![false; branch_rows.len() + leaves.len()];
        let slot = |child| match child {
            Child::Branch(index) => index,
            Child::Leaf(index) => branch_rows.len() + index,
        };
        for row in branch_rows.iter().copied() {
            let branch = Branch {
                test: test(tables, modes[row], threshold(tables, "nodes_values", values, row)?)?,
                feature: tables.index("nodes_featureids", features[row], limits::COLUMNS)?,
                missing_is_true: tracks_true(missing, row),
                yes: child("nodes_truenodeids", trees[row], yes[row])?,
                no: child("nodes_falsenodeids", trees[row], no[row])?,
            };
            has_parent[slot(branch.yes)] = true;
            has_parent[slot(branch.no)] = true;
            branches.push(branch);
        }
        let mut roots: Vec<(i64, Child)> = Vec::new();
        let mut rooted = HashMap::new();
        for (tree, id) in trees.iter().copied().zip(ids.iter().copied()) {
            let this = child("nodes_nodeids", tree, id)?;
            if !has_parent[slot(this)] {
                roots.push((tree, this));
                if rooted.insert(tree, ()).is_some() {
                    return Err(Refusal::TreeCycle { node: node.label(), tree, at: id });
                }
            }
        }
        let mut colours = Colours::new(branches.len());
        for (tree, root) in &roots {
            colours.descend(&branches, *root).map_err(|at| Refusal::TreeCycle {
                node: node.label(),
                tree: *tree,
                at: ids[branch_rows[at]],
            })?;
        }
        // Whoever no root leads to has a parent all the same, so is on or below a cycle.
        if let Some(at) = colours.first_unseen() {
            let row = branch_rows[at];
            return Err(Refusal::TreeCycle { node: node.label(), tree: trees[row], at: ids[row] });
        }

        let of_tree = tables.ints(names.trees)?;
        let (of_node, of_target) = (tables.ints(names.nodes)?, tables.ints(names.ids)?);
        let weights = tables.floats(names.values)?;
        let lists = [(names.nodes, of_node.len()), (names.ids, of_target.len()), (names.values, weights.len())];
        tables.same_length(names.trees, of_tree.len(), &lists)?;
        for (row, weight) in weights.iter().enumerate() {
            let target = tables.index(names.ids, of_target[row], targets)?;
            let Child::Leaf(leaf) = child(names.nodes, of_tree[row], of_node[row])? else {
                let (got, expected) = (of_node[row].to_string(), format!("a leaf of tree {}", of_tree[row]));
                return Err(Refusal::TreeIndex { node: node.label(), attribute: names.nodes, got, expected });
            };
            if leaves[leaf].iter().any(|(other, _)| *other == target) {
                let name = format!("weight of target {target} at node id {} of tree {}", of_node[row], of_tree[row]);
                return Err(Refusal::Duplicate { place: format!("node {}", node.label()), name });
            }
            leaves[leaf].push((target, *weight));
        }
        let roots: Vec<Child> = roots.into_iter().map(|(_, root)| root).collect();
        Ok(Self {
            node: node.label(),
            voted: voted(&leaves, descent::leaves(&branches, &roots, &colours), targets),
            branches,
            leaves,
            roots,
            sets: Vec::new(),
            targets,
            base: Vec::new(),
            aggregate: Aggregate::Sum,
            transform: PostTransform::read(tables)?,
            classes: None,
        })
    }
}

/// Which targets the leaves at these positions have weights for.
pub(super) fn voted(leaves: &[Leaf], reached: impl Iterator<Item = usize>, targets: usize) -> Vec<bool> {
    let mut voted = vec![false; targets];
    for (target, _) in reached.flat_map(|leaf| &leaves[leaf]) {
        voted[*target] = true;
    }
    voted
}

/// Refuses targets without a leaf. Exporters that lose the trees of a target leave a constant in its place, and nothing
/// else shows it.
pub(super) fn every_target(tables: &Tables<'_, '_>, voted: &[bool], attribute: &'static str) -> Result<(), Refusal> {
    match voted.iter().position(|has_leaf| !has_leaf) {
        Some(target) => Err(tables.no_leaf(format!("target {target}"), voted, attribute)),
        None => Ok(()),
    }
}

pub(super) fn targets(tables: &Tables<'_, '_>) -> Result<usize, Refusal> {
    let got = tables.int("n_targets", 1)?;
    let bounded = usize::try_from(got).ok().filter(|targets| (1..=limits::ENTRIES).contains(targets));
    bounded.ok_or_else(|| tables.unknown("n_targets", &got.to_string(), "1 to 4096"))
}

/// Whether a missing value takes the true branch. Only 1 says so, as in onnxruntime.
pub(super) fn tracks_true(missing: &[i64], row: usize) -> bool {
    missing.get(row) == Some(&1)
}

/// The threshold of a branch, which may be infinite. What stands in the row of a leaf is never read.
pub(super) fn threshold(
    tables: &Tables<'_, '_>,
    attribute: &'static str,
    values: &[f32],
    row: usize,
) -> Result<f32, Refusal> {
    let value = values[row];
    if value.is_nan() {
        return Err(Refusal::NanThreshold { node: tables.0.label(), attribute, index: row });
    }
    Ok(value)
}

pub(super) fn test(tables: &Tables<'_, '_>, mode: &[u8], value: f32) -> Result<Test, Refusal> {
    Ok(match mode {
        b"BRANCH_LEQ" => Test::AtMost(value),
        b"BRANCH_LT" => Test::Below(value),
        b"BRANCH_GTE" => Test::AtLeast(value),
        b"BRANCH_GT" => Test::Above(value),
        b"BRANCH_EQ" => Test::Equal(value),
        b"BRANCH_NEQ" => Test::NotEqual(value),
        other => {
            let expected = "LEAF or BRANCH_LEQ, _LT, _GTE, _GT, _EQ or _NEQ";
            return Err(tables.unknown("nodes_modes", &String::from_utf8_lossy(other), expected));
        }
    })
}
