//! What forecasts for a rule, a model or a rule of thumb, asked in one way: the agent, a backtest and the check of causes
//! take this step and no other.

use netprecursor_core::{
    adapt::{Evidence, MODELS},
    causes::{self, Cause, RestsOn},
    features::COUNT,
    forecast::{Forecast, Naive, QUANTILES, QuantileOffsets},
    sequence,
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

/// What a forecaster reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// Rows of features.
    Rows,
    /// Sequences of a minute.
    Sequences,
    /// Windows, from which it makes what it needs.
    Windows,
}

/// What forecasters read of all targets at one tick, one row each. Sequences are made only where a net reads them.
#[derive(Debug, Default)]
pub struct Batch {
    features: Vec<f32>,
    sequences: Vec<f32>,
    has_sequences: bool,
}

impl Batch {
    /// A batch without rows, for these forecasters. Its memory is kept from tick to tick.
    pub fn start<'a>(&mut self, readers: impl IntoIterator<Item = &'a Forecaster>) {
        self.features.clear();
        self.sequences.clear();
        self.has_sequences = readers.into_iter().any(Forecaster::reads_sequences);
    }

    /// Adds a target; its row is the number of rows before.
    pub fn push(&mut self, window: &Window, features: &[f32; COUNT]) {
        self.features.extend_from_slice(features);
        if self.has_sequences {
            sequence::append(window, &mut self.sequences);
        }
    }
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

    fn run(&mut self, batch: &Batch) -> Result<(), ScoreError> {
        self.score(if self.reads_sequences() { &batch.sequences } else { &batch.features })
    }

    fn score(&mut self, rows: &[f32]) -> Result<(), ScoreError> {
        self.scorer.score(rows, &mut self.out).inspect_err(|_| self.out.clear())
    }

    fn reads_sequences(&self) -> bool {
        self.scorer.info().reads_sequences()
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

    /// What it reads.
    pub fn reads(&self) -> Reads {
        match &self.0 {
            Engine::Model(model) if model.reads_sequences() => Reads::Sequences,
            Engine::Model(_) => Reads::Rows,
            Engine::Naive { .. } | Engine::Experts { .. } => Reads::Windows,
        }
    }

    /// Whether it needs sequences beside features.
    pub fn reads_sequences(&self) -> bool {
        match &self.0 {
            Engine::Naive { .. } => false,
            Engine::Model(model) => model.reads_sequences(),
            Engine::Experts { models, .. } => models.iter().any(Model::reads_sequences),
        }
    }

    /// Takes in all targets of one tick. A rule of thumb has no use for them. A net has no forecast for a batch that was
    /// not started for it.
    ///
    /// # Errors
    /// [`ScoreError`] when the rows are of another width than the model's; then no row has a forecast.
    pub fn run(&mut self, batch: &Batch) -> Result<(), ScoreError> {
        match &mut self.0 {
            Engine::Naive { .. } => Ok(()),
            Engine::Model(model) => model.run(batch),
            Engine::Experts { models, .. } => models.iter_mut().try_for_each(|model| model.run(batch)),
        }
    }

    /// Forecasts for rows or sequences that were made elsewhere, `None` where the model's output is none; there are none of a
    /// forecaster that reads windows.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn score(&mut self, lines: &[f32]) -> Result<Vec<Option<Forecast>>, ScoreError> {
        let Engine::Model(model) = &mut self.0 else { return Ok(Vec::new()) };
        model.score(lines)?;
        let rows = model.out.len() / QUANTILES.len();
        Ok((0..rows).map(|row| model.forecast(row)).collect())
    }

    /// As [`Self::run`] for a single target, in a batch that is used for nothing else.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_alone(&mut self, batch: &mut Batch, window: &Window, features: &[f32; COUNT]) -> Result<(), ScoreError> {
        batch.start([&*self]);
        batch.push(window, features);
        self.run(batch)
    }

    /// The basis for the target whose row was number `row` of the last run, whose window is `window` and whose
    /// features are `features`.
    pub fn basis(&self, row: usize, window: &Window, features: &[f32; COUNT]) -> Option<Basis> {
        match &self.0 {
            Engine::Naive { naive, offsets } => {
                naive.forecast(window.measured(), offsets).map(|forecast| alone(forecast, window))
            }
            Engine::Model(model) => model.forecast(row).map(|forecast| alone(forecast, window)),
            Engine::Experts { models, offsets } => {
                let forecasts = models.each_ref().map(|model| model.forecast(row));
                Evidence::of(window, features, offsets, forecasts).map(Basis::Experts)
            }
        }
    }

    /// The causes of an alert that fires now: `features` are those of `window`, `baseline` those of the target before,
    /// when known. Not for every tick: a model of features is asked 18 times, for its median; of experts the first one is
    /// asked. What a net rests on is not in the features, so it says nothing about that.
    pub fn causes(&mut self, window: &Window, features: &[f32; COUNT], baseline: Option<&[f32; COUNT]>) -> Vec<Cause> {
        let model = match &mut self.0 {
            Engine::Naive { .. } => None,
            Engine::Model(model) => Some(&mut **model),
            Engine::Experts { models, .. } => models.first_mut(),
        };
        let model = model.filter(|model| !model.reads_sequences());
        let rests_on = match (model, baseline) {
            (Some(model), Some(baseline)) => {
                RestsOn::of(|row| model.alone(row).map_or(f32::NAN, |forecast| forecast.ln_us()[0]), features, baseline)
            }
            _ => RestsOn::NOTHING,
        };
        causes::causes(window, features, &rests_on)
    }
}

