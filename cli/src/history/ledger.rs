//! Which alerts have to be written: those that are new, and those that have changed. Pure.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use netprecursor_core::alert::{Alert, AlertState};

/// When an alert fired, and its name: one that fires again is another entry.
pub(crate) type AlertKey = (u64, String);

/// The key of an alert.
pub(crate) fn key(alert: &Alert) -> AlertKey {
    (alert.fired_unix, alert.name.clone())
}

/// What was written last of the alerts that the agent has, and of those that are out.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    written: HashMap<AlertKey, u64>,
    firing: HashMap<AlertKey, Alert>,
}

impl Ledger {
    /// With the alerts that are out as far as the history knows.
    pub(super) fn of(firing: impl IntoIterator<Item = Alert>) -> Self {
        let firing = firing.into_iter().map(|alert| (key(&alert), alert)).collect();
        Self { firing, ..Self::default() }
    }

    /// Takes in the alerts that the agent has now; returns what has to be written, as JSON.
    pub(super) fn take(&mut self, alerts: &[Alert]) -> Vec<(AlertKey, String)> {
        let present: HashSet<AlertKey> = alerts.iter().map(key).collect();
        let mut changed = Vec::new();
        for alert in alerts {
            let key = key(alert);
            // An alert has no map with keys that JSON could not write.
            let Ok(json) = serde_json::to_string(alert) else { continue };
            let hash = hash(&json);
            if alert.is_firing() {
                self.firing.insert(key.clone(), alert.clone());
            } else {
                self.firing.remove(&key);
            }
            if self.written.insert(key.clone(), hash) != Some(hash) {
                changed.push((key, json));
            }
        }
        self.written.retain(|key, _| present.contains(key));
        // The agent has no word of how these ended: it was restarted, or they fired again within a second.
        for (key, mut alert) in self.firing.extract_if(|key, _| !present.contains(key)) {
            alert.state = AlertState::Resolved;
            if let Ok(json) = serde_json::to_string(&alert) {
                changed.push((key, json));
            }
        }
        changed
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    pub(in crate::history) fn alert(name: &str, fired: u64, state: &str) -> Alert {
        let cause = json!({
            "group": "Queue", "feature": "qdisc_backlog_bytes", "unit": "bytes", "value": 182_000.0, "baseline": null, "sharePercent": 61
        });
        serde_json::from_value(json!({
            "name": name, "policyKind": "PrecursorPolicy", "policyNamespace": "shop", "policy": "demo", "rule": "rtt", "target": "web1",
            "targetUid": "u-web1", "severity": "Warning", "state": state, "trigger": "Forecast", "rtt": "RTT", "rttFrom": "Clean",
            "thresholdUs": 200_000, "resolveUs": 160_000, "predictedUs": 250_000.0, "chance": 0.75, "measuredUs": 120_000.0,
            "leadSeconds": null, "confirmed": "Unknown", "judgedUnix": null, "count": 1, "firedUnix": fired, "resolvedUnix": null,
            "resolution": null, "causes": [cause], "model": {"name": "damped-holt"}
        }))
        .unwrap()
    }

    fn written(ledger: &mut Ledger, alerts: &[Alert]) -> Vec<(u64, bool)> {
        let mut written: Vec<(u64, bool)> = ledger
            .take(alerts)
            .into_iter()
            .map(|((fired, _), json)| (fired, serde_json::from_str::<Alert>(&json).unwrap().is_firing()))
            .collect();
        written.sort_unstable();
        written
    }

    #[test]
    fn an_alert_is_written_when_it_is_new_and_when_it_changes_and_not_otherwise() {
        let mut ledger = Ledger::default();
        assert_eq!(
            written(&mut ledger, &[alert("a", 10, "Firing"), alert("b", 11, "Firing")]),
            [(10, true), (11, true)]
        );
        assert!(written(&mut ledger, &[alert("a", 10, "Firing"), alert("b", 11, "Firing")]).is_empty());
        assert_eq!(written(&mut ledger, &[alert("a", 10, "Resolved"), alert("b", 11, "Firing")]), [(10, false)]);
        assert_eq!(written(&mut ledger, &[alert("a", 99, "Firing"), alert("b", 11, "Firing")]), [(99, true)]);
    }

    #[test]
    fn an_alert_that_is_out_and_that_the_agent_no_longer_has_is_over_once() {
        let mut ledger = Ledger::of([alert("a", 10, "Firing")]);
        assert_eq!(written(&mut ledger, &[]), [(10, false)]);
        assert!(written(&mut ledger, &[]).is_empty());
    }
}
