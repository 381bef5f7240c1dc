//! Targets that are known by their firing alerts alone: nobody streams their node's agent, or it does not have them. Pure.

use std::collections::BTreeMap;

use netprecursor_core::alert::worse;

use super::Placed;
use crate::dashboard::{roster::Target, standing::Standing};

/// Such a target, and what its alert says.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::dashboard) struct Row {
    pub(in crate::dashboard) target: Target,
    /// The highest forecast since the alert fired.
    pub(in crate::dashboard) forecast_us: Option<f32>,
    pub(in crate::dashboard) chance: Option<f32>,
    pub(in crate::dashboard) standing: Standing,
}

/// A row for each target with a firing alert that is not known otherwise, in the order of their identifiers.
pub(in crate::dashboard) fn rows(alerts: &[Placed], is_known: impl Fn(&str) -> bool) -> Vec<Row> {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    let firing = alerts.iter().filter(|placed| placed.alert.is_firing()).flat_map(Placed::on_each);
    let firing = firing.filter(|placed| placed.alert.is_firing() && !placed.alert.target_uid.is_empty());
    for placed in firing.filter(|placed| !is_known(&placed.alert.target_uid)) {
        let row = row(&placed);
        match rows.get_mut(&placed.alert.target_uid) {
            Some(known) => known.join(row),
            None => drop(rows.insert(placed.alert.target_uid, row)),
        }
    }
    rows.into_values().collect()
}

fn row(placed: &Placed) -> Row {
    let alert = &placed.alert;
    let is_breached = alert.measured_us.is_some_and(|us| us > alert.threshold_us as f32);
    Row {
        target: Target::of_alert(placed),
        forecast_us: alert.predicted_us,
        chance: alert.chance,
        standing: if is_breached { Standing::Trouble } else { Standing::Warning },
    }
}

impl Row {
    /// Takes in another alert on the target: what is worst counts.
    fn join(&mut self, other: Self) {
        self.forecast_us = worse(self.forecast_us, other.forecast_us);
        self.chance = worse(self.chance, other.chance);
        if other.standing == Standing::Trouble {
            self.standing = Standing::Trouble;
        }
        self.target.join(other.target);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::cluster::tests::placed;

    #[test]
    fn a_target_with_several_alerts_is_one_row_that_stands_where_it_is_worst() {
        let mut second = placed("u1", "node1", true);
        (second.alert.rule, second.alert.measured_us) = ("inflation".to_owned(), Some(300_000.0));
        let rows = rows(&[placed("u1", "node1", true), second, placed("u2", "node2", false)], |_| false);
        assert_eq!(rows.len(), 1, "what is over is no row");
        assert_eq!((rows[0].standing, rows[0].target.uid.as_str()), (Standing::Trouble, "u1"));
    }

    #[test]
    fn each_pod_that_a_workloads_alert_lists_as_firing_is_a_row() {
        let pod = |name: &str, state: &str| {
            serde_json::from_value(serde_json::json!({"name": name, "uid": name, "state": state, "measured": "300ms"}))
                .unwrap()
        };
        let mut alert = placed("a", "node1", true);
        alert.pods = vec![pod("a", "Resolved"), pod("b", "Firing"), pod("c", "Firing")];
        let rows = rows(&[alert], |_| false);
        let seen: Vec<_> = rows.iter().map(|row| (row.target.name.as_str(), row.standing)).collect();
        assert_eq!(seen, [("shop/b", Standing::Trouble), ("shop/c", Standing::Trouble)]);
    }

    #[test]
    fn what_a_stream_shows_needs_no_row() {
        assert!(rows(&[placed("u1", "node1", true)], |uid| uid == "u1").is_empty());
    }
}
