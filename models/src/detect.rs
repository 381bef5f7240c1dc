//! Scores what somebody posts with a model that ships: rows of features, sequences, or the signals of a target second by
//! second, from which every model makes what it reads. `POST /api/v1/detect` of the agent and of the dashboard.
//!
//! A [`Request`] is read with the name of what is wrong in it, the [`columns`](mod@columns) turn its lines into numbers, the
//! [`Detector`] scores them and gives an [`Answer`]. `serve` puts HTTP around it.

mod answer;
mod columns;
mod line;
mod problem;
mod request;
#[cfg(feature = "schema")]
mod schema;
#[cfg(feature = "serve")]
pub mod serve;

use std::sync::{Mutex, PoisonError};

use netprecursor_core::{
    alert::Model,
    features::{self, COUNT},
    sequence,
    signal::{Signal, Signals},
    tick::Tick,
    watch::{Basis, Ledger},
    window::Window,
};

use crate::{Batch, Forecaster, Reads, builtin};
use columns::Columns;
use request::Posted;

pub use answer::{Answer, Expectation, RttForecasts};
pub use problem::Problem;
pub use request::{Form, Request};

/// Bytes of a request: some 500 rows of features, or 100 sequences.
pub const BODY_BYTES: usize = 1 << 20;

/// Rows of a request.
pub const ROWS: usize = 1_000;

/// Sequences of a request: nets take a millisecond for the slowest of them.
pub const SEQUENCES: usize = 100;

/// Targets whose signals a request has.
pub const TARGETS: usize = 100;

/// Seconds of each: what the memory of a window spans.
pub const SECONDS: usize = 3_600;

/// The models that ship, each loaded when it is first asked for. One request at a time has a model, the next one waits.
#[derive(Debug)]
pub struct Detector {
    entries: Vec<Entry>,
}

/// What may be asked for by name. Another kind of detection is another kind of [`Answer`].
#[derive(Debug)]
struct Entry {
    name: &'static str,
    loaded: Mutex<Option<Loaded>>,
}

/// A forecaster as a rule begins with it.
#[derive(Debug)]
struct Loaded {
    model: Model,
    forecaster: Forecaster,
    ledger: Ledger,
}

impl Default for Detector {
    fn default() -> Self {
        Self { entries: builtin::names().map(|name| Entry { name, loaded: Mutex::new(None) }).collect() }
    }
}

impl Detector {
    /// Reads a request and scores it. It takes up to seconds: not for the thread of a runtime.
    ///
    /// # Errors
    /// What is wrong with the request, and in which field.
    pub fn detect(&self, body: &[u8]) -> Result<Answer, Problem> {
        let request = Request::read(body)?;
        let entry = self.entries.iter().find(|entry| entry.name == request.model());
        let unknown = || Problem::Model {
            got: problem::shown(request.model()),
            known: builtin::names().collect::<Vec<_>>().join(", "),
        };
        let entry = entry.ok_or_else(unknown)?;
        let mut slot = entry.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        // Not in the slot meanwhile: what a panic leaves behind is not used again.
        let mut loaded = match slot.take() {
            Some(loaded) => loaded,
            None => {
                let (model, forecaster) = builtin::forecaster(entry.name)?.ok_or_else(unknown)?;
                Loaded { model, forecaster, ledger: Ledger::starting_from(builtin::prior()) }
            }
        };
        let answer = loaded.answer(&request);
        *slot = Some(loaded);
        answer
    }
}

impl Loaded {
    fn answer(&mut self, request: &Request) -> Result<Answer, Problem> {
        let threshold_us = request.threshold_us()?;
        let bases = match (request.posted()?, self.forecaster.reads()) {
            (Posted::Rows(rows), Reads::Rows) => self.alone(&Columns::features().rows(rows)?)?,
            (Posted::Sequences(sequences), Reads::Sequences) => {
                self.alone(&Columns::channels().sequences(sequences)?)?
            }
            (Posted::Signals(targets), _) => {
                let columns = Columns::signals();
                let targets = targets.iter().enumerate();
                targets
                    .map(|(place, seconds)| self.watched(&columns.seconds(place, seconds)?))
                    .collect::<Result<_, Problem>>()?
            }
            (posted, reads) => {
                return Err(Problem::Form { model: self.model.name.clone(), got: posted.form(), expected: reads });
            }
        };
        let forecasts = bases.iter().map(|basis| {
            // The forecast does not depend on the threshold.
            let outlook = basis.as_ref().and_then(|basis| self.ledger.outlook(basis, threshold_us.unwrap_or(1.0)));
            Expectation {
                quantiles_us: outlook.map(|outlook| outlook.forecast.quantiles_us()),
                chance: outlook.filter(|_| threshold_us.is_some()).map(|outlook| outlook.chance),
            }
        });
        Ok(Answer::RttForecast(RttForecasts::of(self.model.clone(), forecasts.collect())))
    }

    /// Of rows or sequences.
    fn alone(&mut self, lines: &[f32]) -> Result<Vec<Option<Basis>>, Problem> {
        let forecasts = self.forecaster.score(lines)?;
        Ok(forecasts.into_iter().map(|forecast| forecast.map(Basis::Alone)).collect())
    }

    /// Of a target that was watched for some seconds.
    fn watched(&mut self, seconds: &[Signals]) -> Result<Option<Basis>, Problem> {
        let (mut window, mut features) = (Window::new(), [0.0; COUNT]);
        for (second, signals) in (0..).zip(seconds) {
            window.push(Tick(second), signals)?;
        }
        features::extract(&window, &mut features);
        self.forecaster.run_alone(&mut Batch::default(), &window, &features)?;
        Ok(self.forecaster.basis(0, &window, &features))
    }
}

impl Columns {
    fn features() -> Self {
        Self::new("feature", features::all().iter().map(|feature| feature.name.as_str()))
    }

    fn channels() -> Self {
        Self::new("channel", sequence::CHANNELS.iter().map(|channel| channel.name))
    }

    fn signals() -> Self {
        Self::new("signal", Signal::ALL.iter().map(|signal| signal.name()))
    }
}

#[cfg(test)]
mod tests;
