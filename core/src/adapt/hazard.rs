//! How likely the horizon is to breach a threshold: logistic regressions that are learned in place, over the distances of
//! the experts from the threshold and the features. Three of them, mixed by how well each did here: one that begins with
//! nothing, one that begins with what was learned on other networks, and one that begins with what was learned in the lab.
//! Where none of what training saw is like this network, the first one takes over.

use super::{
    Evidence, Expert,
    evidence::{LAST_OVER_MAX10, RATIOS, SLOPE5, SLOPE15},
    feature_name,
    mixture::{PRIOR_SHARE, Scales},
    newton::Newton,
    peers::{PEERS, SHOWN, Seen},
};
use crate::forecast::{MAX_LOG_ODDS, Naive, QUANTILES};

/// What a regression begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Nothing: all that it knows it learned here.
    Here,
    /// Other networks.
    Networks,
    /// Episodes of the lab.
    Lab,
}

/// Who is asked how far from the threshold the horizon will be, by quantile: what rules of thumb, the last hour, recurrence and
/// the clock expect. The trends of 5 and 15 s, carried on for 10 s, come after them.
const ASKED: [(Expert, usize); 9] = [
    (Expert::Naive(Naive::Last), 0),
    (Expert::Naive(Naive::Max10), 0),
    (Expert::Naive(Naive::Max30), 0),
    (Expert::Naive(Naive::Ewma), 0),
    (Expert::Naive(Naive::DampedHolt), 0),
    (Expert::Hour, 1),
    (Expert::Hour, 2),
    (Expert::Recurrence, 0),
    (Expert::Clock, 0),
];
const TRENDS: [&str; 2] = ["trend5", "trend15"];
const CARRIED_ON: f32 = 10.0;
const DISTANCES: usize = ASKED.len() + TRENDS.len();

/// Each distance in ln(µs) enters in three bands, so that a straight line becomes a curve: bounds and factor.
const BANDS: [(f32, f32, f32); 3] = [(-3.0, 1.0, 1.0), (-0.3, 0.3, 3.0), (-0.05, 0.05, 10.0)];
const BAND_NAMES: [&str; BANDS.len()] = ["wide", "near", "at"];

/// The distance of one that has no forecast: well below.
const UNKNOWN: f32 = -1.0;

/// All that is weighed: distances in bands, features, what the other targets showed, and 1.
pub(super) const INPUTS: usize = DISTANCES * BANDS.len() + RATIOS + PEERS + 1;
const OF_PEERS: usize = DISTANCES * BANDS.len() + RATIOS;
const PEER_NAMES: [&str; PEERS] = [
    "peers_distance",
    "peers_trend5",
    "peers_slope5",
    "peers_slope15",
    "peers_last_over_max10",
    "peers_rising",
    "peers",
];

/// A rise of ln RTT by more than this a second makes a target one that is rising.
const RISING: f32 = 0.05;

/// Log-odds before anything is known: breaches are rare.
const FIRST_BIAS: f64 = -3.0;

/// What a tick leaves of what was learned before: half of it is forgotten within ten hours.
const KEEP: f64 = 0.999_98;

/// A label that was foreseen to this much teaches next to nothing. Most seconds are calm and predicted to be: they are
/// looked at in one tick of [`QUIET_EVERY`], where they count as often.
const FORESEEN: f64 = 0.01;
const QUIET_EVERY: u32 = 10;

/// The least weight of a regression: what it takes to come back is bounded (fixed share: Herbster & Warmuth 1998).
const SHARE: f64 = 1e-3;

/// A chance that a regression never predicts, when its merits are counted: one miss is not the end of it.
const LEAST_CHANCE: f64 = 1e-4;

/// What a chance is made of.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// What is known of the target.
    pub evidence: &'a Evidence,
    /// µs.
    pub threshold_us: f32,
    /// What the other targets of the rule showed.
    pub peers: Seen,
}

/// What all targets of a rule taught of breaches.
#[derive(Debug, Clone, PartialEq)]
pub struct Hazard {
    pub(super) beliefs: [Newton<INPUTS>; Source::ALL.len()],
    /// 1 in sum.
    pub(super) weights: [f64; Source::ALL.len()],
    open: Open,
    /// Ticks that were closed.
    ticks: u32,
}

