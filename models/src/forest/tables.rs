//! Attributes of an ensemble's ONNX node, typed, with refusals that name them.

use super::branch::Test;
use crate::Refusal;
use crate::contract::{AttributeValue, Node};
use crate::refusal::shown;

/// The attributes of one node.
#[derive(Clone, Copy)]
pub(super) struct Tables<'n, 'a>(pub(super) &'n Node<'a>);

impl<'n, 'a> Tables<'n, 'a> {
    fn wrong(&self, name: &str, expected: &str) -> Refusal {
        Refusal::Argument {
            node: self.0.label(),
            what: format!("attribute {name}"),
            got: if self.0.attribute(name).is_some() { "another type".into() } else { "none".into() },
            expected: expected.into(),
        }
    }

    pub(super) fn ints(&self, name: &str) -> Result<&'n [i64], Refusal> {
        match self.0.attribute(name) {
            Some(AttributeValue::Ints(values)) => Ok(values),
            _ => Err(self.wrong(name, "a list of integers")),
        }
    }

    pub(super) fn ints_or_empty(&self, name: &str) -> Result<&'n [i64], Refusal> {
        if self.0.attribute(name).is_none() { Ok(&[]) } else { self.ints(name) }
    }

    pub(super) fn floats(&self, name: &str) -> Result<&'n [f32], Refusal> {
        match self.0.attribute(name) {
            Some(AttributeValue::Floats(values)) => Ok(values),
            _ => Err(self.wrong(name, "a list of floats (double precision, *_as_tensor, is not evaluated)")),
        }
    }

    pub(super) fn floats_or_empty(&self, name: &str) -> Result<&'n [f32], Refusal> {
        if self.0.attribute(name).is_none() { Ok(&[]) } else { self.floats(name) }
    }

    pub(super) fn strings(&self, name: &str) -> Result<&'n [&'a [u8]], Refusal> {
        match self.0.attribute(name) {
            Some(AttributeValue::Strings(values)) => Ok(values),
            _ => Err(self.wrong(name, "a list of strings")),
        }
    }

    pub(super) fn int(&self, name: &str, default: i64) -> Result<i64, Refusal> {
        match self.0.attribute(name) {
            None => Ok(default),
            Some(AttributeValue::Int(value)) => Ok(*value),
            Some(_) => Err(self.wrong(name, "an integer")),
        }
    }

    pub(super) fn string(&self, name: &str, default: &'static str) -> Result<&'n str, Refusal> {
        match self.0.attribute(name) {
            None => Ok(default),
            Some(AttributeValue::String(value)) => {
                std::str::from_utf8(value).map_err(|_| self.wrong(name, "a UTF-8 string"))
            }
            Some(_) => Err(self.wrong(name, "a string")),
        }
    }

    /// A tensor attribute of floats.
    pub(super) fn float_tensor(&self, name: &str) -> Result<Vec<f32>, Refusal> {
        match self.0.attribute(name) {
            Some(AttributeValue::Tensor(tensor)) => {
                tensor.floats().ok_or_else(|| self.wrong(name, "a tensor of single-precision floats"))
            }
            _ => Err(self.wrong(name, "a tensor")),
        }
    }

    /// A tensor attribute of small integers.
    pub(super) fn int_tensor(&self, name: &str) -> Result<Vec<i64>, Refusal> {
        match self.0.attribute(name) {
            Some(AttributeValue::Tensor(tensor)) => {
                tensor.ints().ok_or_else(|| self.wrong(name, "a tensor of integers"))
            }
            _ => Err(self.wrong(name, "a tensor")),
        }
    }

    /// Refuses lists that are not as long as `expected`.
    pub(super) fn same_length(
        &self,
        reference: &'static str,
        expected: usize,
        lists: &[(&'static str, usize)],
    ) -> Result<(), Refusal> {
        match lists.iter().find(|(_, length)| *length != expected) {
            Some((attribute, got)) => {
                let node = self.0.label();
                Err(Refusal::ListLength { node, attribute, got: *got, reference, expected })
            }
            None => Ok(()),
        }
    }

    pub(super) fn index(&self, attribute: &'static str, got: i64, bound: usize) -> Result<usize, Refusal> {
        usize::try_from(got).ok().filter(|index| *index < bound).ok_or_else(|| Refusal::TreeIndex {
            node: self.0.label(),
            attribute,
            got: got.to_string(),
            expected: format!("0 to {}", bound.saturating_sub(1)),
        })
    }

    pub(super) fn no_leaf(&self, what: String, voted: &[bool], attribute: &'static str) -> Refusal {
        let got = voted.iter().filter(|has_leaf| **has_leaf).count();
        Refusal::NoLeaf { node: self.0.label(), what, got, expected: voted.len(), attribute }
    }

    pub(super) fn unknown(&self, name: &str, got: &str, expected: &str) -> Refusal {
        let what = format!("attribute {name}");
        Refusal::Argument { node: self.0.label(), what, got: shown(got), expected: expected.into() }
    }
}

/// Whether a missing value takes the true branch. Only 1 says so, as in onnxruntime.
pub(super) fn tracks_true(missing: &[i64], row: usize) -> bool {
    missing.get(row) == Some(&1)
}

/// The threshold of a branch, which may be infinite. What stands in the row of a leaf is never read.
pub(super) fn threshold(
    tables: &Tables<'_, '_>,
    attribute: &'static str,
    values: &[f32],
    row: usize,
) -> Result<f32, Refusal> {
    let value = values[row];
    if value.is_nan() {
        return Err(Refusal::NanThreshold { node: tables.0.label(), attribute, index: row });
    }
    Ok(value)
}

pub(super) fn test(tables: &Tables<'_, '_>, mode: &[u8], value: f32) -> Result<Test, Refusal> {
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
