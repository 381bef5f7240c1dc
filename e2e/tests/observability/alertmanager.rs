//! Alerts in a real Alertmanager: two replicas, the route of docs/alerting.md, and somebody who is on call.

mod on_call;
mod replicas;
mod sender;

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use netprecursor_testbed::module;
use on_call::OnCall;
use replicas::{Listed, Replicas};
use sender::{Sender, firing, resolved};

/// By default a notification comes after 30 seconds.
const AT_ONCE: Duration = Duration::from_secs(10);
/// What may take some intervals.
const SOON: Duration = Duration::from_secs(60);

/// A page of the checkout.
fn page(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Whether there is one alert for each of these pods, and no other.
fn is_about(listed: &[Listed], pods: &[&str]) -> bool {
    let mut about: Vec<&str> = listed.iter().map(|alert| alert.labels["pod"].as_str()).collect();
    about.sort_unstable();
    about == pods
}

/// Names that docs/alerting.md does not have.
fn undocumented<'a>(names: impl Iterator<Item = &'a String>) -> Vec<&'a String> {
    let page = page("docs/alerting.md");
    names.filter(|name| !page.contains(&format!("`{name}`"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_replicas_list_an_alert_and_who_is_on_call_hears_once_and_at_once() {
    let mut on_call = OnCall::start().await;
    let replicas = Replicas::start(on_call.url());
    let sender = Sender::start(replicas.urls());
    let alert = firing("checkout", "web-1");
    sender.put(alert.clone());
    let first = on_call.hears("the alert", AT_ONCE, |_| true);
    assert_eq!(first.group_labels, map(&[("cluster", "production"), ("namespace", "shop"), ("policy", "checkout")]));
    let labels = map(&[
        ("alertname", "PrecursorAlert"),
        ("cluster", "production"),
        ("namespace", "shop"),
        ("node", "node1"),
        ("pod", "web-1"),
        ("policy", "checkout"),
        ("policy_kind", "PrecursorPolicy"),
        ("rule", "rtt"),
        ("severity", "critical"),
    ]);
    let annotations = map(&[
        ("alert", "shop/checkout-web-1"),
        ("causes", "queue (61 %: standing_queue_max_10s is 182 kB, usually 9 kB)"),
        ("chance", "74%"),
        ("description", "RTT is forecast to reach 231ms within 10s."),
        ("forecast", "231ms"),
        ("model", "adaptive"),
        ("summary", "Pod shop/web-1 on node1: RTT has a 74 % chance of exceeding 200ms within 10s"),
        ("threshold", "200ms"),
    ]);
    assert_eq!((&first.alerts[0].labels, &first.alerts[0].annotations), (&labels, &annotations));
    for replica in &replicas.all {
        let listed = replica.wait_for("the alert", |listed| listed.len() == 1);
        assert_eq!((&listed[0].labels, &listed[0].annotations), (&labels, &annotations));
    }
    sender.put(resolved(alert));
    for replica in &replicas.all {
        replica.wait_for("its end", <[Listed]>::is_empty);
    }
    let last = on_call.hears("its end", SOON, |notification| notification.status == "resolved");
    assert_eq!(last.alerts[0].labels, labels);
    let verdict = ["confirmed", "lead", "measured"].map(|name| last.alerts[0].annotations[name].as_str());
    assert_eq!(verdict, ["true", "6s", "244ms"]);
    // The second replica knows what the first has notified of.
    let heard: Vec<&str> = on_call.heard().iter().map(|notification| notification.status.as_str()).collect();
    assert_eq!(heard, ["firing", "resolved"]);
    assert_eq!(undocumented(labels.keys().chain(last.alerts[0].annotations.keys())), Vec::<&String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_of_one_policy_are_one_notification_and_those_of_two_are_two() {
    let mut on_call = OnCall::start().await;
    let replicas = Replicas::start(on_call.url());
    let sender = Sender::start(replicas.urls());
    let first = firing("checkout", "web-1");
    for alert in [first.clone(), firing("checkout", "web-2"), firing("payment", "pay-1")] {
        sender.put(alert);
    }
    on_call.hears("both pods", SOON, |heard| heard.is_about("web-1") && heard.is_about("web-2"));
    on_call.hears("the other policy", SOON, |heard| heard.is_about("pay-1"));
    for heard in on_call.heard() {
        let policy = &heard.group_labels["policy"];
        assert!(heard.alerts.iter().all(|alert| alert.labels["policy"] == *policy), "{heard:#?}");
    }
    // The group is not over when one of its alerts is.
    sender.put(resolved(first));
    let mixed = on_call.hears("the end of one", SOON, |heard| heard.alerts.iter().any(|it| it.status == "resolved"));
    let states: BTreeMap<_, _> =
        mixed.alerts.iter().map(|it| (it.labels["pod"].as_str(), it.status.as_str())).collect();
    assert_eq!(states, BTreeMap::from([("web-1", "resolved"), ("web-2", "firing")]));
    assert_eq!(mixed.status, "firing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_away_keeps_nothing_from_the_other_and_is_told_everything_when_it_is_back() {
    let mut on_call = OnCall::start().await;
    let mut replicas = Replicas::start(on_call.url());
    let sender = Sender::start(replicas.urls());
    sender.put(firing("checkout", "web-1"));
    on_call.hears("the first alert", AT_ONCE, |heard| heard.is_about("web-1"));
    // The one that notified.
    replicas.all[0].kill();
    sender.put(firing("payment", "pay-1"));
    replicas.all[1].wait_for("both alerts", |listed| is_about(listed, &["pay-1", "web-1"]));
    on_call.hears("the alert of the other replica", AT_ONCE, |heard| heard.is_about("pay-1"));
    // Alerts are not on its disk.
    replicas.all[0].restart();
    replicas.all[0].wait_for("both alerts", |listed| is_about(listed, &["pay-1", "web-1"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_of_a_sender_that_is_gone_resolve_by_themselves() {
    let mut on_call = OnCall::start().await;
    let replicas = Replicas::start(on_call.url());
    let sender = Sender::start(replicas.urls());
    sender.put(firing("checkout", "web-1"));
    for replica in &replicas.all {
        replica.wait_for("the alert", |listed| is_about(listed, &["web-1"]));
    }
    sender.vanish();
    on_call.hears("its end", SOON, |heard| heard.status == "resolved");
}

#[test]
fn the_version_that_is_tried_here_is_the_one_of_docs_compatibility() {
    let go_mod = fs::read_to_string(Path::new(module::DIRECTORY).join("alertmanager/go.mod")).unwrap();
    let pinned = go_mod.lines().find_map(|line| line.trim().strip_prefix("github.com/prometheus/alertmanager v"));
    let version = pinned.unwrap().split(' ').next().unwrap();
    assert!(page("docs/compatibility.md").contains(&format!("Alertmanager {version}")), "{version}");
}
