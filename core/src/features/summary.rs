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
pub(super) struct Summary<'a> {
    measured: [bool; N],
    last: [f32; N],
    mean4: [f32; N],
    max10: [f32; N],
    newest5: [&'a [Signals]; 2],
    mean60: [f32; N],
    max60: [f32; N],
}

/// Signals whose totals are held in registers while the ticks go by: two vectors of the smallest x86-64.
const LANES: usize = 8;

/// Totals over some ticks, per signal; ticks that did not measure it are left out.
struct Totals {
    count: [f32; N],
    sum: [f32; N],
    /// −∞ without any.
    max: [f32; N],
    /// NaN without any.
    last: [f32; N],
}

impl Totals {
    fn of(ticks: [&[Signals]; 2]) -> Self {
        let mut totals = Self { count: [0.0; N], sum: [0.0; N], max: [f32::NEG_INFINITY; N], last: [f32::NAN; N] };
        let mut first = 0;
        while first < N {
            // The last lanes overlap those before rather than being fewer.
            let at = first.min(N - LANES);
            totals.scan(ticks, at);
            first += LANES;
        }
        totals
    }

    /// Fills [`LANES`] signals from the one at `at`.
    fn scan(&mut self, ticks: [&[Signals]; 2], at: usize) {
        // Known to the compiler in this form, which then checks no index in the loop.
        let at = at.min(N - LANES);
        let (mut count, mut sum) = ([0.0_f32; LANES], [0.0_f32; LANES]);
        let (mut max, mut last) = ([f32::NEG_INFINITY; LANES], [f32::NAN; LANES]);
        for signals in ticks[0].iter().chain(ticks[1]) {
            let values = lanes(signals, at);
            for i in 0..LANES {
                let measured = !values[i].is_nan();
                count[i] += if measured { 1.0 } else { 0.0 };
                sum[i] += if measured { values[i] } else { 0.0 };
                max[i] = if values[i] > max[i] { values[i] } else { max[i] };
                last[i] = if measured { values[i] } else { last[i] };
            }
        }
        self.count[at..at + LANES].copy_from_slice(&count);
        self.sum[at..at + LANES].copy_from_slice(&sum);
        self.max[at..at + LANES].copy_from_slice(&max);
        self.last[at..at + LANES].copy_from_slice(&last);
    }

    fn mean_or(&self, fallback: &[f32; N]) -> [f32; N] {
        std::array::from_fn(|i| if self.count[i] > 0.0 { bounded(self.sum[i] / self.count[i]) } else { fallback[i] })
    }

    fn max_or(&self, fallback: &[f32; N]) -> [f32; N] {
        std::array::from_fn(|i| if self.count[i] > 0.0 { bounded(self.max[i]) } else { fallback[i] })
    }
}

impl<'a> Summary<'a> {
    pub(super) fn of(window: &'a Window) -> Self {
        let minute = Totals::of(window.newest(60));
        let last = minute.last.map(bounded);
        Self {
            mean4: Totals::of(window.newest(4)).mean_or(&last),
            max10: Totals::of(window.newest(10)).max_or(&last),
            newest5: window.newest(5),
            mean60: minute.mean_or(&last),
            max60: minute.max_or(&last),
            measured: minute.count.map(|count| count > 0.0),
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

    /// [`Transform::Slope5`]: least squares over the ticks that measured the signal; 0 with fewer than two. Computed
    /// when asked for, as few signals are.
    pub(super) fn slope5(&self, signal: Signal) -> f32 {
        let (mut n, mut x, mut xx, mut y, mut xy) = (0.0_f32, 0.0_f32, 0.0_f32, 0.0_f32, 0.0_f32);
        let mut at = 0.0_f32;
        for signals in self.newest5[0].iter().chain(self.newest5[1]) {
            let value = signals.get(signal);
            if !value.is_nan() {
                n += 1.0;
                x += at;
                xx += at * at;
                y += value;
                xy += value * at;
            }
            at += 1.0;
        }
        let slope = (n * xy - x * y) / (n * xx - x * x);
        let relative = slope / (bounded(y / n) + unit_size(signal));
        // One value or none has no spread, and so no finite quotient.
        if relative.is_finite() { relative.clamp(-2.0, 2.0) } else { 0.0 }
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

/// [`LANES`] signals from the one at `at`; of a tick that has fewer, none was measured.
fn lanes(signals: &Signals, at: usize) -> &[f32; LANES] {
    signals.as_slice().get(at..).and_then(|values| values.first_chunk()).unwrap_or(&[f32::NAN; LANES])
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
