//! Rules of thumb over the measured RTT of the last minute: what every model has to beat, and the fallback for a
//! model that is missing or refused.

use crate::tick::HORIZON;

use super::{Forecast, QuantileOffsets};

/// Ticks that a rule of thumb looks back at most.
const LOOK_BACK: usize = 60;

/// Gain of the smoothed RTT, gain of its deviation and the multiple of the deviation: RFC 6298 §2.3.
const EWMA_GAIN: f32 = 0.125;
const EWMA_DEVIATION_GAIN: f32 = 0.25;
const EWMA_DEVIATIONS: f32 = 4.0;

/// Level gain, trend gain and damping of [`Naive::DampedHolt`], in the usual range of damped trends (Gardner &
/// McKenzie 1985, "Forecasting trends in time series"; damping 0.8 to 0.98).
const HOLT_LEVEL_GAIN: f32 = 0.5;
const HOLT_TREND_GAIN: f32 = 0.2;
const HOLT_DAMPING: f32 = 0.9;

/// A rule of thumb that forecasts the maximum RTT of the horizon from measured RTT alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Naive {
    /// The newest measured value.
    Last,
    /// The maximum of the last 10 ticks.
    Max10,
    /// The maximum of the last 30 ticks.
    Max30,
    /// The 0.9 quantile of the window (nearest rank).
    RecentQuantile,
    /// Exponentially weighted mean plus four exponentially weighted deviations.
    Ewma,
    /// Level and damped trend of ln RTT; the highest point of their path over the horizon.
    DampedHolt,
}

impl Naive {
    /// Every rule, in the order of the discriminants.
    pub const ALL: [Self; 6] =
        [Self::Last, Self::Max10, Self::Max30, Self::RecentQuantile, Self::Ewma, Self::DampedHolt];

    /// The name by which policies (`builtin:`), reports and offset tables know it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Last => "last",
            Self::Max10 => "max-10",
            Self::Max30 => "max-30",
            Self::RecentQuantile => "recent-quantile",
            Self::Ewma => "ewma",
            Self::DampedHolt => "damped-holt",
        }
    }

    /// The rule of a name, as [`Naive::name`] writes it.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|naive| naive.name() == name)
    }

    /// The point forecast in µs from measured RTT in µs per tick, oldest first (at most the newest 60 count).
    /// `None` when nothing was measured in the ticks that the rule looks at.
    pub fn point_us<M>(self, measured_us: M) -> Option<f32>
    where
        M: DoubleEndedIterator<Item = Option<f32>> + Clone,
    {
        let newest_first = measured_us.rev().take(LOOK_BACK);
        match self {
            Self::Last => newest_first.flatten().next(),
            Self::Max10 => newest_first.take(10).flatten().reduce(f32::max),
            Self::Max30 => newest_first.take(30).flatten().reduce(f32::max),
            Self::RecentQuantile => recent_quantile(newest_first.flatten(), 0.9),
            Self::Ewma => on_oldest_first(newest_first, ewma),
            Self::DampedHolt => on_oldest_first(newest_first, damped_holt),
        }
        .filter(|us| us.is_normal() && *us > 0.0)
    }

    /// The quantile forecast: the point times exp of the rule's offsets.
    pub fn forecast<M>(self, measured_us: M, offsets: &QuantileOffsets) -> Option<Forecast>
    where
        M: DoubleEndedIterator<Item = Option<f32>> + Clone,
    {
        let ln_point = self.point_us(measured_us)?.ln();
        Forecast::from_ln(offsets.of(self).map(|offset| ln_point + offset))
    }
}

/// Where the nearest-rank quantile of so many sorted values stands; 0 of none.
pub(crate) fn nearest_rank(quantile: f32, count: usize) -> usize {
    ((quantile * count as f32).ceil() as usize).clamp(1, count.max(1)) - 1
}

/// Nearest-rank quantile of at most [`LOOK_BACK`] values.
fn recent_quantile(values: impl Iterator<Item = f32>, quantile: f32) -> Option<f32> {
    let mut buffer = [0.0; LOOK_BACK];
    let mut count = 0;
    for (slot, value) in buffer.iter_mut().zip(values) {
        *slot = value;
        count += 1;
    }
    let values = &mut buffer[..count];
    (count > 0).then(|| *values.select_nth_unstable_by(nearest_rank(quantile, count), f32::total_cmp).1)
}

/// Turns the newest [`LOOK_BACK`] values around without allocating.
fn on_oldest_first(
    newest_first: impl Iterator<Item = Option<f32>>,
    rule: fn(&[Option<f32>]) -> Option<f32>,
) -> Option<f32> {
    let mut buffer = [None; LOOK_BACK];
    let mut start = LOOK_BACK;
    for (slot, value) in buffer.iter_mut().rev().zip(newest_first) {
        *slot = value;
        start -= 1;
    }
    rule(&buffer[start..])
}

