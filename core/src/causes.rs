//! Why a target is in trouble, when an alert fires: the groups of features that are out of their usual, ranked by how far
//! and by what can bring about what.
//!
//! A forecast knows little of causes. It is made from RTT before all, because RTT predicts RTT best, so that taking RTT
//! history away takes most of the forecast away, whatever the fault; of the first trained model 85 % rests on it. RTT
//! history is the symptom, and is named only when nothing else is out of its usual. The others count by [`excess`], how
//! many times what is usual for the target itself, and against two things: a later step of [`ORDER`] counts little where
//! an earlier one is out of its usual, which explains it; and what the forecast rests on ([`RestsOn`]) counts up to
//! twice. Models and rules of thumb are explained alike.
//!
//! What was tried and measured is in `docs/causes.md`.

mod ablation;
mod evidence;
mod excess;

use std::borrow::Cow;

pub use ablation::RestsOn;
use evidence::Evidence;
use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    features::{COUNT, Group},
    window::Window,
};

/// Causes reported at most.
pub const MAX_CAUSES: usize = 4;

/// The least share that is reported, in percent.
const MIN_SHARE: f32 = 3.0;

/// ln of how many times what is usual is out of the usual: 16 % more. Ranks hardly change from 5 % to 35 %.
const OUT_OF_USUAL: f32 = 0.15;

/// What a group keeps of its weight for each step before it that is out of its usual.
const EXPLAINED: f32 = 0.25;

/// What can bring about what: more is asked for; so a queue grows, and every packet waits; so packets are lost and sent
/// again, and the host is busy. Without the step before, each is a cause of its own: a path that loses packets, a host
/// that is short of CPU.
const ORDER: [&[Group]; 3] =
    [&[Group::Rates, Group::Connections], &[Group::Queue], &[Group::Retransmits, Group::Scheduling, Group::Pressure]];

/// One group's part in what is unusual.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    /// The group.
    pub group: Group,
    /// The signal or feature that shows it best.
    pub feature: Cow<'static, str>,
    /// Its unit.
    pub unit: Cow<'static, str>,
    /// Its value now.
    #[serde(deserialize_with = "or_nan")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<f32>"))]
    pub value: f32,
    /// What it stays below three quarters of the target's time.
    #[serde(deserialize_with = "or_nan")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<f32>"))]
    pub baseline: f32,
    /// The group's part of all evidence for a cause, in percent.
    pub share_percent: u8,
}

/// JSON has no word for what is not a number but `null`.
fn or_nan<'de, D: Deserializer<'de>>(number: D) -> Result<f32, D::Error> {
    Option::deserialize(number).map(|number| number.unwrap_or(f32::NAN))
}

/// The causes of an alert that fires now, the largest share first, at most [`MAX_CAUSES`]; none when nothing is above
/// its usual, not even RTT. `features` are those of `window`.
pub fn causes(window: &Window, features: &[f32; COUNT], rests_on: &RestsOn) -> Vec<Cause> {
    let found = Group::ALL.map(|group| evidence::of(group, window, features));
    let weights = weigh(&found.map(|evidence| evidence.map_or(0.0, |evidence| evidence.excess)), rests_on);
    let sum: f32 = weights.iter().sum();
    let reported = Group::ALL.into_iter().zip(found).zip(weights).filter_map(|((group, evidence), weight)| {
        let Evidence { feature, unit, value, baseline, .. } = evidence?;
        let share = 100.0 * weight / sum;
        let share_percent = share.round() as u8;
        let (feature, unit) = (feature.into(), unit.into());
        (share >= MIN_SHARE).then_some(Cause { group, feature, unit, value, baseline, share_percent })
    });
    let mut causes: Vec<Cause> = reported.collect();
    causes.sort_by_key(|cause| std::cmp::Reverse(cause.share_percent));
    causes.truncate(MAX_CAUSES);
    causes
}

/// Weights of the groups by how far each is above its usual, ln.
fn weigh(excess: &[f32; Group::ALL.len()], rests_on: &RestsOn) -> [f32; Group::ALL.len()] {
    let is_out = |group: &Group| excess[*group as usize] >= OUT_OF_USUAL;
    let others = Group::ALL.iter().any(|group| *group != Group::RttHistory && is_out(group));
    Group::ALL.map(|group| match group {
        Group::RttHistory if others => 0.0,
        Group::RttHistory => excess[group as usize],
        group if is_out(&group) => {
            let before = ORDER.iter().take_while(|step| !step.contains(&group));
            // What recurs has no place in the order: it explains nothing but that the rest was to be expected.
            let explained =
                if group == Group::Recurrence { 0 } else { before.filter(|step| step.iter().any(is_out)).count() };
            excess[group as usize] * EXPLAINED.powi(explained as i32) * (1.0 + rests_on.share(group))
        }
        _ => 0.0,
    })
}

#[cfg(test)]
mod tests;
