//! What is seen as series: named, in base units, by workload, and never more than there is room for. Pure.

use std::collections::{BTreeMap, BTreeSet};

use netprecursor_core::{adapt, forecast::QUANTILES, policy::Identity};
use opentelemetry::KeyValue;

use super::seen::{Place, Seen, SeenRule, SeenTarget};

/// Workloads with series of their own; the rest is counted in `netprecursor.series.omitted`.
pub const MAX_PLACES: usize = 500;

/// Rules with series of their own; the rest is counted likewise.
pub const MAX_RULES: usize = 1000;

/// Rules that have series of what forecast and chance are made of, at most.
pub const MAX_MADE_UP: usize = 20;

/// A family of series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// In UCUM.
    pub unit: &'static str,
    /// What it is.
    pub description: &'static str,
    /// Whether it only ever grows.
    pub is_counter: bool,
}

/// All families, in the order of [`Figures::points`].
pub const FAMILIES: [Family; 35] = [
    gauge("netprecursor.rtt.max", "s", "Largest clean RTT, or stall, since the export before"),
    gauge(
        "netprecursor.rtt.forecast",
        "s",
        "Largest forecast of the maximum RTT of the next ten seconds, since the export before",
    ),
    gauge(
        "netprecursor.rtt.breach.chance",
        "1",
        "Largest chance that the next ten seconds breach the threshold of the first rule, since the export before",
    ),
    gauge("netprecursor.socket.coverage", "1", "Share of established sockets that the tcp sensor sees"),
    gauge("netprecursor.network.throughput", "By/s", "Bytes per second, mean of the last minute at most"),
    gauge("netprecursor.queue.standing", "By", "Longest standing queue of the last minute at most"),
    gauge("netprecursor.targets", "{target}", "Targets watched"),
    gauge("netprecursor.alerts.firing", "{alert}", "Alerts that are out"),
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
    gauge("netprecursor.rule.model.ready", "1", "1 when the rule's own model speaks, 0 when a rule of thumb stands in"),
    gauge("netprecursor.sensor.state", "1", "1 for the state that a sensor is in, 0 for the others"),
    gauge("netprecursor.sink.pending", "{message}", "What waits to be told"),
    counter("netprecursor.sink.sent", "{message}", "What was told"),
    counter("netprecursor.sink.dropped", "{message}", "What was given up untold"),
    gauge(
        "netprecursor.sink.failures",
        "{attempt}",
        "Attempts that failed since one worked; /api/v1/sinks and the log say why",
    ),
    gauge("netprecursor.series.omitted", "{series}", "Workloads and rules for which there was no room"),
    counter("netprecursor.ticks", "{tick}", "Ticks done"),
    counter("netprecursor.ticks.skipped", "{tick}", "Seconds that no tick was done for"),
    gauge("netprecursor.tick.duration", "s", "How long the last tick took"),
];

const fn gauge(name: &'static str, unit: &'static str, description: &'static str) -> Family {
    Family { name, unit, description, is_counter: false }
}

const fn counter(name: &'static str, unit: &'static str, description: &'static str) -> Family {
    Family { name, unit, description, is_counter: true }
}

