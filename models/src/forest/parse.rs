//! An ensemble as its ONNX node describes it, checked to be made of trees.

use std::collections::HashMap;

use super::classes::Classes;
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

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Child {
    Branch(usize),
    Leaf(usize),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Branch {
    pub(super) test: Test,
    pub(super) feature: usize,
    /// Where a missing value goes that the test itself would send to `no`.
    pub(super) missing_is_true: bool,
    pub(super) yes: Child,
    pub(super) no: Child,
}

/// The test of a branch; a missing value fails all but `NotEqual`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Test {
    AtMost(f32),
    Below(f32),
    AtLeast(f32),
    Above(f32),
    Equal(f32),
    NotEqual(f32),
    /// Index into the sets.
    Member(usize),
}

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
        Ok(Self { base, aggregate, ..Self::trees(&tables, &REGRESSOR, targets)? })
    }

    /// `TreeEnsembleClassifier` of `ai.onnx.ml` 1 to 3: the targets are its classes.
    pub(crate) fn classifier(node: &Node<'_>, classes: usize) -> Result<Self, Refusal> {
        let tables = Tables(node);
        let ensemble = Self::trees(&tables, &CLASSIFIER, classes)?;
        let votes = ensemble.leaves.iter().flatten();
        let classes = Classes::read(&tables, classes, votes, ensemble.transform)?;
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
                test: test(tables, modes[row], values[row])?,
                feature: tables.index("nodes_featureids", features[row], limits::COLUMNS)?,
                missing_is_true: missing.get(row).is_some_and(|flag| *flag != 0),
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
        Ok(Self {
            node: node.label(),
            branches,
            leaves,
            roots: roots.into_iter().map(|(_, root)| root).collect(),
            sets: Vec::new(),
            targets,
            base: Vec::new(),
            aggregate: Aggregate::Sum,
            transform: PostTransform::read(tables)?,
            classes: None,
        })
    }

    /// `TreeEnsemble` of `ai.onnx.ml` 5.
    pub(crate) fn tensors(node: &Node<'_>) -> Result<Self, Refusal> {
        let tables = Tables(node);
        let targets = targets(&tables)?;
        let features = tables.ints("nodes_featureids")?;
        let modes = tables.int_tensor("nodes_modes")?;
        let splits = tables.float_tensor("nodes_splits")?;
        let (yes, yes_is_leaf) = (tables.ints("nodes_truenodeids")?, tables.ints("nodes_trueleafs")?);
        let (no, no_is_leaf) = (tables.ints("nodes_falsenodeids")?, tables.ints("nodes_falseleafs")?);
        let missing = tables.ints_or_empty("nodes_missing_value_tracks_true")?;
        let lists = [
            ("nodes_modes", modes.len()),
            ("nodes_splits", splits.len()),
            ("nodes_truenodeids", yes.len()),
            ("nodes_trueleafs", yes_is_leaf.len()),
            ("nodes_falsenodeids", no.len()),
            ("nodes_falseleafs", no_is_leaf.len()),
            ("nodes_missing_value_tracks_true", if missing.is_empty() { features.len() } else { missing.len() }),
        ];
        tables.same_length("nodes_featureids", features.len(), &lists)?;
        let leaf_targets = tables.ints("leaf_targetids")?;
        let weights = tables.float_tensor("leaf_weights")?;
        tables.same_length("leaf_targetids", leaf_targets.len(), &[("leaf_weights", weights.len())])?;
        let mut leaves = Vec::with_capacity(weights.len());
        for (target, weight) in leaf_targets.iter().zip(&weights) {
            leaves.push(vec![(tables.index("leaf_targetids", *target, targets)?, *weight)]);
        }
        let mut sets = Vec::new();
        if node.attribute("membership_values").is_some() {
            let values = tables.float_tensor("membership_values")?;
            sets = values.split(|value| value.is_nan()).map(<[f32]>::to_vec).collect();
        }
        let mut used_sets = 0;
        let mut branches = Vec::with_capacity(features.len());
        for row in 0..features.len() {
            let child = |names: (&'static str, &'static str), id: i64, is_leaf: i64| {
                if is_leaf == 0 {
                    tables.index(names.0, id, features.len()).map(Child::Branch)
                } else {
                    tables.index(names.1, id, leaves.len()).map(Child::Leaf)
                }
            };
            let test = if modes[row] == 6 {
                used_sets += 1;
                Test::Member(used_sets - 1)
            } else {
                let name = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"];
                let mode = tables.index("nodes_modes", modes[row], name.len())?;
                if !splits[row].is_finite() {
                    let (place, got) = (format!("attribute nodes_splits of node {}", node.label()), splits[row].into());
                    return Err(Refusal::NotFinite { place, index: row, got });
                }
                test(&tables, name[mode].as_bytes(), splits[row])?
            };
            branches.push(Branch {
                test,
                feature: tables.index("nodes_featureids", features[row], limits::COLUMNS)?,
                missing_is_true: missing.get(row).is_some_and(|flag| *flag != 0),
                yes: child(("nodes_truenodeids", "nodes_trueleafs"), yes[row], yes_is_leaf[row])?,
                no: child(("nodes_falsenodeids", "nodes_falseleafs"), no[row], no_is_leaf[row])?,
            });
        }
        // A single set may be closed by a NaN as well, which leaves an empty one behind.
        if sets.last().is_some_and(Vec::is_empty) && sets.len() > used_sets {
            sets.pop();
        }
        tables.same_length("nodes_modes (BRANCH_MEMBER)", used_sets, &[("membership_values", sets.len())])?;
        let mut roots = Vec::new();
        let mut colours = Colours::new(branches.len());
        for (tree, root) in (0i64..).zip(tables.ints("tree_roots")?) {
            let root = Child::Branch(tables.index("tree_roots", *root, branches.len())?);
            colours.descend(&branches, root).map_err(|at| Refusal::TreeCycle {
                node: node.label(),
                tree,
                at: i64::try_from(at).unwrap_or(i64::MAX),
            })?;
            roots.push(root);
        }
        Ok(Self {
            node: node.label(),
            branches,
            leaves,
            roots,
            sets,
            targets,
            base: Vec::new(),
            aggregate: Aggregate::from_onnx(tables.int("aggregate_function", 1)?, &tables)?,
            transform: PostTransform::from_onnx(tables.int("post_transform", 0)?, &tables)?,
            classes: None,
        })
    }
}

