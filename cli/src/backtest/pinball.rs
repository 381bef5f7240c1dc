//! Pinball losses of a forecaster and of the rules of thumb on the same seconds, and the coverage of its quantiles.

use std::collections::BTreeMap;

use netprecursor_core::{
    calibrate::Truth,
    forecast::{Forecast, Naive, QUANTILES, QuantileOffsets},
    tick::Tick,
    window::Window,
};
use netprecursor_models::builtin;
use serde::Serialize;

type ByQuantile = [f64; QUANTILES.len()];

/// The rules of thumb with the release's offsets.
#[derive(Debug)]
pub(super) struct Rivals(QuantileOffsets);

/// The forecasts of a tick, by the forecaster and by each rule of thumb.
type Forecasts = (Forecast, [Forecast; Naive::ALL.len()]);

/// Pairs forecasts of one target with their truth.
#[derive(Debug, Clone, Default)]
pub(super) struct Pairing(Truth<Forecasts>);

/// Sums over targets.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    rows: u64,
    model: ByQuantile,
    rules: [ByQuantile; Naive::ALL.len()],
    held: [u64; QUANTILES.len()],
}

/// The means, as a line of the result has them.
#[derive(Debug, Serialize)]
pub(super) struct Losses {
    pinball: Pinball,
    /// Share of truths at or below each quantile.
    coverage: BTreeMap<String, Option<f64>>,
}

/// Mean losses in ln(µs); `None` without rows.
#[derive(Debug, Serialize)]
struct Pinball {
    rows: u64,
    model: BTreeMap<String, Option<f64>>,
    rules: BTreeMap<&'static str, BTreeMap<String, Option<f64>>>,
}

/// A forecaster against the best rule of thumb at one quantile.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Skill {
    pub(super) quantile: f32,
    /// Mean, in ln(µs).
    pub(super) loss: f64,
    pub(super) rule: &'static str,
    pub(super) rule_loss: f64,
    /// The share of truths at or below the quantile.
    pub(super) coverage: f64,
}

impl Skill {
    /// The share of the rule's loss that the forecaster saves; `None` where the rule lost nothing.
    pub(super) fn share(&self) -> Option<f64> {
        (self.rule_loss > 0.0).then(|| 1.0 - self.loss / self.rule_loss)
    }
}

impl Rivals {
    pub(super) fn new() -> Self {
        Self(builtin::offsets())
    }

    /// The forecast of each rule of thumb; `None` unless all have one.
    pub(super) fn forecasts(&self, window: &Window) -> Option<[Forecast; Naive::ALL.len()]> {
        let mut forecasts = Naive::ALL.map(|naive| naive.forecast(window.measured(), &self.0)).into_iter();
        let first = forecasts.next()??;
        let mut all = [first; Naive::ALL.len()];
        for (slot, forecast) in all[1..].iter_mut().zip(forecasts) {
            *slot = forecast?;
        }
        Some(all)
    }
}

impl Pairing {
    /// Takes in a tick: what was measured in it, and what was forecast at its end.
    pub(super) fn observe(
        &mut self,
        now: Tick,
        measured_us: Option<f32>,
        forecasts: Option<Forecasts>,
        tally: &mut Tally,
    ) {
        if let Some(matured) = self.0.observe(now, measured_us, forecasts) {
            tally.add(&matured.predicted, matured.truth_us);
        }
    }
}

impl Tally {
    fn add(&mut self, (model, rules): &Forecasts, truth_us: f32) {
        self.rows += 1;
        let losses = std::iter::once((model, &mut self.model)).chain(rules.iter().zip(&mut self.rules));
        for (forecast, sums) in losses {
            for ((sum, forecast_us), quantile) in sums.iter_mut().zip(forecast.quantiles_us()).zip(QUANTILES) {
                *sum += pinball(quantile.into(), (truth_us / forecast_us).ln().into());
            }
        }
        for (held, forecast_us) in self.held.iter_mut().zip(model.quantiles_us()) {
            *held += u64::from(truth_us <= forecast_us);
        }
    }

