//! Features of recurrence: the period, its strength, the time to the next peak and what followed one period ago.

use super::{
    derived::{Derived, Slots},
    summary::{Summary, bounded, ln_ratio},
};
use crate::{
    memory::{Outlook, Track},
    recurrence::Recurrence,
    signal::Signal,
    tick::{BIN_TICKS, HORIZON},
    window::{LENGTH, Window},
};

/// The shortest period looked for in the window, in seconds: below, ten seconds hold several anyway.
const SHORTEST: usize = 4;
/// The longest: two of them fit.
const LONGEST: usize = LENGTH / 2;
/// Later peaks are no concern of the next ten seconds.
const FARTHEST_PEAK_S: f32 = 60.0;

/// Where one series' outlook goes in the vector.
struct Places {
    period: Option<Derived>,
    strength: Derived,
    until_peak: Derived,
    expected: Derived,
}

impl Places {
    /// Writes an outlook; `against` turns what is expected into the feature.
    fn set(&self, outlook: Option<Outlook>, against: impl Fn(f32) -> f32, slots: &mut Slots<'_>) {
        if let Some(period) = self.period {
            slots.set(period, outlook.map_or(0.0, |outlook| outlook.period_s.ln_1p()));
        }
        slots.set(self.strength, outlook.map_or(0.0, |outlook| outlook.strength));
        let until_peak = outlook.map_or(FARTHEST_PEAK_S, |outlook| outlook.until_peak_s.min(FARTHEST_PEAK_S));
        slots.set(self.until_peak, until_peak);
        slots.set(self.expected, outlook.and_then(|outlook| outlook.expected).map_or(0.0, against));
    }
}

/// Writes the features of recurrence; `max10` is the measured maximum of the last 10 s in ln µs.
pub(super) fn extract(window: &Window, summary: &Summary<'_>, max10: f32, slots: &mut Slots<'_>) {
    let places = Places {
        period: Some(Derived::MinuteRttPeriod),
        strength: Derived::MinuteRttStrength,
        until_peak: Derived::MinuteRttUntilPeak,
        expected: Derived::MinuteRttExpected,
    };
    places.set(minute(window.measured_ln()), |expected| expected - max10, slots);

    // Roots, because the scatter of counts grows with their size.
    let tx = window.signal(Signal::TxBytes).map(|bytes| bounded(bytes).sqrt());
    let places = Places {
        period: Some(Derived::MinuteTxPeriod),
        strength: Derived::MinuteTxStrength,
        until_peak: Derived::MinuteTxUntilPeak,
        expected: Derived::MinuteTxExpected,
    };
    let mean4 = summary.mean4(Signal::TxBytes);
    places.set(minute(tx), |expected| ln_ratio(expected * expected, mean4, 1.0), slots);

    let memory = window.memory();
    let places = Places {
        period: Some(Derived::HourRttPeriod),
        strength: Derived::HourRttStrength,
        until_peak: Derived::HourRttUntilPeak,
        expected: Derived::HourRttExpected,
    };
    places.set(memory.outlook(Track::Rtt), |expected| bounded(expected).max(1.0).ln() - max10, slots);

    let per_second = |expected: f32, mean60: f32| ln_ratio(expected / BIN_TICKS as f32, mean60, 1.0);
    let places = Places {
        period: Some(Derived::HourTxPeriod),
        strength: Derived::HourTxStrength,
        until_peak: Derived::HourTxUntilPeak,
        expected: Derived::HourTxExpected,
    };
    let mean60 = summary.mean60(Signal::TxBytes);
    places.set(memory.outlook(Track::TxBytes), |expected| per_second(expected, mean60), slots);

    let places = Places {
        period: None,
        strength: Derived::HourOpensStrength,
        until_peak: Derived::HourOpensUntilPeak,
        expected: Derived::HourOpensExpected,
    };
    let mean60 = summary.mean60(Signal::Opens);
    places.set(memory.outlook(Track::Opens), |expected| per_second(expected, mean60), slots);
}

fn minute(series: impl DoubleEndedIterator<Item = f32> + Clone) -> Option<Outlook> {
    let found = Recurrence::find::<LENGTH>(series.clone(), SHORTEST, LONGEST)?;
    Some(Outlook {
        period_s: found.lag as f32,
        strength: found.strength,
        until_peak_s: found.until_peak() as f32,
        expected: found.expected(series.rev(), HORIZON as usize),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{features::derived_of, signal::Signals, tick::Tick};

    /// A burst of 3 s each `period` ticks, seen until just before tick `end`.
    fn bursts(period: u64, end: u64) -> Window {
        let mut window = Window::new();
        for tick in 0..end {
            let mixed = tick.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let wobble = (mixed ^ mixed >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 58;
            let (tx, rtt) = if tick % period < 3 { (4e6, 50_000.0) } else { (1e5, 2_000.0) };
            let mut signals = Signals::ABSENT;
            signals.set(Signal::TxBytes, tx + 100.0 * wobble as f32);
            signals.set(Signal::RttMax, rtt + wobble as f32);
            window.push(Tick(tick), &signals).unwrap();
        }
        window
    }

    #[test]
    fn the_next_burst_of_a_minute_is_expected_when_it_comes() {
        // The newest tick is 20 × 40 − 6: five seconds before the next burst.
        let of = derived_of(&bursts(20, 20 * 40 - 5));
        for (period, strength, until_peak) in [
            (Derived::MinuteRttPeriod, Derived::MinuteRttStrength, Derived::MinuteRttUntilPeak),
            (Derived::MinuteTxPeriod, Derived::MinuteTxStrength, Derived::MinuteTxUntilPeak),
        ] {
            assert!((of(period) - 20_f32.ln_1p()).abs() < 1e-5);
            assert!(of(strength) > 0.7, "{}", of(strength));
            assert!((5.0..=8.0).contains(&of(until_peak)), "{}", of(until_peak));
        }
        assert!((of(Derived::MinuteRttExpected) - 25_f32.ln()).abs() < 0.1, "{}", of(Derived::MinuteRttExpected));
        assert!((of(Derived::MinuteTxExpected) - 40_f32.ln()).abs() < 0.2, "{}", of(Derived::MinuteTxExpected));
    }

    #[test]
    fn a_burst_each_four_minutes_shows_in_the_hour_and_not_in_the_minute() {
        // Three seconds before the burst at 240 × 14.
        let of = derived_of(&bursts(240, 240 * 14 - 2));
        assert_eq!(of(Derived::MinuteRttStrength), 0.0);
        assert!((of(Derived::HourRttPeriod) - 240_f32.ln_1p()).abs() < 1e-5);
        assert!(of(Derived::HourRttStrength) > 0.7);
        assert!(of(Derived::HourRttUntilPeak) <= 10.0, "{}", of(Derived::HourRttUntilPeak));
        assert!((of(Derived::HourRttExpected) - 25_f32.ln()).abs() < 0.1, "{}", of(Derived::HourRttExpected));
        assert!(of(Derived::HourTxExpected) > 1.0);
    }
}
