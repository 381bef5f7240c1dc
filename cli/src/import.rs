//! `netprecursor import`: round-trip times that others measured as recordings, which `extract`, `backtest` and training read.
//!
//! Everything is read and checked before anything is written. What a source does not have is absent in its recording.

mod csv;
mod error;
mod format;
mod iperf3;
mod moment;
mod number;
mod output;
mod ping;
mod rtt;
mod second;
mod series;
mod shelf;
mod shown;
mod summary;
mod text;
mod unit;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use self::{
    csv::{Rows, Spec},
    error::{ImportError, Reason},
    format::Format,
    moment::TimeUnit,
    shelf::Shelf,
    text::Text,
    unit::Unit,
};
use crate::{arguments, terminal};

/// Makes recordings of round-trip times that others measured: CSV, output of ping, JSON of iperf3
///
/// Each series becomes DIR/SERIES.parquet, with the series as target. Files may be compressed with gzip. When anything is
/// wrong, nothing is written.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Files to import
    #[arg(value_name = "FILE", required = true, value_parser = arguments::file())]
    files: Vec<PathBuf>,
    /// The directory to write to; made when it is not there
    #[arg(long, value_name = "DIR", value_parser = arguments::file())]
    out: PathBuf,
    /// What the files are; by their first lines when absent
    #[arg(long)]
    format: Option<Format>,
    /// Name of the series; the file's name when absent
    #[arg(long, value_name = "NAME", conflicts_with = "series_column")]
    series: Option<String>,
    #[command(flatten)]
    csv: CsvArgs,
    /// Seconds between probes, for output of ping without -D
    #[arg(long, value_name = "SECONDS", value_parser = interval, help_heading = "ping")]
    interval: Option<f64>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "CSV")]
struct CsvArgs {
    /// Column of the names of series, for a file of several
    #[arg(long, value_name = "COLUMN")]
    series_column: Option<String>,
    /// Column of times: since any beginning, or since 1970
    #[arg(long, value_name = "COLUMN")]
    time_column: Option<String>,
    /// What the times are in
    #[arg(long, value_name = "UNIT", default_value = "s")]
    time_unit: TimeUnit,
    /// Column of round-trip times, one row a probe
    #[arg(long, value_name = "COLUMN", conflicts_with = "rtt_max_column")]
    rtt_column: Option<String>,
    /// Column of the largest round-trip time, one row a second
    #[arg(long, value_name = "COLUMN")]
    rtt_max_column: Option<String>,
    /// Column of the mean beside it
    #[arg(long, value_name = "COLUMN", requires = "rtt_max_column")]
    rtt_mean_column: Option<String>,
    /// Column of the smallest one beside it
    #[arg(long, value_name = "COLUMN", requires = "rtt_max_column")]
    rtt_min_column: Option<String>,
    /// Column of the number of probes in the second
    #[arg(long, value_name = "COLUMN", requires = "rtt_max_column")]
    count_column: Option<String>,
    /// What the round-trip times are in
    #[arg(long)]
    unit: Option<Unit>,
    /// What stands between cells, `tab` for a tab; found by the names of the columns when absent
    #[arg(long, value_name = "CHARACTER", value_parser = separator)]
    separator: Option<u8>,
}

const EXAMPLES: &str = "\
Examples:
  netprecursor import rtt.csv.gz --series-column series --time-column t --rtt-max-column rtt_max_ms --unit ms --out rtt
  netprecursor import probes.csv --time-column sent --time-unit rfc3339 --rtt-column rtt_us --unit us --out rtt
  ping -D -O 192.0.2.1 > web.log;              netprecursor import web.log --out rtt
  iperf3 -c 192.0.2.1 -t 600 -J > link.json;   netprecursor import link.json --out rtt";

/// Runs the command.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut shelf = Shelf::default();
    for file in &args.files {
        args.read(file, &mut shelf)?;
    }
    let whole = shelf.close().map(|(file, whole)| whole.map_err(|reason| reason.at(&file, None)));
    let series = whole.collect::<Result<Vec<_>, ImportError>>()?;
    let stop = terminal::stop_flag()?;
    output::write(&args.out, &series, &stop)?;
    terminal::print(&summary::text(&series, &args.out))?;
    Ok(ExitCode::SUCCESS)
}

