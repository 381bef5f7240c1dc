//! What is seen as series: named, in base units, and never more than there is room for. Pure.

use std::collections::{BTreeMap, BTreeSet};

use netprecursor_core::{
    adapt,
    forecast::QUANTILES,
    policy::{Identity, Severity},
};

use super::{
    families::FAMILIES,
    label::{self, Label},
    seen::{By, Place, Seen, SeenRule, SeenTarget},
};
use crate::sensors::sockets::Coverage;

/// Workloads with series of their own; the rest is counted in `netprecursor.series.omitted`.
pub const MAX_PLACES: usize = 500;

/// Rules with series of their own; the rest is counted likewise.
pub const MAX_RULES: usize = 1000;

/// One point of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// What it is about.
    pub labels: Vec<(Label, String)>,
    /// In the family's unit.
    pub value: f64,
}

/// One point of each series.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    /// By family.
    points: BTreeMap<&'static str, Vec<Point>>,
}

impl Figures {
    /// The series of what is seen.
    pub fn of(seen: &Seen) -> Self {
        let mut figures = Self::default();
        let omitted = figures.add_places(seen) + figures.add_rules(seen);
        figures.add_agent(seen, omitted);
        figures
    }

    /// The points of a family.
    pub fn points(&self, family: &str) -> &[Point] {
        self.points.get(family).map_or(&[], Vec::as_slice)
    }

    fn add(&mut self, family: &'static str, labels: Vec<(Label, String)>, value: f64) {
        debug_assert!(FAMILIES.iter().any(|known| known.name == family), "{family}");
        self.points.entry(family).or_default().push(Point { labels, value });
    }

    fn add_places(&mut self, seen: &Seen) -> usize {
        let mut places: BTreeMap<&Place, Vec<&SeenTarget>> = BTreeMap::new();
        for target in &seen.targets {
            places.entry(&target.place).or_default().push(target);
        }
        // Those in trouble first, then by name: who has series keeps them.
        let firing: BTreeSet<&Place> = seen.alerts.iter().map(|alert| &alert.place).collect();
        let mut order: Vec<&Place> = places.keys().copied().collect();
        order.sort_by_key(|place| !firing.contains(place));
        let shown: BTreeSet<&Place> = order.into_iter().take(MAX_PLACES).collect();
        for (place, targets) in places.iter().filter(|(place, _)| shown.contains(*place)) {
            self.add_place(place, targets, seen.by);
        }
        let mut firing: BTreeMap<(&Place, &Identity, &str, Severity), u32> = BTreeMap::new();
        for alert in seen.alerts.iter().filter(|alert| shown.contains(&alert.place)) {
            *firing.entry((&alert.place, &alert.policy, &alert.rule, alert.severity)).or_default() += 1;
        }
        for ((place, policy, rule, severity), count) in firing {
            let mut labels = place_labels(place);
            labels.extend(rule_labels(policy, rule));
            labels.push((label::SEVERITY, format!("{severity:?}")));
            self.add("netprecursor.alerts.firing", labels, f64::from(count));
        }
        if seen.by == By::Target {
            self.add("netprecursor.targets", Vec::new(), seen.targets.len() as f64);
        }
        places.len() - shown.len()
    }

    fn add_place(&mut self, place: &Place, targets: &[&SeenTarget], by: By) {
        let labels = || place_labels(place);
        let largest =
            |value: fn(&SeenTarget) -> Option<f32>| targets.iter().filter_map(|target| value(target)).reduce(f32::max);
        if let Some(us) = largest(|target| target.measured_us) {
            self.add("netprecursor.rtt.max", labels(), f64::from(us) / 1e6);
        }
        if let Some(us) = largest(|target| target.predicted_us) {
            self.add("netprecursor.rtt.forecast", labels(), f64::from(us) / 1e6);
        }
        if let Some(chance) = largest(|target| target.chance) {
            self.add("netprecursor.rtt.breach.chance", labels(), f64::from(chance));
        }
        if let Some(bytes) = largest(|target| target.queue_bytes) {
            self.add("netprecursor.queue.standing", labels(), f64::from(bytes));
        }
        let sockets =
            targets.iter().filter_map(|target| target.sockets).fold(Coverage::default(), |all, one| all + one);
        if sockets.established > 0 {
            self.add("netprecursor.socket.coverage", labels(), f64::from(sockets.ratio()));
            self.add("netprecursor.socket.smoothed", labels(), f64::from(sockets.smoothed_ratio()));
        }
        let bytes = targets.iter().filter_map(|target| target.bytes).reduce(|a, b| (a.0 + b.0, a.1 + b.1));
        if let Some((received, sent)) = bytes {
            for (direction, value) in [("receive", received), ("transmit", sent)] {
                let direction = (label::DIRECTION, direction.to_owned());
                self.add("netprecursor.network.throughput", [labels(), vec![direction]].concat(), value);
            }
        }
        if by == By::Workload {
            self.add("netprecursor.targets", labels(), targets.len() as f64);
        }
    }

