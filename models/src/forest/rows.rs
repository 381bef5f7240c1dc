//! The rows of an ensemble's node lists: each is a branch or a leaf, found by its tree and id, and together they are trees.

use std::collections::{HashMap, HashSet};

use super::branch::{Branch, Child};
use super::descent::Colours;
use super::tables::{Tables, test, threshold, tracks_true};
use crate::Refusal;
use crate::contract::limits;

/// The lists, equally long.
pub(super) struct Rows<'n, 'a> {
    tables: Tables<'n, 'a>,
    trees: &'n [i64],
    ids: &'n [i64],
    features: &'n [i64],
    values: &'n [f32],
    modes: &'n [&'a [u8]],
    yes: &'n [i64],
    no: &'n [i64],
    missing: &'n [i64],
    places: HashMap<(i64, i64), Child>,
    /// The row of each branch.
    branch_rows: Vec<usize>,
    /// Number of leaves.
    pub(super) leaves: usize,
}

impl<'n, 'a> Rows<'n, 'a> {
    pub(super) fn read(tables: Tables<'n, 'a>) -> Result<Self, Refusal> {
        let mut rows = Self {
            tables,
            trees: tables.ints("nodes_treeids")?,
            ids: tables.ints("nodes_nodeids")?,
            features: tables.ints("nodes_featureids")?,
            values: tables.floats("nodes_values")?,
            modes: tables.strings("nodes_modes")?,
            yes: tables.ints("nodes_truenodeids")?,
            no: tables.ints("nodes_falsenodeids")?,
            missing: tables.ints_or_empty("nodes_missing_value_tracks_true")?,
            places: HashMap::new(),
            branch_rows: Vec::new(),
            leaves: 0,
        };
        let lists = [
            ("nodes_nodeids", rows.ids.len()),
            ("nodes_featureids", rows.features.len()),
            ("nodes_values", rows.values.len()),
            ("nodes_modes", rows.modes.len()),
            ("nodes_truenodeids", rows.yes.len()),
            ("nodes_falsenodeids", rows.no.len()),
            (
                "nodes_missing_value_tracks_true",
                if rows.missing.is_empty() { rows.trees.len() } else { rows.missing.len() },
            ),
        ];
        tables.same_length("nodes_treeids", rows.trees.len(), &lists)?;
        rows.place()?;
        Ok(rows)
    }

    fn keys(&self) -> impl Iterator<Item = (i64, i64)> + use<'n, 'a> {
        self.trees.iter().copied().zip(self.ids.iter().copied())
    }

    /// Gives every row its place among the branches or the leaves.
    fn place(&mut self) -> Result<(), Refusal> {
        self.places.reserve(self.trees.len());
        for (row, (tree, id)) in self.keys().enumerate() {
            let place = if self.modes[row] == b"LEAF" {
                self.leaves += 1;
                Child::Leaf(self.leaves - 1)
            } else {
                self.branch_rows.push(row);
                Child::Branch(self.branch_rows.len() - 1)
            };
            if self.places.insert((tree, id), place).is_some() {
                let place = format!("node {}", self.tables.0.label());
                return Err(Refusal::Duplicate { place, name: format!("node id {id} of tree {tree}") });
            }
        }
        Ok(())
    }

    /// The place of a node that an attribute names.
    pub(super) fn child(&self, attribute: &'static str, tree: i64, id: i64) -> Result<Child, Refusal> {
        self.places.get(&(tree, id)).copied().ok_or_else(|| Refusal::TreeIndex {
            node: self.tables.0.label(),
            attribute,
            got: id.to_string(),
            expected: format!("a node id of tree {tree}"),
        })
    }

    pub(super) fn branches(&self) -> Result<Vec<Branch>, Refusal> {
        let branch = |row: usize| -> Result<Branch, Refusal> {
            Ok(Branch {
                test: test(&self.tables, self.modes[row], threshold(&self.tables, "nodes_values", self.values, row)?)?,
                feature: self.tables.index("nodes_featureids", self.features[row], limits::COLUMNS)?,
                missing_is_true: tracks_true(self.missing, row),
                yes: self.child("nodes_truenodeids", self.trees[row], self.yes[row])?,
                no: self.child("nodes_falsenodeids", self.trees[row], self.no[row])?,
            })
        };
        self.branch_rows.iter().copied().map(branch).collect()
    }

    /// The root of each tree, and what descents from all of them have seen.
    pub(super) fn roots(&self, branches: &[Branch]) -> Result<(Vec<Child>, Colours), Refusal> {
        let cycle = |tree, at| Refusal::TreeCycle { node: self.tables.0.label(), tree, at };
        let children: HashSet<Child> = branches.iter().flat_map(|branch| [branch.yes, branch.no]).collect();
        let (mut roots, mut rooted) = (Vec::new(), HashSet::new());
        for (tree, id) in self.keys() {
            let root = self.child("nodes_nodeids", tree, id)?;
            if children.contains(&root) {
                continue;
            }
            if !rooted.insert(tree) {
                return Err(cycle(tree, id));
            }
            roots.push((tree, root));
        }
        let mut colours = Colours::new(branches.len());
        for (tree, root) in &roots {
            colours.descend(branches, *root).map_err(|at| cycle(*tree, self.ids[self.branch_rows[at]]))?;
        }
        // Whoever no root leads to has a parent all the same, so is on or below a cycle.
        if let Some(at) = colours.first_unseen() {
            let row = self.branch_rows[at];
            return Err(cycle(self.trees[row], self.ids[row]));
        }
        Ok((roots.into_iter().map(|(_, root)| root).collect(), colours))
    }
}
