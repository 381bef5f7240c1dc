//! The skill of each voice: what it and the mixture lost recently, against the rule of thumb that lost the least on the
//! very seconds. Kept apart from the weights, which follow regret, not skill.

use super::{Made, VOICES};
use crate::forecast::{Naive, QUANTILES};

/// What a second of the rule leaves of what was lost before: half of it is forgotten within an hour.
const KEEP: f64 = 0.9998;

/// A voice has no skill before this many seconds.
const LEAST_SECONDS: f64 = 60.0;

const RULES: usize = Naive::ALL.len();

/// The mixture comes after the voices.
const JUDGED: usize = VOICES + 1;

/// Losses over all targets of a rule; the labels of one tick count as one. Takes no memory beyond its own size.
#[derive(Debug, Clone, PartialEq)]
pub struct Merits {
    kept: [[Lost; JUDGED]; QUANTILES.len()],
    /// Of the tick that is open.
    open: [[Lost; JUDGED]; QUANTILES.len()],
    labels: u32,
}

/// Sums over the seconds in which a voice was awake, ln(µs).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Lost {
    seconds: f64,
    own: f64,
    rules: [f64; RULES],
}

/// The losses of a voice at one quantile.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Merit {
    /// Seconds that it rests on; those of long ago count for less.
    pub seconds: f64,
    /// Mean pinball loss, ln(µs).
    pub loss: f64,
    /// The rule of thumb, with the release's offsets, that lost the least on the same seconds.
    pub best: Naive,
    /// Its mean loss.
    pub best_loss: f64,
}

impl Default for Merits {
    fn default() -> Self {
        let none = [[Lost::default(); JUDGED]; QUANTILES.len()];
        Self { kept: none, open: none, labels: 0 }
    }
}

impl Merit {
    /// The share of the best rule's loss that is saved: 1 is perfect, below 0 the rule is better. `None` where the rule lost
    /// nothing.
    pub fn skill(&self) -> Option<f64> {
        (self.best_loss > 0.0).then(|| 1.0 - self.loss / self.best_loss)
    }
}

/// Skills by quantile, as those who show figures want them.
pub fn skills(merits: [Option<Merit>; QUANTILES.len()]) -> [Option<f64>; QUANTILES.len()] {
    merits.map(|merit| merit.and_then(|merit| merit.skill()))
}

impl Merits {
    /// Takes in a forecast and its truth in µs; it takes effect with [`Self::close`].
    pub fn learn(&mut self, made: &Made, truth_us: f32) {
        let came = f64::from(truth_us.ln());
        if !came.is_finite() {
            return;
        }
        for (position, lost) in self.open.iter_mut().enumerate() {
            let quantile = f64::from(QUANTILES[position]);
            let loss = |voice: f32| pinball(quantile, came - f64::from(voice));
            let (voices, mixed) = (made.voices(position), made.mixed(position));
            // Rules of thumb as they are come first among the voices.
            let rules: [f64; RULES] = std::array::from_fn(|rule| loss(voices[rule]));
            if !rules.iter().all(|loss| loss.is_finite()) {
                continue;
            }
            for (lost, voice) in lost.iter_mut().zip(voices.iter().copied().chain([mixed])) {
                if voice.is_finite() {
                    lost.add(1.0, loss(voice), &rules);
                }
            }
        }
        self.labels = self.labels.saturating_add(1);
    }

    /// Ends a tick.
    pub fn close(&mut self) {
        let labels = std::mem::take(&mut self.labels);
        if labels == 0 {
            return;
        }
        for (kept, open) in self.kept.iter_mut().flatten().zip(self.open.iter_mut().flatten()) {
            let Lost { seconds, own, rules } = std::mem::take(open).scaled(1.0 / f64::from(labels));
            *kept = kept.scaled(KEEP);
            kept.add(seconds, own, &rules);
        }
    }

    /// How the mixture did, by quantile.
    pub fn mixture(&self) -> [Option<Merit>; QUANTILES.len()] {
        self.of(VOICES)
    }

    /// How a voice did, by quantile; what it slept through counts neither for it nor against it.
    pub fn voice(&self, voice: usize) -> [Option<Merit>; QUANTILES.len()] {
        self.of(voice.min(VOICES - 1))
    }

    fn of(&self, judged: usize) -> [Option<Merit>; QUANTILES.len()] {
        self.kept.each_ref().map(|kept| kept[judged].merit())
    }
}

impl Lost {
    fn add(&mut self, seconds: f64, own: f64, rules: &[f64; RULES]) {
        self.seconds += seconds;
        self.own += own;
        self.rules.iter_mut().zip(rules).for_each(|(sum, more)| *sum += more);
    }

    fn scaled(&self, by: f64) -> Self {
        Self { seconds: self.seconds * by, own: self.own * by, rules: self.rules.map(|rule| rule * by) }
    }

    fn merit(&self) -> Option<Merit> {
        let (best, least) =
            Naive::ALL.into_iter().zip(self.rules).min_by(|(_, one), (_, other)| one.total_cmp(other))?;
        (self.seconds >= LEAST_SECONDS).then(|| Merit {
            seconds: self.seconds,
            loss: self.own / self.seconds,
            best,
            best_loss: least / self.seconds,
        })
    }
}

