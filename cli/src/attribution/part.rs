//! The parts of a dataset: choices made on one part are judged on another.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

/// A part of a dataset. Unlike training, which holds whole families out, every scenario gives to every part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    /// Where thresholds and methods are chosen.
    Train,
    /// Where the choice is checked.
    Validation,
    /// Where it is judged, once.
    Test,
}

/// Shares of a scenario's episodes, in the order of their digests: test, validation, the rest.
const TEST: f64 = 0.25;
const VALIDATION: f64 = 0.15;

impl Part {
    /// The parts of episodes given as (scenario, name): adding an episode moves as few as can be.
    pub(crate) fn of<'a>(episodes: &[(&'a str, &'a str)]) -> BTreeMap<&'a str, Self> {
        let mut scenarios: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (scenario, name) in episodes {
            scenarios.entry(scenario).or_default().push(name);
        }
        let mut parts = BTreeMap::new();
        for names in scenarios.values_mut() {
            names.sort_by_cached_key(|name| Sha256::digest(name.as_bytes()));
            for (position, name) in names.iter().enumerate() {
                let place = (position as f64 + 0.5) / names.len() as f64;
                let part = match place {
                    place if place < TEST => Self::Test,
                    place if place < TEST + VALIDATION => Self::Validation,
                    _ => Self::Train,
                };
                parts.insert(*name, part);
            }
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_gives_to_every_part_and_order_does_not_matter() {
        let names: Vec<String> = (0..40).map(|seed| format!("s{}-{seed}", seed % 2)).collect();
        let mut episodes: Vec<(&str, &str)> = names.iter().map(|name| (&name[..2], name.as_str())).collect();
        let parts = Part::of(&episodes);
        for (scenario, count) in [("s0", [5, 3, 12]), ("s1", [5, 3, 12])] {
            let counted = [Part::Test, Part::Validation, Part::Train]
                .map(|part| parts.iter().filter(|(name, of)| name.starts_with(scenario) && **of == part).count());
            assert_eq!(counted, count);
        }
        episodes.reverse();
        assert_eq!(Part::of(&episodes), parts);
    }
}
