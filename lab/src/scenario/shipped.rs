//! The scenarios that come with the program.

use std::path::Path;

use super::Scenario;
use crate::LabError;

macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        const FILES: &[(&str, &str)] = &[$(($name, include_str!(concat!("../../scenarios/", $name, ".yaml")))),+];
    };
}

files![
    "load-ramp-shared",
    "load-ramp-own-queue",
    "load-ramp-ipv6",
    "bursty-small",
    "bursty-large",
    "periodic-fast",
    "periodic-slow",
    "capacity-slow",
    "capacity-sagging",
    "loss-burst-short",
    "loss-burst-creeping",
    "cpu-contention-shared",
    "cpu-contention-alone",
    "calm-light",
    "calm-busy",
    "step-delay",
    "step-capacity",
    "incast",
    "buffer-bloat",
    "long-calm",
    "periodic-jobs-short",
    "periodic-jobs-long",
    "noisy-neighbour-flood",
    "noisy-neighbour-flows",
    "receiver-stall-long",
    "receiver-stall-short",
    "retransmit-storm-bulk",
    "retransmit-storm-requests",
    "small-answers-queue",
    "small-answers-slow",
    "demo",
];

/// Every shipped scenario, the demonstration's (family `demo`, never used in training) last.
///
/// # Errors
/// [`LabError::Malformed`], which the tests of this crate rule out.
pub fn shipped() -> Result<Vec<Scenario>, LabError> {
    FILES.iter().map(|(name, text)| Scenario::parse(text, name)).collect()
}

/// The file of a shipped scenario.
///
/// # Errors
/// [`LabError::UnknownScenario`].
pub fn text(name: &str) -> Result<&'static str, LabError> {
    FILES.iter().find(|(known, _)| *known == name).map(|(_, text)| *text).ok_or_else(|| unknown(name))
}

fn unknown(got: &str) -> LabError {
    LabError::UnknownScenario {
        got: got.into(),
        known: FILES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", "),
    }
}

/// A scenario by its shipped name, or from a file.
///
/// # Errors
/// [`LabError::UnknownScenario`], [`LabError::File`] or [`LabError::Malformed`].
pub fn find(name_or_path: &str) -> Result<Scenario, LabError> {
    let path = Path::new(name_or_path);
    match text(name_or_path) {
        Ok(text) => Scenario::parse(text, name_or_path),
        Err(_) if path.exists() => Scenario::read(path),
        Err(unknown) => Err(unknown),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_shipped_scenario_is_valid_and_named_like_its_file() {
        for (scenario, (name, _)) in shipped().unwrap().iter().zip(FILES) {
            assert_eq!(scenario.name, *name);
            scenario.resolve(1).unwrap();
        }
    }

    #[test]
    fn every_trained_family_has_more_than_one_scenario() {
        let mut families = BTreeMap::<String, usize>::new();
        for scenario in shipped().unwrap() {
            *families.entry(scenario.family).or_default() += 1;
        }
        let wanted =
            ["load-ramp", "bursty", "periodic", "capacity-loss", "loss-burst", "cpu-contention", "calm", "step"];
        for family in wanted {
            assert!(families[family] >= 2, "{family}");
        }
    }

    #[test]
    fn an_unknown_scenario_is_answered_with_the_known_ones() {
        let message = find("load-rampp").unwrap_err().to_string();
        assert!(message.contains("load-rampp") && message.contains("load-ramp-shared"), "{message}");
    }
}
