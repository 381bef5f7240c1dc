//! `/api/v1/alerts`: those that are out, and the latest that are over.

use netprecursor_core::alert::Alert;

use crate::tick::snapshot::Snapshot;

/// The latest first.
pub(in crate::serve) fn alerts(snapshot: &Snapshot) -> Vec<Alert> {
    // The page names its targets by name.
    let alerts = snapshot.alerts.iter().map(|alert| Alert { subject: None, ..Alert::clone(alert) });
    let mut alerts: Vec<Alert> = alerts.collect();
    alerts.sort_by_key(|alert| std::cmp::Reverse(alert.fired_unix));
    alerts
}
