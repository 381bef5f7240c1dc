//! Features of the measured RTT: how high, how spread, since when, against what was usual.

use super::derived::{Derived, Slots};
use crate::{
    memory::Memory,
    signal::Signal,
    window::{LENGTH, Window},
};

/// Above the lower quartile by a factor of two: "high".
const HIGH: f32 = std::f32::consts::LN_2;
/// Added to a standard deviation of ln RTT before it divides: 5 % of RTT is calm noise.
const CALM_DEVIATION: f32 = 0.05;
/// Bins of memory (10 s) that "usual" looks at: 5 minutes.
const USUAL_BINS: usize = 30;

/// Writes the features of the measured RTT; the maximum of the last 10 s is returned, in ln µs.
pub(super) fn extract(window: &Window, slots: &mut Slots<'_>) -> f32 {
    let mut buffer = [f32::NAN; LENGTH];
    let mut sorted = [0.0; LENGTH];
    let len = window.len().min(LENGTH);
    let mut measured = 0;
    for (slot, value) in buffer.iter_mut().zip(window.measured_ln()) {
        *slot = value;
        if !value.is_nan() {
            sorted[measured] = value;
            measured += 1;
        }
    }
    let (rtt, sorted) = (&buffer[..len], &mut sorted[..measured]);
    let missing = last(rtt, 10).iter().filter(|value| value.is_nan()).count();
    slots.set(Derived::MissingShare, if len == 0 { 1.0 } else { missing as f32 / len.min(10) as f32 });
    let Some(newest) = rtt.iter().rposition(|value| !value.is_nan()) else {
        slots.set(Derived::Silence, LENGTH as f32);
        slots.set(Derived::HighAge, LENGTH as f32);
        return 0.0;
    };
    slots.set(Derived::Silence, (len - 1 - newest) as f32);
    sorted.sort_unstable_by(f32::total_cmp);
    let max10 = levels(rtt, rtt[newest], sorted, slots);
    shape(rtt, slots);
    onset(rtt, quantile(sorted, 0.25) + HIGH, slots);
    usual(window.memory(), max10, slots);
    quarters(window, max10, slots);
    max10
}

/// How the clean RTT moved within the last two seconds.
fn quarters(window: &Window, max10: f32, slots: &mut Slots<'_>) {
    let mut rtt = [f32::NAN; 2 * Signal::RTT_QUARTERS.len()];
    let newest =
        window.iter().rev().take(2).flat_map(|second| Signal::RTT_QUARTERS.map(|of| second.get(of)).into_iter().rev());
    for (slot, us) in rtt.iter_mut().rev().zip(newest) {
        *slot = if us.is_nan() { us } else { us.max(1.0).ln() };
    }
    let max_of = |span: &[f32]| span.iter().copied().reduce(f32::max).unwrap_or(f32::NAN);
    let second = &rtt[Signal::RTT_QUARTERS.len()..];
    if rtt.iter().filter(|value| !value.is_nan()).count() > 2 {
        // Beyond a factor of e^10 a second it is no slope.
        slots.set(Derived::QuarterSlope, (Signal::RTT_QUARTERS.len() as f32 * slope(&rtt)).clamp(-10.0, 10.0));
    }
    if let Some(last) = second.iter().rev().find(|value| !value.is_nan()) {
        slots.set(Derived::LastQuarterOverMax10, last - max10);
    }
    let (earlier, later) = second.split_at(second.len() / 2);
    slots.set(Derived::HalfOverHalf, max_of(later) - max_of(earlier));
}

/// Levels over several spans, absolute and against the maximum of the last 10 s, which is returned.
fn levels(rtt: &[f32], newest: f32, sorted: &[f32], slots: &mut Slots<'_>) -> f32 {
    let max_of = |span: &[f32]| span.iter().copied().reduce(f32::max).filter(|max| !max.is_nan());
    let max10 = max_of(last(rtt, 10)).unwrap_or(newest);
    let max30 = max_of(last(rtt, 30)).unwrap_or(newest);
    let max60 = sorted.last().copied().unwrap_or(newest);
    let mean10 = Moments::of(last(rtt, 10)).map_or(newest, |moments| moments.mean);
    let (q25, q50, q90) = (quantile(sorted, 0.25), quantile(sorted, 0.5), quantile(sorted, 0.9));
    let previous = max_of(before(rtt, 10, 10)).unwrap_or(max10);
    for (feature, value) in [
        (Derived::MeasuredLast, newest),
        (Derived::MeasuredMax10, max10),
        (Derived::MeasuredMax30, max30),
        (Derived::MeasuredMax60, max60),
        (Derived::MeasuredMin60, sorted.first().copied().unwrap_or(newest)),
        (Derived::MeasuredMean10, mean10),
        (Derived::MeasuredQ25, q25),
        (Derived::MeasuredQ50, q50),
        (Derived::MeasuredQ90, q90),
        (Derived::LastOverMax10, newest - max10),
        (Derived::Mean10OverMax10, mean10 - max10),
        (Derived::Q50OverMax10, q50 - max10),
        (Derived::Q90OverMax10, q90 - max10),
        (Derived::Max30OverMax10, max30 - max10),
        (Derived::Max60OverMax10, max60 - max10),
        (Derived::PreviousMax10OverMax10, previous - max10),
    ] {
        slots.set(feature, value);
    }
    let age = last(rtt, 10).iter().rev().position(|value| *value == max10);
    slots.set(Derived::Max10Age, age.map_or(9.0, |age| age as f32));
    max10
}