fn ewma(oldest_first: &[Option<f32>]) -> Option<f32> {
    let mut values = oldest_first.iter().flatten();
    let first = *values.next()?;
    let (mean, deviation) = values.fold((first, first / 2.0), |(mean, deviation), &value| {
        let deviation = deviation + EWMA_DEVIATION_GAIN * ((value - mean).abs() - deviation);
        (mean + EWMA_GAIN * (value - mean), deviation)
    });
    Some(mean + EWMA_DEVIATIONS * deviation)
}

fn damped_holt(oldest_first: &[Option<f32>]) -> Option<f32> {
    let mut state: Option<(f32, f32)> = None;
    for value in oldest_first {
        let measured = value.filter(|us| *us > 0.0).map(f32::ln);
        state = match (state, measured) {
            (None, None) => None,
            (None, Some(ln)) => Some((ln, 0.0)),
            (Some((level, trend)), None) => Some((level + HOLT_DAMPING * trend, HOLT_DAMPING * trend)),
            (Some((level, trend)), Some(ln)) => {
                let expected = level + HOLT_DAMPING * trend;
                let next = expected + HOLT_LEVEL_GAIN * (ln - expected);
                Some((next, HOLT_TREND_GAIN * (next - level) + (1.0 - HOLT_TREND_GAIN) * HOLT_DAMPING * trend))
            }
        };
    }
    let (level, trend) = state?;
    let steps = if trend > 0.0 { HORIZON } else { 1 };
    let damped: f32 = std::iter::successors(Some(HOLT_DAMPING), |d| Some(d * HOLT_DAMPING)).take(steps as usize).sum();
    Some((level + damped * trend).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(naive: Naive, measured: &[Option<f32>]) -> Option<f32> {
        naive.point_us(measured.iter().copied())
    }

    #[test]
    fn without_a_measured_value_there_is_no_forecast() {
        for naive in Naive::ALL {
            assert_eq!(point(naive, &[]), None, "{}", naive.name());
            assert_eq!(point(naive, &[None; 60]), None, "{}", naive.name());
        }
    }

    #[test]
    fn a_flat_history_forecasts_itself() {
        for naive in Naive::ALL {
            let us = point(naive, &[Some(500.0); 60]).unwrap();
            assert!((us - 500.0).abs() < 1.0, "{}: {us}", naive.name());
        }
    }

    #[test]
    fn each_rule_looks_back_as_far_as_its_name_says() {
        let mut measured = vec![Some(100.0); 70];
        measured[5] = Some(9_000.0); // older than the window
        measured[45] = Some(800.0); // within 30, not within 10
        measured[65] = Some(300.0); // within 10
        assert_eq!(point(Naive::Last, &measured), Some(100.0));
        assert_eq!(point(Naive::Max10, &measured), Some(300.0));
        assert_eq!(point(Naive::Max30, &measured), Some(800.0));
        assert_eq!(point(Naive::RecentQuantile, &measured), Some(100.0));
    }

    #[test]
    fn the_recent_quantile_is_the_nearest_rank() {
        let measured: Vec<_> = (1..=10).map(|us| Some(us as f32)).collect();
        assert_eq!(point(Naive::RecentQuantile, &measured), Some(9.0));
        assert_eq!(point(Naive::RecentQuantile, &[Some(7.0)]), Some(7.0));
    }

    #[test]
    fn last_bridges_a_silent_tick() {
        assert_eq!(point(Naive::Last, &[Some(1.0), Some(2.0), None]), Some(2.0));
    }

    #[test]
    fn a_rising_trend_is_carried_on_and_a_falling_one_is_not_overshot() {
        let rising: Vec<_> = (0..60).map(|t| Some(100.0 * (0.05 * t as f32).exp())).collect();
        let last = rising[59].unwrap();
        let up = point(Naive::DampedHolt, &rising).unwrap();
        assert!(up > 1.1 * last && up < 2.0 * last, "{up} after {last}");
        let falling: Vec<_> = rising.iter().rev().copied().collect();
        let down = point(Naive::DampedHolt, &falling).unwrap();
        assert!(down > 90.0 && down < 115.0, "{down}");
    }

    #[test]
    fn deviation_lifts_the_weighted_mean() {
        let swinging: Vec<_> = (0..60).map(|t| Some(if t % 2 == 0 { 100.0 } else { 200.0 })).collect();
        let us = point(Naive::Ewma, &swinging).unwrap();
        assert!(us > 300.0 && us < 400.0, "{us}");
    }

    #[test]
    fn names_lead_back_to_their_rules() {
        for naive in Naive::ALL {
            assert_eq!(Naive::from_name(naive.name()), Some(naive));
        }
        assert_eq!(Naive::from_name("max10"), None);
    }
}
