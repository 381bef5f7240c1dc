//! One pass over the last minute for all signals at once: rows outside, signals inside, so that the compiler can use
//! vector registers across signals.

use super::plan::{Scale, Transform};
use crate::{
    signal::{Signal, Signals},
    window::Window,
};

const N: usize = Signal::COUNT;
/// Larger values (a terabyte in a second, eleven days in µs) are taken for it, negative ones for 0.
pub(super) const CAP: f32 = 1e12;

/// What [`Transform`]s are made of, per signal in natural units. Finite, 0 to [`CAP`], slopes −2 to 2.
pub(super) struct Summary {
    measured: [bool; N],
    last: [f32; N],
    mean4: [f32; N],
    max10: [f32; N],
    slope5: [f32; N],
    mean60: [f32; N],
    max60: [f32; N],
}

/// Sums over ticks that measured a signal.
struct Sums {
    count: [f32; N],
    sum: [f32; N],
}

impl Sums {
    fn of<'a>(rows: impl Iterator<Item = &'a Signals>) -> Self {
        let mut sums = Self { count: [0.0; N], sum: [0.0; N] };
        for values in rows.map(values) {
            for ((count, sum), value) in sums.count.iter_mut().zip(&mut sums.sum).zip(values) {
                let measured = !value.is_nan();
                *count += if measured { 1.0 } else { 0.0 };
                *sum += if measured { *value } else { 0.0 };
            }
        }
        sums
    }

    fn mean_or(&self, fallback: &[f32; N]) -> [f32; N] {
        std::array::from_fn(|i| if self.count[i] > 0.0 { bounded(self.sum[i] / self.count[i]) } else { fallback[i] })
    }
}

impl Summary {
    pub(super) fn of(window: &Window) -> Self {
        let newest_first = || window.iter().rev();
        let sums60 = Sums::of(newest_first());
        let measured = sums60.count.map(|count| count > 0.0);
        let mut last = [f32::NAN; N];
        for values in newest_first().map(values) {
            for (last, value) in last.iter_mut().zip(values) {
                *last = if last.is_nan() { *value } else { *last };
            }
        }
        let last = last.map(bounded);
        let mut max10 = [f32::NEG_INFINITY; N];
        maximise(&mut max10, newest_first().take(10));
        let mut max60 = max10;
        maximise(&mut max60, newest_first().skip(10));
        let or_last = |max: [f32; N]| {
            std::array::from_fn(|i| if max[i] == f32::NEG_INFINITY { last[i] } else { bounded(max[i]) })
        };
        Self {
            mean4: Sums::of(newest_first().take(4)).mean_or(&last),
            max10: or_last(max10),
            slope5: slopes(newest_first().take(5)),
            mean60: sums60.mean_or(&last),
            max60: or_last(max60),
            measured,
            last,
        }
    }

    /// True when the signal was measured in the last minute.
    pub(super) const fn measured(&self, signal: Signal) -> bool {
        self.measured[signal as usize]
    }

    pub(super) const fn last(&self, signal: Signal) -> f32 {
        self.last[signal as usize]
    }

    pub(super) const fn mean4(&self, signal: Signal) -> f32 {
        self.mean4[signal as usize]
    }

    pub(super) const fn slope5(&self, signal: Signal) -> f32 {
        self.slope5[signal as usize]
    }

    pub(super) const fn mean60(&self, signal: Signal) -> f32 {
        self.mean60[signal as usize]
    }

    pub(super) const fn max60(&self, signal: Signal) -> f32 {
        self.max60[signal as usize]
    }

    /// The feature: scaled, finite.
    pub(super) fn value(&self, signal: Signal, transform: Transform) -> f32 {
        let scaled = |value: f32| match Scale::of(signal) {
            Scale::Identity => value.min(1.0),
            scale => scale.apply(value),
        };
        match transform {
            Transform::Last => scaled(self.last(signal)),
            Transform::Mean4 => scaled(self.mean4(signal)),
            Transform::Max10 => scaled(self.max10[signal as usize]),
            Transform::Slope5 => self.slope5(signal),
            Transform::Ratio60 => ln_ratio(self.mean4(signal), self.mean60(signal), unit_size(signal)),
        }
    }
}

fn values(signals: &Signals) -> &[f32; N] {
    // The length is a constant of the type; an empty tick stands in for what cannot be.
    signals.as_slice().first_chunk().unwrap_or(&[f32::NAN; N])
}

