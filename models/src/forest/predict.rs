//! Rows through trees: one tree at a time over a block of rows, so that its nodes stay in the first-level cache and the
//! processor overlaps the rows' loads.

use super::Forest;
use super::layout::{Slot, Tree};

/// Rows that walk through a tree together: as many as keep their state in registers.
const LANES: usize = 8;

impl Forest {
    /// Predicts `out.len() / outputs` rows of `width` columns into `out`, row by row. Allocates nothing.
    ///
    /// Rows or columns that are not there (`rows` too short, `width` below [`Forest::columns`]) leave `out` untouched;
    /// the plan has checked both.
    pub fn predict(&self, rows: &[f32], width: usize, out: &mut [f32]) {
        let outputs = self.outputs();
        let count = out.len() / outputs;
        if width < self.columns.max(1) || rows.len() < count * width {
            return;
        }
        out.fill(self.aggregate.start(self.targets));
        for (rows, out) in rows.chunks(LANES * width).zip(out.chunks_mut(LANES * outputs)) {
            let has_missing = rows.iter().any(|value| value.is_nan());
            match (out.len() / outputs, has_missing) {
                (1, false) => self.block::<1, false>(rows, width, out),
                (1, true) => self.block::<1, true>(rows, width, out),
                (_, false) => self.block::<LANES, false>(rows, width, out),
                (_, true) => self.block::<LANES, true>(rows, width, out),
            }
            for row in out.chunks_exact_mut(outputs) {
                if let Some(classes) = &self.classes {
                    classes.finish(row);
                    continue;
                }
                for (target, value) in row.iter_mut().enumerate() {
                    let base = self.base.get(target).copied().unwrap_or_default();
                    *value = self.aggregate.finish(*value, self.trees.len(), base, self.targets);
                }
                self.transform.apply(row);
            }
        }
    }

    /// Adds every tree's weights for up to `L` rows.
    fn block<const L: usize, const MISSING: bool>(&self, rows: &[f32], width: usize, out: &mut [f32]) {
        for tree in &self.trees {
            if tree.exact {
                self.collect(&self.walk_exact(tree, rows, width), out);
            } else {
                self.collect(&self.walk::<L, MISSING>(tree, rows, width), out);
            }
        }
    }

    /// The leaves that up to `L` rows end in. Lanes without a row repeat the last one.
    #[inline(always)]
    fn walk<const L: usize, const MISSING: bool>(&self, tree: &Tree, rows: &[f32], width: usize) -> [u32; L] {
        let mut at = [tree.root; L];
        let last = rows.len() / width - 1;
        let starts: [usize; L] = std::array::from_fn(|lane| lane.min(last) * width);
        for _ in 0..tree.depth {
            for (at, start) in at.iter_mut().zip(starts) {
                // SAFETY: `Forest::plant` makes every `root`, `left` and `left + 1` of a branch an index of `nodes`, and
                // a leaf goes left, to itself, whatever the value: its threshold is infinite and NaN goes left.
                let node = unsafe { self.nodes.get_unchecked(*at as usize) };
                // SAFETY: `predict` has checked `width > feature` for every node, and `start + width <= rows.len()`.
                let value = unsafe { *rows.get_unchecked(start.wrapping_add(node.feature as usize)) };
                let mut right = u32::from(value <= node.threshold) ^ 1;
                if MISSING {
                    // NaN is on the right of every threshold; the flag, which is 1, takes it back.
                    right &= !(u32::from(value.is_nan()) & u32::from(node.flags));
                }
                *at = node.left.wrapping_add(right);
            }
        }
        at
    }

    /// As `walk`, for trees that test equality or membership.
    fn walk_exact(&self, tree: &Tree, rows: &[f32], width: usize) -> [u32; LANES] {
        let mut at = [tree.root; LANES];
        for (at, row) in at.iter_mut().zip(rows.chunks_exact(width)) {
            for _ in 0..tree.depth {
                let node = &self.nodes[*at as usize];
                let value = row[node.feature as usize];
                let left = if value.is_nan() {
                    node.flags & Slot::MISSING_LEFT != 0
                } else if node.flags & Slot::EQUAL != 0 {
                    value == node.threshold
                } else if node.flags & Slot::MEMBER != 0 {
                    self.sets.get(node.threshold.to_bits() as usize).is_some_and(|set| set.contains(&value))
                } else {
                    value <= node.threshold
                };
                let next = node.left + u32::from(!left);
                if next == *at {
                    break;
                }
                *at = next;
            }
        }
        at
    }

    /// Adds the leaves' weights to the rows of `out`.
    #[inline(always)]
    fn collect(&self, at: &[u32], out: &mut [f32]) {
        if self.targets == 1 {
            for (sum, at) in out.iter_mut().zip(at) {
                self.aggregate.add(sum, self.payload[*at as usize]);
            }
            return;
        }
        for (row, at) in out.chunks_exact_mut(self.outputs()).zip(at) {
            let leaf = self.payload[*at as usize].to_bits() as usize;
            let start = if leaf == 0 { 0 } else { self.leaves[leaf - 1] as usize };
            for (target, weight) in &self.weights[start..self.leaves[leaf] as usize] {
                self.aggregate.add_first(&mut row[*target as usize], *weight);
            }
        }
    }
}