/// One point of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// What it is about.
    pub attributes: Vec<KeyValue>,
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

    fn add(&mut self, family: &'static str, attributes: Vec<KeyValue>, value: f64) {
        debug_assert!(FAMILIES.iter().any(|known| known.name == family), "{family}");
        self.points.entry(family).or_default().push(Point { attributes, value });
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
        let told: BTreeSet<&Place> = order.into_iter().take(MAX_PLACES).collect();
        for (place, targets) in places.iter().filter(|(place, _)| told.contains(*place)) {
            self.add_place(place, targets);
        }
        let mut firing: BTreeMap<(&Place, &Identity, &str), u32> = BTreeMap::new();
        for alert in seen.alerts.iter().filter(|alert| told.contains(&alert.place)) {
            *firing.entry((&alert.place, &alert.policy, &alert.rule)).or_default() += 1;
        }
        for ((place, policy, rule), count) in firing {
            let mut attributes = place_attributes(place);
            attributes.extend(rule_attributes(policy, rule));
            self.add("netprecursor.alerts.firing", attributes, f64::from(count));
        }
        places.len() - told.len()
    }

    fn add_place(&mut self, place: &Place, targets: &[&SeenTarget]) {
        let attributes = || place_attributes(place);
        let largest =
            |value: fn(&SeenTarget) -> Option<f32>| targets.iter().filter_map(|target| value(target)).reduce(f32::max);
        if let Some(us) = largest(|target| target.measured_us) {
            self.add("netprecursor.rtt.max", attributes(), f64::from(us) / 1e6);
        }
        if let Some(us) = largest(|target| target.predicted_us) {
            self.add("netprecursor.rtt.forecast", attributes(), f64::from(us) / 1e6);
        }
        if let Some(chance) = largest(|target| target.chance) {
            self.add("netprecursor.rtt.breach.chance", attributes(), f64::from(chance));
        }
        if let Some(bytes) = largest(|target| target.queue_bytes) {
            self.add("netprecursor.queue.standing", attributes(), f64::from(bytes));
        }
        let (all, seen) = targets
            .iter()
            .filter_map(|target| target.sockets)
            .fold((0_u64, 0_u64), |(all, seen), sockets| (all + u64::from(sockets.0), seen + u64::from(sockets.1)));
        if all > 0 {
            self.add("netprecursor.socket.coverage", attributes(), seen.min(all) as f64 / all as f64);
        }
        let bytes = targets.iter().filter_map(|target| target.bytes).reduce(|a, b| (a.0 + b.0, a.1 + b.1));
        if let Some((received, sent)) = bytes {
            for (direction, value) in [("receive", received), ("transmit", sent)] {
                let direction = KeyValue::new("network.io.direction", direction);
                self.add(
                    "netprecursor.network.throughput",
                    attributes().into_iter().chain([direction]).collect(),
                    value,
                );
            }
        }
        self.add("netprecursor.targets", attributes(), targets.len() as f64);
    }

    fn add_rules(&mut self, seen: &Seen) -> usize {
        for rule in seen.rules.iter().take(MAX_RULES) {
            let attributes = || rule_attributes(&rule.policy, &rule.rule);
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
                self.add(family, attributes(), value as f64);
            }
            if let Some(lead) = card.median_lead() {
                self.add("netprecursor.rule.lead", attributes(), lead as f64);
            }
            self.add("netprecursor.rule.chance.needed", attributes(), rule.needed);
            self.add("netprecursor.rule.chance.reachable", attributes(), rule.reachable);
            self.add_merits(rule, &attributes);
            self.add_model(rule, attributes());
        }
        seen.rules.len().saturating_sub(MAX_RULES)
    }

    fn add_merits(&mut self, rule: &SeenRule, attributes: &dyn Fn() -> Vec<KeyValue>) {
        let with = |more: &[(&'static str, &str)]| -> Vec<KeyValue> {
            let more = more.iter().map(|(key, value)| KeyValue::new(*key, (*value).to_owned()));
            attributes().into_iter().chain(more).collect()
        };
        const QUANTILE: &str = "netprecursor.quantile";
        let quantiles = QUANTILES.map(|quantile| quantile.to_string());
        for (quantile, skill) in quantiles.iter().zip(rule.skill) {
            if let Some(skill) = skill {
                self.add("netprecursor.rule.skill", with(&[(QUANTILE, quantile)]), skill);
            }
        }
        let Some(makeup) = &rule.makeup else { return };
        for standing in &makeup.experts {
            let figures = adapt::skills(standing.merits).into_iter().zip(standing.weights);
            for (quantile, (skill, weight)) in quantiles.iter().zip(figures) {
                let labels = || with(&[("netprecursor.expert.name", standing.name), (QUANTILE, quantile)]);
                if let Some(skill) = skill {
                    self.add("netprecursor.rule.expert.skill", labels(), skill);
                }
                self.add("netprecursor.rule.expert.weight", labels(), weight);
            }
        }
        for (source, weight) in &makeup.sources {
            self.add("netprecursor.rule.source.weight", with(&[("netprecursor.source.name", source)]), *weight);
        }
        for (bin, counts) in makeup.bins.iter().enumerate() {
            let labels = || with(&[("netprecursor.chance.bin", &bin.to_string())]);
            self.add("netprecursor.rule.chances.said", labels(), counts.said as f64);
            self.add("netprecursor.rule.chances.came_true", labels(), counts.came_true as f64);
        }
    }

    fn add_model(&mut self, rule: &SeenRule, mut attributes: Vec<KeyValue>) {
        attributes.push(KeyValue::new("netprecursor.model.name", rule.model.clone()));
        self.add("netprecursor.rule.model.ready", attributes, f64::from(u8::from(rule.is_model_ready)));
    }

    fn add_agent(&mut self, seen: &Seen, omitted: usize) {
        for (sensor, is) in &seen.sensors {
            for state in ["Active", "Degraded", "Unavailable"] {
                let attributes = vec![
                    KeyValue::new("netprecursor.sensor.name", *sensor),
                    KeyValue::new("netprecursor.sensor.state", state),
                ];
                self.add("netprecursor.sensor.state", attributes, f64::from(u8::from(*is == state)));
            }
        }
        for sink in &seen.sinks {
            let attributes = || vec![KeyValue::new("netprecursor.sink.name", sink.name)];
            self.add("netprecursor.sink.pending", attributes(), sink.pending as f64);
            self.add("netprecursor.sink.sent", attributes(), sink.sent as f64);
            self.add("netprecursor.sink.dropped", attributes(), sink.dropped as f64);
            self.add("netprecursor.sink.failures", attributes(), f64::from(sink.failures));
        }
        self.add("netprecursor.series.omitted", Vec::new(), omitted as f64);
        self.add("netprecursor.ticks", Vec::new(), seen.ticks as f64);
        self.add("netprecursor.ticks.skipped", Vec::new(), seen.skipped as f64);
        self.add("netprecursor.tick.duration", Vec::new(), seen.tick_seconds);
    }
}

