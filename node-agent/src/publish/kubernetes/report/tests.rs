use std::sync::Arc;

use netprecursor_core::{alert::PolicyRef, policy::Kind as PolicyKind, score::Scorecard};

use super::{change::BACKLOG, *};
use crate::{desired, publish::kubernetes::schedule::Change};

fn data() -> ReportData {
    let policy = PolicyRef {
        kind: PolicyKind::Namespaced,
        namespace: Some("shop".to_owned()),
        name: "checkout".to_owned(),
        uid: "p-1".to_owned(),
    };
    let sensor = |name, need, state| status::Status::new(name, need, state);
    ReportData {
        unix: 1_700_000_000,
        sensors: vec![
            sensor("tcp", status::Need::Required, status::State::Active),
            sensor("sched", status::Need::Optional, status::State::Unavailable("no tracefs".to_owned())),
        ],
        rtt_source: report::RttSource::Measured,
        rtt_from: vec![RttFrom::Clean, RttFrom::LowQuantile, RttFrom::Clean],
        sockets: Some((200, 194)),
        targets: 3,
        models: vec![ModelData {
            policy: policy.clone(),
            rule: "rtt".to_owned(),
            name: "rtt-xgboost".to_owned(),
            ready: true,
            reason: None,
        }],
        rules: vec![RuleData {
            policy,
            rule: "rtt".to_owned(),
            hash: "h".to_owned(),
            since: 1_700_000_000,
            targets: 3,
            needed: 0.622,
            reachable: 0.31,
            merit: Some(([Some(0.256), Some(-1e9), None], "hour")),
            scorecard: Scorecard { alerts: 4, ..Scorecard::default() },
        }],
        ..ReportData::default()
    }
}

fn own() -> Own {
    Own { kernel: "6.18.4".to_owned(), started: 1_699_999_000, ..Own::default() }
}

fn first_status(data: &ReportData, own: &Own) -> PrecursorNodeReportStatus {
    status(data, own, 1_700_000_000, None)
}

#[test]
fn a_report_says_what_works_and_what_was_counted() {
    let report = json!(first_status(&data(), &own()));
    assert_eq!((&report["kernel"], &report["rttSource"]), (&json!("6.18.4"), &json!("Measured")));
    assert_eq!(report["rttFrom"], json!({"clean": 2, "lowQuantile": 1, "smoothed": 0, "handshake": 0}));
    assert_eq!(report["socketCoveragePercent"], 97);
    assert_eq!(report["sensors"][1]["reason"], "no tracefs");
    assert_eq!((&report["rules"][0]["policyUID"], &report["rules"][0]["alerts"]), (&json!("p-1"), &json!(4)));
    let rule = &report["rules"][0];
    assert_eq!((&rule["neededPercent"], &rule["reachablePercent"]), (&json!(62), &json!(31)));
    assert_eq!(rule["skillPercent"], json!({"q50": 26, "q90": -999}));
    assert_eq!(rule["leadingExpert"], "hour");
    let conditions: Vec<_> = report["conditions"].as_array().unwrap().iter().map(|c| c["status"].clone()).collect();
    assert_eq!(conditions, ["True", "False", "True"]);
}

#[test]
fn gauges_and_passing_time_are_no_change() {
    let before = first_status(&data(), &own());
    let mut later = data();
    (later.sockets, later.targets, later.unix) = (Some((10, 1)), 9, later.unix + 60);
    later.rules[0].targets = 9;
    (later.rules[0].needed, later.rules[0].reachable) = (0.7, 0.1);
    later.rules[0].merit = Some(([Some(0.1); 3], "last"));
    later.rules[0].scorecard.target_seconds = 180;
    let overhead = Some(Overhead { cpu: "4m".to_owned(), memory: "31Mi".to_owned() });
    let now = status(&later, &Own { overhead, pending: 7, ..own() }, 1_700_000_060, Some(&before));
    assert_eq!(change(Some(&before), &now), Change::default());
    assert_ne!(before, now);
}

#[test]
fn a_sensor_that_fails_is_a_change_of_state_and_an_alert_one_of_counts() {
    let before = first_status(&data(), &own());
    let mut failed = data();
    failed.sensors[0].state = status::State::Unavailable("detached".to_owned());
    let now = status(&failed, &own(), 1_700_000_060, Some(&before));
    assert_eq!(change(Some(&before), &now), Change { state: true, counts: false });
    assert_eq!(now.conditions[0].status, "False");
    let mut alerted = data();
    alerted.rules[0].scorecard.alerts += 1;
    let now = status(&alerted, &own(), 1_700_000_060, Some(&before));
    assert_eq!(change(Some(&before), &now), Change { state: false, counts: true });
}

