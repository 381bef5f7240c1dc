//! Charts made of letters: bars beside each other, and a line of time. Pure functions of what they show.

use serde::{Deserialize, Serialize};

use super::style::{Mood, Style};

/// Eighths of a letter, from none to all of it.
const EIGHTHS: [char; 9] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

/// The same, from below.
const RISING: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The forecast's mark, and the threshold's line.
const FORECAST: char = '•';
const LINE: char = '─';

/// One second, as the agent reports it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Point {
    /// Unix time, s.
    pub(super) unix: u64,
    pub(super) measured_us: Option<f32>,
    pub(super) predicted_us: Option<f32>,
}

/// A bar of `value` out of `most`, at most `width` letters long, without blanks behind it.
pub(super) fn bar(value: f32, most: f32, width: usize) -> String {
    let share = if most > 0.0 { (value / most).clamp(0.0, 1.0) } else { 0.0 };
    let eighths = (share * width as f32 * 8.0).round() as usize;
    let mut bar: String = std::iter::repeat_n(EIGHTHS[8], eighths / 8).collect();
    if !eighths.is_multiple_of(8) {
        bar.push(EIGHTHS[eighths % 8]);
    }
    bar
}

/// What fills a cell of the plot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ink {
    Nothing,
    Measured(usize),
    Forecast,
    Threshold,
}

/// Measured as columns, forecasts as marks, the threshold as a line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plot<'a> {
    /// Oldest first.
    pub(super) points: &'a [Point],
    pub(super) threshold_us: f32,
    pub(super) columns: usize,
    pub(super) rows: usize,
}

/// How many times what was measured, or the threshold, a forecast may raise the upper edge to.
const HEADROOM: f32 = 2.0;

impl Plot<'_> {
    /// The value at the upper edge: what was measured decides, and a forecast that is far above stands at the edge.
    pub(super) fn top(&self) -> f32 {
        let highest = |of: fn(&Point) -> Option<f32>, least: f32| {
            self.points.iter().filter_map(of).filter(|value| value.is_finite()).fold(least, f32::max)
        };
        let measured = highest(|point| point.measured_us, self.threshold_us);
        highest(|point| point.predicted_us, measured).min(HEADROOM * measured).max(1.0) * 1.05
    }

    /// The row of the threshold, counted from above.
    pub(super) fn threshold_row(&self) -> usize {
        self.row(self.threshold_us, self.top())
    }

    /// The column of a second; `None` outside of what is shown.
    pub(super) fn column(&self, unix: u64) -> Option<usize> {
        let (first, last) = (self.points.first()?.unix, self.points.last()?.unix);
        let seconds = last.checked_sub(first)?.saturating_add(1);
        let at = unix.checked_sub(first).filter(|at| *at < seconds)?;
        usize::try_from(at.saturating_mul(self.columns as u64) / seconds).ok()
    }

    /// Lines from the top, all of the same width.
    pub(super) fn lines(&self, style: Style) -> Vec<String> {
        let top = self.top();
        let mut measured = vec![None; self.columns];
        let mut forecast = vec![None; self.columns];
        for point in self.points {
            let Some(column) = self.column(point.unix) else { continue };
            measured[column] = most(measured[column], point.measured_us);
            forecast[column] = most(forecast[column], point.predicted_us);
        }
        let threshold = self.threshold_row();
        let row = |row: usize| {
            let cells: Vec<Ink> = (0..self.columns)
                .map(|column| match (forecast[column], self.eighths(measured[column], top, row)) {
                    (Some(value), _) if self.row(value, top) == row => Ink::Forecast,
                    (_, eighths @ 1..) => Ink::Measured(eighths),
                    _ if row == threshold => Ink::Threshold,
                    _ => Ink::Nothing,
                })
                .collect();
            drawn(&cells, style)
        };
        (0..self.rows).map(row).collect()
    }

    /// The row in which a value is, counted from above.
    fn row(&self, value: f32, top: f32) -> usize {
        let above = ((1.0 - (value / top).clamp(0.0, 1.0)) * self.rows as f32) as usize;
        above.min(self.rows.saturating_sub(1))
    }

    /// How much of a cell a measured value fills; what was measured shows, however small.
    fn eighths(&self, value: Option<f32>, top: f32, row: usize) -> usize {
        let Some(value) = value else { return 0 };
        let below = (self.rows - 1 - row) as f32;
        let filled = ((value / top).clamp(0.0, 1.0) * self.rows as f32 - below) * 8.0;
        let least = usize::from(row + 1 == self.rows);
        (filled.clamp(0.0, 8.0).round() as usize).max(least)
    }
}

