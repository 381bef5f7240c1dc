//! CSV: one row a probe or a second, in columns that flags name.

mod cells;
mod columns;

use std::collections::HashMap;

use netprecursor_core::signal::Signal;

use self::{
    cells::Cells,
    columns::{Column, Columns, RowColumns},
};
use super::{
    error::{ImportError, Reason},
    moment::{Moment, TimeUnit},
    number::number,
    rtt,
    second::Second,
    series::SeriesBy,
    shelf::Shelf,
    shown::shown,
    text::Text,
    unit::Unit,
};

/// By how much a mean may exceed its maximum, as a factor and in µs: sources round both.
const ROUNDING: (f32, f32) = (1.1, 50.0);

/// What flags say of a file.
#[derive(Debug, Clone)]
pub(super) struct Spec {
    /// The name of the one series.
    pub(super) series: Option<String>,
    pub(super) series_column: Option<String>,
    pub(super) time: Option<String>,
    pub(super) time_unit: TimeUnit,
    pub(super) rows: Rows,
    pub(super) unit: Option<Unit>,
    pub(super) separator: Option<u8>,
}

/// What a row is, by its columns.
#[derive(Debug, Clone)]
pub(super) enum Rows {
    Unknown,
    Probe { rtt: String },
    Second { max: String, mean: Option<String>, min: Option<String>, count: Option<String> },
}

impl Spec {
    /// Every column that is named.
    fn named(&self) -> Vec<&str> {
        let rows = match &self.rows {
            Rows::Unknown => Vec::new(),
            Rows::Probe { rtt } => vec![Some(rtt)],
            Rows::Second { max, mean, min, count } => vec![Some(max), mean.as_ref(), min.as_ref(), count.as_ref()],
        };
        let others = [self.series_column.as_ref(), self.time.as_ref()];
        others.into_iter().chain(rows).flatten().map(String::as_str).collect()
    }
}

/// Reads a file; `stem` is the name of its series where neither a column nor a flag gives one.
pub(super) fn read(text: &mut Text, spec: &Spec, stem: &str, shelf: &mut Shelf) -> Result<(), ImportError> {
    let header = loop {
        match text.next_line()? {
            Some(line) if line.trim_ascii().is_empty() => {}
            Some(line) => break Columns::find(line, spec),
            None => break Err(Reason::Empty),
        }
    };
    let columns = header.map_err(|reason| text.error(reason))?;
    let mut table = Table {
        comma: columns.separator != b',',
        cells: Cells::new(columns.separator),
        columns,
        spec,
        stem,
        rows: 0,
        repeats: HashMap::new(),
        suspected: None,
    };
    while let Some(line) = text.next_line()? {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let cells = table.cells.cut(line);
        cells.and_then(|cells| table.row(&cells, text, shelf)).map_err(|reason| text.error(reason))?;
    }
    if table.rows == 0 { Err(Reason::NoRows.at(text.path(), text.line() - 1)) } else { Ok(()) }
}

struct Table<'a> {
    columns: Columns,
    cells: Cells,
    spec: &'a Spec,
    stem: &'a str,
    comma: bool,
    rows: u64,
    repeats: HashMap<usize, Repeats>,
    /// The first value of a column that might separate series.
    suspected: Option<String>,
}

/// What shows that a row of a series is there twice.
#[derive(Debug, Default)]
struct Repeats {
    rtt_us: Option<f32>,
    /// Rows in the newest second.
    rows: u64,
    /// Whether every second before had one row.
    is_single: bool,
}

