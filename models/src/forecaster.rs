//! What forecasts for a rule, a model or a rule of thumb, asked in one way: the agent, a backtest and the check of causes
//! take this step and no other.

use netprecursor_core::{
    adapt::{Evidence, MODELS},
    causes::{self, Cause, RestsOn},
    features::COUNT,
    forecast::{Forecast, Naive, QUANTILES, QuantileOffsets},
    watch::Basis,
    window::Window,
};

use crate::{ScoreError, Scorer};

/// A model, a rule of thumb, or all of them as experts.
#[derive(Debug)]
pub struct Forecaster(Engine);

#[derive(Debug)]
enum Engine {
    Naive { naive: Naive, offsets: Box<QuantileOffsets> },
    Model(Box<Model>),
    Experts { models: Box<[Model; MODELS.len()]>, offsets: Box<QuantileOffsets> },
}

/// A model with its outputs for the rows of the last run.
#[derive(Debug)]
struct Model {
    scorer: Scorer,
    out: Vec<f32>,
    /// For single rows.
    single: Vec<f32>,
}

impl Model {
    const fn new(scorer: Scorer) -> Self {
        Self { scorer, out: Vec::new(), single: Vec::new() }
    }

    fn run(&mut self, rows: &[f32]) -> Result<(), ScoreError> {
        self.scorer.score(rows, &mut self.out).inspect_err(|_| self.out.clear())
    }

    fn forecast(&self, row: usize) -> Option<Forecast> {
        let row = self.out.get(row * QUANTILES.len()..)?.first_chunk::<{ QUANTILES.len() }>()?;
        Forecast::from_ln(*row)
    }

    fn alone(&mut self, row: &[f32]) -> Option<Forecast> {
        self.scorer.score(row, &mut self.single).ok()?;
        Forecast::from_ln(*self.single.first_chunk()?)
    }
}

impl Forecaster {
    /// A rule of thumb with the offsets that make its point a quantile forecast.
    pub fn naive(naive: Naive, offsets: QuantileOffsets) -> Self {
        Self(Engine::Naive { naive, offsets: Box::new(offsets) })
    }

    /// A model that was loaded for a policy.
    pub fn model(scorer: Scorer) -> Self {
        Self(Engine::Model(Box::new(Model::new(scorer))))
    }

    /// The rules of thumb and the models of the release, in the order of [`MODELS`], as experts that are mixed in place.
    pub fn adaptive(scorers: [Scorer; MODELS.len()], offsets: QuantileOffsets) -> Self {
        Self(Engine::Experts { models: Box::new(scorers.map(Model::new)), offsets: Box::new(offsets) })
    }

    /// Takes in the features of all targets at one tick, one row each. A rule of thumb has no use for them.
    ///
    /// # Errors
    /// [`ScoreError`] when `rows` is no multiple of the model's width; then no row has a forecast.
    pub fn run(&mut self, rows: &[f32]) -> Result<(), ScoreError> {
        match &mut self.0 {
            Engine::Naive { .. } => Ok(()),
            Engine::Model(model) => model.run(rows),
            Engine::Experts { models, .. } => models.iter_mut().try_for_each(|model| model.run(rows)),
        }
    }

    /// What there is to say of the target whose row was number `row` of the last run, whose window is `window` and whose
    /// features are `features`.
    pub fn say(&self, row: usize, window: &Window, features: &[f32; COUNT]) -> Option<Basis> {
        match &self.0 {
            Engine::Naive { naive, offsets } => naive.forecast(window.measured(), offsets).map(Basis::Alone),
            Engine::Model(model) => model.forecast(row).map(Basis::Alone),
            Engine::Experts { models, offsets } => {
                let forecasts = models.each_ref().map(|model| model.forecast(row));
                Evidence::of(window, features, offsets, forecasts).map(Basis::Experts)
            }
        }
    }

    /// The causes of an alert that fires now: `features` are those of `window`, `baseline` those of the target before,
    /// when known. Not for every tick: a model is asked 18 times, for its median; of experts the first model is asked.
    pub fn causes(&mut self, window: &Window, features: &[f32; COUNT], baseline: Option<&[f32; COUNT]>) -> Vec<Cause> {
        let model = match &mut self.0 {
            Engine::Naive { .. } => None,
            Engine::Model(model) => Some(&mut **model),
            Engine::Experts { models, .. } => models.first_mut(),
        };
        let rests_on = match (model, baseline) {
            (Some(model), Some(baseline)) => {
                RestsOn::of(|row| model.alone(row).map_or(f32::NAN, |forecast| forecast.ln_us()[0]), features, baseline)
            }
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
        let say = |forecaster: &Forecaster, row, window: &Window| forecaster.say(row, window, &vector(window));
        let together = [0, 1].map(|row| say(&forecaster, row, &windows[row]).unwrap());
        assert_eq!(say(&forecaster, 2, &windows[0]), None);
        for (window, together) in windows.iter().zip(together) {
            forecaster.run(&vector(window)).unwrap();
            assert_eq!(say(&forecaster, 0, window), Some(together));
        }
        assert!(forecaster.run(&rows[1..]).is_err());
        assert_eq!(say(&forecaster, 0, &windows[0]), None, "rows that do not fit leave no forecast behind");
    }

    #[test]
    fn models_and_rules_of_thumb_name_the_same_cause_with_and_without_a_baseline() {
        let (window, before) = (window(1.0), [0.0; COUNT]);
        for mut forecaster in
            [shipped(), builtin::adaptive().unwrap(), Forecaster::naive(Naive::Max10, builtin::offsets())]
        {
            for baseline in [None, Some(&before)] {
                let causes = forecaster.causes(&window, &vector(&window), baseline);
                assert_eq!(causes[0].group, features::Group::Queue, "{causes:?}");
            }
        }
    }
}