fn most(one: Option<f32>, other: Option<f32>) -> Option<f32> {
    let other = other.filter(|value| value.is_finite());
    match (one, other) {
        (Some(one), Some(other)) => Some(one.max(other)),
        (one, other) => one.or(other),
    }
}

/// Letters of a line; neighbours of one kind share their colour.
fn drawn(cells: &[Ink], style: Style) -> String {
    let letter = |ink: &Ink| match ink {
        Ink::Nothing => ' ',
        Ink::Measured(eighths) => RISING[*eighths],
        Ink::Forecast => FORECAST,
        Ink::Threshold => LINE,
    };
    let runs = cells.chunk_by(|one, other| mood(*one) == mood(*other));
    runs.map(|run| {
        let text: String = run.iter().map(letter).collect();
        match mood(run[0]) {
            Some(mood) => style.paint(mood, &text),
            None => text,
        }
    })
    .collect()
}

const fn mood(ink: Ink) -> Option<Mood> {
    match ink {
        Ink::Nothing => None,
        Ink::Measured(_) => Some(Mood::Good),
        Ink::Forecast => Some(Mood::Warning),
        Ink::Threshold => Some(Mood::Bad),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(values: &[(Option<f32>, Option<f32>)]) -> Vec<Point> {
        let point = |(second, (measured_us, predicted_us)): (usize, &(Option<f32>, Option<f32>))| Point {
            unix: 1_000 + second as u64,
            measured_us: *measured_us,
            predicted_us: *predicted_us,
        };
        values.iter().enumerate().map(point).collect()
    }

    #[test]
    fn a_bar_is_as_long_as_its_share() {
        assert_eq!(bar(1.0, 1.0, 4), "████");
        assert_eq!(bar(0.5, 1.0, 3), "█▌");
        assert_eq!(
            (bar(2.0, 1.0, 2), bar(-1.0, 1.0, 2), bar(1.0, 0.0, 2)),
            ("██".into(), String::new(), String::new())
        );
        assert_eq!(bar(f32::NAN, 1.0, 2), "");
    }

    #[test]
    fn a_forecast_above_the_threshold_stands_over_it_before_what_is_measured_does() {
        let calm = (Some(50.0), Some(30.0));
        let points = points(&[calm, (Some(50.0), Some(190.0)), (Some(200.0), Some(190.0)), (None, None)]);
        let plot = Plot { points: &points, threshold_us: 100.0, columns: 4, rows: 4 };
        let lines = plot.lines(Style::PLAIN);
        assert_eq!(lines, [" •• ", "  █ ", "──█─", "•██ "], "{lines:#?}");
        assert_eq!(plot.threshold_row(), 2);
    }

    #[test]
    fn a_forecast_far_above_what_was_measured_does_not_flatten_it() {
        let points = points(&[(Some(50.0), Some(50_000.0)), (Some(100.0), None)]);
        let plot = Plot { points: &points, threshold_us: 100.0, columns: 2, rows: 4 };
        assert!((plot.top() - 210.0).abs() < 0.1, "{}", plot.top());
        assert_eq!(plot.lines(Style::PLAIN)[0], "• ");
    }

    #[test]
    fn several_seconds_share_a_column_and_the_largest_is_shown() {
        let points = points(&[(Some(10.0), None), (Some(100.0), None), (Some(10.0), None), (Some(10.0), None)]);
        let plot = Plot { points: &points, threshold_us: 100.0, columns: 2, rows: 1 };
        assert_eq!(plot.lines(Style::PLAIN), ["█▁"]);
        assert_eq!(
            [1_000, 1_001, 1_003, 1_004, 999].map(|unix| plot.column(unix)),
            [Some(0), Some(0), Some(1), None, None]
        );
    }

    #[test]
    fn nothing_measured_leaves_the_threshold_alone() {
        let plot = Plot { points: &[], threshold_us: 100.0, columns: 3, rows: 2 };
        assert_eq!(plot.lines(Style::PLAIN), ["───", "   "]);
        let endless = points(&[(Some(f32::INFINITY), Some(f32::NAN))]);
        assert_eq!(Plot { points: &endless, ..plot }.lines(Style::PLAIN), ["───", "   "]);
    }
}
