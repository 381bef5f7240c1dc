//! How the sums of a classifier's trees become scores and a class. The standard leaves open what two classes mean when
//! leaves vote for one of them only; there onnxruntime is followed, and what it computes from values that it never set,
//! or leaves out, is refused. The class is named by its label always (onnxruntime calls two classes 0 and 1 when both
//! are voted for and labels are numbers).

use serde::{Deserialize, Serialize};

use super::tables::Tables;
use super::transform::{PostTransform, logistic};
use crate::Refusal;
use crate::contract::{AttributeValue, Node, limits};
use crate::refusal::shown;

/// The names of classes, by position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Labels {
    /// Numbers.
    Ints(Vec<i64>),
    /// Words.
    Strings(Vec<String>),
}

/// What a classifier makes of a row's sums.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Classes {
    /// Empty, one per class, or of two classes one for the first.
    base: Vec<f32>,
    transform: PostTransform,
    /// Of two classes, all leaves vote for the same one: what it has decides for both.
    one_voted: bool,
    /// Then, whether its votes are chances rather than odds.
    chances: bool,
}

impl Labels {
    /// The class names of a classifier.
    ///
    /// # Errors
    /// [`Refusal::Argument`] unless there are at least two, as numbers or as strings.
    pub(crate) fn read(node: &Node<'_>) -> Result<Self, Refusal> {
        let ints = node.attribute("classlabels_int64s");
        let labels = match (ints, node.attribute("classlabels_strings")) {
            (Some(AttributeValue::Ints(values)), None) => Some(Self::Ints(values.clone())),
            (None, Some(AttributeValue::Strings(values))) => {
                let words = values.iter().map(|word| std::str::from_utf8(word).ok().map(str::to_owned));
                words.collect::<Option<Vec<_>>>().map(Self::Strings)
            }
            _ => None,
        };
        let expected = format!("classlabels_int64s or classlabels_strings, 2 to {} of them", limits::ENTRIES);
        labels.filter(|labels| (2..=limits::ENTRIES).contains(&labels.len())).ok_or_else(|| Refusal::Argument {
            node: node.label(),
            what: "the class labels".into(),
            got: "none, one, too many, both kinds, or no UTF-8".into(),
            expected,
        })
    }

    /// Refuses classes that no leaf votes for. Of two classes, one is enough: the other is its opposite.
    pub(super) fn have_leaves(
        &self,
        tables: &Tables<'_, '_>,
        voted: &[bool],
        attribute: &'static str,
    ) -> Result<(), Refusal> {
        let Some(class) = voted.iter().position(|has_leaf| !has_leaf) else { return Ok(()) };
        if voted.len() == 2 && voted.contains(&true) {
            return Ok(());
        }
        let name = match self {
            Self::Ints(names) => names[class].to_string(),
            Self::Strings(names) => format!("\"{}\"", shown(&names[class])),
        };
        Err(tables.no_leaf(format!("class {name}"), voted, attribute))
    }

    /// How many.
    pub const fn len(&self) -> usize {
        match self {
            Self::Ints(values) => values.len(),
            Self::Strings(values) => values.len(),
        }
    }

    /// True when there is none, which no model that loads has.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Classes {
    /// Of `votes`, the (class, weight) pairs of all leaves.
    pub(super) fn read<'v>(
        tables: &Tables<'_, '_>,
        count: usize,
        votes: impl Iterator<Item = &'v (usize, f32)> + Clone,
        transform: PostTransform,
    ) -> Result<Self, Refusal> {
        let base = tables.floats_or_empty("base_values")?.to_vec();
        let first = votes.clone().next().map(|(class, _)| *class);
        let one_voted = count == 2 && first.is_some() && votes.clone().all(|(class, _)| Some(*class) == first);
        let chances = votes.clone().all(|(_, weight)| *weight >= 0.0);
        let expected = match count {
            2 if one_voted && first == Some(0) => 1,
            2 => 0,
            _ => count,
        };
        if !base.is_empty() {
            tables.same_length("what the classes can use of base_values", expected, &[("base_values", base.len())])?;
        }
        if count == 2 && transform == PostTransform::Probit {
            return Err(tables.unknown("post_transform", "PROBIT", "another one for two classes"));
        }
        Ok(Self { base, transform, one_voted, chances })
    }

    /// Turns sums, NaN where no leaf voted, into scores, and puts the position of the class into the last column.
    pub(super) fn finish(&self, row: &mut [f32]) {
        let Some((class, scores)) = row.split_last_mut() else { return };
        // Positions are below 4096: exact.
        *class = match scores {
            [first, second] => self.two(first, second),
            _ => self.several(scores),
        } as f32;
    }

    fn several(&self, scores: &mut [f32]) -> usize {
        for (score, base) in scores.iter_mut().zip(&self.base) {
            *score = voted(*score) + base;
        }
        let mut best: Option<(usize, f32)> = None;
        for (class, score) in scores.iter_mut().enumerate() {
            if !score.is_nan() && best.is_none_or(|(_, most)| *score > most) {
                best = Some((class, *score));
            }
            *score = voted(*score);
        }
        self.transform.apply(scores);
        best.map_or(0, |(class, _)| class)
    }

    fn two(&self, first: &mut f32, second: &mut f32) -> usize {
        let both = !second.is_nan();
        let (one, other) = (voted(*first) + self.base.first().copied().unwrap_or_default(), voted(*second));
        let votes = if both { other } else { one };
        let certain = self.one_voted && self.chances;
        let mut scores = match (both, self.transform) {
            (true, _) => [one, other],
            (false, PostTransform::Logistic) => [logistic(-one), logistic(one)],
            (false, _) if certain => [1.0 - one, one],
            (false, _) => [-one, one],
        };
        if both {
            self.transform.apply(&mut scores);
        }
        [*first, *second] = scores;
        usize::from(votes > if certain { 0.5 } else { 0.0 })
    }
}

/// A sum, zero where no leaf voted.
const fn voted(sum: f32) -> f32 {
    if sum.is_nan() { 0.0 } else { sum }
}
