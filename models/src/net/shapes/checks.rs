//! What all operators check: attributes, axes and shapes side by side.

use std::ops::RangeInclusive;

use crate::Refusal;
use crate::contract::Node;
use crate::refusal::shown;

/// Refuses attributes that are not among those known: what is not checked must not reach tract.
pub(super) fn plain(node: &Node<'_>, known: &[&str]) -> Result<(), Refusal> {
    match node.attributes.iter().find(|attribute| !known.contains(&attribute.name)) {
        Some(attribute) => Err(node.refuse(&format!("attribute {}", shown(attribute.name)), "the default")),
        None => Ok(()),
    }
}

pub(super) fn inputs(node: &Node<'_>, expected: RangeInclusive<usize>) -> Result<(), Refusal> {
    if expected.contains(&node.inputs.len()) {
        return Ok(());
    }
    Err(node.refuse(&format!("{} inputs", node.inputs.len()), "the inputs that the operator needs"))
}

/// An axis, negative ones from the end.
pub(super) fn axis(node: &Node<'_>, axis: i64, rank: usize) -> Result<usize, Refusal> {
    let size = i64::try_from(rank).unwrap_or(i64::MAX);
    let wrapped = if axis < 0 { axis.saturating_add(size) } else { axis };
    let found = usize::try_from(wrapped).ok().filter(|axis| *axis < rank);
    found.ok_or_else(|| shape(node, format!("axis {axis}"), format!("an axis of {rank} dimensions")))
}

/// The shape of two values side by side, as NumPy broadcasts.
pub(super) fn wider(node: &Node<'_>, left: &[usize], right: &[usize]) -> Result<Vec<usize>, Refusal> {
    let rank = left.len().max(right.len());
    let at = |dims: &[usize], position: usize| (position + dims.len()).checked_sub(rank).map_or(1, |at| dims[at]);
    let side_by_side = |position| match (at(left, position), at(right, position)) {
        (one, other) if one == other => Ok(one),
        (1, other) => Ok(other),
        (one, 1) => Ok(one),
        _ => Err(shape(node, format!("{left:?} and {right:?}"), "shapes that fit side by side".into())),
    };
    (0..rank).map(side_by_side).collect()
}

pub(super) fn shape(node: &Node<'_>, got: String, expected: String) -> Refusal {
    Refusal::Shape { place: format!("node {}", node.label()), got, expected }
}
