//! What forecasts for a rule, a model or a rule of thumb, asked in one way: the agent, a backtest and the check of causes
//! take this step and no other.

use netprecursor_core::{
    causes::{self, Cause, RestsOn},
    features::COUNT,
    forecast::{Forecast, Level, Naive, QUANTILES, QuantileOffsets},
    window::Window,
};

use crate::{ScoreError, Scorer};

/// A model or a rule of thumb.
#[derive(Debug)]
pub struct Forecaster(Engine);

#[derive(Debug)]
enum Engine {
    Naive { naive: Naive, offsets: Box<QuantileOffsets> },
    Model { scorer: Box<Scorer>, out: Vec<f32>, single: Vec<f32> },
}

impl Forecaster {
    /// A rule of thumb with the offsets that make its point a quantile forecast.
    pub fn naive(naive: Naive, offsets: QuantileOffsets) -> Self {
        Self(Engine::Naive { naive, offsets: Box::new(offsets) })
    }

    /// A model that was loaded for a policy.
    pub fn model(scorer: Scorer) -> Self {
        Self(Engine::Model { scorer: Box::new(scorer), out: Vec::new(), single: Vec::new() })
    }

    /// Takes in the features of all targets at one tick, one row each. A rule of thumb has no use for them.
    ///
    /// # Errors
    /// [`ScoreError`] when `rows` is no multiple of the model's width; then no row has a forecast.
    pub fn run(&mut self, rows: &[f32]) -> Result<(), ScoreError> {
        match &mut self.0 {
            Engine::Naive { .. } => Ok(()),
            Engine::Model { scorer, out, .. } => scorer.score(rows, out).inspect_err(|_| out.clear()),
        }
    }

    /// The forecast for the target whose row was number `row` of the last run and whose window is `window`.
    pub fn forecast(&self, row: usize, window: &Window) -> Option<Forecast> {
        match &self.0 {
            Engine::Naive { naive, offsets } => naive.forecast(window.measured(), offsets),
            Engine::Model { out, .. } => {
                let row = out.get(row * QUANTILES.len()..)?.first_chunk::<{ QUANTILES.len() }>()?;
                Forecast::from_ln(*row)
            }
        }
    }

    /// The causes of an alert that fires now: `features` are those of `window`, `baseline` those of the target before,
    /// when known, and `level` that at which the rule decided. Not for every tick: a model is asked 18 times.
    pub fn causes(
        &mut self,
        window: &Window,
        features: &[f32; COUNT],
        baseline: Option<&[f32; COUNT]>,
        level: Level,
    ) -> Vec<Cause> {
        let rests_on = match (&mut self.0, baseline) {
            (Engine::Model { scorer, single, .. }, Some(baseline)) => RestsOn::of(
                |row| {
                    let scored = scorer.score(row, single).ok().and_then(|()| single.first_chunk());
                    let forecast = scored.and_then(|ln_us| Forecast::from_ln(*ln_us));
                    forecast.map_or(f32::NAN, |forecast| forecast.at(level).ln())
                },
                features,
                baseline,
            ),
            _ => RestsOn::NOTHING,
        };
        causes::causes(window, features, &rests_on)
    }
}

#[cfg(test)]
mod tests {
    use netprecursor_core::{
        features,
        signal::{Signal, Signals},
        tick::Tick,
    };

    use super::*;
    use crate::{Use, builtin, contract::PolicyContract};

    fn window(factor: f32) -> Window {
        let mut window = Window::new();
        for tick in 0..60 {
            let mut signals = Signals::ABSENT;
            let wobble = factor * (1.0 + (tick * 7 % 13) as f32 / 100.0);
            signals.set(Signal::RttMax, 20_000.0 * wobble);
            signals.set(Signal::RttP50, if tick < 56 { 10_000.0 } else { 90_000.0 } * wobble);
            window.push(Tick(tick), &signals).unwrap();
        }
        window
    }

    fn vector(window: &Window) -> [f32; COUNT] {
        let mut vector = [0.0; COUNT];
        features::extract(window, &mut vector);
        vector
    }

    fn shipped() -> Forecaster {
        let bytes = builtin::model("rtt-xgboost").unwrap();
        Forecaster::model(Scorer::load(bytes, Use::Policy(&PolicyContract::rtt())).unwrap())
    }

    #[test]
    fn a_model_forecasts_each_row_of_a_run_as_it_does_alone() {
        let windows = [window(1.0), window(5.0)];
        let rows: Vec<f32> = windows.iter().flat_map(vector).collect();
        let mut forecaster = shipped();
        forecaster.run(&rows).unwrap();
        let together = [0, 1].map(|row| forecaster.forecast(row, &windows[row]).unwrap());
        assert_eq!(forecaster.forecast(2, &windows[0]), None);
        for (window, together) in windows.iter().zip(together) {
            forecaster.run(&vector(window)).unwrap();
            assert_eq!(forecaster.forecast(0, window), Some(together));
        }
        assert!(forecaster.run(&rows[1..]).is_err());
        assert_eq!(forecaster.forecast(0, &windows[0]), None, "rows that do not fit leave no forecast behind");
    }

    #[test]
    fn models_and_rules_of_thumb_name_the_same_cause_with_and_without_a_baseline() {
        let (window, before) = (window(1.0), [0.0; COUNT]);
        for mut forecaster in [shipped(), Forecaster::naive(Naive::Max10, builtin::offsets())] {
            for baseline in [None, Some(&before)] {
                let causes = forecaster.causes(&window, &vector(&window), baseline, Level::DEFAULT);
                assert_eq!(causes[0].group, features::Group::Queue, "{causes:?}");
            }
        }
    }
}
