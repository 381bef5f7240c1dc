//! What is known of a target at the end of a tick, for those who learn from it.

use std::sync::LazyLock;

use crate::{
    features::{self, COUNT, Derived},
    forecast::{Forecast, Naive, QUANTILES, QuantileOffsets},
    window::Window,
};

/// The trained models that can be experts, by the names under which the release ships them.
pub const MODELS: [&str; 1] = ["rtt-xgboost"];

/// How many experts there are.
pub const EXPERTS: usize = Naive::ALL.len() + 3 + MODELS.len();

/// Features that are learned from in place.
pub const FEATURES: usize = RELATIVE.len() + Naive::ALL.len() + OTHERS.len();

/// How many of them, the first ones, are features of the vector.
pub(super) const RATIOS: usize = 29;

/// Features of the vector that are quotients: what is learned from them on one path holds on another.
const RELATIVE: [&str; RATIOS] = [
    "rtt_last_over_max10",
    "rtt_mean10_over_max10",
    "rtt_q50_over_max10",
    "rtt_q90_over_max10",
    "rtt_max30_over_max10",
    "rtt_max60_over_max10",
    "rtt_previous_max10_over_max10",
    "rtt_typical_over_max10",
    "rtt_max300_over_max10",
    "rtt_mean_us_slope5",
    "rtt_measured_slope5",
    "rtt_measured_slope15",
    "rtt_measured_slope40",
    "rtt_measured_spread10",
    "rtt_measured_spread60",
    "rtt_shift",
    "rtt_high_share60",
    "rtt_minute_expected_over_max10",
    "rtt_hour_expected_over_max10",
    "rtt_mean_us_ratio60",
    "rtt_over_floor",
    "standing_queue_bytes_ratio60",
    "tx_bytes_ratio60",
    "opens_ratio60",
    "retransmits_ratio60",
    "run_queue_p99_us_ratio60",
    "rtt_quarter_slope2",
    "rtt_last_quarter_over_max10",
    "rtt_later_half_over_earlier",
];

/// Positions among them.
pub(super) const LAST_OVER_MAX10: usize = 0;
pub(super) const SLOPE5: usize = 10;
pub(super) const SLOPE15: usize = 11;

/// Over the maximum of 10 s: quantiles of the last hour, the mean RTT of 4 s, and what the clock expects.
const OTHERS: [&str; QUANTILES.len() + 2] = [
    "hour_q50_over_max10",
    "hour_q90_over_max10",
    "hour_q99_over_max10",
    "rtt_mean4_over_max10",
    "clock_expected_over_max10",
];

static POSITIONS: LazyLock<[usize; RELATIVE.len()]> = LazyLock::new(|| RELATIVE.map(position));
static MEAN4_POSITION: LazyLock<usize> = LazyLock::new(|| position("rtt_mean_us_mean4"));

/// Who forecasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expert {
    /// A rule of thumb with the release's offsets.
    Naive(Naive),
    /// Quantiles of the ten-second maxima of the target's last hour: right where nothing announces anything.
    Hour,
    /// What came one period ago in the place of the horizon, where something recurs within the hour.
    Recurrence,
    /// What came at this phase of a period of the clock in the rounds before.
    Clock,
    /// A trained model, by its position in [`MODELS`].
    Model(usize),
}

/// What the experts forecast and the features that are learned from. Takes no memory beyond its own size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evidence {
    /// ln(µs) by quantile and expert, NaN where it has no forecast.
    pub(super) experts: [[f32; EXPERTS]; QUANTILES.len()],
    /// In natural units, finite.
    pub(super) features: [f32; FEATURES],
    /// The most that is forecast, µs.
    pub(super) ceiling_us: f32,
}

impl Expert {
    /// Every one, in the order of the evidence.
    pub fn all() -> impl ExactSizeIterator<Item = Self> + Clone {
        (0..EXPERTS).map(|position| match position.checked_sub(Naive::ALL.len()) {
            None => Self::Naive(Naive::ALL[position]),
            Some(0) => Self::Hour,
            Some(1) => Self::Recurrence,
            Some(2) => Self::Clock,
            Some(other) => Self::Model(other - 3),
        })
    }

    /// The name in reports and ledgers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Naive(naive) => naive.name(),
            Self::Hour => "hour",
            Self::Recurrence => "recurrence",
            Self::Clock => "clock",
            Self::Model(position) => MODELS[position],
        }
    }

    /// The position in the evidence.
    pub(super) const fn position(self) -> usize {
        match self {
            Self::Naive(naive) => naive as usize,
            Self::Hour => Naive::ALL.len(),
            Self::Recurrence => Naive::ALL.len() + 1,
            Self::Clock => Naive::ALL.len() + 2,
            Self::Model(position) => Naive::ALL.len() + 3 + position,
        }
    }
}

/// The name of a feature that is learned from; "" beyond [`FEATURES`].
pub fn feature_name(index: usize) -> String {
    let other = index.checked_sub(RELATIVE.len() + Naive::ALL.len());
    match (RELATIVE.get(index), other) {
        (Some(name), _) => (*name).to_owned(),
        (None, None) => format!("naive_{}_over_max10", Naive::ALL[index - RELATIVE.len()].name()),
        (None, Some(at)) => OTHERS.get(at).copied().unwrap_or_default().to_owned(),
    }
}

