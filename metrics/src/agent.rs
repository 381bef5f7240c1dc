//! The agent's families.

use crate::{
    Family, Label,
    family::{counter, gauge},
    label,
};

/// A target. Outside a cluster it has no pod, and is its own workload.
const TARGET: &[Label] = &[label::TARGET, label::NAMESPACE, label::POD, label::WORKLOAD_KIND, label::WORKLOAD];
/// One direction of its traffic.
const THROUGHPUT: &[Label] =
    &[label::TARGET, label::NAMESPACE, label::POD, label::WORKLOAD_KIND, label::WORKLOAD, label::DIRECTION];
/// A rule, with all that distinguishes it from others of its name.
const RULE: &[Label] = &[label::POLICY_NAMESPACE, label::POLICY_KIND, label::POLICY, label::RULE];
/// Alerts of a rule on a target.
const FIRING: &[Label] = &[
    label::TARGET,
    label::NAMESPACE,
    label::POD,
    label::WORKLOAD_KIND,
    label::WORKLOAD,
    label::POLICY_NAMESPACE,
    label::POLICY_KIND,
    label::POLICY,
    label::RULE,
    label::SEVERITY,
];
/// A quantile of a rule's forecast.
const SKILL: &[Label] = &[label::POLICY_NAMESPACE, label::POLICY_KIND, label::POLICY, label::RULE, label::QUANTILE];
/// What an expert adds to it.
const EXPERT: &[Label] =
    &[label::POLICY_NAMESPACE, label::POLICY_KIND, label::POLICY, label::RULE, label::EXPERT, label::QUANTILE];
/// A source of a rule's chance.
const SOURCE: &[Label] = &[label::POLICY_NAMESPACE, label::POLICY_KIND, label::POLICY, label::RULE, label::SOURCE];
/// A tenth of a rule's chances.
const BIN: &[Label] = &[label::POLICY_NAMESPACE, label::POLICY_KIND, label::POLICY, label::RULE, label::BIN];
/// A rule and who forecasts for it.
const MODEL: &[Label] = &[label::POLICY_NAMESPACE, label::POLICY_KIND, label::POLICY, label::RULE, label::MODEL];

