//! Whether a condition holds, as the API writes it and as we ask for it.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::Serialize;

/// Whether a condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum ConditionStatus {
    /// It does.
    True,
    /// It does not.
    False,
    /// That is not known.
    Unknown,
}

impl ConditionStatus {
    /// As the API writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }

    /// Of a condition; what is neither true nor false is unknown.
    pub fn of(condition: &Condition) -> Self {
        let known = [Self::True, Self::False].into_iter().find(|status| condition.status == *status);
        known.unwrap_or(Self::Unknown)
    }
}

impl fmt::Display for ConditionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Conditions of Kubernetes' own objects hold text as well, each in a type of its own.
impl PartialEq<ConditionStatus> for String {
    fn eq(&self, other: &ConditionStatus) -> bool {
        self == other.as_str()
    }
}
