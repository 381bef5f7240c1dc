//! An ensemble as its ONNX node describes it, checked to be made of trees.

use super::branch::{Branch, Child};
use super::classes::{Classes, Labels};
use super::descent;
use super::rows::Rows;
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
        let rows = Rows::read(*tables)?;
        let branches = rows.branches()?;
        let (roots, colours) = rows.roots(&branches)?;
        let leaves = leaves(&rows, tables, names, targets)?;
        Ok(Self {
            node: tables.0.label(),
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

/// The weights of each leaf.
fn leaves(rows: &Rows<'_, '_>, tables: &Tables<'_, '_>, names: &Weights, targets: usize) -> Result<Vec<Leaf>, Refusal> {
    let node = tables.0;
    let trees = tables.ints(names.trees)?;
    let (nodes, ids) = (tables.ints(names.nodes)?, tables.ints(names.ids)?);
    let weights = tables.floats(names.values)?;
    let lists = [(names.nodes, nodes.len()), (names.ids, ids.len()), (names.values, weights.len())];
    tables.same_length(names.trees, trees.len(), &lists)?;
    let mut leaves = vec![Leaf::new(); rows.leaves];
    for (row, weight) in weights.iter().enumerate() {
        let target = tables.index(names.ids, ids[row], targets)?;
        let Child::Leaf(leaf) = rows.child(names.nodes, trees[row], nodes[row])? else {
            let (got, expected) = (nodes[row].to_string(), format!("a leaf of tree {}", trees[row]));
            return Err(Refusal::TreeIndex { node: node.label(), attribute: names.nodes, got, expected });
        };
        if leaves[leaf].iter().any(|(other, _)| *other == target) {
            let name = format!("weight of target {target} at node id {} of tree {}", nodes[row], trees[row]);
            return Err(Refusal::Duplicate { place: format!("node {}", node.label()), name });
        }
        leaves[leaf].push((target, *weight));
    }
    Ok(leaves)
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