/// All of them.
pub const FAMILIES: [Family; 54] = [
    gauge(
        "netprecursor.rtt.max",
        "s",
        "Highest clean RTT, or stall, since the previous export; in a scrape, of the last tick",
    )
    .by(TARGET),
    gauge(
        "netprecursor.rtt.forecast",
        "s",
        "Highest forecast of the maximum RTT over the next ten seconds, over the same period",
    )
    .by(TARGET),
    gauge(
        "netprecursor.rtt.breach.chance",
        "1",
        "Highest chance that RTT breaches the threshold of the first rule within ten seconds, over the same period",
    )
    .by(TARGET),
    gauge("netprecursor.socket.coverage", "1", "Share of established sockets from which the tcp sensor has a sample")
        .by(TARGET),
    gauge("netprecursor.socket.smoothed", "1", "Share of established sockets that are older than the agent and send")
        .by(TARGET),
    gauge("netprecursor.network.throughput", "By/s", "Mean throughput, over at most the last minute").by(THROUGHPUT),
    gauge("netprecursor.queue.standing", "By", "Longest standing queue, over at most the last minute").by(TARGET),
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
    gauge("netprecursor.alerts.firing", "{alert}", "Firing alerts").by(FIRING),
    counter("netprecursor.alerts.evicted", "{alert}", "Alerts evicted in favour of newer ones"),
    counter("netprecursor.rule.alerts", "{alert}", "Alerts fired").by(RULE),
    counter("netprecursor.rule.alerts.confirmed", "{alert}", "Warnings that an incident followed in time").by(RULE),
    counter(
        "netprecursor.rule.alerts.unconfirmed",
        "{alert}",
        "Warnings that no incident followed in time: false alerts",
    )
    .by(RULE),
    counter("netprecursor.rule.alerts.late", "{alert}", "Alerts that fired with or after their incident").by(RULE),
    counter("netprecursor.rule.incidents", "{incident}", "Incidents").by(RULE),
    counter("netprecursor.rule.incidents.warned", "{incident}", "Incidents that a warning preceded").by(RULE),
    counter("netprecursor.rule.incidents.missed", "{incident}", "Incidents that no warning preceded").by(RULE),
    counter("netprecursor.rule.watched", "s", "Time watched, summed over targets").by(RULE),
    gauge("netprecursor.rule.threshold", "s", "Threshold of the rule, of what it means by RTT").by(RULE),
    gauge("netprecursor.rule.confidence", "1", "Chance of a breach that the policy wants warnings of").by(RULE),
    gauge("netprecursor.rule.lead", "s", "Median time from the first warning to the incident").by(RULE),
    gauge("netprecursor.rule.chance.needed", "1", "Chance of a breach that a warning needs now").by(RULE),
    gauge(
        "netprecursor.rule.chance.reachable",
        "1",
        "Highest recent chance of a breach while RTT was within the threshold; decays by half within a day",
    )
    .by(RULE),
    gauge("netprecursor.rule.skill", "1", "Recent skill of the forecast over the best rule of thumb").by(SKILL),
    gauge(
        "netprecursor.rule.expert.skill",
        "1",
        "Recent skill of an expert over the best rule of thumb, while the expert had a forecast",
    )
    .by(EXPERT),
    gauge("netprecursor.rule.expert.weight", "1", "Weight of an expert in the forecast").by(EXPERT),
    gauge("netprecursor.rule.source.weight", "1", "Weight of a regression in the chance").by(SOURCE),
    counter("netprecursor.rule.reliability.forecasts", "{chance}", "Forecast chances of a breach, by bin of 10 %")
        .by(BIN),
    counter(
        "netprecursor.rule.reliability.came_true",
        "{chance}",
        "Forecast chances that came true, by bin of 10 %: a breach followed in time",
    )
    .by(BIN),
    gauge(
        "netprecursor.rule.model.ready",
        "{rule}",
        "1 if the rule forecasts with the model that it names, 0 if it falls back to a rule of thumb",
    )
    .by(MODEL),
    gauge("netprecursor.sensor.state", "{sensor}", "1 for the current state of a sensor, 0 for its other states")
        .by(&[label::SENSOR, label::SENSOR_STATE]),
    gauge("netprecursor.sink.pending", "{message}", "Messages waiting to be published")
        .by(&[label::SINK, label::RECEIVER]),
    counter("netprecursor.sink.sent", "{message}", "Messages published").by(&[label::SINK, label::RECEIVER]),
    counter("netprecursor.sink.dropped", "{message}", "Messages dropped unpublished")
        .by(&[label::SINK, label::RECEIVER]),
    gauge(
        "netprecursor.sink.failures",
        "{attempt}",
        "Failed attempts since the last success; /api/v1/sinks and the log have the reason",
    )
    .by(&[label::SINK, label::RECEIVER]),
    gauge("netprecursor.series.omitted", "{series}", "Workloads and rules beyond the limit of series"),
    counter("netprecursor.ticks", "{tick}", "Ticks completed"),
    counter("netprecursor.ticks.skipped", "{tick}", "Seconds without a tick"),
    gauge("netprecursor.tick.duration", "s", "Duration of the last tick"),
    counter(
        "netprecursor.metrics.requests",
        "{request}",
        "Requests for metrics from outside the pod, by whether they were allowed",
    )
    .by(&[label::OUTCOME]),
    counter("netprecursor.stream.ticks.lost", "{tick}", "Ticks that slow clients of the stream missed"),
    counter("netprecursor.survey.failures", "{query}", "Queries that the kernel did not answer"),
    counter(
        "netprecursor.kernel.events",
        "{event}",
        "Events that the BPF programs could not record as intended, by kind",
    )
    .by(&[label::EVENT]),
    gauge("netprecursor.identity.namespaces", "{namespace}", "Network namespaces, by what is known about them")
        .by(&[label::IDENTITY_STATE]),
    gauge("netprecursor.identity.entries", "{entry}", "Entries in the kernel's tables that identify pods")
        .by(&[label::TABLE]),
    counter(
        "netprecursor.identity.conflicts",
        "{conflict}",
        "Times that two namespaces claimed the address of one pod",
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::operator;

    #[test]
    fn no_family_has_two_names() {
        let all: Vec<Family> = FAMILIES.into_iter().chain(operator::FAMILIES).collect();
        let names: BTreeSet<&str> = all.iter().map(|family| family.name).collect();
        let scraped: BTreeSet<String> = all.iter().map(Family::prometheus).collect();
        assert_eq!((names.len(), scraped.len()), (all.len(), all.len()));
    }
}