    fn add_rules(&mut self, seen: &Seen) -> usize {
        for rule in seen.rules.iter().take(MAX_RULES) {
            let labels = || rule_labels(&rule.policy, &rule.rule);
            let card = &rule.scorecard;
            for (family, value) in [
                ("netprecursor.rule.alerts", card.alerts),
                ("netprecursor.rule.alerts.confirmed", card.confirmed),
                ("netprecursor.rule.alerts.unconfirmed", card.unconfirmed),
                ("netprecursor.rule.alerts.late", card.late),
                ("netprecursor.rule.incidents", card.incidents),
                ("netprecursor.rule.incidents.warned", card.warned),
                ("netprecursor.rule.incidents.missed", card.missed),
                ("netprecursor.rule.watched", card.target_seconds),
            ] {
                self.add(family, labels(), value as f64);
            }
            if let Some(lead) = card.median_lead() {
                self.add("netprecursor.rule.lead", labels(), lead as f64);
            }
            self.add("netprecursor.rule.threshold", labels(), rule.threshold);
            self.add("netprecursor.rule.confidence", labels(), rule.confidence);
            self.add("netprecursor.rule.chance.needed", labels(), rule.needed);
            self.add("netprecursor.rule.chance.reachable", labels(), rule.reachable);
            self.add_merits(rule, &labels);
            self.add_model(rule, labels());
        }
        seen.rules.len().saturating_sub(MAX_RULES)
    }

    fn add_merits(&mut self, rule: &SeenRule, labels: &dyn Fn() -> Vec<(Label, String)>) {
        let with = |more: &[(Label, &str)]| -> Vec<(Label, String)> {
            let more = more.iter().map(|(label, value)| (*label, (*value).to_owned()));
            labels().into_iter().chain(more).collect()
        };
        let quantiles = QUANTILES.map(|quantile| quantile.to_string());
        for (quantile, skill) in quantiles.iter().zip(rule.skill) {
            if let Some(skill) = skill {
                self.add("netprecursor.rule.skill", with(&[(label::QUANTILE, quantile)]), skill);
            }
        }
        let Some(makeup) = &rule.makeup else { return };
        for standing in &makeup.experts {
            let figures = adapt::skills(standing.merits).into_iter().zip(standing.weights);
            for (quantile, (skill, weight)) in quantiles.iter().zip(figures) {
                let labels = || with(&[(label::EXPERT, standing.name), (label::QUANTILE, quantile)]);
                if let Some(skill) = skill {
                    self.add("netprecursor.rule.expert.skill", labels(), skill);
                }
                self.add("netprecursor.rule.expert.weight", labels(), weight);
            }
        }
        for (source, weight) in &makeup.sources {
            self.add("netprecursor.rule.source.weight", with(&[(label::SOURCE, source)]), *weight);
        }
        for (bin, counts) in makeup.bins.iter().enumerate() {
            let labels = || with(&[(label::BIN, &bin.to_string())]);
            self.add("netprecursor.rule.reliability.forecasts", labels(), counts.forecasts as f64);
            self.add("netprecursor.rule.reliability.came_true", labels(), counts.came_true as f64);
        }
    }

