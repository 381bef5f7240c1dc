//! The table of metric families.

/// A family of series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    /// The OpenTelemetry name.
    pub name: &'static str,
    /// The unit in UCUM.
    pub unit: &'static str,
    /// Its description.
    pub help: &'static str,
    /// Whether it is a counter; otherwise a gauge.
    pub is_counter: bool,
}

/// All families.
pub const FAMILIES: [Family; 52] = [
    gauge(
        "netprecursor.rtt.max",
        "s",
        "Highest clean RTT, or stall, since the previous export; in a scrape, of the last tick",
    ),
    gauge(
        "netprecursor.rtt.forecast",
        "s",
        "Highest forecast of the maximum RTT over the next ten seconds, over the same period",
    ),
    gauge(
        "netprecursor.rtt.breach.chance",
        "1",
        "Highest chance that RTT breaches the threshold of the first rule within ten seconds, over the same period",
    ),
    gauge("netprecursor.socket.coverage", "1", "Share of established sockets from which the tcp sensor has a sample"),
    gauge("netprecursor.socket.smoothed", "1", "Share of established sockets that are older than the agent and send"),
    gauge("netprecursor.network.throughput", "By/s", "Mean throughput, over at most the last minute"),
    gauge("netprecursor.queue.standing", "By", "Longest standing queue, over at most the last minute"),
    gauge("netprecursor.targets", "{target}", "Targets watched"),
    gauge("netprecursor.targets.limit", "{target}", "Slots: the most targets that can be watched"),
    counter(
        "netprecursor.targets.unwatchable",
        "{namespace}",
        "Network namespaces that matched but could not be entered",
    ),
    counter("netprecursor.views.uncounted", "{view}", "Times that the views of a target could not all be counted"),
    counter("netprecursor.targets.over_capacity", "{target}", "Targets that found no free slot"),
    counter("netprecursor.handover.resumed", "{target}", "Targets resumed from the previous run of the agent"),
    gauge(
        "netprecursor.handover.gap",
        "s",
        "Time from the last handover of the previous run to the first look of this one, in which nobody watched",
    ),
    counter(
        "netprecursor.handover.refused",
        "{file}",
        "Handover files that were refused, but for those of another boot, release or time; the log has the reason",
    ),
    counter("netprecursor.handover.unwritten", "{attempt}", "Handovers that could not be written"),
    gauge("netprecursor.alerts.firing", "{alert}", "Firing alerts"),
    counter("netprecursor.alerts.evicted", "{alert}", "Alerts evicted in favour of newer ones"),
    counter("netprecursor.rule.alerts", "{alert}", "Alerts fired"),
    counter("netprecursor.rule.alerts.confirmed", "{alert}", "Warnings that an incident followed in time"),
    counter(
        "netprecursor.rule.alerts.unconfirmed",
        "{alert}",
        "Warnings that no incident followed in time: false alerts",
    ),
    counter("netprecursor.rule.alerts.late", "{alert}", "Alerts that fired with or after their incident"),
    counter("netprecursor.rule.incidents", "{incident}", "Incidents"),
    counter("netprecursor.rule.incidents.warned", "{incident}", "Incidents that a warning preceded"),
    counter("netprecursor.rule.incidents.missed", "{incident}", "Incidents that no warning preceded"),
    counter("netprecursor.rule.watched", "s", "Time watched, summed over targets"),
    gauge("netprecursor.rule.lead", "s", "Median time from the first warning to the incident"),
    gauge("netprecursor.rule.chance.needed", "1", "Chance of a breach that a warning needs now"),
    gauge(
        "netprecursor.rule.chance.reachable",
        "1",
        "Highest recent chance of a breach while RTT was within the threshold; decays by half within a day",
    ),
    gauge("netprecursor.rule.skill", "1", "Recent skill of the forecast over the best rule of thumb"),
    gauge(
        "netprecursor.rule.expert.skill",
        "1",
        "Recent skill of an expert over the best rule of thumb, while the expert had a forecast",
    ),
    gauge("netprecursor.rule.expert.weight", "1", "Weight of an expert in the forecast"),
    gauge("netprecursor.rule.source.weight", "1", "Weight of a regression in the chance"),
    counter("netprecursor.rule.reliability.forecasts", "{chance}", "Forecast chances of a breach, by bin of 10 %"),
    counter(
        "netprecursor.rule.reliability.came_true",
        "{chance}",
        "Forecast chances that came true, by bin of 10 %: a breach followed in time",
    ),
    gauge(
        "netprecursor.rule.model.ready",
        "{rule}",
        "1 if the rule forecasts with the model that it names, 0 if it falls back to a rule of thumb",
    ),
    gauge("netprecursor.sensor.state", "{sensor}", "1 for the current state of a sensor, 0 for its other states"),
    gauge("netprecursor.sink.pending", "{message}", "Messages waiting to be published"),
    counter("netprecursor.sink.sent", "{message}", "Messages published"),
    counter("netprecursor.sink.dropped", "{message}", "Messages dropped unpublished"),
    gauge(
        "netprecursor.sink.failures",
        "{attempt}",
        "Failed attempts since the last success; /api/v1/sinks and the log have the reason",
    ),
    gauge("netprecursor.series.omitted", "{series}", "Workloads and rules beyond the limit of series"),
    counter("netprecursor.ticks", "{tick}", "Ticks completed"),
    counter("netprecursor.ticks.skipped", "{tick}", "Seconds without a tick"),
    gauge("netprecursor.tick.duration", "s", "Duration of the last tick"),
    counter(
        "netprecursor.metrics.requests",
        "{request}",
        "Requests for metrics from outside the pod, by whether they were allowed",
    ),
    counter("netprecursor.stream.ticks.lost", "{tick}", "Ticks that slow clients of the stream missed"),
    counter("netprecursor.survey.failures", "{query}", "Queries that the kernel did not answer"),
    counter(
        "netprecursor.kernel.events",
        "{event}",
        "Events that the BPF programs could not record as intended, by kind",
    ),
    gauge("netprecursor.identity.namespaces", "{namespace}", "Network namespaces, by what is known about them"),
    gauge("netprecursor.identity.entries", "{entry}", "Entries in the kernel's tables that identify pods"),
    counter(
        "netprecursor.identity.conflicts",
        "{conflict}",
        "Times that two namespaces claimed the address of one pod",
    ),
];

