//! The columns of a table.

use super::{Rows, Spec, cells::Cells};
use crate::import::{error::Reason, number::number, shown::shown, unit::Unit};

/// The separators tried where none is given.
const SEPARATORS: [u8; 4] = *b",;\t|";
/// Names that are shown at most.
const SHOWN: usize = 20;
/// Names of columns that separate series, where no flag names one.
const KINDS: [&str; 14] = [
    "series",
    "target",
    "host",
    "hostname",
    "dst",
    "dest",
    "destination",
    "server",
    "peer",
    "instance",
    "pod",
    "path",
    "link",
    "run",
];

/// A column by its name and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) at: usize,
}

/// The columns that are read.
#[derive(Debug)]
pub(super) struct Columns {
    pub(super) separator: u8,
    pub(super) width: usize,
    pub(super) series: Option<Column>,
    /// A column that separates series by its name, though no flag names it.
    pub(super) suspect: Option<Column>,
    pub(super) time: Column,
    pub(super) rows: RowColumns,
    pub(super) unit: Unit,
}

/// What a row holds.
#[derive(Debug)]
pub(super) enum RowColumns {
    Probe { rtt: Column },
    Second { max: Column, mean: Option<Column>, min: Option<Column>, count: Option<Column> },
}

impl Columns {
    /// Finds the columns of a header line.
    pub(super) fn find(line: &[u8], spec: &Spec) -> Result<Self, Reason> {
        let named = spec.named();
        let (separator, header) = cut(line, spec.separator, &named)?;
        let header = Header { names: &header, separator, named: named.len() };
        let there = || header.there();
        let time = match &spec.time {
            Some(name) => header.column(name, "--time-column")?,
            None => {
                return Err(Reason::NoColumn {
                    option: "--time-column",
                    expected: "the column of times",
                    there: there(),
                });
            }
        };
        let optional =
            |name: &Option<String>, option| name.as_deref().map(|name| header.column(name, option)).transpose();
        let series = optional(&spec.series_column, "--series-column")?;
        let rows = match &spec.rows {
            Rows::Unknown => {
                let expected = "the column of round-trip times: --rtt-column for one row a probe, --rtt-max-column for one row a second";
                return Err(Reason::NoColumn { option: "--rtt-column", expected, there: there() });
            }
            Rows::Probe { rtt } => RowColumns::Probe { rtt: header.column(rtt, "--rtt-column")? },
            Rows::Second { max, mean, min, count } => RowColumns::Second {
                max: header.column(max, "--rtt-max-column")?,
                mean: optional(mean, "--rtt-mean-column")?,
                min: optional(min, "--rtt-min-column")?,
                count: optional(count, "--count-column")?,
            },
        };
        let rtt = rows.first();
        let unit = spec.unit.ok_or_else(|| Reason::NoUnit { column: rtt.name.clone() })?;
        let is_kind = |name: &String| KINDS.iter().any(|kind| name.eq_ignore_ascii_case(kind));
        let suspect = header.names.iter().position(is_kind).filter(|_| series.is_none() && spec.series.is_none());
        let suspect = suspect.map(|at| Column { name: header.names[at].clone(), at });
        let columns = Self { separator, width: header.names.len(), series, suspect, time, rows, unit };
        columns.is_sound(spec)?;
        Ok(columns)
    }

    /// Each column with the option that names it.
    fn options(&self) -> Vec<(&'static str, &Column)> {
        let mut options = vec![("--time-column", &self.time)];
        options.extend(self.series.iter().map(|column| ("--series-column", column)));
        match &self.rows {
            RowColumns::Probe { rtt } => options.push(("--rtt-column", rtt)),
            RowColumns::Second { max, mean, min, count } => {
                options.push(("--rtt-max-column", max));
                options.extend(mean.iter().map(|column| ("--rtt-mean-column", column)));
                options.extend(min.iter().map(|column| ("--rtt-min-column", column)));
                options.extend(count.iter().map(|column| ("--count-column", column)));
            }
        }
        options
    }

    /// One column is one thing, and its name does not contradict its unit.
    fn is_sound(&self, spec: &Spec) -> Result<(), Reason> {
        let options = self.options();
        for (position, (second, column)) in options.iter().enumerate() {
            if let Some((first, _)) = options[..position].iter().find(|(_, other)| other.at == column.at) {
                return Err(Reason::Shared { name: shown(&column.name), first, second });
            }
            let (option, unit) = match *second {
                "--time-column" => ("--time-unit", spec.time_unit.unit()),
                "--rtt-column" | "--rtt-max-column" | "--rtt-mean-column" | "--rtt-min-column" => {
                    ("--unit", Some(self.unit))
                }
                _ => continue,
            };
            if let (Some(unit), Some(named)) = (unit, Unit::of_name(&column.name))
                && unit != named
            {
                let (given, named) = (unit.name(), named.name());
                return Err(Reason::UnitByName { option, given, column: shown(&column.name), named });
            }
        }
        Ok(())
    }
}

impl RowColumns {
    const fn first(&self) -> &Column {
        match self {
            Self::Probe { rtt } => rtt,
            Self::Second { max, .. } => max,
        }
    }
}

struct Header<'a> {
    names: &'a [String],
    separator: u8,
    named: usize,
}

