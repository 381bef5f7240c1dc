//! What plots are made of: axes, lines with gaps, and a frame that says in words what it shows.

use std::fmt::Write as _;

use maud::{Markup, html};

/// Where plots stand in units of the drawing, of which there are as many as a narrow screen has pixels: text keeps its size.
pub(super) const WIDTH: f64 = 360.0;
pub(super) const LEFT: f64 = 50.0;
pub(super) const RIGHT: f64 = 340.0;

/// Ticks of an axis at most.
const TICKS: usize = 6;

/// Values along a line of the drawing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axis {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) from: f64,
    pub(super) to: f64,
}

impl Axis {
    /// Across a plot.
    pub(super) const fn across(low: f64, high: f64) -> Self {
        Self { low, high, from: LEFT, to: RIGHT }
    }

    /// From the bottom of a plot to its top.
    pub(super) const fn up(low: f64, high: f64, bottom: f64, top: f64) -> Self {
        Self { low, high, from: bottom, to: top }
    }

    /// Where a value stands; what is outside stands at the end.
    pub(super) fn at(&self, value: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low);
        self.from + (self.to - self.from) * if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 }
    }
}

/// A plot with a description for readers who cannot see it.
pub(super) fn figure(id: &str, title: &str, description: &str, height: f64, drawing: &Markup) -> Markup {
    html! {
        svg viewBox={ "0 0 " (WIDTH) " " (height) } role="img" aria-labelledby={ (id) "-title " (id) "-description" } {
            title id={ (id) "-title" } { (title) }
            desc id={ (id) "-description" } { (description) }
            (drawing)
        }
    }
}

/// Points joined; a missing one leaves a gap.
pub(super) fn line(points: impl IntoIterator<Item = Option<(f64, f64)>>) -> String {
    let (mut path, mut is_open) = (String::new(), false);
    for point in points {
        if let Some((x, y)) = point {
            let step = if is_open { 'L' } else { 'M' };
            // A String takes whatever is written.
            let _ = write!(path, "{step}{x:.1} {y:.1}");
            if !is_open {
                // A lone second is seen as a dot of the line's width.
                path += "h.1";
            }
        }
        is_open = point.is_some();
    }
    path
}

/// The area between two lines; a missing point leaves a gap.
pub(super) fn area(points: impl IntoIterator<Item = Option<(f64, f64, f64)>>) -> String {
    let (mut path, mut run) = (String::new(), Vec::new());
    let mut close = |run: &mut Vec<(f64, f64, f64)>| {
        let upper = run.iter().map(|(x, _, high)| (x, high));
        for (place, (x, y)) in upper.chain(run.iter().rev().map(|(x, low, _)| (x, low))).enumerate() {
            let _ = write!(path, "{}{x:.1} {y:.1}", if place == 0 { 'M' } else { 'L' });
        }
        if !run.is_empty() {
            path += "Z";
        }
        run.clear();
    };
    for point in points {
        match point {
            Some(point) => run.push(point),
            None => close(&mut run),
        }
    }
    close(&mut run);
    path
}

/// A line across a plot.
pub(super) fn level(class: &str, y: f64) -> Markup {
    html! { path class=(class) d={ "M" (LEFT) " " (format!("{y:.1}")) "H" (RIGHT) } {} }
}

/// A line from top to bottom.
pub(super) fn mark(class: &str, x: f64, top: f64, bottom: f64) -> Markup {
    html! { path class=(class) d=(format!("M{x:.1} {top}V{bottom}")) {} }
}

/// Levels of an axis that goes up, with their names.
pub(super) fn levels(axis: &Axis, ticks: &[(f64, String)]) -> Markup {
    html! {
        @for (value, name) in ticks {
            (level("grid-line", axis.at(*value)))
            text.end x=(LEFT - 6.0) y=(format!("{:.1}", axis.at(*value) + 4.0)) { (name) }
        }
    }
}

/// Names under a plot.
pub(super) fn names(axis: &Axis, ticks: &[(f64, String)], y: f64) -> Markup {
    html! {
        @for (value, name) in ticks {
            text.middle x=(format!("{:.1}", axis.at(*value))) y=(y) { (name) }
        }
    }
}

/// Shares of 1 as percent.
pub(super) fn percents(ticks: &[f64]) -> Vec<(f64, String)> {
    ticks.iter().map(|share| (*share, format!("{:.0} %", 100.0 * share))).collect()
}

/// Round values from `low` to `high`.
pub(super) fn round_ticks(low: f64, high: f64) -> Vec<f64> {
    let span = high - low;
    if !(span.is_finite() && span > 0.0) {
        return vec![low];
    }
    let decade = 10_f64.powf((span / TICKS as f64).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|step| step * decade).into_iter().find(|step| span / step <= TICKS as f64);
    let step = step.unwrap_or(span);
    let first = (low / step).ceil() as i64;
    (first..)
        .map(|count| count as f64 * step)
        .take_while(|value| *value <= high * (1.0 + 1e-9))
        .take(TICKS + 1)
        .collect()
}

/// Round values of an axis whose steps are factors.
pub(super) fn log_ticks(low: f64, high: f64) -> Vec<f64> {
    if !(low > 0.0 && high > low && high.is_finite()) {
        return vec![low];
    }
    let decades = low.log10().floor() as i32..=high.log10().ceil() as i32;
    let within = |steps: &[f64]| -> Vec<f64> {
        let values = decades.clone().flat_map(|decade| steps.iter().map(move |step| step * 10_f64.powi(decade)));
        values.filter(|value| (low..=high).contains(value)).collect()
    };
    let (fine, coarse) = (within(&[1.0, 2.0, 5.0]), within(&[1.0]));
    match (fine.len(), coarse.len()) {
        (0..3, _) => round_ticks(low, high),
        (3..=TICKS, _) => fine,
        (_, 0..=TICKS) => coarse,
        (_, many) => coarse.into_iter().step_by(many.div_ceil(TICKS)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_missing_point_leaves_a_gap() {
        let path = line([Some((0.0, 1.0)), Some((1.0, 2.0)), None, Some((3.0, 4.0))]);
        assert_eq!(path, "M0.0 1.0h.1L1.0 2.0M3.0 4.0h.1");
        let path = area([Some((0.0, 1.0, 2.0)), Some((1.0, 1.0, 3.0)), None]);
        assert_eq!(path, "M0.0 2.0L1.0 3.0L1.0 1.0L0.0 1.0Z");
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(round_ticks(0.0, 7.3), [0.0, 2.0, 4.0, 6.0]);
        assert_eq!(log_ticks(15_000.0, 420_000.0), [20_000.0, 50_000.0, 100_000.0, 200_000.0]);
        assert_eq!(log_ticks(21_000.0, 24_500.0).first(), Some(&21_000.0));
    }

    proptest! {
        #[test]
        fn axes_hold_whatever_is_drawn_and_ticks_are_few(low in any::<f64>(), high in any::<f64>(), value in any::<f64>()) {
            let axis = Axis::across(low, high);
            prop_assert!((LEFT..=RIGHT).contains(&axis.at(value)));
            prop_assert!(round_ticks(low, high).len() <= TICKS + 1 && log_ticks(low, high).len() <= TICKS + 1);
        }
    }
}
