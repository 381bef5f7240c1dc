//! The table of metric families.

/// A family of series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// In UCUM.
    pub unit: &'static str,
    /// What it is.
    pub help: &'static str,
    /// Whether it only ever grows.
    pub is_counter: bool,
}

/// All families.
pub const FAMILIES: [Family; 45] = [
    gauge(
        "netprecursor.rtt.max",
        "s",
        "Largest clean RTT, or stall, since the export before; in a scrape of the last tick",
    ),
    gauge("netprecursor.rtt.forecast", "s", "Largest forecast of the maximum RTT of the next ten seconds, likewise"),
    gauge(
        "netprecursor.rtt.breach.chance",
        "1",
        "Largest chance that the next ten seconds breach the threshold of the first rule, likewise",
    ),
    gauge("netprecursor.socket.coverage", "1", "Share of established sockets that the tcp sensor sees"),
    gauge("netprecursor.network.throughput", "By/s", "Bytes per second, mean of the last minute at most"),
    gauge("netprecursor.queue.standing", "By", "Longest standing queue of the last minute at most"),
    gauge("netprecursor.targets", "{target}", "Targets watched"),
    gauge("netprecursor.targets.limit", "{target}", "Targets that can be watched"),
    counter(
        "netprecursor.targets.unwatchable",
        "{namespace}",
        "Network namespaces that matched but could not be entered",
    ),
    counter("netprecursor.targets.over_capacity", "{target}", "Targets that found no free slot"),
    gauge("netprecursor.alerts.firing", "{alert}", "Alerts that are out"),
    counter("netprecursor.alerts.evicted", "{alert}", "Alerts that made room for newer ones"),
    counter("netprecursor.rule.alerts", "{alert}", "Alerts fired"),
    counter("netprecursor.rule.alerts.confirmed", "{alert}", "Warnings that an incident followed in time"),
    counter("netprecursor.rule.alerts.unconfirmed", "{alert}", "Warnings that no incident followed"),
    counter("netprecursor.rule.alerts.late", "{alert}", "Alerts that fired on the incident itself"),
    counter("netprecursor.rule.incidents", "{incident}", "Incidents"),
    counter("netprecursor.rule.incidents.warned", "{incident}", "Incidents that a warning preceded"),
    counter("netprecursor.rule.incidents.missed", "{incident}", "Incidents that no warning preceded"),
    counter("netprecursor.rule.watched", "s", "Time watched, summed over targets"),
    gauge("netprecursor.rule.lead", "s", "Median time from warning to incident"),
    gauge("netprecursor.rule.chance.needed", "1", "Chance of a breach that a warning needs"),
    gauge(
        "netprecursor.rule.chance.reachable",
        "1",
        "Highest chance of a breach of late; half of it is forgotten within a day",
    ),
    gauge("netprecursor.rule.skill", "1", "Skill of the forecast over the best rule of thumb of late"),
    gauge(
        "netprecursor.rule.expert.skill",
        "1",
        "Skill of an expert over the best rule of thumb of late, while it had a forecast",
    ),
    gauge("netprecursor.rule.expert.weight", "1", "Share of an expert in the forecast"),
    gauge("netprecursor.rule.source.weight", "1", "Share of a regression in the chance"),
    counter("netprecursor.rule.chances.said", "{chance}", "Chances of a breach that were said, by bin of a tenth"),
    counter(
        "netprecursor.rule.chances.came_true",
        "{chance}",
        "Chances that a breach followed in time, by bin of a tenth",
    ),
    gauge(
        "netprecursor.rule.model.ready",
        "{rule}",
        "1 when the rule's own model forecasts, 0 when a rule of thumb does instead",
    ),
    gauge("netprecursor.sensor.state", "{sensor}", "1 for the state that a sensor is in, 0 for the others"),
    gauge("netprecursor.sink.pending", "{message}", "What waits to be published"),
    counter("netprecursor.sink.sent", "{message}", "What was published"),
    counter("netprecursor.sink.dropped", "{message}", "What was given up unpublished"),
    gauge(
        "netprecursor.sink.failures",
        "{attempt}",
        "Attempts that failed since one worked; /api/v1/sinks and the log say why",
    ),
    gauge("netprecursor.series.omitted", "{series}", "Workloads and rules for which there was no room"),
    counter("netprecursor.ticks", "{tick}", "Ticks done"),
    counter("netprecursor.ticks.skipped", "{tick}", "Seconds that no tick was done for"),
    gauge("netprecursor.tick.duration", "s", "How long the last tick took"),
    counter("netprecursor.stream.ticks.lost", "{tick}", "Ticks that slow listeners of the stream lost"),
    counter("netprecursor.survey.failures", "{question}", "Questions that the kernel did not answer"),
    counter("netprecursor.kernel.events", "{event}", "What the BPF programs could not count as they should"),
    gauge("netprecursor.identity.namespaces", "{namespace}", "Network namespaces by what is known of them"),
    gauge("netprecursor.identity.entries", "{entry}", "Entries in the kernel's tables of whose is what"),
    counter("netprecursor.identity.doubts", "{doubt}", "How often two namespaces claimed the address of one pod"),
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
