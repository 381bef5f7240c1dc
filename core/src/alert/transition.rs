//! What a tick changed about an alert, for its publishers.

use serde::Serialize;

use super::Alert;
use crate::decide::Resolution;

/// A turn in the life of an alert.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "transition", content = "alert", rename_all = "camelCase")]
pub enum Transition {
    /// It fired.
    Fired(Alert),
    /// It is worse than published, or came true.
    Updated(Alert),
    /// How the warning turned out is known.
    Judged(Alert),
    /// It is over.
    Resolved(Alert),
}

impl Transition {
    /// The end of an alert that has to go at `unix`.
    pub fn gone(mut alert: Alert, unix: u64) -> Self {
        alert.resolve(Resolution::Gone, unix);
        Self::Resolved(alert)
    }

    /// The alert as of now.
    pub const fn alert(&self) -> &Alert {
        match self {
            Self::Fired(alert) | Self::Updated(alert) | Self::Judged(alert) | Self::Resolved(alert) => alert,
        }
    }

    /// The turn in one word.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Fired(_) => "fired",
            Self::Updated(_) => "updated",
            Self::Judged(_) => "judged",
            Self::Resolved(_) => "resolved",
        }
    }
}
