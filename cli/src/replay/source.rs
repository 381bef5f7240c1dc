//! Where seconds that are played come from.

use crate::recording::{Recording, RecordingError, Row};

/// Rows of targets by the second: a recording, or what a program keeps in memory.
pub(crate) trait Source {
    /// Where the float of this name stands in each row.
    fn position(&self, name: &str) -> Option<usize>;

    /// The rows, each target's in the order of their ticks; ends after the first error.
    fn rows(&self) -> impl Iterator<Item = Result<Row, RecordingError>> + '_;
}

impl Source for Recording {
    fn position(&self, name: &str) -> Option<usize> {
        self.floats().iter().position(|float| float == name)
    }

    fn rows(&self) -> impl Iterator<Item = Result<Row, RecordingError>> + '_ {
        Self::rows(self)
    }
}
