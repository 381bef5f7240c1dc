//! The operator's families. It exposes them for Prometheus alone.

use crate::{
    Family,
    family::{counter, gauge, histogram},
    label::{KIND, OUTCOME},
};

/// Whether it leads.
pub const LEADING: Family = gauge("netprecursor.operator.leading", "{operator}", "1 if this operator is the leader");
/// Whether it knows the cluster.
pub const SYNCED: Family =
    gauge("netprecursor.operator.synced", "{operator}", "1 once every watch has listed its objects");
/// How long its rounds take.
pub const ROUND: Family =
    histogram("netprecursor.operator.round", "s", "Duration of a round, from planning to the last write");
/// What it writes.
pub const WRITES: Family = counter("netprecursor.operator.writes", "{request}", "Write requests").by(&[KIND, OUTCOME]);
/// Watches that broke off.
pub const WATCH_FAILURES: Family =
    counter("netprecursor.operator.watch.failures", "{watch}", "Watches that were interrupted").by(&[KIND]);
/// Models that it looked at.
pub const MODEL_CHECKS: Family =
    counter("netprecursor.operator.model.checks", "{check}", "Checks of users' models").by(&[OUTCOME]);
/// What it knows of the cluster.
pub const OBJECTS: Family = gauge("netprecursor.operator.objects", "{object}", "Objects in the cache").by(&[KIND]);
/// Alerts that the caps cost.
pub const ALERTS_OVER_CAP: Family = gauge(
    "netprecursor.operator.alerts.over_cap",
    "{alert}",
    "Alerts of existing policies that were deleted because they exceeded the caps",
);
/// Who asked for metrics.
pub const METRICS_REQUESTS: Family = counter(
    "netprecursor.operator.metrics.requests",
    "{request}",
    "Requests for metrics, by whether they were allowed",
)
.by(&[OUTCOME]);

/// All of them.
pub const FAMILIES: [Family; 9] =
    [LEADING, SYNCED, ROUND, WRITES, WATCH_FAILURES, MODEL_CHECKS, OBJECTS, ALERTS_OVER_CAP, METRICS_REQUESTS];
