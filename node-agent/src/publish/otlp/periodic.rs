//! The options of metrics alone: how often they are exported, and as what.

use std::time::Duration;

use opentelemetry_sdk::metrics::Temporality;

use super::environment::Environment;

/// How often metrics are exported, unless `OTEL_METRIC_EXPORT_INTERVAL` says otherwise: with a collector's own delay, what
/// ended is gone within the minute.
const INTERVAL: Duration = Duration::from_secs(30);

/// The longest time that an export of metrics may take, unless `OTEL_METRIC_EXPORT_TIMEOUT` says otherwise.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(30);

/// The options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Periodic {
    /// Between two exports.
    pub(super) interval: Duration,
    /// For one export with all that belongs to it; `None`: no limit.
    pub(super) timeout: Option<Duration>,
    pub(super) temporality: Temporality,
}

impl Periodic {
    pub(super) fn of(environment: &mut Environment) -> Self {
        let names = |what: &str| [what.to_owned()];
        let preference = names("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE");
        let temporality =
            environment.parsed(&preference, "cumulative, delta or lowmemory", |got| got.parse::<Temporality>().ok());
        Self {
            interval: environment.duration(&names("OTEL_METRIC_EXPORT_INTERVAL")).unwrap_or(INTERVAL),
            timeout: environment.timeout(&names("OTEL_METRIC_EXPORT_TIMEOUT")).unwrap_or(Some(EXPORT_TIMEOUT)),
            temporality: temporality.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::environment::tests::environment, *};

    #[test]
    fn temporality_interval_and_timeout_of_metrics_are_their_own() {
        let mut environment = environment(&[
            ("OTEL_METRIC_EXPORT_INTERVAL", "99999999999999999999"),
            ("OTEL_METRIC_EXPORT_TIMEOUT", "7"),
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "Delta"),
        ]);
        let periodic = Periodic::of(&mut environment);
        assert_eq!((periodic.interval, periodic.timeout), (INTERVAL, Some(Duration::from_millis(7))));
        assert_eq!((periodic.temporality, environment.into_notices().len()), (Temporality::Delta, 1));
    }
}