#[test]
fn a_backlog_of_alerts_is_a_change_of_state_when_it_comes_and_when_it_is_gone() {
    let of = |pending| status(&data(), &Own { pending, ..own() }, 1_700_000_060, None);
    let change = |before, now| change(Some(&of(before)), &of(now));
    let states = [(0, BACKLOG - 1), (0, BACKLOG), (BACKLOG, 500), (500, 3), (500, 0), (3, 0)];
    assert_eq!(states.map(|(before, now)| change(before, now).state), [false, true, false, false, true, false]);
    // Nobody goes on reading that three wait.
    assert!(change(3, 0).counts && !change(0, 3).counts);
}

#[test]
fn what_waits_is_counted_by_rule() {
    let waiting_rules = BTreeMap::from([(("p-1".to_owned(), "rtt".to_owned()), 7)]);
    let report = first_status(&data(), &Own { pending: 9, waiting_rules, ..own() });
    assert_eq!((report.queue.pending, report.rules[0].waiting), (9, 7));
}

#[test]
fn an_agent_without_a_share_says_why_it_is_slow() {
    let own = Own { share_problem: Some("no share of the writes: got a riddle".to_owned()), ..own() };
    let degraded = &first_status(&data(), &own).conditions[2];
    assert!(degraded.message.contains("one write each 20 s: no share of the writes: got a riddle"), "{degraded:?}");
}

fn known(from: Origin, reason: Option<&str>, count: u8) -> Arc<desired::ClusterNetworks> {
    let networks = (0..count).map(|number| format!("10.{number}.0.0/16").parse().unwrap()).collect();
    let known = Some(Networks { from, reason: reason.map(str::to_owned), networks });
    Arc::new(desired::ClusterNetworks { known, problem: None })
}

#[test]
fn the_networks_of_the_cluster_are_shown_with_their_number() {
    let shown = |networks| json!(first_status(&ReportData { networks, ..data() }, &own()))["clusterNetworks"].clone();
    let few = json!({"from": "Nodes", "networks": ["10.0.0.0/16", "10.1.0.0/16"], "count": 2});
    assert_eq!(shown(known(Origin::Nodes, None, 2)), few);
    let many = shown(known(Origin::PrivateRanges, Some("there are no nodes"), 200));
    assert_eq!((&many["reason"], &many["count"]), (&json!("there are no nodes"), &json!(200)));
    assert_eq!(many["networks"].as_array().unwrap().len(), MAX_SHOWN_NETWORKS);
    assert_eq!(shown(Arc::default()), Value::Null);
}

#[test]
fn networks_that_come_from_elsewhere_are_news_and_one_more_is_none() {
    let of = |from, count| status(&ReportData { networks: known(from, None, count), ..data() }, &own(), 9, None);
    let change = |before, now| change(Some(&before), &now).state;
    assert!(!change(of(Origin::Nodes, 2), of(Origin::Nodes, 3)));
    assert!(change(of(Origin::Nodes, 2), of(Origin::PrivateRanges, 2)));
}

#[test]
fn networks_that_cannot_be_read_are_a_degradation_with_its_reason() {
    let degraded = |known| {
        let problem = Some("/share/networks.json: No such file".to_owned());
        let networks = Arc::new(desired::ClusterNetworks { known, problem });
        first_status(&ReportData { networks, ..data() }, &own()).conditions[2].message.clone()
    };
    assert!(degraded(None).contains("the networks of the cluster are not known: /share/networks.json"));
    let former = known(Origin::Nodes, None, 1).known.clone();
    assert!(degraded(former).contains("the networks of the cluster may be outdated: /share/networks.json"));
}

#[test]
fn a_condition_keeps_its_time_until_its_status_changes() {
    let before = first_status(&data(), &own());
    let now = status(&data(), &own(), 1_700_000_999, Some(&before));
    assert_eq!(now.conditions, before.conditions);
    let degraded = status(&data(), &Own { started: 1_700_000_990, ..own() }, 1_700_000_999, Some(&before));
    assert_eq!(degraded.conditions[1].last_transition_time, time(1_700_000_999));
    assert_eq!(degraded.conditions[0], before.conditions[0]);
}

#[test]
fn more_rules_than_a_report_holds_are_counted() {
    let mut many = data();
    many.rules = (0..MAX_ENTRIES + 5).map(|_| many.rules[0].clone()).collect();
    let report = first_status(&many, &own());
    assert_eq!((report.rules.len(), report.omitted), (MAX_ENTRIES, 5));
}
