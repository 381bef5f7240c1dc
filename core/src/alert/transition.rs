//! What a tick changed about an alert, for its publishers.

use serde::Serialize;

use super::Alert;

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