/// Spread, trend and smoothed level.
fn shape(rtt: &[f32], slots: &mut Slots<'_>) {
    let Some(all) = Moments::of(rtt) else { return };
    slots.set(Derived::Spread60, all.deviation);
    slots.set(Derived::Spread10, Moments::of(last(rtt, 10)).map_or(0.0, |moments| moments.deviation));
    slots.set(Derived::Slope5, slope(last(rtt, 5)));
    slots.set(Derived::Slope15, slope(last(rtt, 15)));
    slots.set(Derived::Slope40, slope(last(rtt, 40)));
    let (mut fast, mut slow, mut deviation) = (all.mean, all.mean, all.deviation);
    for value in rtt.iter().filter(|value| !value.is_nan()) {
        deviation += 0.1 * ((value - slow).abs() - deviation);
        fast += 0.3 * (value - fast);
        slow += 0.1 * (value - slow);
    }
    slots.set(Derived::EwmaFast, fast);
    slots.set(Derived::EwmaSlow, slow);
    slots.set(Derived::EwmaDeviation, deviation);
    if let (Some(recent), Some(older)) = (Moments::of(last(rtt, 5)), Moments::of(before(rtt, 20, 40))) {
        let shift = recent.mean - older.mean;
        slots.set(Derived::Shift, shift);
        slots.set(Derived::ShiftDeviations, (shift / (older.deviation + CALM_DEVIATION)).clamp(-20.0, 20.0));
    }
}

/// Since when, how often and how long the RTT was above `level`. What was not measured changes nothing.
fn onset(rtt: &[f32], level: f32, slots: &mut Slots<'_>) {
    let (mut high_for, mut high_age, mut rises) = (0_u32, LENGTH as u32, 0_u32);
    let (mut high_ticks, mut measured) = (0_u32, 0_u32);
    let mut high = None;
    for value in rtt {
        high_age = (high_age + 1).min(LENGTH as u32);
        if value.is_nan() {
            high_for += u32::from(high == Some(true));
            continue;
        }
        measured += 1;
        let now = *value > level;
        rises += u32::from(now && high == Some(false));
        high_ticks += u32::from(now);
        high_for = if now { high_for + 1 } else { 0 };
        if now {
            high_age = 0;
        }
        high = Some(now);
    }
    slots.set(Derived::HighFor, high_for as f32);
    slots.set(Derived::HighAge, high_age as f32);
    slots.set(Derived::Rises, rises as f32);
    slots.set(Derived::HighShare, high_ticks as f32 / measured.max(1) as f32);
}

/// What ten seconds were like in the last minutes, against the last ten.
fn usual(memory: &Memory, max10: f32, slots: &mut Slots<'_>) {
    let (mut count, mut sum, mut max) = (0_u32, 0.0, f32::NEG_INFINITY);
    for bin in memory.bins_rtt_ln().rev().take(USUAL_BINS).filter(|bin| !bin.is_nan()) {
        count += 1;
        sum += bin;
        max = max.max(bin);
    }
    if count > 0 {
        slots.set(Derived::TypicalOverMax10, sum / count as f32 - max10);
        slots.set(Derived::Max300OverMax10, max.max(max10) - max10);
    }
}

fn last(series: &[f32], ticks: usize) -> &[f32] {
    &series[series.len().saturating_sub(ticks)..]
}

/// The `ticks` that ended `ago` ticks ago, as many of them as there are.
fn before(series: &[f32], ago: usize, ticks: usize) -> &[f32] {
    last(&series[..series.len().saturating_sub(ago)], ticks)
}

