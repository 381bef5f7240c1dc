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
    let chances: Vec<f64> = figures.points("netprecursor.rtt.breach.chance").iter().map(|point| point.value).collect();
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
    let seen =
        Seen { rules: rules.collect(), alerts: alerts.collect(), targets: vec![target("web", 1.0)], ..Seen::default() };
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
