//! What is wrong with a request.

use netprecursor_core::window::PushError;

use super::request::Form;
use crate::{Reads, Refusal, ScoreError};

/// Letters of a name that a message repeats.
const SHOWN: usize = 80;

/// Characters of a reason that are shown.
const LONGEST_REASON: usize = 400;

/// Why a request is not scored.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Problem {
    /// The body is not what a request is made of.
    #[error("{reason}")]
    Malformed {
        /// Where; empty for the body as a whole.
        field: String,
        /// What was got and what was expected.
        reason: String,
    },
    /// No model of this name ships.
    #[error("got model {got:?}, expected one of {known}")]
    Model {
        /// The name.
        got: String,
        /// Those that there are.
        known: String,
    },
    /// Nothing to score, or several things.
    #[error("got {got} of rows, sequences and signals, expected one of them")]
    Forms {
        /// How many.
        got: usize,
    },
    /// The model reads something else.
    #[error("got {} for {model}, expected {}", got.name(), expected_of(*expected))]
    Form {
        /// The model.
        model: String,
        /// What was posted.
        got: Form,
        /// What the model reads.
        expected: Reads,
    },
    /// An empty or too long list.
    #[error("got {got} of {field}, expected {}", span(*least, *most))]
    Length {
        /// The list.
        field: String,
        /// Its length.
        got: usize,
        /// The least that may be there.
        least: usize,
        /// The most.
        most: usize,
    },
    /// Numbers in order that are too few or too many.
    #[error("got {got} numbers in {field}, expected {expected}: one for each {column} in the order of the schema")]
    Width {
        /// The line.
        field: String,
        /// How many.
        got: usize,
        /// How many it takes.
        expected: usize,
        /// What each is.
        column: &'static str,
    },
    /// A number by a name that nothing has.
    #[error("got {field}, expected the name of a {column} of the schema, such as {such}")]
    Unknown {
        /// Line and name.
        field: String,
        /// What has such names.
        column: &'static str,
        /// One of them.
        such: &'static str,
    },
    /// A number that is not there.
    #[error("got no {name} in {field}, expected every {column}: null for what was not measured")]
    Missing {
        /// The line.
        field: String,
        /// The name.
        name: &'static str,
        /// What it is.
        column: &'static str,
    },
    /// A number outside of what the column can have.
    #[error("got {got} in {field}, expected {expected}")]
    Range {
        /// Line and column.
        field: String,
        /// The number.
        got: String,
        /// What it may be.
        expected: &'static str,
    },
    /// A model of the release that does not load, which a test rules out.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Lines of another width than was checked: a defect.
    #[error(transparent)]
    Score(#[from] ScoreError),
    /// Seconds out of order: a defect.
    #[error(transparent)]
    Order(#[from] PushError),
}

impl Problem {
    /// The field of the request that is wrong; empty when it is the body as a whole. `None`: the request is right, and the
    /// program is not.
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Malformed { field, .. }
            | Self::Length { field, .. }
            | Self::Width { field, .. }
            | Self::Unknown { field, .. }
            | Self::Missing { field, .. }
            | Self::Range { field, .. } => Some(field),
            Self::Model { .. } => Some("model"),
            Self::Forms { .. } => Some(""),
            Self::Form { got, .. } => Some(got.name()),
            Self::Refused(_) | Self::Score(_) | Self::Order(_) => None,
        }
    }
}

/// What a forecaster can be given.
const fn expected_of(reads: Reads) -> &'static str {
    match reads {
        Reads::Rows => "rows or signals",
        Reads::Sequences => "sequences or signals",
        Reads::Windows => "signals",
    }
}

/// `1 to 100`, or one number.
fn span(least: usize, most: usize) -> String {
    if least == most { most.to_string() } else { format!("{least} to {most}") }
}

/// The beginning of what somebody wrote.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

/// A reason as it is shown: it may quote all that was posted.
pub(super) fn cut(reason: &str) -> String {
    match reason.char_indices().nth(LONGEST_REASON) {
        Some((at, _)) => format!("{}…", reason.get(..at).unwrap_or_default()),
        None => reason.to_owned(),
    }
}
