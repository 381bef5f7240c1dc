//! What may be posted.

use netprecursor_core::policy::MAX_THRESHOLD_US;
use serde::Deserialize;

use super::{
    Problem, ROWS, SECONDS, SEQUENCES, TARGETS,
    line::{Line, Number},
    problem::{cut, shown},
};

/// What is to be scored, and with which model. Exactly one of `rows`, `sequences` and `signals` is there.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(rename = "DetectRequest"))]
pub struct Request {
    /// The name of a model that ships.
    #[cfg_attr(feature = "schema", schemars(extend("enum" = crate::builtin::names().collect::<Vec<_>>())))]
    model: String,
    /// A threshold in µs: with it each forecast has the chance that the next ten seconds exceed it.
    #[cfg_attr(feature = "schema", schemars(with = "Option<f32>", range(min = 1.0, max = 900_000_000.0)))]
    threshold_us: Option<Number>,
    /// Rows of features for a forest, each with every feature of `core/schema.json`, by name or in order; null is missing.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(schema_with = "super::schema::rows"))]
    rows: Option<Vec<Line>>,
    /// Sequences for a net: 60 seconds each, oldest first, of the channels of `core/schema.json`, by name or in order. A channel
    /// that a second leaves out is 0.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(schema_with = "super::schema::sequences"))]
    sequences: Option<Vec<Vec<Line>>>,
    /// Signals of targets for any model: up to an hour each, second by second, oldest first, by name or in the order of the
    /// stream. What a second leaves out, or has null, was not measured.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(schema_with = "super::schema::signals"))]
    signals: Option<Vec<Vec<Line>>>,
}

/// What can be scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Rows of features.
    Rows,
    /// Sequences.
    Sequences,
    /// Signals of targets.
    Signals,
}

impl Form {
    /// The field that has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Sequences => "sequences",
            Self::Signals => "signals",
        }
    }
}

/// The one thing that was posted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Posted<'a> {
    Rows(&'a [Line]),
    Sequences(&'a [Vec<Line>]),
    Signals(&'a [Vec<Line>]),
}

impl Posted<'_> {
    pub(super) const fn form(self) -> Form {
        match self {
            Self::Rows(_) => Form::Rows,
            Self::Sequences(_) => Form::Sequences,
            Self::Signals(_) => Form::Signals,
        }
    }
}

impl Request {
    /// Reads a body.
    ///
    /// # Errors
    /// [`Problem::Malformed`] with the path of what is wrong.
    pub fn read(body: &[u8]) -> Result<Self, Problem> {
        // Fields in order without their names are no request, though the library would take them.
        if body.trim_ascii_start().first() != Some(&b'{') {
            let reason = "got another value, or none, expected an object in JSON".to_owned();
            return Err(Problem::Malformed { field: String::new(), reason });
        }
        let mut json = serde_json::Deserializer::from_slice(body);
        let read: Self = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let field = error.path().to_string();
            // The library's word for the whole.
            let field = if field == "." { String::new() } else { shown(&field) };
            Problem::Malformed { field, reason: cut(&error.inner().to_string()) }
        })?;
        json.end().map_err(|error| Problem::Malformed { field: String::new(), reason: error.to_string() })?;
        Ok(read)
    }

    /// The model's name.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The threshold.
    pub(super) fn threshold_us(&self) -> Result<Option<f32>, Problem> {
        match self.threshold_us {
            Some(Number(us)) if !(1.0..=MAX_THRESHOLD_US as f64).contains(&us) => Err(Problem::Range {
                field: "thresholdUs".to_owned(),
                got: us.to_string(),
                expected: "1 µs to 900 s, in µs",
            }),
            threshold => Ok(threshold.map(|Number(us)| us as f32)),
        }
    }

    /// What is to be scored.
    pub(super) fn posted(&self) -> Result<Posted<'_>, Problem> {
        let rows = self.rows.as_deref().map(Posted::Rows);
        let sequences = self.sequences.as_deref().map(Posted::Sequences);
        let signals = self.signals.as_deref().map(Posted::Signals);
        let found: Vec<Posted<'_>> = [rows, sequences, signals].into_iter().flatten().collect();
        let [posted] = found.as_slice() else { return Err(Problem::Forms { got: found.len() }) };
        match posted {
            Posted::Rows(rows) => length("rows", rows.len(), 1, ROWS)?,
            Posted::Sequences(sequences) => length("sequences", sequences.len(), 1, SEQUENCES)?,
            Posted::Signals(targets) => {
                length("signals", targets.len(), 1, TARGETS)?;
                for (place, seconds) in targets.iter().enumerate() {
                    length(&format!("signals[{place}]"), seconds.len(), 1, SECONDS)?;
                }
            }
        }
        Ok(*posted)
    }
}

/// Refuses a list of a length that is not expected.
pub(super) fn length(field: &str, got: usize, least: usize, most: usize) -> Result<(), Problem> {
    if (least..=most).contains(&got) {
        return Ok(());
    }
    Err(Problem::Length { field: field.to_owned(), got, least, most })
}