/// The loss of a forecast that the truth exceeds by `excess` (Koenker & Bassett 1978, "Regression quantiles").
fn pinball(quantile: f64, excess: f64) -> f64 {
    if excess >= 0.0 { quantile * excess } else { (quantile - 1.0) * excess }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::adapt::{EXPERTS, Evidence, Expert, FEATURES, Learned, voice_name};

    const MODEL: Expert = Expert::Model(0);

    /// Rules of thumb forecast `us`, the model `model_us`, others sleep.
    fn evidence(us: f32, model_us: f32) -> Evidence {
        let experts = std::array::from_fn(|quantile| {
            let mut experts = [f32::NAN; EXPERTS];
            experts[..RULES].fill(us.ln() + 0.1 * quantile as f32);
            experts[MODEL.position()] = model_us.ln();
            experts
        });
        Evidence { experts, features: [0.0; FEATURES], ceiling_us: f32::INFINITY }
    }

    /// An hour and a half in which the truth wobbles around what the rules forecast.
    fn learned_with(model: impl Fn(u32, f32) -> f32) -> (Learned, Merits) {
        let (mut learned, mut merits) = (Learned::default(), Merits::default());
        for tick in 0..5_400_u32 {
            let us = 20_000.0 + 3_000.0 * ((tick as f32 * 0.618_034).fract() - 0.5);
            let evidence = evidence(20_000.0, model(tick, us));
            let made = learned.make(&evidence).unwrap();
            merits.learn(&made, us);
            learned.learn_forecast(&made, us);
            learned.close();
            merits.close();
        }
        (learned, merits)
    }

    fn weight_of(learned: &Learned, expert: Expert) -> f64 {
        let weights = learned.mixture().weights()[0];
        weights[expert.position()] + weights[EXPERTS + expert.position()]
    }

    #[test]
    fn an_expert_that_is_worse_than_the_rules_for_long_is_seen_to_be_and_no_longer_heard() {
        let (learned, merits) = learned_with(|tick, _| if tick % 2 == 0 { 9_000.0 } else { 60_000.0 });
        let skill = |merit: [Option<Merit>; 3]| merit[0].unwrap().skill().unwrap();
        assert!(skill(merits.voice(MODEL.position())) < -2.0, "{}", skill(merits.voice(MODEL.position())));
        assert!(skill(merits.mixture()) > -0.02, "the mixture falls back: {}", skill(merits.mixture()));
        assert!(weight_of(&learned, MODEL) < 0.02, "{}", weight_of(&learned, MODEL));
    }

    #[test]
    fn an_expert_that_knows_is_seen_to_know_and_is_heard() {
        let (learned, merits) = learned_with(|_, us| us);
        let model = merits.voice(MODEL.position())[0].unwrap();
        assert!(model.skill().unwrap() > 0.99 && model.seconds > 3_000.0, "{model:?}");
        assert!(weight_of(&learned, MODEL) > 0.8, "{}", weight_of(&learned, MODEL));
        assert!(merits.mixture()[0].unwrap().skill().unwrap() > 0.7, "{:?}", merits.mixture());
    }

    #[test]
    fn who_sleeps_has_no_merits_and_a_minute_is_the_least() {
        let (_, merits) = learned_with(|_, _| f32::NAN);
        assert_eq!(merits.voice(MODEL.position()), [None; 3]);
        let (mut short, learned) = (Merits::default(), Learned::default());
        for second in 0..61 {
            assert_eq!(short.mixture()[0], None, "{second}");
            short.learn(&learned.make(&evidence(1.0, 1.0)).unwrap(), 2.0);
            short.close();
        }
        assert!(short.mixture()[0].is_some());
        let own = short.voice(0)[0].unwrap();
        assert_eq!((own.skill(), voice_name(0).as_str()), (Some(0.0), "last"));
    }

    #[test]
    fn merits_own_no_memory_beyond_their_size() {
        assert!(!std::mem::needs_drop::<Merits>());
        assert!(size_of::<Merits>() <= 16_384, "{}", size_of::<Merits>());
    }

    proptest! {
        #[test]
        fn merits_are_finite_and_bounded_whatever_comes(
            seconds in prop::collection::vec((1e-3..1e9_f32, 1e-3..1e9_f32, any::<f32>(), any::<bool>()), 1..300),
        ) {
            let (mut merits, learned) = (Merits::default(), Learned::default());
            for (us, model_us, truth_us, closes) in seconds {
                let Some(made) = learned.make(&evidence(us, model_us)) else { continue };
                merits.learn(&made, truth_us);
                if closes {
                    merits.close();
                }
                for merit in (0..VOICES).flat_map(|voice| merits.voice(voice)).chain(merits.mixture()).flatten() {
                    prop_assert!(merit.seconds <= 1.0 / (1.0 - KEEP) && merit.loss >= 0.0 && merit.loss <= 300.0, "{merit:?}");
                    prop_assert!(merit.best_loss >= 0.0 && merit.skill().is_none_or(|skill| skill <= 1.0));
                }
            }
        }
    }
}