/// The labels of one tick: what each regression lost by them.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Open {
    losses: [f64; Source::ALL.len()],
    labels: u32,
}

/// Log-odds of a breach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Odds {
    by_source: [f64; Source::ALL.len()],
    /// Of all of them together.
    pub mixed: f64,
    /// What the other targets showed.
    peers: Seen,
}

impl Source {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Here, Self::Networks, Self::Lab];

    /// The name in ledgers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Here => "here",
            Self::Networks => "networks",
            Self::Lab => "lab",
        }
    }
}

impl Default for Hazard {
    fn default() -> Self {
        let beliefs = Source::ALL.map(|_| beginner());
        Self { beliefs, weights: [1.0 / Source::ALL.len() as f64; _], open: Open::default(), ticks: 0 }
    }
}

impl Hazard {
    /// Log-odds of a breach of `threshold_us` within the horizon.
    pub(super) fn odds(&self, of: &Situation<'_>, scales: &Scales) -> Odds {
        let inputs = inputs(of, scales);
        let by_source = self.beliefs.each_ref().map(|belief| log_odds(belief, &inputs));
        let mixed: f64 = self.weights.iter().zip(by_source).map(|(weight, odds)| weight * chance(odds)).sum();
        let mixed = (mixed / (1.0 - mixed)).ln().clamp(-MAX_LOG_ODDS, MAX_LOG_ODDS);
        Odds { by_source, mixed, peers: of.peers }
    }

    /// Takes in evidence, the odds predicted from it and whether the threshold was breached; it takes effect with
    /// [`Self::close`].
    pub(super) fn learn(
        &mut self,
        evidence: &Evidence,
        scales: &Scales,
        threshold_us: f32,
        odds: &Odds,
        breached: bool,
    ) {
        let inputs = inputs(&Situation { evidence, threshold_us, peers: odds.peers }, scales);
        let looks_at_quiet = self.looks_at_quiet();
        self.beliefs.iter_mut().for_each(|belief| learn(belief, &inputs, breached, looks_at_quiet));
        for (loss, odds) in self.open.losses.iter_mut().zip(odds.by_source) {
            let came = if breached { chance(odds) } else { chance(-odds) };
            *loss -= came.max(LEAST_CHANCE).ln();
        }
        self.open.labels += 1;
    }

    /// Teaches one of the regressions alone: training, which makes what the others begin with.
    pub(super) fn teach(&mut self, source: Source, of: &Situation<'_>, scales: &Scales, breached: bool) {
        let looks_at_quiet = self.looks_at_quiet();
        learn(&mut self.beliefs[source as usize], &inputs(of, scales), breached, looks_at_quiet);
    }

    /// Ends a tick. The labels of `n` targets count as `√n`, as in [`Newton`].
    pub(super) fn close(&mut self) {
        self.ticks = self.ticks.wrapping_add(1);
        self.beliefs.iter_mut().for_each(Newton::close);
        let Open { losses, labels } = std::mem::take(&mut self.open);
        if labels == 0 {
            return;
        }
        let least = losses.into_iter().fold(f64::INFINITY, f64::min);
        for (weight, loss) in self.weights.iter_mut().zip(losses) {
            *weight *= ((least - loss) / f64::from(labels).sqrt()).exp();
        }
        let sum: f64 = self.weights.iter().sum();
        self.weights = self.weights.map(|weight| (1.0 - SHARE) * weight / sum + SHARE / Source::ALL.len() as f64);
    }

    const fn looks_at_quiet(&self) -> bool {
        self.ticks.is_multiple_of(QUIET_EVERY)
    }

    /// What was learned on some networks, and in the lab, as a beginning on others.
    pub(super) fn temper(&mut self) {
        self.beliefs[Source::Here as usize] = beginner();
        self.beliefs.iter_mut().for_each(|belief| belief.scale(PRIOR_SHARE));
        self.weights = Self::default().weights;
    }