const fn gauge(name: &'static str, unit: &'static str, help: &'static str) -> Family {
    Family { name, unit, help, is_counter: false }
}

const fn counter(name: &'static str, unit: &'static str, help: &'static str) -> Family {
    Family { name, unit, help, is_counter: true }
}

impl Family {
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

    /// The row of `docs/telemetry.md`.
    #[cfg(test)]
    fn documented(&self) -> String {
        let (kind, total) = if self.is_counter { ("counter", "_total") } else { ("gauge", "") };
        let (name, prometheus) = (self.name, self.prometheus());
        format!("| `{name}` | `netprecursor_{prometheus}{total}` | {kind} | `{}` | {} |", self.unit, self.help)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_documentation_names_every_family_and_no_other() {
        let page = include_str!("../../../docs/telemetry.md");
        let documented: Vec<&str> = page.lines().filter(|line| line.starts_with("| `netprecursor.")).collect();
        assert_eq!(documented, FAMILIES.map(|family| family.documented()));
    }

    #[test]
    fn no_family_has_two_names() {
        let names: BTreeSet<&str> = FAMILIES.iter().map(|family| family.name).collect();
        let scraped: BTreeSet<String> = FAMILIES.iter().map(Family::prometheus).collect();
        assert_eq!((names.len(), scraped.len()), (FAMILIES.len(), FAMILIES.len()));
    }
}
