//! Alerts that were seen: more of them than the agent keeps, across its restarts. Bounded; the oldest that is over goes first.

use std::collections::{BTreeMap, HashSet};

use netprecursor_core::alert::{Alert, AlertState};

use crate::history::{self, AlertKey};

/// Alerts that are kept. One with four causes takes about a kilobyte.
const MOST: usize = 2_000;

/// The alerts.
#[derive(Debug, Default)]
pub(super) struct Archive {
    alerts: BTreeMap<AlertKey, Alert>,
    version: u64,
    forgotten: u64,
    /// Whether as many were remembered as are kept.
    is_cut: bool,
}

impl Archive {
    /// No alerts yet; versions begin at `version`.
    pub(super) fn new(version: u64) -> Self {
        Self { version, ..Self::default() }
    }

    /// Takes in those that were kept before, the newest at least.
    pub(super) fn remember(&mut self, alerts: Vec<Alert>) {
        self.is_cut = alerts.len() >= MOST;
        self.alerts.extend(alerts.into_iter().map(|alert| (history::key(&alert), alert)));
    }

    /// The oldest that is over, behind which there were others; none where these are all.
    pub(super) fn cut(&self) -> Option<&AlertKey> {
        let over = self.alerts.iter().find(|(_, alert)| !alert.is_firing()).map(|(key, _)| key);
        over.filter(|_| self.is_cut || self.forgotten > 0)
    }

    /// Takes in the alerts that the agent has now.
    pub(super) fn take(&mut self, alerts: Vec<Alert>) {
        let mut known: HashSet<AlertKey> = HashSet::with_capacity(alerts.len());
        for alert in alerts {
            let key = history::key(&alert);
            known.insert(key.clone());
            if !self.alerts.get(&key).is_some_and(|kept| is_same(kept, &alert)) {
                self.alerts.insert(key, alert);
                self.version += 1;
            }
        }
        // The agent has no word of how those ended: it was restarted, or they fired again within a second.
        for (key, alert) in &mut self.alerts {
            if alert.is_firing() && !known.contains(key) {
                alert.state = AlertState::Resolved;
                self.version += 1;
            }
        }
        // Not those that are there: they would come back within a second. The others are over by now.
        let surplus = self.alerts.len().saturating_sub(MOST.max(known.len()));
        let gone: Vec<AlertKey> =
            self.alerts.keys().filter(|key| !known.contains(*key)).take(surplus).cloned().collect();
        for oldest in gone {
            self.alerts.remove(&oldest);
            self.forgotten += 1;
            self.version += 1;
        }
    }

    /// Changes whenever an alert does.
    pub(super) const fn version(&self) -> u64 {
        self.version
    }

    /// Alerts that had to go.
    pub(super) const fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// The alerts, newest first.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.values().rev()
    }
}

/// A cause that was not measured is not equal to itself, but reads the same.
fn is_same(one: &Alert, other: &Alert) -> bool {
    one == other || serde_json::to_string(one).ok() == serde_json::to_string(other).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(name: &str, fired: u64, state: &str) -> Alert {
        serde_json::from_value(serde_json::json!({
            "name": name, "policyKind": "PrecursorPolicy", "policy": "p", "rule": "rtt", "target": "web1", "targetUid": "u1",
            "severity": "Warning", "state": state, "trigger": "Forecast", "thresholdUs": 200_000, "resolveUs": 160_000,
            "predictedUs": 1.0, "chance": 0.5, "measuredUs": null, "leadSeconds": null, "confirmed": "Unknown", "judgedUnix": null,
            "count": 1, "firedUnix": fired, "resolvedUnix": null, "resolution": null, "causes": [], "model": {"name": "adaptive"}
        }))
        .unwrap()
    }

    fn names(archive: &Archive) -> Vec<&str> {
        archive.newest_first().map(|alert| alert.name.as_str()).collect()
    }

    #[test]
    fn what_the_agent_no_longer_has_is_kept_and_over() {
        let mut archive = Archive::default();
        archive.take(vec![alert("a", 10, "Firing")]);
        archive.take(vec![alert("b", 20, "Firing")]);
        assert_eq!(names(&archive), ["b", "a"]);
        assert_eq!(archive.newest_first().map(Alert::is_firing).collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn an_alert_that_fires_again_is_another_entry() {
        let mut archive = Archive::default();
        archive.take(vec![alert("a", 10, "Resolved")]);
        archive.take(vec![alert("a", 99, "Firing")]);
        assert_eq!(names(&archive), ["a", "a"]);
    }

    #[test]
    fn the_version_changes_with_the_alerts_and_only_then() {
        let mut archive = Archive::default();
        archive.take(vec![alert("a", 10, "Firing")]);
        let before = archive.version();
        archive.take(vec![alert("a", 10, "Firing")]);
        assert_eq!(archive.version(), before);
        archive.take(vec![alert("a", 10, "Resolved")]);
        assert!(archive.version() > before);
    }

    #[test]
    fn what_was_kept_before_is_known_and_what_the_agent_forgot_of_it_is_over() {
        let mut archive = Archive::default();
        archive.remember(vec![alert("a", 10, "Firing"), alert("b", 11, "Resolved")]);
        archive.take(vec![alert("c", 12, "Firing")]);
        assert_eq!(names(&archive), ["c", "b", "a"]);
        assert!(archive.newest_first().skip(1).all(|alert| !alert.is_firing()));
        assert_eq!(archive.cut(), None, "these are all");
    }

    #[test]
    fn behind_the_oldest_that_is_over_others_are_kept_on_disk_once_it_is_full() {
        let mut archive = Archive::default();
        archive.remember((1..=MOST as u64).map(|fired| alert("over", fired, "Resolved")).collect());
        assert_eq!(archive.cut(), Some(&(1, "over".to_owned())));
        archive.take(vec![alert("out", 0, "Firing")]);
        assert_eq!(archive.cut(), Some(&(2, "over".to_owned())));
    }

    #[test]
    fn more_than_are_kept_stay_while_they_are_there() {
        let mut archive = Archive::default();
        let all: Vec<Alert> = (0..MOST as u64 + 500).map(|fired| alert("a", fired, "Firing")).collect();
        archive.take(all.clone());
        let before = archive.version();
        archive.take(all);
        assert_eq!((archive.version(), archive.forgotten(), names(&archive).len()), (before, 0, MOST + 500));
    }

    #[test]
    fn the_oldest_that_is_over_goes_first() {
        let mut archive = Archive::default();
        archive.take((1..=MOST as u64).map(|fired| alert("over", fired, "Resolved")).collect());
        archive.take(vec![alert("out", 0, "Firing")]);
        assert_eq!((names(&archive).len(), archive.forgotten()), (MOST, 1));
        assert_eq!(archive.newest_first().last().map(|alert| alert.name.as_str()), Some("out"));
    }
}
