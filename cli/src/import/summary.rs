//! What was imported, and what to do with it.

use std::path::Path;

use super::series::Whole;
use crate::quantity::time;

/// Series that are listed.
const SHOWN: usize = 100;
/// Letters of a name in the table.
const NAME: usize = 80;

/// The summary as text.
pub(super) fn text(series: &[Whole], directory: &Path) -> String {
    let name = |whole: &Whole| whole.name.chars().take(NAME).collect::<String>();
    let width = series.iter().take(SHOWN).map(|whole| name(whole).chars().count()).fold(6, usize::max);
    let mut text =
        format!("{:<width$} {:>9} {:>9} {:>6} {:>8} {:>8}\n", "SERIES", "SECONDS", "MEASURED", "GAPS", "MEDIAN", "P99");
    for whole in series.iter().take(SHOWN) {
        text += &format!(
            "{:<width$} {:>9} {:>9} {:>6} {:>8} {:>8}\n",
            name(whole),
            span(whole),
            whole.measured,
            whole.gaps,
            time(whole.median_us),
            time(whole.p99_us)
        );
    }
    if series.len() > SHOWN {
        text += &format!("… and {} more\n", series.len() - SHOWN);
    }
    let (count, kind) = (series.len(), if series.len() == 1 { "recording" } else { "recordings" });
    let measured: usize = series.iter().map(|whole| whole.measured).sum();
    let out = directory.display();
    let files = match series {
        [whole] => format!("'{out}/{}.parquet'", whole.name),
        _ => format!("{out}/*.parquet"),
    };
    text + &format!(
        "{count} {kind} in {out}, {measured} s with a round-trip time. Next:\n  \
         netprecursor extract --recording {files} --out rows.parquet\n  \
         netprecursor backtest --model naive:max-10 --policy POLICY.yaml --recording {files}\n"
    )
}

/// Seconds from the first to the last, both included.
fn span(whole: &Whole) -> u64 {
    match (whole.seconds.first(), whole.seconds.last()) {
        (Some(first), Some(last)) => last.tick - first.tick + 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::second::Second;

    fn whole(name: &str) -> Whole {
        Whole {
            name: name.into(),
            seconds: [0, 9].map(Second::silent).to_vec(),
            is_wall: false,
            measured: 2,
            gaps: 1,
            median_us: 26_000.0,
            p99_us: 1_500_000.0,
        }
    }

    #[test]
    fn a_summary_has_a_line_for_each_series_and_what_to_do_next() {
        let text = text(&[whole("a"), whole("long-name")], Path::new("out"));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1].split_whitespace().collect::<Vec<_>>(), ["a", "10", "2", "1", "26", "ms", "1.5", "s"]);
        assert_eq!(lines[3], "2 recordings in out, 4 s with a round-trip time. Next:");
        assert_eq!(lines[4].trim(), "netprecursor extract --recording out/*.parquet --out rows.parquet");
    }

    #[test]
    fn thousands_of_series_are_not_all_listed() {
        let series: Vec<Whole> = (0..SHOWN + 5).map(|number| whole(&number.to_string())).collect();
        assert!(text(&series, Path::new("o")).contains("… and 5 more"));
        assert!(text(&series[..1], Path::new("o")).contains("'o/0.parquet'"));
    }
}
