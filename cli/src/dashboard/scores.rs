//! Scores of rules: the last ones as the agent publishes them, and a sample a minute of what they were.

use std::collections::BTreeMap;

use netprecursor_core::policy::Identity;
use serde_json::Value;

use super::{
    agent::ScoreView,
    ring::{Ring, Slot},
};

/// Seconds between samples.
pub(super) const STEP: u64 = 60;

/// Samples of a rule: a day.
const SAMPLES: usize = 1_440;

/// Rules whose samples are kept. One has 16 bytes a sample, so all have 11.5 MB.
const MOST: usize = 500;

/// Figures of a rule at a time, in percent; NaN before there are any.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sample {
    pub(super) precision: f32,
    pub(super) recall: f32,
    /// The chance that a warning needs.
    pub(super) needed: f32,
    /// The highest recent chance.
    pub(super) reachable: f32,
}

impl Slot for Sample {
    const ABSENT: Self = Self { precision: f32::NAN, recall: f32::NAN, needed: f32::NAN, reachable: f32::NAN };

    fn merge(&mut self, later: Self) {
        *self = later;
    }
}

impl From<&ScoreView> for Sample {
    fn from(score: &ScoreView) -> Self {
        let or_nan = |percent: Option<f32>| percent.unwrap_or(f32::NAN);
        Self {
            precision: or_nan(score.precision_percent),
            recall: or_nan(score.recall_percent),
            needed: or_nan(score.needed_percent),
            reachable: or_nan(score.reachable_percent),
        }
    }
}

/// A rule of a policy.
pub(super) type Rule = (Identity, String);

/// The scores.
#[derive(Debug)]
pub(super) struct Scores {
    latest: Value,
    trends: BTreeMap<Rule, Ring<Sample>>,
}

impl Default for Scores {
    fn default() -> Self {
        Self { latest: Value::Array(Vec::new()), trends: BTreeMap::new() }
    }
}

impl Scores {
    /// Takes in the scores of `unix`. Rules that are gone are forgotten.
    pub(super) fn take(&mut self, unix: u64, latest: Value, scores: &[ScoreView]) {
        let rule = |score: &ScoreView| (score.policy.clone(), score.rule.clone());
        self.latest = latest;
        self.trends.retain(|kept, _| scores.iter().any(|score| (&score.policy, &score.rule) == (&kept.0, &kept.1)));
        for score in scores {
            let rule = rule(score);
            if self.trends.len() < MOST || self.trends.contains_key(&rule) {
                self.trends.entry(rule).or_insert_with(|| Ring::new(SAMPLES)).record(unix / STEP, score.into());
            }
        }
    }

    /// The scores as the agent publishes them.
    pub(super) const fn latest(&self) -> &Value {
        &self.latest
    }

    /// The samples of each rule.
    pub(super) fn trends(&self) -> impl Iterator<Item = (&Rule, &Ring<Sample>)> {
        self.trends.iter()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn score(rule: &str, precision: u8) -> ScoreView {
        serde_json::from_value(json!({
            "policyKind": "PrecursorPolicy", "policy": "p", "rule": rule, "precisionPercent": precision, "recallPercent": null,
            "neededPercent": 62.5, "reachablePercent": 90, "scorecard": {}
        }))
        .unwrap()
    }

    fn precisions(scores: &Scores) -> Vec<(String, Vec<f32>)> {
        let of = |ring: &Ring<Sample>| ring.iter().map(|(_, sample)| sample.precision).collect();
        scores.trends().map(|((_, rule), ring)| (rule.clone(), of(ring))).collect()
    }

    #[test]
    fn each_minute_keeps_its_last_sample() {
        let mut scores = Scores::default();
        for (unix, precision) in [(600, 10), (655, 20), (660, 30)] {
            scores.take(unix, json!([]), &[score("rtt", precision)]);
        }
        assert_eq!(precisions(&scores), [("rtt".to_owned(), vec![20.0, 30.0])]);
    }

    #[test]
    fn rules_that_are_gone_are_forgotten() {
        let mut scores = Scores::default();
        scores.take(600, json!([]), &[score("rtt", 10), score("other", 10)]);
        scores.take(660, json!([]), &[score("other", 20)]);
        assert_eq!(precisions(&scores), [("other".to_owned(), vec![10.0, 20.0])]);
    }

    #[test]
    fn rules_are_bounded() {
        let mut scores = Scores::default();
        let many: Vec<_> = (0..=MOST).map(|i| score(&format!("r{i}"), 1)).collect();
        scores.take(600, json!([]), &many);
        scores.take(660, json!([]), &many);
        assert_eq!(scores.trends().count(), MOST);
        assert!(scores.trends().all(|(_, ring)| ring.iter().count() == 2));
    }
}