/// The basis of a forecast by one alone, with nothing above what the target has ever led to.
fn alone(forecast: Forecast, window: &Window) -> Basis {
    Basis::Alone(window.ceiling_us().map_or(forecast, |ceiling_us| forecast.at_most(ceiling_us)))
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

    fn shipped(name: &str) -> Forecaster {
        let bytes = builtin::model(name).unwrap();
        Forecaster::model(Scorer::load(bytes, Use::Policy(&PolicyContract::rtt())).unwrap())
    }

    #[test]
    fn a_model_forecasts_each_row_of_a_run_as_it_does_alone() {
        let windows = [window(1.0), window(5.0)];
        let basis = |forecaster: &Forecaster, row, window: &Window| match forecaster.basis(row, window, &vector(window))
        {
            Some(Basis::Alone(forecast)) => Some(forecast.ln_us()),
            _ => None,
        };
        for name in ["rtt-xgboost", "rtt-lstm", "rtt-transformer"] {
            let mut forecaster = shipped(name);
            let mut batch = Batch::default();
            batch.start([&forecaster]);
            windows.iter().for_each(|window| batch.push(window, &vector(window)));
            forecaster.run(&batch).unwrap();
            let together = [0, 1].map(|row| basis(&forecaster, row, &windows[row]).unwrap());
            assert_eq!(basis(&forecaster, 2, &windows[0]), None);
            for (window, together) in windows.iter().zip(together) {
                forecaster.run_alone(&mut batch, window, &vector(window)).unwrap();
                let alone = basis(&forecaster, 0, window).unwrap();
                assert!(alone.iter().zip(together).all(|(alone, together)| (alone - together).abs() < 1e-5), "{name}");
            }
        }
    }

    #[test]
    fn lines_that_were_made_elsewhere_are_scored_as_those_of_a_window() {
        let window = window(1.0);
        let mut lines = Vec::new();
        sequence::append(&window, &mut lines);
        for (name, line) in [("rtt-xgboost", vector(&window).to_vec()), ("rtt-lstm", lines)] {
            let (mut forecaster, mut batch) = (shipped(name), Batch::default());
            let scored = forecaster.score(&line).unwrap();
            forecaster.run_alone(&mut batch, &window, &vector(&window)).unwrap();
            let Some(Basis::Alone(forecast)) = forecaster.basis(0, &window, &vector(&window)) else { panic!("{name}") };
            let ceiling_us = window.ceiling_us().unwrap();
            assert_eq!(scored.iter().map(|one| one.unwrap().at_most(ceiling_us)).collect::<Vec<_>>(), [forecast]);
            assert!(forecaster.score(&line[1..]).is_err(), "{name}");
        }
        assert_eq!(builtin::adaptive().unwrap().reads(), Reads::Windows);
    }

    #[test]
    fn rows_that_do_not_fit_leave_no_forecast_behind() {
        let mut forecaster = shipped("rtt-xgboost");
        let (window, mut batch) = (window(1.0), Batch::default());
        forecaster.run_alone(&mut batch, &window, &vector(&window)).unwrap();
        assert!(forecaster.basis(0, &window, &vector(&window)).is_some());
        batch.features.pop();
        assert!(forecaster.run(&batch).is_err());
        assert!(forecaster.basis(0, &window, &vector(&window)).is_none());
    }

    #[test]
    fn a_net_forecasts_from_the_first_second_on_and_for_a_target_that_was_never_measured() {
        let mut short = Window::new();
        let mut signals = Signals::ABSENT;
        signals.set(Signal::RttMax, 5_000.0);
        short.push(Tick(1), &signals).unwrap();
        for name in ["rtt-lstm", "rtt-transformer"] {
            let (mut forecaster, mut batch) = (shipped(name), Batch::default());
            for window in [&short, &Window::new()] {
                forecaster.run_alone(&mut batch, window, &vector(window)).unwrap();
                let basis = forecaster.basis(0, window, &vector(window));
                let Some(Basis::Alone(forecast)) = basis else { panic!("{name}: {basis:?}") };
                assert!(forecast.ln_us().is_sorted(), "{name}: {forecast:?}");
            }
        }
    }

    #[test]
    fn what_a_net_forecasts_moves_with_the_level_of_the_path() {
        for name in ["rtt-lstm", "rtt-transformer"] {
            let (mut forecaster, mut batch) = (shipped(name), Batch::default());
            let medians = [1.0, 8.0].map(|factor| {
                let window = window(factor);
                forecaster.run_alone(&mut batch, &window, &vector(&window)).unwrap();
                let Some(Basis::Alone(forecast)) = forecaster.basis(0, &window, &vector(&window)) else { panic!() };
                forecast.ln_us()[0]
            });
            assert!((medians[1] - medians[0] - 8_f32.ln()).abs() < 1e-3, "{name}: {medians:?}");
        }
    }

    #[test]
    fn sequences_are_made_only_for_those_who_read_them() {
        let (window, mut batch) = (window(1.0), Batch::default());
        batch.start([&shipped("rtt-xgboost"), &Forecaster::naive(Naive::Max10, builtin::offsets())]);
        batch.push(&window, &vector(&window));
        assert!(batch.sequences.is_empty());
        batch.start([&shipped("rtt-xgboost"), &shipped("rtt-lstm")]);
        batch.push(&window, &vector(&window));
        assert_eq!((batch.sequences.len(), batch.features.len()), (sequence::LEN, COUNT));
    }

    #[test]
    fn models_and_rules_of_thumb_name_the_same_cause_with_and_without_a_baseline() {
        let (window, before) = (window(1.0), [0.0; COUNT]);
        for mut forecaster in [
            shipped("rtt-xgboost"),
            shipped("rtt-lstm"),
            builtin::adaptive().unwrap(),
            Forecaster::naive(Naive::Max10, builtin::offsets()),
        ] {
            for baseline in [None, Some(&before)] {
                let causes = forecaster.causes(&window, &vector(&window), baseline);
                assert_eq!(causes[0].group, features::Group::Queue, "{causes:?}");
            }
        }
    }
}
