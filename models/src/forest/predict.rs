//! Rows through trees: one tree at a time over a block of rows, so that its nodes stay in the first-level cache and the
//! processor overlaps the rows' loads.

use super::Forest;
use super::layout::{Slot, Tree};

/// Rows that walk through a tree together.
const LANES: usize = 16;

impl Forest {
    /// Predicts `out.len() / targets` rows of `width` columns into `out`, row by row. Allocates nothing.
    ///
    /// Rows or columns that are not there (`rows` too short, `width` below [`Forest::columns`]) leave `out` untouched;
    /// the plan has checked both.
    pub fn predict(&self, rows: &[f32], width: usize, out: &mut [f32]) {
        let count = out.len() / self.targets;
        if width < self.columns.max(1) || rows.len() < count * width {
            return;
        }
        out.fill(self.aggregate.start(self.targets));
        for (rows, out) in rows.chunks(LANES * width).zip(out.chunks_mut(LANES * self.targets)) {
            let has_missing = rows.iter().any(|value| value.is_nan());
            for tree in &self.trees {
                let at = match (tree.exact, has_missing) {
                    (true, _) => self.walk_exact(tree, rows, width),
                    (false, true) => self.walk::<true>(tree, rows, width),
                    (false, false) => self.walk::<false>(tree, rows, width),
                };
                self.collect(&at, out);
            }
            for row in out.chunks_exact_mut(self.targets) {
                for (target, value) in row.iter_mut().enumerate() {
                    let base = self.base.get(target).copied().unwrap_or_default();
                    *value = self.aggregate.finish(*value, self.trees.len(), base, self.targets);
                }
                self.transform.apply(row);
            }
        }
    }

    /// The leaves that up to [`LANES`] rows end in. Lanes without a row repeat the last one.
    #[inline(always)]
    fn walk<const MISSING: bool>(&self, tree: &Tree, rows: &[f32], width: usize) -> [u32; LANES] {
        let mut at = [tree.root; LANES];
        let last = rows.len() / width - 1;
        let starts: [usize; LANES] = std::array::from_fn(|lane| lane.min(last) * width);
        for _ in 0..tree.depth {
            for lane in 0..LANES {
                let node = &self.nodes[at[lane] as usize];
                let value = rows[starts[lane] + node.feature as usize];
                let missing_left = MISSING && value.is_nan() && node.flags & Slot::MISSING_LEFT != 0;
                let left = (value <= node.threshold) | missing_left;
                at[lane] = node.left + u32::from(!left);
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
    fn collect(&self, at: &[u32; LANES], out: &mut [f32]) {
        if self.targets == 1 {
            for (sum, at) in out.iter_mut().zip(at) {
                self.aggregate.add(sum, self.payload[*at as usize]);
            }
            return;
        }
        for (row, at) in out.chunks_exact_mut(self.targets).zip(at) {
            let leaf = self.payload[*at as usize].to_bits() as usize;
            let start = if leaf == 0 { 0 } else { self.leaves[leaf - 1] as usize };
            for (target, weight) in &self.weights[start..self.leaves[leaf] as usize] {
                self.aggregate.add_first(&mut row[*target as usize], *weight);
            }
        }
    }
}
