//! What a forecast rests on: how much of its rise over the target's own baseline each group of features makes.
//!
//! A group's part is the mean of two ablations: how far the forecast falls when the group alone goes back to the
//! baseline, and how far it rises from the baseline when the group alone goes to where it is now. These are the last
//! and the first place of a group among all orders over which Shapley 1953 averages ("A value for n-person games");
//! either alone gives nothing to two groups of the same information. Parts that lower the forecast are left out.

use crate::features::{COUNT, Group, ablate};

/// The least rise of ln forecast, over all groups, that is worth explaining: 1 %.
const MIN_RISE: f32 = 0.01;

/// Shares of a forecast's rise by group, 0 to 1, one in all; or nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RestsOn([f32; Group::ALL.len()]);

impl RestsOn {
    /// Of a rule of thumb, which sees nothing but measured RTT, and of a forecast without a baseline.
    pub const NOTHING: Self = Self([0.0; Group::ALL.len()]);

    /// Of a model: `score` gives ln(µs) for a feature vector and is called twice per group and twice more.
    pub fn of(mut score: impl FnMut(&[f32; COUNT]) -> f32, features: &[f32; COUNT], baseline: &[f32; COUNT]) -> Self {
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
        if rise >= MIN_RISE && now > before { Self(parts.map(|part| part / rise)) } else { Self::NOTHING }
    }

    /// The share of one group.
    pub const fn share(&self, group: Group) -> f32 {
        self.0[group as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features;

    fn raised(groups: &[Group]) -> [f32; COUNT] {
        std::array::from_fn(|i| if features::group(i).is_some_and(|group| groups.contains(&group)) { 1.0 } else { 0.0 })
    }

    fn first_of(group: Group) -> usize {
        (0..COUNT).find(|i| features::group(*i) == Some(group)).unwrap()
    }

    fn shares(score: impl FnMut(&[f32; COUNT]) -> f32) -> [f32; 2] {
        let rests = RestsOn::of(score, &raised(&[Group::Queue, Group::Rates]), &[0.0; COUNT]);
        [Group::Queue, Group::Rates].map(|group| rests.share(group))
    }

    #[test]
    fn shares_are_those_of_an_additive_score_and_what_lowers_it_has_none() {
        let (queue, rates) = (first_of(Group::Queue), first_of(Group::Rates));
        assert_eq!(shares(|vector| 3.0 * vector[queue] + vector[rates]), [0.75, 0.25]);
        assert_eq!(shares(|vector| 3.0 * vector[queue] - vector[rates]), [1.0, 0.0]);
    }

    #[test]
    fn two_groups_that_say_the_same_share_what_they_say() {
        let (queue, rates) = (first_of(Group::Queue), first_of(Group::Rates));
        assert_eq!(shares(|vector| vector[queue].max(vector[rates])), [0.5, 0.5]);
    }

    #[test]
    fn a_forecast_at_or_below_its_baseline_rests_on_nothing() {
        let queue = first_of(Group::Queue);
        assert_eq!(shares(|vector| -vector[queue]), [0.0, 0.0]);
        assert_eq!(shares(|_| 5.0), [0.0, 0.0]);
        assert_eq!(shares(|_| f32::NAN), [0.0, 0.0]);
    }
}