impl Args {
    fn read(&self, file: &Path, shelf: &mut Shelf) -> Result<(), ImportError> {
        let mut text = Text::open(file)?;
        let format = self.format.unwrap_or_else(|| Format::guess(text.head()));
        self.fits(format).map_err(|reason| reason.at(file, None))?;
        let stem = stem(file);
        let name = || self.series.as_deref().or(stem.as_deref()).ok_or_else(|| Reason::NoStem.at(file, None));
        match format {
            Format::Csv => {
                let spec = self.csv.spec(self.series.as_deref());
                let stem = if spec.series_column.is_some() { "" } else { name()? };
                csv::read(&mut text, &spec, stem, shelf)
            }
            Format::Ping => ping::read(&mut text, name()?, self.interval, shelf),
            Format::Iperf3 => iperf3::read(text, name()?, shelf),
        }
    }

    /// Refuses options that another format has.
    fn fits(&self, format: Format) -> Result<(), Reason> {
        let refused = |option, wanted| Err(Reason::Option { option, wanted, found: format.found() });
        match (format, self.csv.first(), self.interval) {
            (Format::Ping | Format::Iperf3, Some(option), _) => refused(option, "CSV"),
            (Format::Csv | Format::Iperf3, _, Some(_)) => refused("--interval", "output of ping"),
            _ => Ok(()),
        }
    }
}

impl CsvArgs {
    /// The first option that is given.
    fn first(&self) -> Option<&'static str> {
        let options = [
            ("--series-column", self.series_column.is_some()),
            ("--time-column", self.time_column.is_some()),
            ("--time-unit", self.time_unit != TimeUnit::S),
            ("--rtt-column", self.rtt_column.is_some()),
            ("--rtt-max-column", self.rtt_max_column.is_some()),
            ("--unit", self.unit.is_some()),
            ("--separator", self.separator.is_some()),
        ];
        options.into_iter().find_map(|(option, is_given)| is_given.then_some(option))
    }

    fn spec(&self, series: Option<&str>) -> Spec {
        let rows = match (&self.rtt_column, &self.rtt_max_column) {
            (Some(rtt), _) => Rows::Probe { rtt: rtt.clone() },
            (None, Some(max)) => Rows::Second {
                max: max.clone(),
                mean: self.rtt_mean_column.clone(),
                min: self.rtt_min_column.clone(),
                count: self.count_column.clone(),
            },
            (None, None) => Rows::Unknown,
        };
        Spec {
            series: series.map(str::to_owned),
            series_column: self.series_column.clone(),
            time: self.time_column.clone(),
            time_unit: self.time_unit,
            rows,
            unit: self.unit,
            separator: self.separator,
        }
    }
}

/// The name of a file without the endings that say what it is.
fn stem(file: &Path) -> Option<String> {
    let name = file.file_name()?.to_string_lossy();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    let endings = [".csv", ".tsv", ".json", ".log", ".txt"];
    let stem = endings.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
    Some(stem.to_owned()).filter(|stem| !stem.is_empty())
}

fn separator(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        b"tab" | b"\\t" => Ok(b'\t'),
        [byte] if !byte.is_ascii_alphanumeric() && !matches!(byte, b'"' | b'\n' | b'\r') => Ok(*byte),
        _ => Err(format!("got '{text}', expected one character such as `;`, or `tab`")),
    }
}

fn interval(text: &str) -> Result<f64, String> {
    let seconds = text.trim_end_matches('s').parse::<f64>().ok().filter(|seconds| (0.001..=10.0).contains(seconds));
    seconds.ok_or_else(|| format!("got '{text}', expected seconds from 0.001 to 10, such as 1 or 0.2"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_named_after_its_file() {
        for (file, name) in [
            ("/x/web.csv.gz", Some("web")),
            ("web.log", Some("web")),
            ("web", Some("web")),
            ("a.b.json", Some("a.b")),
            ("web.2026", Some("web.2026")),
            (".csv", None),
        ] {
            assert_eq!(stem(Path::new(file)).as_deref(), name, "{file}");
        }
    }

    #[test]
    fn a_separator_is_one_character_and_an_interval_seconds() {
        assert_eq!([";", "tab", "\\t", " "].map(|text| separator(text).unwrap()), [b';', b'\t', b'\t', b' ']);
        assert!(["", ";;", "a", "\"", "1"].into_iter().all(|text| separator(text).is_err()));
        assert_eq!(["1", "0.2s"].map(|text| interval(text).unwrap()), [1.0, 0.2]);
        assert!(["0", "-1", "x", "nan", "11"].into_iter().all(|text| interval(text).is_err()));
    }
}