    fn add_model(&mut self, rule: &SeenRule, mut labels: Vec<(Label, String)>) {
        labels.push((label::MODEL, rule.model.clone()));
        self.add("netprecursor.rule.model.ready", labels, f64::from(u8::from(rule.is_model_ready)));
    }

    fn add_agent(&mut self, seen: &Seen, omitted: usize) {
        for (sensor, is) in &seen.sensors {
            for state in ["Active", "Degraded", "Unavailable"] {
                let labels = vec![(label::SENSOR, (*sensor).to_owned()), (label::SENSOR_STATE, state.to_owned())];
                self.add("netprecursor.sensor.state", labels, f64::from(u8::from(*is == state)));
            }
        }
        for sink in &seen.sinks {
            let receiver = sink.is_receiver().then(|| (label::RECEIVER, sink.target.clone()));
            let labels = || -> Vec<(Label, String)> {
                [(label::SINK, sink.name.to_owned())].into_iter().chain(receiver.clone()).collect()
            };
            self.add("netprecursor.sink.pending", labels(), sink.pending as f64);
            self.add("netprecursor.sink.sent", labels(), sink.sent as f64);
            self.add("netprecursor.sink.dropped", labels(), sink.dropped as f64);
            self.add("netprecursor.sink.failures", labels(), f64::from(sink.failures));
        }
        for (family, value) in &seen.plain {
            self.add(family, Vec::new(), *value);
        }
        for (event, count) in &seen.kernel {
            self.add("netprecursor.kernel.events", vec![(label::EVENT, (*event).to_owned())], *count as f64);
        }
        for (outcome, count) in &seen.scrapes {
            self.add("netprecursor.metrics.requests", vec![(label::OUTCOME, (*outcome).to_owned())], *count as f64);
        }
        if let Some(identities) = &seen.identities {
            for (state, count) in [("bound", identities.tally.bound), ("open", identities.tally.open)] {
                let labels = vec![(label::IDENTITY_STATE, state.to_owned())];
                self.add("netprecursor.identity.namespaces", labels, count as f64);
            }
            for (table, count) in [("namespaces", identities.installed.0), ("cgroups", identities.installed.1)] {
                let labels = vec![(label::TABLE, table.to_owned())];
                self.add("netprecursor.identity.entries", labels, count as f64);
            }
            self.add("netprecursor.identity.conflicts", Vec::new(), identities.tally.doubts as f64);
        }
        self.add("netprecursor.series.omitted", Vec::new(), omitted as f64);
    }
}

/// Labels by the conventions for Kubernetes, where there are some for the kind.
pub fn place_labels(place: &Place) -> Vec<(Label, String)> {
    let mut labels = Vec::with_capacity(5);
    if let Some(namespace) = &place.namespace {
        labels.push((label::NAMESPACE, namespace.clone()));
    }
    if let Some(target) = &place.target {
        labels.push((label::TARGET, target.clone()));
        labels.extend(place.pod.iter().map(|pod| (label::POD, pod.clone())));
        // One label for the workloads of all kinds, by which queries can sum up.
        labels.extend(place.kind.iter().map(|kind| (label::WORKLOAD_KIND, kind.clone())));
        labels.push((label::WORKLOAD, place.name.clone()));
        return labels;
    }
    match place.kind.as_deref() {
        None => labels.push((label::TARGET, place.name.clone())),
        Some(kind) => match label::of_kind(kind) {
            Some(label) => labels.push((label, place.name.clone())),
            None => {
                labels.push((label::WORKLOAD_KIND, kind.to_owned()));
                labels.push((label::WORKLOAD, place.name.clone()));
            }
        },
    }
    labels
}

/// A rule with all that distinguishes it from others of its name.
pub fn rule_labels(policy: &Identity, rule: &str) -> Vec<(Label, String)> {
    let namespace = policy.namespace.as_ref().map(|namespace| (label::POLICY_NAMESPACE, namespace.to_string()));
    let rest = [
        (label::POLICY_KIND, policy.kind.name().to_owned()),
        (label::POLICY, policy.name.to_string()),
        (label::RULE, rule.to_owned()),
    ];
    namespace.into_iter().chain(rest).collect()
}

#[cfg(test)]
mod tests;
