//! The operator's families. It exposes them for Prometheus alone.

use crate::{
    Family,
    family::{counter, gauge, histogram},
    label::{KIND, OUTCOME, RECEIVER, SINK},
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
/// Who asked for external metrics.
pub const SCALING_REQUESTS: Family = counter(
    "netprecursor.operator.scaling.requests",
    "{request}",
    "Connections and requests for external metrics, by what became of them",
)
.by(&[OUTCOME]);

/// Alerts on their way to receivers.
pub const SINK_PENDING: Family =
    gauge("netprecursor.operator.sink.pending", "{alert}", "Alerts waiting to be sent to a receiver")
        .by(&[SINK, RECEIVER]);
/// Alerts that receivers took.
pub const SINK_SENT: Family =
    counter("netprecursor.operator.sink.sent", "{alert}", "Alerts sent to a receiver, again while they are firing")
        .by(&[SINK, RECEIVER]);
/// Alerts that receivers never got.
pub const SINK_DROPPED: Family =
    counter("netprecursor.operator.sink.dropped", "{alert}", "Alerts dropped unsent").by(&[SINK, RECEIVER]);
/// How receivers are doing.
pub const SINK_FAILURES: Family = gauge(
    "netprecursor.operator.sink.failures",
    "{attempt}",
    "Failed attempts since the last success; the log has the reason",
)
.by(&[SINK, RECEIVER]);

/// All of them.
pub const FAMILIES: [Family; 14] = [
    LEADING,
    SYNCED,
    ROUND,
    WRITES,
    WATCH_FAILURES,
    MODEL_CHECKS,
    OBJECTS,
    ALERTS_OVER_CAP,
    METRICS_REQUESTS,
    SCALING_REQUESTS,
    SINK_PENDING,
    SINK_SENT,
    SINK_DROPPED,
    SINK_FAILURES,
];