impl Evidence {
    /// The evidence of a window with its feature vector; `models` are forecasts in the order of [`MODELS`]. `None` when
    /// nothing was measured in the last minute.
    pub fn of(
        window: &Window,
        vector: &[f32; COUNT],
        offsets: &QuantileOffsets,
        models: [Option<Forecast>; MODELS.len()],
    ) -> Option<Self> {
        let points = Naive::ALL.map(|naive| naive.point_us(window.measured()).map_or(f32::NAN, f32::ln));
        if !points.iter().any(|point| point.is_finite()) {
            return None;
        }
        let max10 = vector[features::RESIDUAL_BASELINE];
        let hour = window.memory().maxima();
        let recurs = vector[features::position(Derived::HourRttStrength)] > 0.0;
        let clock = window.memory().clock().expected().map(|expected| expected.ln_us);
        let recurrence = if recurs { max10 + vector[features::position(Derived::HourRttExpected)] } else { f32::NAN };
        let experts = std::array::from_fn(|quantile| {
            let mut experts = [f32::NAN; EXPERTS];
            for (slot, expert) in experts.iter_mut().zip(Expert::all()) {
                *slot = match expert {
                    Expert::Naive(naive) => points[naive as usize] + offsets.of(naive)[quantile],
                    Expert::Hour => hour.map_or(f32::NAN, |maxima| maxima[quantile]),
                    Expert::Recurrence => recurrence,
                    Expert::Clock => clock.map_or(f32::NAN, |ln_us| ln_us[quantile]),
                    Expert::Model(model) => models[model].map_or(f32::NAN, |forecast| forecast.ln_us()[quantile]),
                };
            }
            experts
        });
        let over_max10 = |ln: f32| if ln.is_finite() { ln - max10 } else { 0.0 };
        let mean4 = vector.get(*MEAN4_POSITION).copied().filter(|ln| *ln > 0.0).unwrap_or(f32::NAN);
        let relative = POSITIONS.iter().map(|position| vector.get(*position).copied().unwrap_or_default());
        let known = relative
            .chain(points.map(over_max10))
            .chain(hour.unwrap_or([f32::NAN; QUANTILES.len()]).map(over_max10))
            .chain([mean4, clock.map_or(f32::NAN, |ln_us| ln_us[0])].map(over_max10));
        let mut features = [0.0; FEATURES];
        features.iter_mut().zip(known).for_each(|(slot, value)| *slot = value);
        let ceiling_us = window.ceiling_us().unwrap_or(f32::INFINITY);
        Some(Self { experts, features, ceiling_us })
    }

    /// The most that is forecast, µs ([`Window::ceiling_us`]).
    pub const fn ceiling_us(&self) -> f32 {
        self.ceiling_us
    }

    /// The features that are learned from, in natural units.
    pub const fn features(&self) -> &[f32; FEATURES] {
        &self.features
    }

    /// What an expert forecasts for a quantile, ln(µs), by its position; NaN for nothing.
    pub(super) fn forecast_ln_us(&self, quantile: usize, expert: Expert) -> f32 {
        self.experts[quantile][expert.position()]
    }

    /// The slope of ln RTT over 5 and 15 s, per second.
    pub(super) const fn slopes(&self) -> [f32; 2] {
        [self.features[SLOPE5], self.features[SLOPE15]]
    }
}

fn position(name: &str) -> usize {
    features::index(name).unwrap_or(COUNT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        signal::{Signal, Signals},
        tick::Tick,
    };

    fn evidence(rtt: impl Fn(u64) -> Option<f32>, ticks: u64) -> Option<Evidence> {
        let mut window = Window::new();
        for tick in 0..ticks {
            let mut signals = Signals::ABSENT;
            signals.set(Signal::RttMax, rtt(tick).unwrap_or(f32::NAN));
            window.push(Tick(tick), &signals).unwrap();
        }
        let mut vector = [0.0; COUNT];
        features::extract(&window, &mut vector);
        Evidence::of(&window, &vector, &QuantileOffsets::default(), [None])
    }

    #[test]
    fn every_feature_that_is_learned_from_is_in_the_vector_and_has_a_name_of_its_own() {
        assert!(POSITIONS.iter().all(|position| *position < COUNT) && *MEAN4_POSITION < COUNT);
        let names: Vec<String> = (0..FEATURES).map(feature_name).collect();
        for (index, name) in names.iter().enumerate() {
            assert!(!name.is_empty() && !names[..index].contains(name), "{names:?}");
        }
        let named = [LAST_OVER_MAX10, SLOPE5, SLOPE15].map(|position| RELATIVE[position]);
        assert_eq!(named, ["rtt_last_over_max10", "rtt_measured_slope5", "rtt_measured_slope15"]);
    }

    #[test]
    fn experts_stand_where_their_position_says() {
        assert!(Expert::all().enumerate().all(|(position, expert)| expert.position() == position));
        let evidence = evidence(|tick| Some(1_000.0 + (tick % 7) as f32), 400).unwrap();
        let max10 = evidence.forecast_ln_us(0, Expert::Naive(Naive::Max10));
        assert!((max10 - 1_006.0_f32.ln()).abs() < 1e-4, "{max10}");
        let hour = evidence.forecast_ln_us(1, Expert::Hour);
        assert!((hour - 1_006.0_f32.ln()).abs() < 1e-4, "{hour}");
        assert!(evidence.forecast_ln_us(1, Expert::Model(0)).is_nan());
    }

    #[test]
    fn whatever_is_measured_features_are_finite_and_silence_is_no_evidence() {
        for rtt in [0.0, 1e-30, 1e12, f32::MAX, f32::INFINITY, -1.0] {
            if let Some(evidence) = evidence(|tick| (tick % 3 > 0).then_some(rtt), 100) {
                assert!(evidence.features.iter().all(|feature| feature.is_finite()), "{rtt}: {evidence:?}");
            }
        }
        assert_eq!(evidence(|tick| (tick < 10).then_some(1_000.0), 100), None);
    }
}
