//! Where each expert stands in a mixture: its weight, and its recent skill.

use super::{EXPERTS, Expert, Learned, Merit, Merits, VOICES};
use crate::forecast::QUANTILES;

/// The experts, and the regression that is learned in place.
pub const MEMBERS: usize = EXPERTS + 1;

/// The name of the regression.
const REGRESSION: &str = "regression";

type ByQuantile<T> = [T; QUANTILES.len()];

/// One member of a mixture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing {
    /// Its name, one of a fixed set.
    pub name: &'static str,
    /// Its share of the mixture, with and without its offset.
    pub weights: ByQuantile<f64>,
    /// How good it was as it is.
    pub merits: ByQuantile<Option<Merit>>,
    /// … with the offset that is tracked in place; the regression has none.
    pub corrected: ByQuantile<Option<Merit>>,
}

/// Every member of a mixture.
pub fn standings(learned: &Learned, merits: &Merits) -> [Standing; MEMBERS] {
    let weights = learned.mixture().weights();
    let mut experts = Expert::all();
    std::array::from_fn(|member| match experts.next() {
        Some(expert) => Standing {
            name: expert.name(),
            weights: weights.map(|weights| weights[member] + weights[EXPERTS + member]),
            merits: merits.voice(member),
            corrected: merits.voice(EXPERTS + member),
        },
        None => Standing {
            name: REGRESSION,
            weights: weights.map(|weights| weights[VOICES - 1]),
            merits: merits.voice(VOICES - 1),
            corrected: [None; QUANTILES.len()],
        },
    })
}

/// The member of the highest weight, over all quantiles.
pub fn leading(standings: &[Standing; MEMBERS]) -> &'static str {
    let weight = |standing: &Standing| standing.weights.iter().sum::<f64>();
    let most = standings.iter().max_by(|one, other| weight(one).total_cmp(&weight(other)));
    most.map_or(REGRESSION, |standing| standing.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapt::{Evidence, FEATURES};

    #[test]
    fn shares_of_the_members_are_one_in_sum_and_names_are_a_fixed_set() {
        let standings = standings(&Learned::default(), &Merits::default());
        for quantile in 0..QUANTILES.len() {
            let sum: f64 = standings.iter().map(|standing| standing.weights[quantile]).sum();
            assert!((sum - 1.0).abs() < 1e-9, "{sum}");
        }
        let names: Vec<&str> = standings.iter().map(|standing| standing.name).collect();
        assert_eq!((names[0], names[MEMBERS - 1], names.len()), ("last", "regression", EXPERTS + 1));
    }

    #[test]
    fn who_is_right_comes_to_lead() {
        let (mut learned, mut merits) = (Learned::default(), Merits::default());
        for tick in 0..3_000_u32 {
            let us = 1_000.0 * (1.0 + (tick as f32 * 0.618_034).fract());
            let mut experts = [[500.0_f32.ln(); EXPERTS]; QUANTILES.len()];
            experts.iter_mut().for_each(|experts| experts[Expert::Hour.position()] = us.ln());
            let made =
                learned.make(&Evidence { experts, features: [0.0; FEATURES], ceiling_us: f32::INFINITY }).unwrap();
            merits.learn(&made, us);
            learned.learn_forecast(&made, us);
            learned.close();
            merits.close();
        }
        let standings = standings(&learned, &merits);
        assert_eq!(leading(&standings), "hour");
        let hour = standings.iter().find(|standing| standing.name == "hour").unwrap();
        assert!(hour.weights[0] > 0.8 && hour.merits[0].unwrap().skill() > Some(0.99), "{hour:?}");
    }
}
