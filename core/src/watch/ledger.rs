//! What a rule has learned and counted over all of its targets, in a form that outlives the agent.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Basis, Outlook, Prediction};
use crate::{
    adapt::{Learned, Merits, Peers, Shown, chance},
    calibrate::{Calibrator, Caution, Matured, Recalibration, Reliability},
    forecast::Forecast,
    score::Scorecard,
    tick::Tick,
};

/// The version of the JSON form. A ledger of another one is not read: its counters would mean something else.
const VERSION: u32 = 2;

/// What one rule learned and how it scored over all of its targets.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// How experts are mixed, and how likely breaches are.
    pub learned: Learned,
    /// What the chances of a forecaster by itself have come to mean; those of experts are learned as chances.
    pub alone: Recalibration,
    /// By how much the upper quantiles are off.
    pub calibrator: Calibrator,
    /// How sure the rule has to be to warn.
    pub caution: Caution,
    /// How reliable the chances are.
    pub reliability: Reliability,
    /// Who was right.
    pub scorecard: Scorecard,
    /// What the rule's targets show each other.
    #[serde(skip)]
    peers: Peers,
    /// The recent skill of each voice: an hour's memory, which starts empty with the agent.
    #[serde(skip)]
    pub merits: Merits,
    /// The tick whose labels are being taken in.
    #[serde(skip)]
    tick: Tick,
}

