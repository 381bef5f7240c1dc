//! The part of the agent's HTTP API that the demonstration reads.

use netprecursor_core::{
    alert::{Alert, Model},
    gate::Gate,
    score::Scorecard,
};
use serde::Deserialize;

use crate::agent_api::{AgentApi, RuleState};

/// Bytes of an answer at most: a few targets.
const MOST: u64 = 10 << 20;

/// A client of one agent.
#[derive(Debug)]
pub(super) struct Api(AgentApi);

/// Everything that a tick shows.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) targets: Vec<Target>,
    pub(super) alerts: Vec<Alert>,
    pub(super) scores: Vec<Score>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Target {
    pub(super) target: String,
    pub(super) measured_us: Option<f32>,
    pub(super) predicted_us: Option<f32>,
    pub(super) chance: Option<f32>,
    pub(super) rules: Vec<Rule>,
}

/// The state of a rule for a target.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Rule {
    pub(super) state: RuleState,
    /// Why nothing may fire, if so.
    #[serde(flatten)]
    pub(super) gate: Option<Gate>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Score {
    pub(super) model: Model,
    pub(super) needed_percent: f32,
    pub(super) scorecard: Scorecard,
}

impl Api {
    /// A client of the agent at `url`.
    pub(super) fn new(url: String) -> Self {
        Self(AgentApi::new(url, MOST))
    }

    /// Where the agent listens, and its page is.
    pub(super) fn url(&self) -> &str {
        self.0.url()
    }

    /// Whether every required sensor works; an error lists those that do not.
    pub(super) fn ready(&self) -> Result<(), String> {
        let url = format!("{}/readyz", self.0.url());
        let answer = self.0.http().get(&url).config().http_status_as_error(false).build().call();
        let mut answer = answer.map_err(|error| error.to_string())?;
        if answer.status().is_success() {
            return Ok(());
        }
        Err(answer.body_mut().read_to_string().unwrap_or_default().trim().replace('\n', "; "))
    }

    /// The current state, targets in the order of their numbers.
    pub(super) fn view(&self) -> anyhow::Result<View> {
        let mut targets: Vec<Target> = self.0.read("targets")?;
        targets.sort_by(|a, b| numbered(&a.target).cmp(&numbered(&b.target)));
        Ok(View { targets, alerts: self.0.read("alerts")?, scores: self.0.read("scores")? })
    }
}

impl View {
    /// The latest alert of a target.
    pub(super) fn alert(&self, target: &str) -> Option<&Alert> {
        self.alerts.iter().filter(|alert| alert.target == target).max_by_key(|alert| alert.fired_unix)
    }
}

/// A sort key by which `web10` comes after `web9`.
fn numbered(name: &str) -> (&str, u64) {
    let stem = name.trim_end_matches(|character: char| character.is_ascii_digit());
    (stem, name[stem.len()..].parse().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_is_read_from_among_the_fields_of_its_rule_and_may_be_absent() {
        let rule = |json: &str| serde_json::from_str::<Rule>(json).unwrap();
        let gated = rule(r#"{"state":"Idle","gate":"WarmingUp","ticks":3,"samples":2,"thresholdUs":1}"#);
        assert_eq!(gated.gate, Some(Gate::WarmingUp { ticks: 3, samples: 2 }));
        assert_eq!(rule(r#"{"state":"Firing","thresholdUs":1}"#).gate, None);
    }

    #[test]
    fn names_are_in_the_order_of_their_numbers() {
        let mut names = ["web10", "web9", "web", "api2"];
        names.sort_by(|a, b| numbered(a).cmp(&numbered(b)));
        assert_eq!(names, ["api2", "web", "web9", "web10"]);
    }
}