    /// Adds the sums of `other`.
    pub(super) fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        let sums = std::iter::once(&mut self.model).chain(&mut self.rules);
        for (sums, more) in sums.zip(std::iter::once(&other.model).chain(&other.rules)) {
            sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        }
        self.held.iter_mut().zip(other.held).for_each(|(held, more)| *held += more);
    }

    /// Seconds whose truth is known.
    pub(super) const fn rows(&self) -> u64 {
        self.rows
    }

    /// By quantile, against the rule of thumb with the least loss on the same seconds; empty without rows.
    pub(super) fn skills(&self) -> Vec<Skill> {
        let mean = |sum: f64| sum / self.rows as f64;
        let known = (0..QUANTILES.len()).filter(|_| self.rows > 0);
        known
            .filter_map(|quantile| {
                let losses = Naive::ALL.into_iter().zip(self.rules.map(|losses| losses[quantile]));
                let (rule, least) = losses.min_by(|(_, one), (_, other)| one.total_cmp(other))?;
                Some(Skill {
                    quantile: QUANTILES[quantile],
                    loss: mean(self.model[quantile]),
                    rule: rule.name(),
                    rule_loss: mean(least),
                    coverage: mean(self.held[quantile] as f64),
                })
            })
            .collect()
    }

    /// The means.
    pub(super) fn losses(self) -> Losses {
        let rows = self.rows;
        let mean = |sum: f64| (rows > 0).then(|| sum / rows as f64);
        let means = |sums: ByQuantile| named(sums.map(mean));
        Losses {
            pinball: Pinball {
                rows,
                model: means(self.model),
                rules: Naive::ALL.into_iter().map(Naive::name).zip(self.rules.map(means)).collect(),
            },
            coverage: named(self.held.map(|held| mean(held as f64))),
        }
    }
}

fn named<T>(values: [T; QUANTILES.len()]) -> BTreeMap<String, T> {
    QUANTILES.map(|quantile| quantile.to_string()).into_iter().zip(values).collect()
}

/// The pinball loss of a forecast that the truth exceeds by `excess`: `quantile` times the excess, or `1 − quantile` times the
/// shortfall (Koenker & Bassett 1978, "Regression quantiles").
fn pinball(quantile: f64, excess: f64) -> f64 {
    if excess >= 0.0 { quantile * excess } else { (quantile - 1.0) * excess }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forecast(us: f32) -> Forecast {
        Forecast::from_ln([us.ln(); 3]).unwrap()
    }

    #[test]
    fn losses_are_means_over_the_seconds_whose_truth_is_known() {
        let (mut pairing, mut tally) = (Pairing::default(), Tally::default());
        for tick in 0..20 {
            let forecasts = (forecast(100.0), [forecast(50.0); Naive::ALL.len()]);
            pairing.observe(Tick(tick), Some(100.0), Some(forecasts), &mut tally);
        }
        let json = serde_json::to_value(tally.losses()).unwrap();
        assert_eq!(json["pinball"]["rows"], 10);
        let own = json["pinball"]["model"]["0.9"].as_f64().unwrap();
        assert!(own < 1e-6, "{own}");
        let loss = json["pinball"]["rules"]["last"]["0.9"].as_f64().unwrap();
        assert!((loss - 0.9 * 2.0_f64.ln()).abs() < 1e-6, "{loss}");
        assert_eq!(json["coverage"]["0.5"], 1.0);
    }

    #[test]
    fn a_forecast_too_high_costs_the_rest_of_its_quantile() {
        assert!((pinball(0.9, -1.0) - 0.1).abs() < 1e-12 && (pinball(0.9, 1.0) - 0.9).abs() < 1e-12);
        let empty = serde_json::to_value(Tally::default().losses()).unwrap();
        assert_eq!((&empty["pinball"]["rows"], &empty["coverage"]["0.99"]), (&0.into(), &serde_json::Value::Null));
    }
}
