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
mod tests {
    use netprecursor_core::policy::{Kind, Name};

    use super::{super::seen::SeenAlert, *};
    use crate::health::Health;

    fn identity(kind: Kind, namespace: Option<&str>) -> Identity {
        let namespace = namespace.map(|namespace| Name::label(namespace).unwrap());
        Identity { kind, namespace, name: Name::subdomain("checkout").unwrap() }
    }

    fn place(name: &str) -> Place {
        Place {
            namespace: Some("shop".to_owned()),
            kind: Some("Deployment".to_owned()),
            name: name.to_owned(),
            ..Place::default()
        }
    }

    fn target(name: &str, measured_us: f32) -> SeenTarget {
        SeenTarget {
            place: place(name),
            measured_us: Some(measured_us),
            sockets: Some(Coverage { established: 10, seen: 5, smoothed: 2 }),
            bytes: Some((100.0, 50.0)),
            ..SeenTarget::default()
        }
    }

    fn is_of(point: &Point, deployment: &str) -> bool {
        point.labels.iter().any(|(label, value)| label.attribute == "k8s.deployment.name" && value == deployment)
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
            rtt[1].labels.iter().map(|(label, value)| (label.attribute, value.as_str())).collect::<Vec<_>>(),
            [("k8s.namespace.name", "shop"), ("k8s.deployment.name", "web")]
        );
        assert_eq!(figures.points("netprecursor.targets")[1].value, 2.0);
        assert_eq!(figures.points("netprecursor.socket.coverage")[1].value, 0.5);
        assert!((figures.points("netprecursor.socket.smoothed")[1].value - 0.2).abs() < 1e-6);
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
        let chances: Vec<f64> =
            figures.points("netprecursor.rtt.breach.chance").iter().map(|point| point.value).collect();
        assert_eq!(chances, [0.75], "a workload without a forecast has none");
    }

    #[test]
    fn each_replica_of_a_receiver_has_series_of_its_own() {
        let replica = |target: &str| Health { name: "alertmanager", target: target.to_owned(), ..Health::default() };
        let other = Health { name: "kubernetes", target: "the API server".to_owned(), ..Health::default() };
        let figures = Figures::of(&Seen { sinks: vec![replica("a"), replica("b"), other], ..Seen::default() });
        let receivers: Vec<_> = figures
            .points("netprecursor.sink.sent")
            .iter()
            .map(|point| point.labels.get(1).map(|(label, value)| (label.label, value.as_str())))
            .collect();
        assert_eq!(receivers, [Some(("receiver", "a")), Some(("receiver", "b")), None]);
    }

    #[test]
    fn a_series_of_a_scrape_names_target_pod_and_workload() {
        let pod = Place { target: Some("shop/web-1".to_owned()), pod: Some("web-1".to_owned()), ..place("web") };
        let host = Place { target: Some("web".to_owned()), name: "web".to_owned(), ..Place::default() };
        let named = |place: &Place| -> Vec<String> {
            place_labels(place).iter().map(|(label, value)| format!("{}={value}", label.label)).collect()
        };
        assert_eq!(
            named(&pod),
            ["namespace=shop", "target=shop/web-1", "pod=web-1", "workload_kind=Deployment", "workload=web"]
        );
        assert_eq!(named(&host), ["target=web", "workload=web"]);
    }

    #[test]
    fn a_scrape_has_no_label_that_the_table_does_not_name() {
        let pod = Place { target: Some("shop/web-1".to_owned()), pod: Some("web-1".to_owned()), ..place("web") };
        let alert = SeenAlert {
            place: pod.clone(),
            policy: identity(Kind::Namespaced, Some("shop")),
            rule: "rtt".to_owned(),
            severity: Severity::Warning,
        };
        let seen = Seen {
            targets: vec![SeenTarget { place: pod, ..target("web", 1.0) }],
            alerts: vec![alert],
            sensors: vec![("tcp", "Active")],
            kernel: vec![("line_taken", 1)],
            scrapes: vec![("allowed", 1)],
            by: By::Target,
            ..Seen::default()
        };
        let figures = Figures::of(&seen);
        let mut looked_at = 0;
        for family in FAMILIES {
            for (label, _) in figures.points(family.name).iter().flat_map(|point| &point.labels) {
                assert!(family.labels.contains(label), "{}: {label:?}", family.name);
                looked_at += 1;
            }
        }
        assert!(looked_at > 30, "only {looked_at} labels");
    }

    #[test]
    fn alerts_of_two_severities_are_counted_apart() {
        let alert = |severity| SeenAlert {
            place: place("web"),
            policy: identity(Kind::Namespaced, None),
            rule: "rtt".to_owned(),
            severity,
        };
        let alerts = [Severity::Warning, Severity::Critical, Severity::Critical].map(alert).into();
        let figures = Figures::of(&Seen { targets: vec![target("web", 1.0)], alerts, ..Seen::default() });
        let counts: Vec<f64> = figures.points("netprecursor.alerts.firing").iter().map(|point| point.value).collect();
        assert_eq!(counts, [1.0, 2.0]);
    }

    #[test]
    fn what_is_gone_has_no_series() {
        let figures = Figures::of(&Seen { targets: vec![target("db", 1.0)], ..Seen::default() });
        assert!(figures.points("netprecursor.rtt.max").iter().all(|point| { is_of(point, "db") }));
    }

    #[test]
    fn workloads_beyond_the_cap_are_counted_and_those_in_trouble_are_kept() {
        let targets = (0..MAX_PLACES + 7).map(|i| target(&format!("w{i:04}"), 1.0)).collect();
        let last = format!("w{:04}", MAX_PLACES + 6);
        let alert = SeenAlert {
            place: place(&last),
            policy: identity(Kind::Namespaced, None),
            rule: "r".to_owned(),
            severity: Severity::Warning,
        };
        let figures = Figures::of(&Seen { targets, alerts: vec![alert], ..Seen::default() });
        let rtt = figures.points("netprecursor.rtt.max");
        assert_eq!(rtt.len(), MAX_PLACES);
        assert!(rtt.iter().any(|point| is_of(point, &last)));
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
            threshold: 0.2,
            confidence: 0.5,
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
            severity: Severity::Warning,
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
            let series: BTreeSet<String> = points.iter().map(|point| format!("{:?}", point.labels)).collect();
            assert_eq!((points.len(), series.len()), (4, 4), "{family}");
        }
    }
}
