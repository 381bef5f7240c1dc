//! Weights of voices by who was right: Bernstein online aggregation (Wintenberger 2017, "Optimal learning with Bernstein
//! online aggregation") on linearised pinball losses, with a fixed share (Herbster & Warmuth 1998, "Tracking the best
//! expert") and forgetting, so that it follows when another voice becomes the best. Voices may be asleep (Freund et al.
//! 1997, "Using and combining predictors that specialize"): those without a forecast neither gain nor lose.

/// The share of the weight that all voices get alike.
const SHARE: f64 = 1e-3;

/// What a second leaves of what was learned before: half of it is forgotten within an hour.
const KEEP: f64 = 0.9998;

/// The furthest that a voice falls behind the best, as the logarithm of a weight: what it takes to come back is bounded.
const MAX_LAG: f64 = 10.0;

/// The smallest range of regrets and the least sum of their squares, in ln(µs): bounds the rates.
const LEAST_RANGE: f64 = 1e-3;
const LEAST_VARIANCE: f64 = 1e-3;

/// The range that is assumed before anything was seen, in ln(µs).
const FIRST_RANGE: f64 = 0.1;

/// Against another network's range of regrets, the range with which weights from training begin, and how much of what they
/// rest on counts.
const PRIOR_RANGE: f64 = 1.0;
const PRIOR_WEIGHT: f64 = 0.1;

/// The weights of `N` voices for one quantile.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregation<const N: usize> {
    /// By how much following each voice would have been better, in ln(µs).
    pub(super) regret: [f64; N],
    /// The sum of squares of the same.
    pub(super) variance: [f64; N],
    /// The largest of the same.
    pub(super) range: [f64; N],
    weights: [f64; N],
    /// Of the tick that is open.
    open: [f64; N],
    labels: u32,
}

impl<const N: usize> Default for Aggregation<N> {
    fn default() -> Self {
        Self {
            regret: [0.0; N],
            variance: [LEAST_VARIANCE; N],
            range: [FIRST_RANGE; N],
            weights: [1.0 / N as f64; N],
            open: [0.0; N],
            labels: 0,
        }
    }
}

impl<const N: usize> Aggregation<N> {
    /// The weights, 1 in sum.
    pub const fn weights(&self) -> &[f64; N] {
        &self.weights
    }

    /// The mean of what the voices that are awake forecast, by weight; `None` when all are asleep.
    pub fn mix(&self, voices: &[f32; N]) -> Option<f32> {
        let (mut sum, mut awake) = (0.0, 0.0);
        for (voice, weight) in voices.iter().zip(&self.weights).filter(|(voice, _)| voice.is_finite()) {
            sum += weight * f64::from(*voice);
            awake += weight;
        }
        (awake > 0.0).then(|| (sum / awake) as f32)
    }

    /// Takes in what the voices forecast, what was made of it, and what came (ln µs); it takes effect with [`Self::close`].
    pub fn learn(&mut self, quantile: f64, voices: &[f32; N], made: f32, came: f32) {
        let slope = if came < made { 1.0 } else { 0.0 } - quantile;
        for (open, voice) in self.open.iter_mut().zip(voices).filter(|(_, voice)| voice.is_finite()) {
            *open += slope * (f64::from(made) - f64::from(*voice));
        }
        self.labels += 1;
    }

    /// Ends a tick.
    pub fn close(&mut self) {
        if self.labels == 0 {
            return;
        }
        let labels = f64::from(std::mem::take(&mut self.labels));
        for voice in 0..N {
            let regret = std::mem::take(&mut self.open[voice]) / labels;
            self.range[voice] = (self.range[voice] * KEEP).max(regret.abs()).max(LEAST_RANGE);
            self.regret[voice] = self.regret[voice] * KEEP + regret;
            self.variance[voice] = (self.variance[voice] * KEEP + regret * regret).max(LEAST_VARIANCE);
        }
        self.weigh();
    }

    /// What was learned on one network as a beginning on another: the order of the voices, soon overruled.
    pub(super) fn temper(&mut self) {
        for voice in 0..N {
            self.regret[voice] *= PRIOR_WEIGHT;
            self.variance[voice] = (self.variance[voice] * PRIOR_WEIGHT).max(LEAST_VARIANCE);
            self.range[voice] = self.range[voice].max(PRIOR_RANGE);
        }
        self.weigh();
    }

    /// The weights that follow from regrets.
    pub(super) fn weigh(&mut self) {
        let exponents: [f64; N] = std::array::from_fn(|voice| {
            let rate = self.rate(voice);
            rate.ln() + rate * self.regret[voice] - rate * rate * self.variance[voice]
        });
        let highest = exponents.into_iter().fold(f64::NEG_INFINITY, f64::max);
        for (voice, exponent) in exponents.iter().enumerate() {
            let behind = highest - MAX_LAG - exponent;
            if behind > 0.0 {
                self.regret[voice] += behind / self.rate(voice);
            }
        }
        let weights = exponents.map(|exponent| (exponent - highest).max(-MAX_LAG).exp());
        let sum: f64 = weights.iter().sum();
        self.weights = weights.map(|weight| (1.0 - SHARE) * weight / sum + SHARE / N as f64);
    }

