//! `/api/v1/scores`: what each rule counted, and what its forecast is made of.

use std::{collections::BTreeMap, sync::Arc};

use netprecursor_core::{
    adapt,
    alert::Model,
    calibrate::{BINS, Bin},
    policy::Identity,
    score::Scorecard,
};
use serde::Serialize;

use crate::tick::snapshot::{Makeup, Snapshot};

/// How well a rule does.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(test, schemars(rename = "Score"))]
pub(in crate::serve) struct ScoreView<'a> {
    #[serde(flatten)]
    policy: Identity,
    rule: String,
    model: Arc<Model>,
    /// The chance in percent that a warning needs: the policy's confidence, and what false warnings added.
    needed_percent: f64,
    /// The highest recent forecast chance, in percent.
    reachable_percent: f32,
    precision_percent: Option<u8>,
    recall_percent: Option<u8>,
    lead_median_seconds: Option<u64>,
    /// Coverage of the calibrated quantiles; none before enough truth is known.
    coverage: Option<[f64; 3]>,
    /// Forecast chances and how many came true: ten bins, lowest chances first.
    reliability: &'a [Bin; BINS],
    /// What the forecast is mixed of, by voice, at the probabilities 0.5, 0.9 and 0.99; absent for a model by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    weights: Option<BTreeMap<String, [f64; 3]>>,
    /// The recent skill of the mixture and its members; absent for a model by itself.
    #[serde(flatten)]
    merits: Option<MeritsView>,
    scorecard: &'a Scorecard,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(test, schemars(rename = "Merits"))]
struct MeritsView {
    /// Of the forecast over the best rule of thumb on the same seconds, in percent, by quantile; none before a minute.
    skill_percent: [Option<f64>; 3],
    /// That rule of thumb.
    best_rule: [Option<&'static str>; 3],
    /// Seconds that it rests on; half of what was is forgotten within an hour.
    skill_seconds: f64,
    /// The expert of the highest weight.
    leading_expert: &'static str,
    experts: Vec<ExpertView>,
    /// How much each regression that the chance comes from counts: of here, of other networks, of the lab.
    sources: BTreeMap<&'static str, f64>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(test, schemars(rename = "Expert"))]
struct ExpertView {
    name: &'static str,
    /// Its share of the mixture, with and without its offset, by quantile.
    weights: [f64; 3],
    /// Over the best rule of thumb while it had a forecast, in percent.
    skill_percent: [Option<f64>; 3],
    /// … with the offset that is tracked here; none for the regression.
    corrected_skill_percent: [Option<f64>; 3],
}

impl From<&Makeup> for MeritsView {
    fn from(makeup: &Makeup) -> Self {
        let percent = |merits| adapt::skills(merits).map(|skill| skill.map(|skill| 100.0 * skill));
        Self {
            skill_percent: percent(makeup.merits),
            best_rule: makeup.merits.map(|merit| merit.map(|merit| merit.best.name())),
            skill_seconds: makeup.merits[0].map_or(0.0, |merit| merit.seconds),
            leading_expert: adapt::leading(&makeup.members),
            experts: makeup
                .members
                .iter()
                .map(|standing| ExpertView {
                    name: standing.name,
                    weights: standing.weights,
                    skill_percent: percent(standing.merits),
                    corrected_skill_percent: percent(standing.corrected),
                })
                .collect(),
            sources: makeup.sources.map(|(source, weight)| (source.name(), weight)).into(),
        }
    }
}

fn weights(makeup: &Makeup) -> BTreeMap<String, [f64; 3]> {
    let of_voice = |voice: usize| (adapt::voice_name(voice), makeup.voices.map(|weights| weights[voice]));
    (0..adapt::VOICES).map(of_voice).collect()
}

/// By rule.
pub(in crate::serve) fn scores(snapshot: &Snapshot) -> Vec<ScoreView<'_>> {
    let percent = |share: Option<f64>| share.map(|share| (share * 100.0).round() as u8);
    snapshot
        .rules()
        .map(|(policy, rule)| ScoreView {
            policy: policy.policy.identity(),
            rule: rule.rule.name.to_string(),
            model: Arc::clone(&rule.model),
            needed_percent: 100.0 * rule.needed,
            reachable_percent: 100.0 * rule.reachable,
            precision_percent: percent(rule.scorecard.precision()),
            recall_percent: percent(rule.scorecard.recall()),
            lead_median_seconds: rule.scorecard.median_lead(),
            coverage: rule.coverage,
            reliability: &rule.bins,
            weights: rule.makeup.as_deref().map(weights),
            merits: rule.makeup.as_deref().map(MeritsView::from),
            scorecard: &rule.scorecard,
        })
        .collect()
}
