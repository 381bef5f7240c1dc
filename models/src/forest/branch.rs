//! A node of a tree that asks something, and where its answers lead.

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