impl Table<'_> {
    fn row(&mut self, cells: &[String], text: &Text, shelf: &mut Shelf) -> Result<(), Reason> {
        let (got, expected) = (cells.len(), self.columns.width);
        if got != expected {
            return Err(Reason::Ragged { got, expected });
        }
        self.rows += 1;
        self.suspect(cells)?;
        let (name, by, column) = match (&self.columns.series, &self.spec.series) {
            (Some(column), _) => (cells[column.at].as_str(), SeriesBy::Column, column.name.as_str()),
            (None, Some(name)) => (name.as_str(), SeriesBy::File, ""),
            (None, None) => (self.stem, SeriesBy::File, ""),
        };
        let place = shelf.place(name, by, text.path(), column)?;
        let time = &self.columns.time;
        let at = Moment::parse(&cells[time.at], self.spec.time_unit, self.comma)
            .map_err(|source| Reason::Time { column: time.name.clone(), source })?;
        let line = text.line();
        match &self.columns.rows {
            RowColumns::Probe { rtt } => {
                let us = self.rtt(cells, rtt)?;
                self.repeats.entry(place).or_default().check(at, us, shelf, place)?;
                shelf.probe(place, at, line, |probes| us.into_iter().for_each(|us| probes.add_rtt(us)))
            }
            RowColumns::Second { max, mean, min, count } => {
                let second = self.second(cells, max, [mean, min, count])?;
                shelf.second(place, at, line, second)
            }
        }
    }

    /// A row of a second; its tick is not known here.
    fn second(&self, cells: &[String], max: &Column, others: [&Option<Column>; 3]) -> Result<Second, Reason> {
        let [mean, min, count] = others;
        let optional = |column: &Option<Column>| column.as_ref().map_or(Ok(None), |column| self.rtt(cells, column));
        let (max_us, mean_us, min_us) = (self.rtt(cells, max)?, optional(mean)?, optional(min)?);
        let count = count.as_ref().map_or(Ok(None), |column| self.count(cells, column, max_us.is_some()))?;
        let ordered = |low, low_us: Option<f32>, high, high_us: Option<f32>| match (low_us, high_us) {
            (Some(low_us), Some(high_us)) if low_us > high_us * ROUNDING.0 + ROUNDING.1 => {
                Err(Reason::Swapped { low, low_us, high, high_us })
            }
            _ => Ok(()),
        };
        ordered("a mean", mean_us, "a maximum", max_us)?;
        ordered("a minimum", min_us, "a maximum", max_us)?;
        ordered("a minimum", min_us, "a mean", mean_us)?;
        let mut second = Second::silent(0);
        if max_us.is_some() {
            for (signal, value) in [
                (Signal::RttMax, max_us),
                (Signal::RttMean, mean_us),
                (Signal::RttMin, min_us),
                (Signal::RttCount, count),
            ] {
                second.set(signal, value.unwrap_or(f32::NAN));
            }
        }
        Ok(second)
    }

    /// A round-trip time in µs; an empty cell is none.
    fn rtt(&self, cells: &[String], column: &Column) -> Result<Option<f32>, Reason> {
        let cell = &cells[column.at];
        if cell.is_empty() {
            return Ok(None);
        }
        let failed = |source| Reason::Rtt { column: format!("column '{}'", column.name), source };
        rtt::parse(cell, self.columns.unit, self.comma).map(Some).map_err(failed)
    }

    fn count(&self, cells: &[String], column: &Column, is_measured: bool) -> Result<Option<f32>, Reason> {
        let cell = &cells[column.at];
        if cell.is_empty() {
            return Ok(None);
        }
        let count = number(cell, self.comma).filter(|count| (0.0..1e9).contains(count) && count.fract() == 0.0);
        let count = count.ok_or_else(|| Reason::Count { column: column.name.clone(), got: shown(cell) })?;
        if count == 0.0 && is_measured {
            return Err(Reason::CountZero { column: column.name.clone() });
        }
        Ok(Some(count as f32))
    }

    /// Refuses a second value in a column whose name suggests that it separates series.
    fn suspect(&mut self, cells: &[String]) -> Result<(), Reason> {
        let Some(Column { name, at }) = &self.columns.suspect else { return Ok(()) };
        let got = &cells[*at];
        let first = self.suspected.get_or_insert_with(|| got.clone());
        if first == got {
            return Ok(());
        }
        let (what, first) = (shown(name), shown(first));
        let fix = format!("give --series-column '{name}', or --series NAME if it is one series all the same");
        Err(Reason::Mixed { what, first, got: shown(got), fix })
    }
}

impl Repeats {
    /// Refuses a probe that is there twice: the same time to a fraction of a second and the same round-trip time. Whole
    /// seconds may hold several probes that took equally long, unless every second before had one.
    fn check(&mut self, at: Moment, rtt_us: Option<f32>, shelf: &Shelf, place: usize) -> Result<(), Reason> {
        let series = shelf.series(place);
        let Some((last, first)) = series.last() else {
            *self = Self { rtt_us, rows: 1, is_single: true };
            return Ok(());
        };
        let is_new = last.second() != at.second();
        if is_new {
            self.is_single &= self.rows == 1;
            self.rows = 0;
        }
        let is_certain = !at.is_whole() || (self.is_single && self.rows == 1 && series.len() > 1);
        if last == at && self.rtt_us == rtt_us && is_certain {
            return Err(Reason::SameRow { series: series.shown(), first });
        }
        self.rows += 1;
        self.rtt_us = rtt_us;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
