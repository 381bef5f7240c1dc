//! What the agent reports of its sensors and of the machine it runs on.

pub mod advice;
pub mod capability;
pub mod kernel;

use std::fmt;

use serde::Serialize;

use crate::error::chain;

/// The sensor that identifies pods, in a cluster.
pub const IDENTITY: &str = "identity";

/// Whether forecasts can do without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Need {
    /// Without it there is no forecast.
    Required,
    /// Without it some features stay at their neutral value.
    Optional,
}

/// How well a sensor works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "state", content = "reason")]
#[cfg_attr(test, schemars(rename = "SensorState"))]
pub enum State {
    /// All its signals are measured.
    Active,
    /// Some signals are missing or of lesser quality.
    Degraded(String),
    /// None of its signals is measured.
    Unavailable(String),
}

/// What the agent reports of one sensor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "Sensor"))]
pub struct Status {
    /// The sensor's name.
    pub name: &'static str,
    /// Whether forecasts can do without it.
    pub need: Need,
    /// How well it works.
    #[serde(flatten)]
    pub state: State,
    /// What it cannot measure in an installation of this kind, by design: no degradation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<&'static str>,
    /// How it measures, where there is more than one way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub means: Option<&'static str>,
}

impl Status {
    /// The status of a sensor that measures all that it is made for.
    pub const fn new(name: &'static str, need: Need, state: State) -> Self {
        Self { name, need, state, limits: None, means: None }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Active => f.write_str("Active"),
            Self::Degraded(reason) => write!(f, "Degraded: {reason}"),
            Self::Unavailable(reason) => write!(f, "Unavailable: {reason}"),
        }
    }
}

impl State {
    /// `Active` from a success, `Unavailable` with the whole chain of causes from an error.
    pub fn of<T, E: std::error::Error>(result: &Result<T, E>) -> Self {
        match result {
            Ok(_) => Self::Active,
            Err(error) => Self::Unavailable(chain(error)),
        }
    }

    /// The word without the reason.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Degraded(_) => "Degraded",
            Self::Unavailable(_) => "Unavailable",
        }
    }

    /// The reason, where there is one.
    pub fn reason(&self) -> &str {
        match self {
            Self::Active => "",
            Self::Degraded(reason) | Self::Unavailable(reason) => reason,
        }
    }
}
