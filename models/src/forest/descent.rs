//! From the roots downwards: that trees are trees, and which leaves they lead to.

use super::branch::{Branch, Child};

/// Which branches a descent has seen. Exporters share subtrees (LightGBM's categories), so a second visit alone is no
/// cycle; one to a branch that is still open is.
pub(super) struct Colours(Vec<Colour>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colour {
    Unseen,
    Open,
    Closed,
}

impl Colours {
    pub(super) fn new(branches: usize) -> Self {
        Self(vec![Colour::Unseen; branches])
    }

    pub(super) fn first_unseen(&self) -> Option<usize> {
        self.0.iter().position(|colour| *colour == Colour::Unseen)
    }

    /// Descends from a root without recursion; the error is a branch on a cycle.
    pub(super) fn descend(&mut self, branches: &[Branch], root: Child) -> Result<(), usize> {
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

/// The leaves that some root leads to, shared ones more than once; `colours` has descended from every root.
pub(super) fn leaves(branches: &[Branch], roots: &[Child], colours: &Colours) -> impl Iterator<Item = usize> {
    let seen = branches.iter().zip(&colours.0).filter(|(_, colour)| **colour != Colour::Unseen);
    let children = seen.flat_map(|(branch, _)| [branch.yes, branch.no]);
    roots.iter().copied().chain(children).filter_map(|child| match child {
        Child::Leaf(index) => Some(index),
        Child::Branch(_) => None,
    })
}

const fn branch_of(child: Child) -> Option<usize> {
    match child {
        Child::Branch(index) => Some(index),
        Child::Leaf(_) => None,
    }
}
