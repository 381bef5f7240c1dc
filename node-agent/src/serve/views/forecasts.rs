//! `/api/v1/forecast`: what each rule expects of each target.

use std::sync::Arc;

use netprecursor_core::{
    alert::Model,
    policy::Identity,
    tick::{HORIZON, Tick},
};
use serde::Serialize;

use crate::tick::snapshot::{Snapshot, TargetState, WatchState};

/// What a rule expects of a target.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(test, schemars(rename = "Forecast"))]
pub(in crate::serve) struct ForecastView {
    target: String,
    #[serde(flatten)]
    policy: Identity,
    rule: String,
    model: Arc<Model>,
    tick: Tick,
    horizon_seconds: u64,
    /// At the probabilities 0.5, 0.9 and 0.99; none when there is nothing to forecast from.
    quantiles_us: Option<[f32; 3]>,
    /// What none of them exceeds, by what was ever measured of the target.
    ceiling_us: Option<f32>,
    /// The chance that the horizon breaches the rule's threshold.
    chance: Option<f32>,
    /// The chance that a warning needs.
    needed: f64,
}

/// By target and rule.
pub(in crate::serve) fn forecasts(snapshot: &Snapshot) -> Vec<ForecastView> {
    let view = |target: &TargetState, watch: &WatchState| {
        let (policy, rule) = snapshot.rule(watch.rule)?;
        let outlook = watch.outlook.as_ref();
        Some(ForecastView {
            target: target.about.name.clone(),
            policy: policy.policy.identity(),
            rule: rule.rule.name.to_string(),
            model: Arc::clone(&rule.model),
            tick: snapshot.tick,
            horizon_seconds: HORIZON,
            quantiles_us: outlook.map(|outlook| outlook.forecast.quantiles_us()),
            ceiling_us: target.ceiling_us,
            chance: outlook.map(|outlook| outlook.chance),
            needed: rule.needed,
        })
    };
    let watches = snapshot.targets.iter().flat_map(|target| target.watches.iter().map(move |watch| (target, watch)));
    watches.filter_map(|(target, watch)| view(target, watch)).collect()
}
