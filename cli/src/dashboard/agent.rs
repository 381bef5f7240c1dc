//! The part of the agent's HTTP API that the dashboard reads.

use std::collections::BTreeMap;

use netprecursor_core::{
    alert::{Alert, Model},
    gate::Gate,
    policy::Identity,
};
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use super::health::Health;
use crate::agent_api::{AgentApi, ReadError, RuleState};

/// Bytes of an answer at most: ten thousand targets with a few rules each.
const MOST: u64 = 64 << 20;

/// A client of one agent.
#[derive(Debug)]
pub(super) struct Agent(AgentApi);

/// An address of no agent.
#[derive(Debug, Error)]
#[error("got --agent {got}, expected the address of an agent: write for example `http://127.0.0.1:9470`")]
pub(super) struct NoAddress {
    got: String,
}

/// A target as the agent shows it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TargetView {
    pub(super) target: String,
    #[serde(default)]
    pub(super) aliases: Vec<String>,
    pub(super) uid: String,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
    /// What runs the pod, such as `Deployment/checkout`.
    #[serde(default)]
    pub(super) workload: Option<String>,
    #[serde(default)]
    pub(super) coverage_percent: Option<u8>,
    pub(super) measured_us: Option<f32>,
    pub(super) predicted_us: Option<f32>,
    pub(super) rules: Vec<RuleView>,
}

/// Where a rule stands with a target.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RuleView {
    #[serde(flatten)]
    pub(super) policy: Identity,
    pub(super) rule: String,
    pub(super) rtt: String,
    pub(super) threshold_us: u64,
    pub(super) state: RuleState,
    /// Why nothing may fire, if so.
    #[serde(flatten)]
    pub(super) gate: Option<Gate>,
    pub(super) model: Model,
}

/// What a rule expects of a target.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ForecastView {
    pub(super) target: String,
    #[serde(flatten)]
    pub(super) policy: Identity,
    pub(super) rule: String,
    pub(super) tick: u64,
    pub(super) quantiles_us: Option<[Option<f32>; 3]>,
    pub(super) chance: Option<f32>,
    /// The chance that a warning needs.
    pub(super) needed: Option<f32>,
}

/// The figures of a rule's score that are kept over time.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ScoreView {
    #[serde(flatten)]
    pub(super) policy: Identity,
    pub(super) rule: String,
    pub(super) precision_percent: Option<f32>,
    pub(super) recall_percent: Option<f32>,
    pub(super) needed_percent: Option<f32>,
    pub(super) reachable_percent: Option<f32>,
}

/// A second of a target.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PointView {
    pub(super) unix: u64,
    pub(super) measured_us: Option<f32>,
    pub(super) predicted_us: Option<f32>,
    pub(super) chance: Option<f32>,
    pub(super) firing: bool,
}

/// Seconds of a target.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct HistoryView {
    pub(super) target: String,
    pub(super) points: Vec<PointView>,
}

impl Agent {
    /// A client of the agent at `url`.
    pub(super) fn new(url: &str) -> Result<Self, NoAddress> {
        let url = url.trim_end_matches('/');
        let is_address =
            url.strip_prefix("http://").is_some_and(|host| !host.is_empty() && !host.contains(['/', '?', '#', ' ']));
        if !is_address {
            return Err(NoAddress { got: url.chars().take(80).collect() });
        }
        Ok(Self(AgentApi::new(url.to_owned(), MOST)))
    }

    /// Where it is.
    pub(super) fn url(&self) -> &str {
        self.0.url()
    }

    /// Its targets.
    pub(super) fn targets(&self) -> Result<Vec<TargetView>, ReadError> {
        self.0.read("targets")
    }

    /// What it expects of them.
    pub(super) fn forecasts(&self) -> Result<Vec<ForecastView>, ReadError> {
        self.0.read("forecast")
    }

    /// Their seconds after `since`, five minutes at most.
    pub(super) fn history(&self, since: u64) -> Result<Vec<HistoryView>, ReadError> {
        self.0.read(&format!("history?since={since}"))
    }

    /// Alerts that are out, and the latest that are over.
    pub(super) fn alerts(&self) -> Result<Vec<Alert>, ReadError> {
        self.0.read("alerts")
    }

    /// Scores of its rules, which the page shows as they are, and what is kept of them.
    pub(super) fn scores(&self) -> Result<(Value, Vec<ScoreView>), ReadError> {
        let scores: Value = self.0.read("scores")?;
        let strange = |source| ReadError::Strange { url: self.0.document("scores"), source };
        let views = Vec::deserialize(&scores).map_err(strange)?;
        Ok((scores, views))
    }

    /// Its sensors and sinks.
    pub(super) fn health(&self) -> Result<Health, ReadError> {
        Ok(Health { sensors: self.0.read("sensors")?, sinks: self.0.read("sinks")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_of_http_without_a_path() {
        for good in ["http://127.0.0.1:9470", "http://127.0.0.1:9470/", "http://[::1]:9470", "http://node1"] {
            assert!(Agent::new(good).is_ok(), "{good}");
        }
        for bad in
            ["", "127.0.0.1:9470", "https://node1", "http://", "http://node1/api", "http://a b", "file:///etc/passwd"]
        {
            assert!(Agent::new(bad).unwrap_err().to_string().contains("write for example"), "{bad}");
        }
    }

    /// As `node-agent/src/serve/views/targets.rs` writes it.
    #[test]
    fn a_target_is_read_with_the_gate_of_its_rule() {
        let target: TargetView = serde_json::from_str(
            r#"{"target":"web1","uid":"u1","labels":{"app":"demo"},"watchedSeconds":9,"measuredUs":21500.5,"predictedUs":null,
                "chance":null,"firing":false,"established":4,"coveragePercent":100,"smoothedPercent":0,"rttFrom":"Clean",
                "rules":[{"policyKind":"PrecursorPolicy","policy":"demo","rule":"rtt","rtt":"RTT","thresholdUs":200000,
                "state":"Idle","gate":"WarmingUp","ticks":9,"samples":8,"model":{"name":"damped-holt"}}]}"#,
        )
        .unwrap();
        let rule = &target.rules[0];
        assert_eq!((rule.state, rule.gate), (RuleState::Idle, Some(Gate::WarmingUp { ticks: 9, samples: 8 })));
        assert_eq!((rule.policy.name.as_str(), target.measured_us), ("demo", Some(21_500.5)));
    }

    #[test]
    fn a_forecast_may_have_no_quantiles() {
        let forecast = |quantiles: &str| {
            let text = format!(
                r#"{{"target":"web1","policyKind":"ClusterPrecursorPolicy","policy":"p","rule":"rtt","model":{{"name":"m"}},"tick":7,
                    "horizonSeconds":10,"quantilesUs":{quantiles},"ceilingUs":null,"chance":0.25,"needed":0.5}}"#
            );
            serde_json::from_str::<ForecastView>(&text).unwrap()
        };
        assert_eq!(forecast("null").quantiles_us, None);
        assert_eq!(forecast("[1.0,2.5,null]").quantiles_us, Some([Some(1.0), Some(2.5), None]));
    }
}