impl Header<'_> {
    fn column(&self, name: &str, option: &'static str) -> Result<Column, Reason> {
        let found: Vec<usize> = (0..self.names.len()).filter(|at| self.names[*at] == name.trim()).collect();
        match found.as_slice() {
            [at] => Ok(Column { name: name.trim().to_owned(), at: *at }),
            [] => Err(self.missing(name, option)),
            several => Err(Reason::Ambiguous { name: shown(name), times: several.len() }),
        }
    }

    fn missing(&self, name: &str, option: &'static str) -> Reason {
        if self.names.iter().any(|name| number(name, false).is_some()) {
            return Reason::NoHeader { got: self.there() };
        }
        if let ([one], true) = (self.names, self.named > 1) {
            let other = SEPARATORS.iter().find(|separator| one.as_bytes().contains(separator));
            let hint = other.map(|other| format!(", such as '{}'", char::from(*other))).unwrap_or_default();
            let separator = char::from(self.separator);
            return Reason::Separator { got: shown(one), expected: self.named, separator, hint };
        }
        let plain =
            |text: &str| text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>();
        let wanted = plain(name);
        let is_near = |other: &&String| {
            let other = plain(other);
            !wanted.is_empty() && !other.is_empty() && (other.contains(&wanted) || wanted.contains(&other))
        };
        let nearest = self.names.iter().filter(is_near).max_by_key(|near| near.len());
        let nearest = nearest.map(|near| format!(", for example {option} '{}'", shown(near))).unwrap_or_default();
        Reason::Missing { name: shown(name), option, there: self.there(), nearest }
    }

    fn there(&self) -> String {
        let names: Vec<String> = self.names.iter().take(SHOWN).map(|name| shown(name)).collect();
        format!("{}{}", names.join(", "), if self.names.len() > SHOWN { ", …" } else { "" })
    }
}

/// The separator and the cells of a header: as given, else the first with which all named columns are there.
fn cut(line: &[u8], given: Option<u8>, named: &[&str]) -> Result<(u8, Vec<String>), Reason> {
    let with = |separator| Cells::new(separator).cut(line).map(|cells| (separator, cells));
    if let Some(separator) = given {
        return with(separator);
    }
    let fits =
        |cells: &[String]| !named.is_empty() && named.iter().all(|name| cells.iter().any(|cell| cell == name.trim()));
    let mut tries: Vec<_> = SEPARATORS.into_iter().filter_map(|separator| with(separator).ok()).collect();
    match tries.iter().position(|(_, cells)| fits(cells)) {
        Some(fitting) => Ok(tries.swap_remove(fitting)),
        // None does: the one that makes the most of the line, so that its names can be shown.
        None => tries.into_iter().rev().max_by_key(|(_, cells)| cells.len()).ok_or(Reason::Quote),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::csv::tests::{probes, seconds};

    fn refused(line: &str, spec: &Spec) -> String {
        Columns::find(line.as_bytes(), spec).unwrap_err().to_string()
    }

    #[test]
    fn columns_are_found_by_name_and_the_separator_by_the_names() {
        for (line, separator) in [
            ("series,t,rtt_max_ms,n", b','),
            ("n;rtt_max_ms;t", b';'),
            ("\"t\"\trtt_max_ms\tx", b'\t'),
            ("rtt_max_ms| t", b'|'),
        ] {
            let columns = Columns::find(line.as_bytes(), &seconds("t", "rtt_max_ms")).unwrap();
            assert_eq!(columns.separator, separator, "{line}");
            assert_eq!((columns.time.name.as_str(), columns.rows.first().name.as_str()), ("t", "rtt_max_ms"));
        }
    }

    #[test]
    fn a_missing_column_names_those_that_are_there_and_the_nearest() {
        let error = refused("Time,RTT_max_ms,n", &seconds("time", "rtt_max"));
        assert!(
            error.contains("'time'") && error.contains("Time, RTT_max_ms, n") && error.contains("--time-column 'Time'"),
            "{error}"
        );
        let error = refused("a,b", &Spec { time: None, ..seconds("t", "r") });
        assert!(error.contains("no --time-column") && error.contains("columns are a, b"), "{error}");
        let error = refused("a,b", &Spec { time: Some("a".into()), rows: Rows::Unknown, ..seconds("t", "r") });
        assert!(error.contains("--rtt-column for one row a probe, --rtt-max-column"), "{error}");
    }

    #[test]
    fn a_header_that_is_none_or_is_cut_elsewhere_says_so() {
        assert!(refused("0,26.1", &seconds("t", "r")).contains("names of columns"));
        let given = Spec { separator: Some(b','), ..seconds("t", "r") };
        assert!(refused("t;r", &given).contains("such as ';'"));
        assert!(refused("t,r,t", &seconds("t", "r")).contains("2 times"));
        assert!(refused("t,r", &seconds("t", "t")).contains("--time-column and for --rtt-max-column"));
    }

    #[test]
    fn a_unit_is_needed_and_must_fit_the_name() {
        assert!(refused("t,r", &Spec { unit: None, ..seconds("t", "r") }).contains("--unit us, ms or s"));
        let error = refused("t,rtt_ms", &Spec { unit: Some(Unit::Us), ..probes("t", "rtt_ms") });
        assert!(error.contains("--unit us") && error.contains("give --unit ms"), "{error}");
        assert!(refused("t_ms,r", &seconds("t_ms", "r")).contains("give --time-unit ms"));
    }

    #[test]
    fn a_column_that_tells_series_apart_is_suspected_unless_a_name_is_given() {
        let suspect = |spec: &Spec| Columns::find(b"Host,t,r", spec).unwrap().suspect.map(|column| column.name);
        assert_eq!(suspect(&seconds("t", "r")), Some("Host".into()));
        assert_eq!(suspect(&Spec { series: Some("a".into()), ..seconds("t", "r") }), None);
        assert_eq!(suspect(&Spec { series_column: Some("Host".into()), ..seconds("t", "r") }), None);
    }
}