/// Attributes by the conventions for Kubernetes, where there are some for the kind.
pub(super) fn place_attributes(place: &Place) -> Vec<KeyValue> {
    let mut attributes = Vec::with_capacity(2);
    if let Some(namespace) = &place.namespace {
        attributes.push(KeyValue::new("k8s.namespace.name", namespace.clone()));
    }
    let name = place.name.clone();
    match place.kind.as_deref() {
        None => attributes.push(KeyValue::new("netprecursor.target.name", name)),
        Some("Deployment") => attributes.push(KeyValue::new("k8s.deployment.name", name)),
        Some("StatefulSet") => attributes.push(KeyValue::new("k8s.statefulset.name", name)),
        Some("DaemonSet") => attributes.push(KeyValue::new("k8s.daemonset.name", name)),
        Some("ReplicaSet") => attributes.push(KeyValue::new("k8s.replicaset.name", name)),
        Some("Job") => attributes.push(KeyValue::new("k8s.job.name", name)),
        Some("CronJob") => attributes.push(KeyValue::new("k8s.cronjob.name", name)),
        Some("Pod") => attributes.push(KeyValue::new("k8s.pod.name", name)),
        Some(kind) => {
            attributes.push(KeyValue::new("netprecursor.workload.kind", kind.to_owned()));
            attributes.push(KeyValue::new("netprecursor.workload.name", name));
        }
    }
    attributes
}

