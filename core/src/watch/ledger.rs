//! What a rule has learned and counted over all of its targets, in a form that outlives the agent.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    calibrate::{Budget, Calibrator},
    score::Scorecard,
};

/// The version of the JSON form. A ledger of another one is not read: its counters would mean something else.
const VERSION: u32 = 1;

/// Calibration, budget and score of one rule over all of its targets.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// By how much the upper quantiles are off.
    pub calibrator: Calibrator,
    /// The decision level, and what false alerts it may cost.
    pub budget: Budget,
    /// Who was right.
    pub scorecard: Scorecard,
}

/// A ledger that cannot be read.
#[derive(Debug, Error)]
pub enum LedgerError {
    /// Written by another release.
    #[error("got a ledger of version {got}, expected {VERSION}: remove it, and counting begins anew")]
    Version {
        /// Its version.
        got: u32,
    },
    /// A number that no history leads to.
    #[error("got a ledger whose {part} has numbers out of range: remove it, and counting begins anew")]
    Unsound {
        /// Where.
        part: &'static str,
    },
    /// Not a ledger.
    #[error("got no ledger, expected JSON as the agent writes it: remove it, and counting begins anew")]
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
        for (part, sound) in [("calibrator", ledger.calibrator.is_sound()), ("budget", ledger.budget.is_sound())] {
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
    fn a_ledger_of_another_version_or_make_is_refused() {
        let json = Ledger::default().to_json().unwrap();
        let refused = |from: &str, to: &str| Ledger::from_json(&json.replace(from, to)).unwrap_err();
        assert!(matches!(refused(r#""version":1"#, r#""version":2"#), LedgerError::Version { got: 2 }));
        assert!(matches!(refused("alerts", "alarms"), LedgerError::Json(_)));
        assert!(matches!(refused("[0.0,0.0]", "[9.0,0.0]"), LedgerError::Unsound { part: "calibrator" }));
        assert!(matches!(refused(r#""tokens":1.0"#, r#""tokens":-3.0"#), LedgerError::Unsound { part: "budget" }));
        assert!(matches!(Ledger::from_json(&json[..40]), Err(LedgerError::Json(_))));
    }
}
