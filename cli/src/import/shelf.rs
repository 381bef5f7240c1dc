//! All series of an import by name, bounded in number and size.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use super::{
    error::Reason,
    moment::Moment,
    second::{Probes, Second},
    series::{Series, SeriesBy, Whole},
    shown::shown,
};

/// Series of one import.
const MAX_SERIES: usize = 10_000;
/// Seconds of one import, 480 MB of memory: 115 days.
const MAX_SECONDS: usize = 10_000_000;
/// Bytes of a name: with `.parquet` behind it and room for a suffix, a file can have it.
const MAX_NAME: usize = 200;

/// The series read so far.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    series: Vec<(Series, PathBuf)>,
    places: HashMap<String, usize>,
    seconds: usize,
}

impl Shelf {
    /// The place of a series of this file, which is made at its first row.
    pub(super) fn place(&mut self, name: &str, by: SeriesBy, file: &Path, column: &str) -> Result<usize, Reason> {
        if let Some(place) = self.places.get(name) {
            let other = &self.series[*place].1;
            if other != file {
                return Err(Reason::TwoFiles { name: shown(name), other: other.clone() });
            }
            return Ok(*place);
        }
        is_name(name)?;
        if self.series.len() >= MAX_SERIES {
            return Err(Reason::ManySeries { limit: MAX_SERIES, column: column.to_owned() });
        }
        self.series.push((Series::new(name.to_owned(), by), file.to_owned()));
        self.places.insert(name.to_owned(), self.series.len() - 1);
        Ok(self.series.len() - 1)
    }

    /// The series at a place.
    pub(super) fn series(&self, place: usize) -> &Series {
        &self.series[place].0
    }

    /// See [`Series::probe`].
    pub(super) fn probe(
        &mut self,
        place: usize,
        at: Moment,
        line: u64,
        add: impl FnOnce(&mut Probes),
    ) -> Result<(), Reason> {
        let is_new = self.series[place].0.probe(at, line, add)?;
        self.count(usize::from(is_new))
    }

    /// See [`Series::second`].
    pub(super) fn second(&mut self, place: usize, at: Moment, line: u64, second: Second) -> Result<(), Reason> {
        self.series[place].0.second(at, line, second)?;
        self.count(1)
    }

    fn count(&mut self, seconds: usize) -> Result<(), Reason> {
        self.seconds += seconds;
        if self.seconds > MAX_SECONDS { Err(Reason::Long { limit: MAX_SECONDS }) } else { Ok(()) }
    }

    /// Every series, whole, with the file that it came from, in the order of their first rows; or why one cannot be.
    pub(super) fn close(self) -> impl Iterator<Item = (PathBuf, Result<Whole, Reason>)> {
        self.series.into_iter().map(|(series, file)| (file, series.close()))
    }
}

fn is_name(name: &str) -> Result<(), Reason> {
    if name.is_empty() {
        return Err(Reason::NoName);
    }
    let is_file = !name.starts_with('.')
        && name.len() <= MAX_NAME
        && !name.chars().any(|letter| letter == '/' || letter == '\u{fffd}' || letter.is_control());
    if is_file { Ok(()) } else { Err(Reason::Name { got: shown(name), limit: MAX_NAME }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_named_as_a_file_can_be() {
        for good in ["a", "2024-12-12-10-07-00-starlink", "n8 v60 (all)", "ü"] {
            assert!(is_name(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", ".hidden", "a/b", "/", "a\nb", "a\0b", "a\u{fffd}", &"x".repeat(201)] {
            assert!(is_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_series_of_two_files_is_refused_by_both_names() {
        let mut shelf = Shelf::default();
        let place = |shelf: &mut Shelf, file: &str| shelf.place("a", SeriesBy::File, Path::new(file), "c");
        assert_eq!((place(&mut shelf, "1.csv").unwrap(), place(&mut shelf, "1.csv").unwrap()), (0, 0));
        let error = place(&mut shelf, "2.csv").unwrap_err().to_string();
        assert!(error.contains("series 'a' also in 1.csv"), "{error}");
    }

    #[test]
    fn series_are_bounded_in_number() {
        let mut shelf = Shelf::default();
        let mut place = |name: usize| shelf.place(&name.to_string(), SeriesBy::Column, Path::new("a"), "rtt");
        assert!((0..MAX_SERIES).all(|name| place(name).is_ok()));
        assert!(place(MAX_SERIES).unwrap_err().to_string().contains("is rtt the column of names?"));
    }
}