/// A rule with all that tells it from others of its name.
pub(super) fn rule_attributes(policy: &Identity, rule: &str) -> Vec<KeyValue> {
    let namespace = policy.namespace.as_ref();
    let namespace = namespace.map(|name| KeyValue::new("netprecursor.policy.namespace", name.to_string()));
    let rest = [
        KeyValue::new("netprecursor.policy.kind", policy.kind.name()),
        KeyValue::new("netprecursor.policy.name", policy.name.to_string()),
        KeyValue::new("netprecursor.rule.name", rule.to_owned()),
    ];
    namespace.into_iter().chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use netprecursor_core::policy::{Kind, Name};

    use super::{super::seen::SeenAlert, *};

    fn identity(kind: Kind, namespace: Option<&str>) -> Identity {
        let namespace = namespace.map(|namespace| Name::label(namespace).unwrap());
        Identity { kind, namespace, name: Name::subdomain("checkout").unwrap() }
    }

    fn place(name: &str) -> Place {
        Place { namespace: Some("shop".to_owned()), kind: Some("Deployment".to_owned()), name: name.to_owned() }
    }

    fn target(name: &str, measured_us: f32) -> SeenTarget {
        SeenTarget {
            place: place(name),
            measured_us: Some(measured_us),
            sockets: Some((10, 5)),
            bytes: Some((100.0, 50.0)),
            ..SeenTarget::default()
        }
    }

    #[test]
    fn pods_of_one_workload_are_one_series() {
        let seen = Seen {
            targets: vec![target("web", 200_000.0), target("web", 50_000.0), target("db", 1_000.0)],
            ..Seen::default()
        };
        let figures = Figures::of(&seen);
        let rtt = figures.points("netprecursor.rtt.max");
        assert_eq!(rtt.iter().map(|point| (point.value * 1e6).round()).collect::<Vec<_>>(), [1_000.0, 200_000.0]);
        assert_eq!(
            rtt[1].attributes,
            [KeyValue::new("k8s.namespace.name", "shop"), KeyValue::new("k8s.deployment.name", "web")]
        );
        assert_eq!(figures.points("netprecursor.targets")[1].value, 2.0);
        assert_eq!(figures.points("netprecursor.socket.coverage")[1].value, 0.5);
        assert_eq!(figures.points("netprecursor.network.throughput")[2].value, 200.0);
    }

    #[test]
    fn the_chance_of_a_workload_is_that_of_its_likeliest_pod() {
        let likely = |chance| SeenTarget { chance, ..target("web", 1.0) };
        let seen = Seen {
            targets: vec![likely(Some(0.25)), likely(None), likely(Some(0.75)), target("db", 1.0)],
            ..Seen::default()
        };
        let figures = Figures::of(&seen);
        let told: Vec<f64> = figures.points("netprecursor.rtt.breach.chance").iter().map(|point| point.value).collect();
        assert_eq!(told, [0.75], "a workload without a forecast has none");
    }

    #[test]
    fn what_is_gone_has_no_series() {
        let figures = Figures::of(&Seen { targets: vec![target("db", 1.0)], ..Seen::default() });
        assert!(
            figures
                .points("netprecursor.rtt.max")
                .iter()
                .all(|point| { point.attributes.contains(&KeyValue::new("k8s.deployment.name", "db")) })
        );
    }

    #[test]
    fn workloads_beyond_the_cap_are_counted_and_those_in_trouble_are_told() {
        let targets = (0..MAX_PLACES + 7).map(|i| target(&format!("w{i:04}"), 1.0)).collect();
        let last = format!("w{:04}", MAX_PLACES + 6);
        let alert = SeenAlert { place: place(&last), policy: identity(Kind::Namespaced, None), rule: "r".to_owned() };
        let figures = Figures::of(&Seen { targets, alerts: vec![alert], ..Seen::default() });
        let rtt = figures.points("netprecursor.rtt.max");
        assert_eq!(rtt.len(), MAX_PLACES);
        assert!(rtt.iter().any(|point| point.attributes.contains(&KeyValue::new("k8s.deployment.name", last.clone()))));
        assert_eq!(figures.points("netprecursor.series.omitted")[0].value, 7.0);
    }

    #[test]
    fn rules_of_policies_of_one_name_have_series_of_their_own() {
        let identities = [
            identity(Kind::Namespaced, None),
            identity(Kind::Namespaced, Some("shop-a")),
            identity(Kind::Namespaced, Some("shop-b")),
            identity(Kind::Cluster, None),
        ];
        let rules = identities.iter().map(|policy| SeenRule {
            policy: policy.clone(),
            rule: "rtt".to_owned(),
            needed: 0.62,
            reachable: 0.31,
            skill: [Some(0.2), None, None],
            makeup: None,
            scorecard: Default::default(),
            model: "m".to_owned(),
            is_model_ready: true,
        });
        let alerts = identities.iter().map(|policy| SeenAlert {
            place: place("web"),
            policy: policy.clone(),
            rule: "rtt".to_owned(),
        });
        let seen = Seen {
            rules: rules.collect(),
            alerts: alerts.collect(),
            targets: vec![target("web", 1.0)],
            ..Seen::default()
        };
        let figures = Figures::of(&seen);
        for family in [
            "netprecursor.rule.alerts",
            "netprecursor.rule.chance.needed",
            "netprecursor.rule.chance.reachable",
            "netprecursor.rule.skill",
            "netprecursor.rule.model.ready",
            "netprecursor.alerts.firing",
        ] {
            let points = figures.points(family);
            let series: BTreeSet<String> = points.iter().map(|point| format!("{:?}", point.attributes)).collect();
            assert_eq!((points.len(), series.len()), (4, 4), "{family}");
        }
    }

    #[test]
    fn the_documentation_names_every_family_and_no_other() {
        let page = include_str!("../../../../docs/telemetry.md");
        let told: Vec<&str> = page.lines().filter(|line| line.starts_with("| `netprecursor.")).collect();
        let expected = FAMILIES.map(|Family { name, unit, description, is_counter }| {
            let kind = if is_counter { "counter" } else { "gauge" };
            format!("| `{name}` | {kind} | `{unit}` | {description} |")
        });
        assert_eq!(told, expected);
    }

    #[test]
    fn no_family_has_two_names() {
        let names: BTreeSet<&str> = FAMILIES.iter().map(|family| family.name).collect();
        assert_eq!(names.len(), FAMILIES.len());
    }
}
