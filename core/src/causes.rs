//! Why a forecast is what it is: how much of its rise over the target's own baseline each group of features explains.
//!
//! A group's part is the mean of two ablations: how far the forecast falls when the group alone goes back to the
//! baseline, and how far it rises from the baseline when the group alone goes to where it is now. These are the last
//! and the first place of a group among all orders over which Shapley 1953 averages ("A value for n-person games");
//! either alone gives nothing to two groups that say the same. Parts that lower the forecast are left out.
//!
//! RTT history is a symptom as much as a cause: its share tells how much of the forecast is RTT that has risen already.

use crate::features::{COUNT, Group, RESIDUAL_BASELINE, ablate, representative};

/// Causes told at most.
pub const MAX_CAUSES: usize = 4;

/// The least share that is told, in percent.
const MIN_SHARE: f32 = 3.0;

/// The least rise of ln forecast, over all groups, that is worth explaining: 1 %.
const MIN_RISE: f32 = 0.01;

/// One group's part in a forecast.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cause {
    /// The group.
    pub group: Group,
    /// The feature of the group that shows it best.
    pub feature: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// Its value now.
    pub value: f32,
    /// Its value at the baseline.
    pub baseline: f32,
    /// The group's part of all that raises the forecast, in percent.
    pub share_percent: u8,
}

/// The causes of a forecast, the largest share first, at most [`MAX_CAUSES`]; none when the forecast does not exceed
/// the baseline's. `score` gives ln(µs) for a feature vector and is called twice per group and twice more.
pub fn causes(
    mut score: impl FnMut(&[f32; COUNT]) -> f32,
    features: &[f32; COUNT],
    baseline: &[f32; COUNT],
) -> Vec<Cause> {
    let (now, before) = (score(features), score(baseline));
    let mut buffer = [0.0; COUNT];
    let parts = Group::ALL.map(|group| {
        ablate(features, baseline, group, &mut buffer);
        let falls = now - score(&buffer);
        ablate(baseline, features, group, &mut buffer);
        let rises = score(&buffer) - before;
        let part = f32::midpoint(falls, rises);
        if part.is_finite() { part.max(0.0) } else { 0.0 }
    });
    let rise: f32 = parts.iter().sum();
    if rise < MIN_RISE || now <= before {
        return Vec::new();
    }
    let mut causes: Vec<Cause> = Group::ALL
        .into_iter()
        .zip(parts.map(|part| 100.0 * part / rise))
        .filter(|(_, share)| *share >= MIN_SHARE)
        .map(|(group, share)| {
            let shown = representative(group, features, baseline);
            Cause {
                group,
                feature: shown.feature,
                unit: shown.unit,
                value: shown.value,
                baseline: shown.baseline,
                share_percent: share.round() as u8,
            }
        })
        .collect();
    causes.sort_by_key(|cause| std::cmp::Reverse(cause.share_percent));
    causes.truncate(MAX_CAUSES);
    causes
}

/// The score to explain a rule of thumb by: ln of the maximum of the last 10 s. Such rules see nothing but measured
/// RTT, so that RTT history has the whole share, whichever rule it is; the value shown is what tells the user more.
pub const fn naive_score(features: &[f32; COUNT]) -> f32 {
    features[RESIDUAL_BASELINE]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features;

    /// A vector in which every feature of a group has one value, and the baseline of zeros.
    fn raised(groups: &[(Group, f32)]) -> [f32; COUNT] {
        std::array::from_fn(|i| {
            groups.iter().find(|(group, _)| features::group(i) == Some(*group)).map_or(0.0, |g| g.1)
        })
    }

    fn first_of(group: Group) -> usize {
        (0..COUNT).find(|i| features::group(*i) == Some(group)).unwrap()
    }

    const CALM: [f32; COUNT] = [0.0; COUNT];

    #[test]
    fn shares_are_those_of_an_additive_score() {
        let (queue, rates) = (first_of(Group::Queue), first_of(Group::Rates));
        let now = raised(&[(Group::Queue, 1.0), (Group::Rates, 1.0)]);
        let causes = causes(|vector| 3.0 * vector[queue] + vector[rates], &now, &CALM);
        let told: Vec<_> = causes.iter().map(|cause| (cause.group, cause.share_percent)).collect();
        assert_eq!(told, [(Group::Queue, 75), (Group::Rates, 25)]);
        assert!(features::index(causes[0].feature).is_some());
    }

    #[test]
    fn two_groups_that_say_the_same_share_what_they_say() {
        let (queue, rates) = (first_of(Group::Queue), first_of(Group::Rates));
        let now = raised(&[(Group::Queue, 1.0), (Group::Rates, 1.0)]);
        let causes = causes(|vector| vector[queue].max(vector[rates]), &now, &CALM);
        assert_eq!(causes.iter().map(|cause| cause.share_percent).collect::<Vec<_>>(), [50, 50]);
    }

    #[test]
    fn what_lowers_the_forecast_is_no_cause() {
        let (queue, rates) = (first_of(Group::Queue), first_of(Group::Rates));
        let now = raised(&[(Group::Queue, 1.0), (Group::Rates, 1.0)]);
        let causes = causes(|vector| 3.0 * vector[queue] - vector[rates], &now, &CALM);
        assert_eq!(
            causes.iter().map(|cause| (cause.group, cause.share_percent)).collect::<Vec<_>>(),
            [(Group::Queue, 100)]
        );
    }

    #[test]
    fn a_forecast_at_or_below_the_baseline_has_no_causes() {
        let now = raised(&[(Group::Queue, 1.0)]);
        assert!(causes(|vector| -vector[first_of(Group::Queue)], &now, &CALM).is_empty());
        assert!(causes(|_| 5.0, &now, &CALM).is_empty());
        assert!(causes(|_| f32::NAN, &now, &CALM).is_empty());
    }

    #[test]
    fn the_list_is_bounded_and_sorted() {
        let weights: Vec<_> = Group::ALL.into_iter().zip(1..).map(|(group, weight)| (group, weight as f32)).collect();
        let causes =
            causes(|vector| Group::ALL.iter().map(|group| vector[first_of(*group)]).sum(), &raised(&weights), &CALM);
        assert_eq!(causes.len(), MAX_CAUSES);
        assert!(causes.is_sorted_by(|a, b| a.share_percent >= b.share_percent));
        assert_eq!(causes[0].group, Group::Pressure);
    }

    #[test]
    fn a_rule_of_thumb_is_explained_by_rtt_history_alone() {
        let now = raised(&Group::ALL.map(|group| (group, 1.0)));
        let causes = causes(naive_score, &now, &CALM);
        assert_eq!(
            causes.iter().map(|cause| (cause.group, cause.share_percent)).collect::<Vec<_>>(),
            [(Group::RttHistory, 100)]
        );
    }
}