/// A ledger that cannot be read.
#[derive(Debug, Error)]
pub enum LedgerError {
    /// Written by another release.
    #[error("got a ledger of version {got}, expected {VERSION}: remove it to start counting from zero")]
    Version {
        /// Its version.
        got: u32,
    },
    /// A number that no history leads to.
    #[error("got a ledger whose {part} has numbers out of range: remove it to start counting from zero")]
    Unsound {
        /// Where.
        part: &'static str,
    },
    /// Not a ledger.
    #[error("got no ledger, expected JSON as the agent writes it: remove it to start counting from zero")]
    Json(#[from] serde_json::Error),
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct LedgerFile<L> {
    version: u32,
    ledger: L,
}

impl Ledger {
    /// A ledger that begins with what training learned.
    pub fn starting_from(learned: Learned) -> Self {
        Self { learned, ..Self::default() }
    }

    /// Ends the ticks before `now`: what they taught takes effect.
    pub(super) fn turn(&mut self, now: Tick) {
        if self.tick != now {
            self.learned.close();
            self.peers.close();
            self.merits.close();
            self.alone.close();
            self.caution.close();
            self.reliability.close();
            self.tick = now;
        }
    }

    /// Forecast and chance of a breach of `threshold_us`; `None` when there is none. `shown` is what the target shows
    /// the others of the rule.
    pub(super) fn predict(
        &mut self,
        basis: &Basis,
        threshold_us: f32,
        shown: &mut Option<Shown>,
    ) -> Option<Prediction> {
        Some(match basis {
            Basis::Alone(raw) => {
                self.caution.rest_on_one();
                let forecast = self.calibrator.apply(raw);
                let log_odds = forecast.log_odds_above(threshold_us);
                Prediction { raw: *raw, forecast, log_odds, chance: self.alone.chance(log_odds), made: None }
            }
            // The mixture tracks offsets of its own.
            Basis::Experts(evidence) => {
                let made = self.learned.make(evidence)?;
                let of = self.learned.situation(evidence, threshold_us, &mut self.peers, shown);
                let (forecast, odds) = (made.forecast()?.at_most(evidence.ceiling_us()), self.learned.odds(&of));
                let log_odds = odds.mixed;
                let chance = chance(log_odds);
                Prediction { raw: forecast, forecast, log_odds, chance, made: Some((made, odds)) }
            }
        })
    }

    /// Forecast and chance of a breach of `threshold_us` for a target that is seen once, by what was learned so far. Nothing
    /// is learned from it; `None` when there is no forecast.
    pub fn outlook(&self, basis: &Basis, threshold_us: f32) -> Option<Outlook> {
        let Prediction { forecast, chance, .. } = self.clone().predict(basis, threshold_us, &mut None)?;
        Some(Outlook { forecast, chance: chance as f32 })
    }

    /// Takes in a prediction and its truth; `is_calm` when the threshold was not breached at the time.
    pub(super) fn learn(
        &mut self,
        now: Tick,
        prediction: &Prediction,
        is_calm: bool,
        truth_us: f32,
        threshold_us: f32,
    ) {
        self.calibrator.count(&prediction.forecast, truth_us);
        let breached = truth_us > threshold_us;
        match &prediction.made {
            Some((made, odds)) => {
                self.merits.learn(made, truth_us);
                self.learned.learn_forecast(made, truth_us);
                if is_calm {
                    self.learned.learn_breach(made.evidence(), threshold_us, odds, breached);
                }
            }
            None => {
                self.calibrator.learn(now, &Matured::<Forecast> { predicted: prediction.raw, truth_us });
                if is_calm {
                    self.alone.learn(prediction.log_odds, breached);
                }
            }
        }
        if is_calm {
            self.reliability.learn(prediction.chance, breached);
        }
    }

    /// The ledger as JSON, with its version.
    ///
    /// # Errors
    /// None that a ledger in memory can cause; the encoder's are passed on.
    pub fn to_json(&self) -> Result<String, LedgerError> {
        Ok(serde_json::to_string(&LedgerFile { version: VERSION, ledger: self })?)
    }

    /// A ledger from JSON.
    ///
    /// # Errors
    /// Another version, numbers out of range, or something else altogether.
    pub fn from_json(json: &str) -> Result<Self, LedgerError> {
        let Versioned { version: got } = serde_json::from_str(json)?;
        if got != VERSION {
            return Err(LedgerError::Version { got });
        }
        let LedgerFile { ledger, .. } = serde_json::from_str::<LedgerFile<Self>>(json)?;
        let parts = [
            ("alone", ledger.alone.is_sound()),
            ("calibrator", ledger.calibrator.is_sound()),
            ("caution", ledger.caution.is_sound()),
            ("reliability", ledger.reliability.is_sound()),
        ];
        for (part, sound) in parts {
            if !sound {
                return Err(LedgerError::Unsound { part });
            }
        }
        Ok(ledger)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_survives_json() {
        let mut ledger = Ledger::default();
        ledger.scorecard.alerts = 7;
        assert_eq!(Ledger::from_json(&ledger.to_json().unwrap()).unwrap(), ledger);
    }

    #[test]
    fn looking_out_for_a_target_that_is_seen_once_teaches_nothing() {
        let ledger = Ledger::default();
        let before = ledger.clone();
        let basis = Basis::Alone(Forecast::from_ln([4.0, 5.0, 7.0]).unwrap());
        let chances = [10.0, 60.0, 10_000.0].map(|us| ledger.outlook(&basis, us).unwrap().chance);
        assert!(chances.is_sorted_by(|lower, higher| lower > higher), "{chances:?}");
        assert_eq!(ledger, before);
    }

    #[test]
    fn a_ledger_of_another_version_or_make_is_refused() {
        let json = Ledger::default().to_json().unwrap();
        let refused = |from: &str, to: &str| {
            assert!(json.contains(from), "{from}");
            Ledger::from_json(&json.replace(from, to)).unwrap_err()
        };
        assert!(matches!(refused(r#""version":2"#, r#""version":1"#), LedgerError::Version { got: 1 }));
        assert!(matches!(refused("alerts", "alarms"), LedgerError::Json(_)));
        assert!(matches!(
            refused(r#""offsets":[0.0,0.0]"#, r#""offsets":[9.0,0.0]"#),
            LedgerError::Unsound { part: "calibrator" }
        ));
        assert!(matches!(refused(r#""tokens":1.0"#, r#""tokens":-3.0"#), LedgerError::Unsound { part: "caution" }));
        assert!(matches!(
            refused(r#""highest":0.0"#, r#""highest":2.0"#),
            LedgerError::Unsound { part: "reliability" }
        ));
        // serde_json writes what is no number as null.
        assert!(matches!(refused(r#""shift":0.0"#, r#""shift":null"#), LedgerError::Json(_)));
        assert!(matches!(refused(r#""shift":0.0"#, r#""shift":99.0"#), LedgerError::Unsound { part: "alone" }));
        assert!(refused(r#""loss":0.03"#, r#""loss":-1.0"#).to_string().contains("expected JSON"));
        assert!(matches!(Ledger::from_json(&json[..40]), Err(LedgerError::Json(_))));
    }
}
