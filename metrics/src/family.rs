//! A family of series, and what it is called.

use crate::Label;

/// What the points of a family are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The value of a moment.
    Gauge,
    /// A sum that only grows.
    Counter,
    /// A distribution.
    Histogram,
}

/// A family of series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    /// The OpenTelemetry name.
    pub name: &'static str,
    /// The unit in UCUM.
    pub unit: &'static str,
    /// Its description.
    pub help: &'static str,
    /// What its points are.
    pub kind: Kind,
    /// What distinguishes its series in `/metrics`. A label without a value is left out.
    pub labels: &'static [Label],
}

pub(crate) const fn gauge(name: &'static str, unit: &'static str, help: &'static str) -> Family {
    Family { name, unit, help, kind: Kind::Gauge, labels: &[] }
}

pub(crate) const fn counter(name: &'static str, unit: &'static str, help: &'static str) -> Family {
    Family { name, unit, help, kind: Kind::Counter, labels: &[] }
}

pub(crate) const fn histogram(name: &'static str, unit: &'static str, help: &'static str) -> Family {
    Family { name, unit, help, kind: Kind::Histogram, labels: &[] }
}

impl Family {
    pub(crate) const fn by(self, labels: &'static [Label]) -> Self {
        Self { labels, ..self }
    }

    /// Whether it is a counter.
    pub const fn is_counter(&self) -> bool {
        matches!(self.kind, Kind::Counter)
    }

    /// Its name in `/metrics` without the program's prefix, by the
    /// [specification](https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/): dots become
    /// underscores, the unit follows. The exposition adds `_total` to counters.
    pub fn prometheus(&self) -> String {
        let name = self.name.trim_start_matches("netprecursor.").replace('.', "_");
        let unit = match self.unit {
            "s" => "_seconds",
            "By" => "_bytes",
            "By/s" => "_bytes_per_second",
            "1" => "_ratio",
            _ => "",
        };
        format!("{name}{unit}")
    }

    /// Its names in queries.
    pub fn series(&self) -> Vec<String> {
        let suffixes: &[&str] = match self.kind {
            Kind::Gauge => &[""],
            Kind::Counter => &["_total"],
            Kind::Histogram => &["_bucket", "_sum", "_count"],
        };
        suffixes.iter().map(|suffix| format!("netprecursor_{}{suffix}", self.prometheus())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_prometheus_end_in_the_unit_and_for_counters_in_total() {
        assert_eq!(gauge("netprecursor.rtt.max", "s", "").series(), ["netprecursor_rtt_max_seconds"]);
        assert_eq!(counter("netprecursor.ticks", "{tick}", "").series(), ["netprecursor_ticks_total"]);
        assert_eq!(counter("netprecursor.rule.watched", "s", "").series(), ["netprecursor_rule_watched_seconds_total"]);
        let names = ["_bucket", "_sum", "_count"].map(|suffix| format!("netprecursor_operator_round_seconds{suffix}"));
        assert_eq!(histogram("netprecursor.operator.round", "s", "").series(), names);
    }
}