/// Linear interpolation between order statistics (type 7 of Hyndman and Fan 1996); 0 of nothing.
fn quantile(sorted: &[f32], q: f32) -> f32 {
    let position = q * sorted.len().saturating_sub(1) as f32;
    let below = position as usize;
    match (sorted.get(below), sorted.get(below + 1)) {
        (Some(low), Some(high)) => low + (high - low) * (position - below as f32),
        (Some(only), None) => *only,
        _ => 0.0,
    }
}

struct Moments {
    mean: f32,
    deviation: f32,
}

impl Moments {
    /// Of the measured values; `None` without any.
    fn of(series: &[f32]) -> Option<Self> {
        let (mut count, mut sum) = (0.0_f32, 0.0_f32);
        for value in series {
            let measured = !value.is_nan();
            count += if measured { 1.0 } else { 0.0 };
            sum += if measured { *value } else { 0.0 };
        }
        if count == 0.0 {
            return None;
        }
        let mean = sum / count;
        let squares: f32 = series.iter().map(|value| if value.is_nan() { 0.0 } else { (value - mean).powi(2) }).sum();
        Some(Self { mean, deviation: (squares / count).sqrt() })
    }
}

/// Least squares per tick over the measured values; 0 with fewer than two.
fn slope(series: &[f32]) -> f32 {
    let (mut n, mut x, mut xx, mut y, mut xy) = (0.0_f32, 0.0_f32, 0.0_f32, 0.0_f32, 0.0_f32);
    let mut at = 0.0_f32;
    for value in series {
        if !value.is_nan() {
            n += 1.0;
            x += at;
            xx += at * at;
            y += value;
            xy += at * value;
        }
        at += 1.0;
    }
    let spread = n * xx - x * x;
    if spread > 0.0 { (n * xy - x * y) / spread } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::derived_of;
    use crate::{
        signal::{Signal, Signals},
        tick::Tick,
    };

    fn window(rtt_us: impl IntoIterator<Item = f32>) -> Window {
        let mut window = Window::new();
        for (tick, us) in (1..).zip(rtt_us) {
            let mut signals = Signals::ABSENT;
            signals.set(Signal::RttMax, us);
            window.push(Tick(tick), &signals).unwrap();
        }
        window
    }

    #[test]
    fn an_onset_is_dated_and_measured_against_what_was_before() {
        // 53 calm seconds, then seven at eight times the RTT.
        let of = derived_of(&window((0..60).map(|i| if i < 53 { 1_000.0 } else { 8_000.0 })));
        let eight = 8_f32.ln();
        assert_eq!(of(Derived::HighFor), 7.0);
        assert_eq!(of(Derived::HighAge), 0.0);
        assert_eq!(of(Derived::Rises), 1.0);
        assert!((of(Derived::Shift) - eight).abs() < 1e-4);
        assert_eq!(of(Derived::ShiftDeviations), 20.0);
        assert!((of(Derived::MeasuredMax10) - 8_000_f32.ln()).abs() < 1e-5);
        assert!((of(Derived::Q50OverMax10) + eight).abs() < 1e-4);
        assert!((of(Derived::PreviousMax10OverMax10) + eight).abs() < 1e-4);
        assert_eq!(of(Derived::Max10Age), 0.0);
    }

    #[test]
    fn a_trend_has_its_slope_per_second() {
        let of = derived_of(&window((0..60).map(|i| 1_000.0 * (0.02 * i as f32).exp())));
        for feature in [Derived::Slope5, Derived::Slope15, Derived::Slope40] {
            assert!((of(feature) - 0.02).abs() < 1e-3, "{feature:?}: {}", of(feature));
        }
    }

    #[test]
    fn silence_is_shown_and_the_newest_rtt_is_the_fallback() {
        let of = derived_of(&window((0..60).map(|i| if i < 48 { 3_000.0 } else { f32::NAN })));
        assert_eq!(of(Derived::Silence), 12.0);
        assert_eq!(of(Derived::MissingShare), 1.0);
        assert!((of(Derived::MeasuredMax10) - 3_000_f32.ln()).abs() < 1e-5);
        let of = derived_of(&window([f32::NAN; 60]));
        assert_eq!((of(Derived::Silence), of(Derived::MeasuredMax10)), (60.0, 0.0));
    }

    #[test]
    fn quantiles_interpolate() {
        let sorted = [1.0, 2.0, 3.0, 4.0, 5.0];
        assert_eq!([0.0, 0.25, 0.5, 0.9, 1.0].map(|q| quantile(&sorted, q)), [1.0, 2.0, 3.0, 4.6, 5.0]);
        assert_eq!(quantile(&[], 0.5), 0.0);
    }
}
