//! Every node in twelve bytes, siblings side by side: the next node is `left` plus the outcome of one comparison.

use super::branch::{Branch, Child, Test};
use super::classes::Classes;
use super::parse::Ensemble;
use super::transform::{Aggregate, PostTransform};
use crate::Refusal;
use crate::contract::limits;

/// A tree ensemble that is ready to predict.
#[derive(Debug, Clone, PartialEq)]
pub struct Forest {
    pub(super) nodes: Vec<Slot>,
    /// By node: the weight of a leaf (one target), or the bits of its index in `leaves`.
    pub(super) payload: Vec<f32>,
    pub(super) trees: Vec<Tree>,
    /// Ends of the leaves' ranges in `weights`; empty with one target.
    pub(super) leaves: Vec<u32>,
    pub(super) weights: Vec<(u32, f32)>,
    pub(super) sets: Vec<Vec<f32>>,
    pub(super) targets: usize,
    pub(super) base: Vec<f32>,
    pub(super) aggregate: Aggregate,
    pub(super) transform: PostTransform,
    pub(super) classes: Option<Classes>,
    /// Columns that a row must have: the largest feature index and one.
    pub(super) columns: usize,
}

/// One node. A leaf is a node whose test is always true and whose left child is itself, so that every row takes as many
/// steps as the tree is deep and no step has a branch to predict.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Slot {
    /// Left when the row's value is at most this.
    pub(super) threshold: f32,
    pub(super) left: u32,
    pub(super) feature: u16,
    pub(super) flags: u16,
}

impl Slot {
    /// A missing value goes left.
    pub(super) const MISSING_LEFT: u16 = 1;
    /// Left only when equal to the threshold.
    pub(super) const EQUAL: u16 = 2;
    /// Left when in the set whose index the threshold's bits are.
    pub(super) const MEMBER: u16 = 4;