    /// The learning rate of a voice.
    fn rate(&self, voice: usize) -> f64 {
        (0.5 / self.range[voice]).min(((N as f64).max(2.0).ln() / self.variance[voice]).sqrt())
    }

    /// Whether every number is one that learning can lead to; what is read from a file might not be.
    pub(super) fn is_sound(&self) -> bool {
        self.regret.iter().all(|regret| regret.is_finite())
            && self.variance.iter().all(|variance| variance.is_finite() && *variance >= LEAST_VARIANCE)
            && self.range.iter().all(|range| range.is_finite() && *range >= LEAST_RANGE)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const N: usize = 5;

    fn pinball(quantile: f64, forecast: f64, came: f64) -> f64 {
        if came >= forecast { quantile * (came - forecast) } else { (1.0 - quantile) * (forecast - came) }
    }

    /// Losses of the mixture and of each voice over a sequence.
    fn play(quantile: f64, rounds: impl Iterator<Item = ([f32; N], f32)>) -> (f64, [f64; N]) {
        let (mut aggregation, mut mixed, mut alone) = (Aggregation::<N>::default(), 0.0, [0.0; N]);
        for (voices, came) in rounds {
            let made = aggregation.mix(&voices).unwrap();
            mixed += pinball(quantile, made.into(), came.into());
            for (loss, voice) in alone.iter_mut().zip(voices) {
                *loss += pinball(quantile, voice.into(), came.into());
            }
            aggregation.learn(quantile, &voices, made, came);
            aggregation.close();
        }
        (mixed, alone)
    }

    proptest! {
        /// The bound of Wintenberger's theorem 3.2 for a range E is of the order E·√(T·ln N); the constants here leave room
        /// for the fixed share (E a round) and what is forgotten (regret older than 1 ÷ (1 − KEEP) rounds).
        #[test]
        fn no_sequence_makes_the_mixture_much_worse_than_its_best_voice(
            rounds in prop::collection::vec((prop::array::uniform5(0.0..1.0_f32), 0.0..1.0_f32, any::<bool>()), 1..600),
            quantile in prop::sample::select(vec![0.5, 0.9, 0.99]),
            adversary in any::<bool>(),
        ) {
            let count = rounds.len() as f64;
            let sequence = rounds.into_iter().map(|(voices, came, high)| {
                // An adversary keeps to the ends of the range, where losses are largest.
                (voices, if adversary { f32::from(u8::from(high)) } else { came })
            });
            let (mixed, alone) = play(quantile, sequence);
            let best = alone.into_iter().fold(f64::INFINITY, f64::min);
            let bound = 3.0 * (count * (N as f64).ln()).sqrt() + 2.0 * SHARE * count + 5.0;
            prop_assert!(mixed - best <= bound, "{mixed} against {best}, bound {bound}");
        }

        #[test]
        fn weights_are_shares_whatever_comes(
            rounds in prop::collection::vec((prop::array::uniform5(any::<f32>()), any::<f32>()), 1..200),
        ) {
            let mut aggregation = Aggregation::<N>::default();
            for (voices, came) in rounds {
                // As learning is called: what came is a number, what was made of it is too.
                let Some(made) = aggregation.mix(&voices).filter(|made| made.is_finite()) else { continue };
                aggregation.learn(0.9, &voices, made, if came.is_nan() { 0.0 } else { came });
                aggregation.close();
                prop_assert!(aggregation.is_sound(), "{aggregation:?}");
                let sum: f64 = aggregation.weights().iter().sum();
                prop_assert!((sum - 1.0).abs() < 1e-6 && aggregation.weights().iter().all(|weight| *weight > 0.0));
            }
        }
    }

    #[test]
    fn the_best_voice_is_found_and_another_one_within_half_an_hour_when_it_becomes_the_best() {
        let mut aggregation = Aggregation::<N>::default();
        let mut leader_at = |ticks: std::ops::Range<u32>, best: usize| {
            for tick in ticks {
                let came = (tick as f32 * 0.618_034).fract();
                let voices = std::array::from_fn(|voice| if voice == best { came } else { came + 0.5 + voice as f32 });
                let made = aggregation.mix(&voices).unwrap();
                aggregation.learn(0.5, &voices, made, came);
                aggregation.close();
            }
            aggregation.weights()[best]
        };
        assert!(leader_at(0..3_600, 1) > 0.95);
        assert!(leader_at(3_600..5_400, 3) > 0.9);
    }

    #[test]
    fn who_is_asleep_keeps_its_weight_and_the_others_are_heard() {
        let mut aggregation = Aggregation::<N>::default();
        let nan = f32::NAN;
        let voices = [1.0, nan, 3.0, nan, nan];
        assert_eq!(aggregation.mix(&voices), Some(2.0));
        aggregation.learn(0.5, &voices, 2.0, 1.0);
        aggregation.close();
        assert_eq!(aggregation.regret[1], 0.0);
        assert_eq!(aggregation.mix(&[nan; N]), None);
    }
}
