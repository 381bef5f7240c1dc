//! Which episodes a dataset has, in an order that is balanced over families wherever it is cut off.

use netprecursor_lab::scenario::Scenario;

/// Family that is never recorded: it is shown to people, and must stay unseen.
pub(super) const NEVER: &str = "demo";
/// Family that has two turns in each round: life is calmer than a lab.
const CALM: &str = "calm";
/// Scenarios whose episodes may take longer than this, seconds, are long: one of them keeps a lab busy for as long as ten
/// others and more.
const LONG_S: f64 = 900.0;
/// Long scenarios have their turn only in each fourth round, from the first on: what takes longest begins first.
const LONG_EVERY: usize = 4;
/// The default first seed of a dataset; seeds below are for demonstrations and tests.
pub(super) const SEED_BASE: u64 = 10_000;

/// One episode to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Episode {
    pub(super) family: String,
    pub(super) scenario: String,
    pub(super) seed: u64,
    /// Seconds that it takes at most.
    pub(super) seconds: u64,
}

impl Episode {
    /// Name of its directory.
    pub(super) fn name(&self) -> String {
        format!("{}-{}-{}", self.family, self.scenario, self.seed)
    }
}

/// A scenario or family that has one episode in a round.
#[derive(Clone)]
struct Turn<'a> {
    family: &'a str,
    long: bool,
    scenarios: Vec<&'a Scenario>,
}

/// `count` episodes of the families asked for (all but the demonstration's when none is): rounds in which each family
/// has its turn in shuffled order, its scenarios taking turns as well. Each episode has a seed of its own, counted
/// from `seed_base`. Long scenarios have turns of their own, in few rounds. The same arguments give the same plan.
pub(super) fn plan(shipped: &[Scenario], families: &[String], count: usize, seed_base: u64) -> Vec<Episode> {
    let wanted = |family: &str| family != NEVER && (families.is_empty() || families.iter().any(|name| name == family));
    let mut turns: Vec<Turn<'_>> = Vec::new();
    for scenario in shipped.iter().filter(|scenario| wanted(&scenario.family)) {
        let (family, long) = (&scenario.family, scenario.seconds_at_most() > LONG_S);
        match turns.iter_mut().find(|turn| turn.family == *family && turn.long == long) {
            Some(turn) => turn.scenarios.push(scenario),
            None => turns.push(Turn { family, long, scenarios: vec![scenario] }),
        }
    }
    if let Some(calm) = turns.iter().find(|turn| turn.family == CALM).cloned() {
        turns.push(calm);
    }
    let mut played = vec![0_usize; turns.len()];
    let mut random = seed_base;
    let mut episodes = Vec::with_capacity(count);
    for round in 0.. {
        if episodes.len() >= count || turns.is_empty() {
            break;
        }
        let in_turn = |turn: &usize| !turns[*turn].long || round % LONG_EVERY == 0;
        let mut order: Vec<usize> = (0..turns.len()).filter(in_turn).collect();
        shuffle(&mut order, &mut random);
        for turn in order.into_iter().take(count - episodes.len()) {
            let scenarios = &turns[turn].scenarios;
            let scenario = scenarios[played[turn] % scenarios.len()];
            played[turn] += 1;
            let (family, seconds) = (scenario.family.clone(), scenario.seconds_at_most().ceil() as u64);
            let seed = seed_base + episodes.len() as u64;
            episodes.push(Episode { family, scenario: scenario.name.clone(), seed, seconds });
        }
    }
    episodes
}

/// Fisher and Yates, with the numbers of SplitMix64 (Steele, Lea & Flood 2014).
fn shuffle(order: &mut [usize], state: &mut u64) {
    for last in (1..order.len()).rev() {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        order.swap(last, ((z ^ (z >> 31)) % (last as u64 + 1)) as usize);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use netprecursor_lab::scenario;

    use super::*;

    fn planned(families: &[&str], count: usize) -> Vec<Episode> {
        let families: Vec<String> = families.iter().map(|family| (*family).to_owned()).collect();
        plan(&scenario::shipped().unwrap(), &families, count, SEED_BASE)
    }

    #[test]
    fn any_beginning_of_a_plan_is_balanced_over_families() {
        let episodes = planned(&[], 240);
        for cut in [33, 100, 240] {
            let mut counts: HashMap<&str, usize> = HashMap::new();
            let short = episodes[..cut].iter().filter(|episode| episode.seconds as f64 <= LONG_S);
            short.for_each(|episode| *counts.entry(&episode.family).or_default() += 1);
            let calm = counts.remove(CALM).unwrap_or(0).div_ceil(2);
            let all: Vec<usize> = counts.into_values().chain([calm]).collect();
            let (least, most) = (all.iter().min().unwrap(), all.iter().max().unwrap());
            assert!(most - least <= 1, "{all:?}");
        }
    }

    #[test]
    fn long_episodes_are_few_and_begin_early() {
        let episodes = planned(&[], 240);
        let long = |episode: &&Episode| episode.seconds as f64 > LONG_S;
        let share = episodes.iter().filter(long).count() as f64 / 240.0;
        assert!((0.01..0.05).contains(&share), "{share}");
        assert!(episodes[..20].iter().any(|episode| long(&episode)));
        assert_eq!(planned(&["long-calm"], 3).len(), 3);
    }

    #[test]
    fn the_demonstration_is_never_recorded_even_when_asked_for() {
        assert!(planned(&[], 240).iter().all(|episode| episode.family != NEVER));
        assert_eq!(planned(&["demo"], 10), []);
    }

    #[test]
    fn seeds_are_unique_and_a_plan_is_the_same_each_time() {
        let episodes = planned(&[], 50);
        assert!(episodes.iter().map(|episode| episode.seed).eq(SEED_BASE..SEED_BASE + 50));
        assert_eq!(episodes, planned(&[], 50));
    }

    #[test]
    fn scenarios_of_a_family_take_turns() {
        let episodes = planned(&["bursty"], 4);
        assert_eq!(episodes.iter().filter(|episode| episode.scenario == "bursty-small").count(), 2);
    }
}
