//! From lines as they were posted to the numbers that a model reads.

use netprecursor_core::{
    features::COUNT,
    sequence::{STEPS, WIDTH},
    signal::{Signal, Signals},
};

use super::{Problem, line::Line, problem::shown, request::length};

/// The largest signal: a terabyte in a second, or eleven days in µs.
pub(super) const MOST: f64 = 1e12;

/// The columns of a line.
pub(super) struct Columns {
    /// What each is.
    column: &'static str,
    names: Vec<&'static str>,
}

/// A number of a line.
struct Cell<'a> {
    line: &'a str,
    /// As it was written; none where the order says which column it is.
    name: Option<&'a str>,
    column: usize,
    value: f64,
}

impl Cell<'_> {
    /// Its path in the request.
    fn field(&self) -> String {
        match self.name {
            Some(name) => format!("{}.{}", self.line, shown(name)),
            None => format!("{}[{}]", self.line, self.column),
        }
    }
}

impl Columns {
    pub(super) fn new(column: &'static str, names: impl Iterator<Item = &'static str>) -> Self {
        Self { column, names: names.collect() }
    }

    /// The names, in order.
    #[cfg(feature = "schema")]
    pub(super) fn names(&self) -> &[&'static str] {
        &self.names
    }

    /// Rows one after the other, NaN for null.
    pub(super) fn rows(&self, rows: &[Line]) -> Result<Vec<f32>, Problem> {
        let mut all = Vec::with_capacity(rows.len() * COUNT);
        for (place, row) in rows.iter().enumerate() {
            let field = format!("rows[{place}]");
            let mut values = vec![None; self.names.len()];
            self.each(&field, row, |cell| {
                values[cell.column] = Some(cell.value as f32);
                Ok(())
            })?;
            if let Some(missing) = values.iter().position(Option::is_none) {
                return Err(Problem::Missing { field, name: self.names[missing], column: self.column });
            }
            all.extend(values.into_iter().flatten());
        }
        Ok(all)
    }

    /// Sequences one after the other; 0 for a channel that is left out.
    pub(super) fn sequences(&self, sequences: &[Vec<Line>]) -> Result<Vec<f32>, Problem> {
        let mut all = vec![0.0; sequences.len() * STEPS * WIDTH];
        for (place, (sequence, values)) in sequences.iter().zip(all.chunks_exact_mut(STEPS * WIDTH)).enumerate() {
            length(&format!("sequences[{place}]"), sequence.len(), STEPS, STEPS)?;
            for (second, (step, values)) in sequence.iter().zip(values.chunks_exact_mut(WIDTH)).enumerate() {
                self.each(&format!("sequences[{place}][{second}]"), step, |cell| {
                    if cell.value.is_nan() {
                        let expected = "a number: channels have 0 for what was not measured";
                        return Err(Problem::Range { field: cell.field(), got: "null".to_owned(), expected });
                    }
                    values[cell.column] = cell.value as f32;
                    Ok(())
                })?;
            }
        }
        Ok(all)
    }

    /// The seconds of the target at `place`.
    pub(super) fn seconds(&self, place: usize, seconds: &[Line]) -> Result<Vec<Signals>, Problem> {
        let read = |(second, line): (usize, &Line)| -> Result<Signals, Problem> {
            let mut signals = Signals::ABSENT;
            self.each(&format!("signals[{place}][{second}]"), line, |cell| {
                if cell.value < 0.0 || cell.value > MOST {
                    let (got, expected) = (cell.value.to_string(), "0 to 1e12, or null");
                    return Err(Problem::Range { field: cell.field(), got, expected });
                }
                signals.set(Signal::ALL[cell.column], cell.value as f32);
                Ok(())
            })?;
            Ok(signals)
        };
        seconds.iter().enumerate().map(read).collect()
    }

    /// Takes the numbers of a line one by one; those in order are all there.
    fn each(
        &self,
        field: &str,
        line: &Line,
        mut take: impl FnMut(Cell<'_>) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        match line {
            Line::Ordered(values) => {
                let (got, expected) = (values.len(), self.names.len());
                if got != expected {
                    return Err(Problem::Width { field: field.to_owned(), got, expected, column: self.column });
                }
                let mut columns = values.iter().enumerate();
                columns.try_for_each(|(column, value)| take(Cell { line: field, name: None, column, value: *value }))
            }
            Line::Named(values) => values.iter().try_for_each(|(name, value)| {
                let Some(column) = self.names.iter().position(|known| known == name) else {
                    let such = self.names.first().copied().unwrap_or_default();
                    let field = format!("{field}.{}", shown(name));
                    return Err(Problem::Unknown { field, column: self.column, such });
                };
                take(Cell { line: field, name: Some(name), column, value: *value })
            }),
        }
    }
}
