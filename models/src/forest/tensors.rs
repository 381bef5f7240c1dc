//! `TreeEnsemble` of `ai.onnx.ml` 5: branches and leaves in lists of their own, thresholds as a tensor.

use super::branch::{Branch, Child, Test};
use super::descent::{self, Colours};
use super::parse::{Ensemble, Leaf, every_target, targets, voted};
use super::tables::{Tables, test, threshold, tracks_true};
use super::transform::{Aggregate, PostTransform};
use crate::Refusal;
use crate::contract::{Node, limits};

impl Ensemble {
    /// `TreeEnsemble` of `ai.onnx.ml` 5.
    pub(crate) fn tensors(node: &Node<'_>) -> Result<Self, Refusal> {
        let tables = Tables(node);
        let targets = targets(&tables)?;
        let leaves = leaves(&tables, targets)?;
        let branches = branches(&tables, leaves.len())?;
        let sets = sets(&tables, branches.iter().filter(|branch| matches!(branch.test, Test::Member(_))).count())?;
        let (roots, colours) = roots(&tables, &branches)?;
        let voted = voted(&leaves, descent::leaves(&branches, &roots, &colours), targets);
        every_target(&tables, &voted, "leaf_targetids")?;
        Ok(Self {
            node: node.label(),
            voted,
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

/// One weight each.
fn leaves(tables: &Tables<'_, '_>, targets: usize) -> Result<Vec<Leaf>, Refusal> {
    let leaf_targets = tables.ints("leaf_targetids")?;
    let weights = tables.float_tensor("leaf_weights")?;
    tables.same_length("leaf_targetids", leaf_targets.len(), &[("leaf_weights", weights.len())])?;
    let leaf = |(target, weight): (&i64, &f32)| Ok(vec![(tables.index("leaf_targetids", *target, targets)?, *weight)]);
    leaf_targets.iter().zip(&weights).map(leaf).collect()
}

/// The branches; those that test membership take the sets in their order.
fn branches(tables: &Tables<'_, '_>, leaves: usize) -> Result<Vec<Branch>, Refusal> {
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
    let child = |names: (&'static str, &'static str), id: i64, is_leaf: i64| {
        if is_leaf == 0 {
            tables.index(names.0, id, features.len()).map(Child::Branch)
        } else {
            tables.index(names.1, id, leaves).map(Child::Leaf)
        }
    };
    let mut used_sets = 0;
    let branch = |row: usize| -> Result<Branch, Refusal> {
        let test = if modes[row] == 6 {
            used_sets += 1;
            Test::Member(used_sets - 1)
        } else {
            let name = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"];
            let mode = tables.index("nodes_modes", modes[row], name.len())?;
            test(tables, name[mode].as_bytes(), threshold(tables, "nodes_splits", &splits, row)?)?
        };
        Ok(Branch {
            test,
            feature: tables.index("nodes_featureids", features[row], limits::COLUMNS)?,
            missing_is_true: tracks_true(missing, row),
            yes: child(("nodes_truenodeids", "nodes_trueleafs"), yes[row], yes_is_leaf[row])?,
            no: child(("nodes_falsenodeids", "nodes_falseleafs"), no[row], no_is_leaf[row])?,
        })
    };
    (0..features.len()).map(branch).collect()
}

/// The sets, which NaN separates in one list, for as many branches as use one.
fn sets(tables: &Tables<'_, '_>, used: usize) -> Result<Vec<Vec<f32>>, Refusal> {
    let mut sets = Vec::new();
    if tables.0.attribute("membership_values").is_some() {
        let values = tables.float_tensor("membership_values")?;
        sets = values.split(|value| value.is_nan()).map(<[f32]>::to_vec).collect();
    }
    // A single set may be closed by a NaN as well, which leaves an empty one behind.
    if sets.last().is_some_and(Vec::is_empty) && sets.len() > used {
        sets.pop();
    }
    tables.same_length("nodes_modes (BRANCH_MEMBER)", used, &[("membership_values", sets.len())])?;
    Ok(sets)
}

/// The root of each tree, and what descents from all of them have seen.
fn roots(tables: &Tables<'_, '_>, branches: &[Branch]) -> Result<(Vec<Child>, Colours), Refusal> {
    let mut colours = Colours::new(branches.len());
    let mut roots = Vec::new();
    for (tree, root) in (0i64..).zip(tables.ints("tree_roots")?) {
        let root = Child::Branch(tables.index("tree_roots", *root, branches.len())?);
        colours.descend(branches, root).map_err(|at| Refusal::TreeCycle {
            node: tables.0.label(),
            tree,
            at: i64::try_from(at).unwrap_or(i64::MAX),
        })?;
        roots.push(root);
    }
    Ok((roots, colours))
}