    /// Whether every number is one that learning can lead to; what is read from a file might not be.
    pub(super) fn is_sound(&self) -> bool {
        self.beliefs.iter().all(Newton::is_sound) && self.weights.iter().all(|weight| *weight > 0.0 && *weight <= 1.0)
    }
}

/// The chance that has these log-odds.
pub fn chance(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

fn beginner() -> Newton<INPUTS> {
    let mut weights = [0.0; INPUTS];
    weights[INPUTS - 1] = FIRST_BIAS;
    Newton::new(weights, KEEP)
}

fn log_odds(belief: &Newton<INPUTS>, inputs: &[f32; INPUTS]) -> f64 {
    belief.predict(inputs).clamp(-MAX_LOG_ODDS, MAX_LOG_ODDS)
}

fn learn(belief: &mut Newton<INPUTS>, inputs: &[f32; INPUTS], breached: bool, looks_at_quiet: bool) {
    let predicted = chance(log_odds(belief, inputs));
    let slope = predicted - if breached { 1.0 } else { 0.0 };
    let times = match (slope.abs() <= FORESEEN, looks_at_quiet) {
        (false, _) => 1.0,
        (true, true) => f64::from(QUIET_EVERY),
        (true, false) => return belief.pass(),
    };
    belief.learn(inputs, times * slope, times * predicted * (1.0 - predicted));
}

/// The name of an input in ledgers.
pub(super) fn input_name(input: usize) -> String {
    let (distance, band) = (input / BANDS.len(), BAND_NAMES[input % BANDS.len()]);
    match input.checked_sub(DISTANCES * BANDS.len()) {
        Some(feature) if feature < RATIOS => feature_name(feature),
        Some(other) => PEER_NAMES.get(other - RATIOS).copied().unwrap_or("bias").to_owned(),
        None => format!("{} {band}", distance_name(distance)),
    }
}

fn distance_name(distance: usize) -> String {
    match ASKED.get(distance) {
        Some((expert, 0)) => expert.name().to_owned(),
        Some((expert, quantile)) => format!("{}_q{}", expert.name(), QUANTILES[*quantile]),
        None => TRENDS[distance - ASKED.len()].to_owned(),
    }
}

/// What a target shows the other targets of its rule, in the order of [`PEER_NAMES`].
pub(super) fn shows(evidence: &Evidence, threshold_us: f32, scales: &Scales) -> [f32; SHOWN] {
    let threshold = threshold_us.ln();
    let last = evidence.forecast_ln_us(0, Expert::Naive(Naive::Last));
    let [slope5, _] = evidence.slopes();
    let wide = |forecast| in_bands(forecast, threshold)[0];
    let feature = |feature| scales.input(evidence, feature);
    let rising = if slope5 > RISING { 1.0 } else { 0.0 };
    let trend5 = last + CARRIED_ON * slope5;
    [wide(last), wide(trend5), feature(SLOPE5), feature(SLOPE15), feature(LAST_OVER_MAX10), rising]
}

/// How far from the threshold the horizon will be, both in ln(µs), by band.
fn in_bands(forecast: f32, threshold: f32) -> [f32; BANDS.len()] {
    let distance = if forecast.is_finite() { forecast - threshold } else { UNKNOWN };
    BANDS.map(|(low, high, factor)| distance.clamp(low, high) * factor)
}

fn inputs(of: &Situation<'_>, scales: &Scales) -> [f32; INPUTS] {
    let Situation { evidence, threshold_us, peers } = of;
    let threshold = threshold_us.ln();
    let last = evidence.forecast_ln_us(0, Expert::Naive(Naive::Last));
    let forecasts = ASKED
        .into_iter()
        .map(|(expert, quantile)| evidence.forecast_ln_us(quantile, expert))
        .chain(evidence.slopes().map(|slope| last + CARRIED_ON * slope));
    let mut inputs = [1.0; INPUTS];
    let (distances, rest) = inputs.split_at_mut(DISTANCES * BANDS.len());
    for (bands, forecast) in distances.chunks_exact_mut(BANDS.len()).zip(forecasts) {
        bands.copy_from_slice(&in_bands(forecast, threshold));
    }
    for (feature, slot) in rest.iter_mut().take(RATIOS).enumerate() {
        *slot = scales.input(evidence, feature);
    }
    inputs[OF_PEERS..OF_PEERS + PEERS].copy_from_slice(peers);
    inputs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapt::{EXPERTS, FEATURES};

    /// Every expert forecasts the same.
    fn evidence(us: f32) -> Evidence {
        Evidence {
            experts: [[us.ln(); EXPERTS]; QUANTILES.len()],
            features: [0.0; FEATURES],
            ceiling_us: f32::INFINITY,
        }
    }

    fn of(evidence: &Evidence, threshold_us: f32) -> Situation<'_> {
        Situation { evidence, threshold_us, peers: Seen::default() }
    }

    /// One tick of twenty is near the threshold; a breach follows it, or not.
    fn teach(hazard: &mut Hazard, ticks: u32, follows: bool) {
        let scales = Scales::default();
        for tick in 0..ticks {
            let near = tick % 20 == 0;
            let evidence = evidence(if near { 90_000.0 } else { 20_000.0 });
            let odds = hazard.odds(&of(&evidence, 100_000.0), &scales);
            hazard.learn(&evidence, &scales, 100_000.0, &odds, near && follows);
            hazard.close();
        }
    }

    #[test]
    fn where_training_is_wrong_what_is_learned_here_takes_over() {
        let mut trained = Hazard::default();
        for source in [Source::Networks, Source::Lab] {
            let (near, far, scales) = (evidence(90_000.0), evidence(20_000.0), Scales::default());
            for _ in 0..20_000 {
                trained.teach(source, &of(&near, 100_000.0), &scales, true);
                trained.teach(source, &of(&far, 100_000.0), &scales, false);
                trained.close();
            }
        }
        let mixed =
            |hazard: &Hazard| chance(hazard.odds(&of(&evidence(90_000.0), 100_000.0), &Scales::default()).mixed);
        trained.temper();
        assert!(mixed(&trained) > 0.6, "{}", mixed(&trained));
        teach(&mut trained, 60, false);
        assert!(mixed(&trained) < 0.5, "{} after three times", mixed(&trained));
        assert!(trained.weights[Source::Here as usize] > 0.8, "{:?}", trained.weights);
        assert!(trained.is_sound());
    }

    #[test]
    fn what_was_learned_is_given_up_when_it_no_longer_holds() {
        let mut hazard = Hazard::default();
        teach(&mut hazard, 20_000, true);
        teach(&mut hazard, 20_000, false);
        let mixed = chance(hazard.odds(&of(&evidence(90_000.0), 100_000.0), &Scales::default()).mixed);
        assert!(mixed < 0.3, "{mixed}");
    }

    #[test]
    fn what_was_near_the_threshold_before_each_breach_comes_to_mean_a_breach() {
        let mut hazard = Hazard::default();
        teach(&mut hazard, 10_000, true);
        let scales = Scales::default();
        let mixed = |us| chance(hazard.odds(&of(&evidence(us), 100_000.0), &scales).mixed);
        assert!(mixed(90_000.0) > 0.9 && mixed(20_000.0) < 0.05, "{} {}", mixed(90_000.0), mixed(20_000.0));
        // A distance, not a level: another path with another threshold is judged alike.
        assert!((chance(hazard.odds(&of(&evidence(900.0), 1_000.0), &scales).mixed) - mixed(90_000.0)).abs() < 1e-4);
    }

    #[test]
    fn inputs_have_names_of_their_own_and_are_bounded_whatever_is_forecast() {
        let names: Vec<String> = (0..INPUTS).map(input_name).collect();
        for (index, name) in names.iter().enumerate() {
            assert!(!name.is_empty() && !names[..index].contains(name), "{names:?}");
        }
        for us in [1.0, f32::MAX, f32::MIN_POSITIVE, f32::NAN] {
            let inputs = inputs(&of(&evidence(us), 100.0), &Scales::default());
            assert!(inputs.iter().all(|input| input.abs() <= 3.0), "{us}: {inputs:?}");
        }
    }
}