fn maximise<'a>(max: &mut [f32; N], rows: impl Iterator<Item = &'a Signals>) {
    for values in rows.map(values) {
        for (max, value) in max.iter_mut().zip(values) {
            *max = if value > max { *value } else { *max };
        }
    }
}

/// Least squares over the ticks that measured a signal; 0 with fewer than two.
fn slopes<'a>(newest_first: impl Iterator<Item = &'a Signals>) -> [f32; N] {
    #[derive(Clone, Copy, Default)]
    struct Line {
        n: f32,
        x: f32,
        xx: f32,
        y: f32,
        xy: f32,
    }
    let mut lines = [Line::default(); N];
    let mut age = 0.0_f32;
    for values in newest_first.map(values) {
        for (line, value) in lines.iter_mut().zip(values) {
            let (one, value) = if value.is_nan() { (0.0, 0.0) } else { (1.0, *value) };
            line.n += one;
            line.x -= one * age;
            line.xx += one * age * age;
            line.y += value;
            line.xy -= value * age;
        }
        age += 1.0;
    }
    std::array::from_fn(|i| {
        let Line { n, x, xx, y, xy } = lines[i];
        let spread = n * xx - x * x;
        if n < 2.0 || spread <= 0.0 {
            return 0.0;
        }
        let slope = (n * xy - x * y) / spread;
        let relative = slope / (bounded(y / n) + unit_size(Signal::ALL[i]));
        if relative.is_finite() { relative.clamp(-2.0, 2.0) } else { 0.0 }
    })
}

/// What is small for a signal: added to both sides of a quotient, so that nothing over nothing is 1.
const fn unit_size(signal: Signal) -> f32 {
    match Scale::of(signal) {
        Scale::Identity => 0.01,
        _ => 1.0,
    }
}

/// ln((a + small) / (b + small)) for non-negative bounded values: finite.
pub(super) fn ln_ratio(a: f32, b: f32, small: f32) -> f32 {
    ((bounded(a) + small) / (bounded(b) + small)).ln()
}

/// 0 to [`CAP`]; NaN is 0.
pub(super) fn bounded(value: f32) -> f32 {
    if value > 0.0 { value.min(CAP) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tick::Tick;

    fn window(signal: Signal, values: &[f32]) -> Window {
        let mut window = Window::new();
        for (tick, value) in (1..).zip(values) {
            let mut signals = Signals::ABSENT;
            signals.set(signal, *value);
            window.push(Tick(tick), &signals).unwrap();
        }
        window
    }

    fn value(signal: Signal, values: &[f32], transform: Transform) -> f32 {
        Summary::of(&window(signal, values)).value(signal, transform)
    }

    #[test]
    fn each_transform_is_what_its_name_says() {
        let ramp: Vec<f32> = (1..=60).map(|i| 100.0 * i as f32).collect();
        let close = |transform, expected: f32| {
            let got = value(Signal::TxBytes, &ramp, transform);
            assert!((got - expected).abs() < 1e-4, "{transform:?}: {got}, expected {expected}");
        };
        close(Transform::Last, 6_000_f32.ln_1p());
        close(Transform::Mean4, 5_850_f32.ln_1p());
        close(Transform::Max10, 6_000_f32.ln_1p());
        close(Transform::Slope5, 100.0 / 5_801.0);
        close(Transform::Ratio60, (5_851.0_f32 / 3_051.0).ln());
    }

    #[test]
    fn ticks_that_measured_nothing_are_skipped_and_the_newest_value_stands_in() {
        let nan = f32::NAN;
        let mut values = vec![200.0; 50];
        values.extend([800.0, nan, nan, nan, nan]);
        assert_eq!(value(Signal::RttP50, &values, Transform::Mean4), 800_f32.ln());
        assert_eq!(value(Signal::RttP50, &values, Transform::Max10), 800_f32.ln());
        assert_eq!(value(Signal::RttP50, &values, Transform::Slope5), 0.0);
        let slope = value(Signal::RttP50, &[100.0, nan, 300.0], Transform::Slope5);
        assert!((slope - 100.0 / 201.0).abs() < 1e-5, "{slope}");
    }

    #[test]
    fn what_was_never_measured_is_zero() {
        for transform in [Transform::Last, Transform::Mean4, Transform::Max10, Transform::Slope5, Transform::Ratio60] {
            assert_eq!(value(Signal::HandshakeMean, &[f32::NAN; 60], transform), 0.0, "{transform:?}");
        }
    }
}