    const fn leaf(at: u32) -> Self {
        Self { threshold: f32::INFINITY, left: at, feature: 0, flags: Self::MISSING_LEFT }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Tree {
    pub(super) root: u32,
    pub(super) depth: u32,
    /// Whether some test is no plain comparison.
    pub(super) exact: bool,
}

impl Forest {
    /// Lays an ensemble out.
    ///
    /// # Errors
    /// [`Refusal::TreeDepth`] or [`Refusal::TooMany`] when it is too large to be evaluated in time.
    pub(crate) fn new(ensemble: &Ensemble) -> Result<Self, Refusal> {
        let mut forest = Self {
            nodes: Vec::new(),
            payload: Vec::new(),
            trees: Vec::with_capacity(ensemble.roots.len()),
            leaves: Vec::new(),
            weights: Vec::new(),
            sets: ensemble.sets.clone(),
            targets: ensemble.targets,
            base: ensemble.base.clone(),
            aggregate: ensemble.aggregate,
            transform: ensemble.transform,
            classes: ensemble.classes.clone(),
            columns: 0,
        };
        if ensemble.targets > 1 {
            for leaf in &ensemble.leaves {
                forest.weights.extend(leaf.iter().map(|(target, weight)| (u32_of(*target), *weight)));
                forest.leaves.push(u32_of(forest.weights.len()));
            }
        }
        for root in &ensemble.roots {
            forest.plant(ensemble, *root)?;
        }
        let got = forest.depths().sum();
        let limit = limits::COMPARISONS_PER_ROW;
        if got > limit {
            return Err(Refusal::TreeDepth { node: ensemble.node.clone(), got, limit });
        }
        Ok(forest)
    }

    /// Appends a tree, level by level, so that siblings are neighbours.
    fn plant(&mut self, ensemble: &Ensemble, root: Child) -> Result<(), Refusal> {
        let first = u32_of(self.nodes.len());
        let mut tree = Tree { root: first, depth: 0, exact: false };
        let mut level = vec![root];
        self.push(1)?;
        let mut at = self.nodes.len() - 1;
        let mut below = Vec::new();
        while !level.is_empty() {
            for child in level.drain(..) {
                match child {
                    Child::Leaf(leaf) => {
                        self.nodes[at] = Slot::leaf(u32_of(at));
                        self.payload[at] = if self.targets > 1 {
                            f32::from_bits(u32_of(leaf))
                        } else {
                            ensemble.leaves[leaf].first().map_or(self.aggregate.nothing(), |(_, weight)| *weight)
                        };
                    }
                    Child::Branch(index) => {
                        let branch = &ensemble.branches[index];
                        let left = self.nodes.len();
                        self.push(2)?;
                        let (slot, children) = split(branch, u32_of(left));
                        self.columns = self.columns.max(branch.feature + 1);
                        tree.exact |= slot.flags & (Slot::EQUAL | Slot::MEMBER) != 0;
                        self.nodes[at] = slot;
                        below.extend(children);
                    }
                }
                at += 1;
            }
            std::mem::swap(&mut level, &mut below);
            tree.depth += u32::from(!level.is_empty());
            let (got, limit) = (tree.depth as usize, limits::TREE_DEPTH);
            if got > limit {
                return Err(Refusal::TreeDepth { node: ensemble.node.clone(), got, limit });
            }
        }
        self.trees.push(tree);
        Ok(())
    }

    fn push(&mut self, count: usize) -> Result<(), Refusal> {
        if self.nodes.len() + count > 2 * limits::TENSOR_ELEMENTS {
            return Err(Refusal::TooMany { what: "tree nodes", limit: 2 * limits::TENSOR_ELEMENTS });
        }
        self.nodes.extend(std::iter::repeat_n(Slot::leaf(0), count));
        self.payload.extend(std::iter::repeat_n(0.0, count));
        Ok(())
    }

    /// Targets, or classes, per row.
    pub const fn targets(&self) -> usize {
        self.targets
    }

    /// Numbers per row of a prediction: one per target; of a classifier also the position of the class, last.
    pub const fn outputs(&self) -> usize {
        self.targets + self.classes.is_some() as usize
    }

    /// Columns that a row must have at least.
    pub const fn columns(&self) -> usize {
        self.columns
    }

    /// How many trees there are.
    pub const fn trees(&self) -> usize {
        self.trees.len()
    }

    /// Nodes of all trees, leaves included.
    pub const fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// How the trees combine.
    pub const fn aggregate(&self) -> Aggregate {
        self.aggregate
    }

    /// What happens to the combined values.
    pub const fn post_transform(&self) -> PostTransform {
        self.transform
    }

    /// Comparisons on the longest path of each tree.
    pub fn depths(&self) -> impl Iterator<Item = usize> {
        self.trees.iter().map(|tree| tree.depth as usize)
    }
}

/// A branch as a comparison "at most" (or equality) with its children in the order left, right. What is greater goes
/// the other way round; "below x" is "at most the float before x". No value is below minus infinity, nor at most NaN.
fn split(branch: &Branch, left: u32) -> (Slot, [Child; 2]) {
    let (threshold, flags, swapped) = match branch.test {
        Test::AtMost(value) => (value, 0, false),
        Test::Below(value) => (before(value), 0, false),
        Test::AtLeast(value) => (before(value), 0, true),
        Test::Above(value) => (value, 0, true),
        Test::Equal(value) => (value, Slot::EQUAL, false),
        Test::NotEqual(value) => (value, Slot::EQUAL, true),
        Test::Member(set) => (f32::from_bits(u32_of(set)), Slot::MEMBER, false),
    };
    let missing_is_true = branch.missing_is_true || matches!(branch.test, Test::NotEqual(_));
    let flags = flags | if missing_is_true == swapped { 0 } else { Slot::MISSING_LEFT };
    let children = if swapped { [branch.no, branch.yes] } else { [branch.yes, branch.no] };
    // Features were checked against the bound on columns, 2^16.
    let feature = u16::try_from(branch.feature).unwrap_or(u16::MAX);
    (Slot { threshold, left, feature, flags }, children)
}

/// The greatest value below this one; NaN when there is none.
fn before(value: f32) -> f32 {
    if value == f32::NEG_INFINITY { f32::NAN } else { value.next_down() }
}

/// Indices are bounded by the number of elements in a list, far below 2^32.
fn u32_of(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