/// Which branches a descent has seen. Exporters share subtrees (LightGBM's categories), so a second visit alone is no
/// cycle; one to a branch that is still open is.
struct Colours(Vec<Colour>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colour {
    Unseen,
    Open,
    Closed,
}

impl Colours {
    fn new(branches: usize) -> Self {
        Self(vec![Colour::Unseen; branches])
    }

    fn first_unseen(&self) -> Option<usize> {
        self.0.iter().position(|colour| *colour == Colour::Unseen)
    }

    /// Descends from a root without recursion; the error is a branch on a cycle.
    fn descend(&mut self, branches: &[Branch], root: Child) -> Result<(), usize> {
        let mut stack = Vec::from_iter(branch_of(root));
        while let Some(at) = stack.last().copied() {
            match self.0[at] {
                Colour::Unseen => {
                    self.0[at] = Colour::Open;
                    for next in [branches[at].yes, branches[at].no].into_iter().filter_map(branch_of) {
                        match self.0[next] {
                            Colour::Unseen => stack.push(next),
                            Colour::Open => return Err(next),
                            Colour::Closed => {}
                        }
                    }
                }
                Colour::Open => {
                    self.0[at] = Colour::Closed;
                    stack.pop();
                }
                Colour::Closed => {
                    stack.pop();
                }
            }
        }
        Ok(())
    }
}

const fn branch_of(child: Child) -> Option<usize> {
    match child {
        Child::Branch(index) => Some(index),
        Child::Leaf(_) => None,
    }
}

fn targets(tables: &Tables<'_, '_>) -> Result<usize, Refusal> {
    let got = tables.int("n_targets", 1)?;
    let bounded = usize::try_from(got).ok().filter(|targets| (1..=limits::ENTRIES).contains(targets));
    bounded.ok_or_else(|| tables.unknown("n_targets", &got.to_string(), "1 to 4096"))
}

fn test(tables: &Tables<'_, '_>, mode: &[u8], value: f32) -> Result<Test, Refusal> {
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
