//! No alert lost and none twice: a story's alerts against their Events.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use k8s_openapi::api::events::v1::Event;
use kube::{Api, ResourceExt, runtime::watcher::Config};
use netprecursor_crds::alert::{AlertState, PrecursorAlert};
use netprecursor_e2e::{
    Error,
    agent::{Agent, Samples},
    cluster::{Story, wait_for_list},
};

use crate::shared::request;

/// One write each twenty seconds, once the burst is used up.
const EVENTS: Duration = Duration::from_secs(300);

/// Waits until every transition of every alert has its Event. Checks that there is one object for each policy, rule and pod,
/// and no Event without a transition.
pub(super) async fn once(story: &Story) -> Result<Vec<PrecursorAlert>, Error> {
    let alerts: Api<PrecursorAlert> = story.api();
    let alerts = alerts.list(&Default::default()).await.map_err(request("listing alerts"))?.items;
    // The stories' pods are bare: each is one by itself.
    let mut of: BTreeMap<(&str, &str, Option<&str>), Vec<String>> = BTreeMap::new();
    for alert in &alerts {
        let spec = &alert.spec;
        let pod = spec.pod_ref.as_ref().map(|pod| &*pod.uid);
        of.entry((&spec.policy_ref.uid, &spec.rule, pod)).or_default().push(alert.name_any());
    }
    assert!(of.values().all(|names| names.len() == 1), "several objects for one alert: {of:#?}");
    let expected: BTreeSet<String> = alerts.iter().flat_map(events_of).collect();
    let events: Api<Event> = story.api();
    let what = format!("the Events {expected:?}");
    let found = wait_for_list(&events, Config::default(), &what, EVENTS, |events| {
        let found: BTreeSet<String> =
            events.iter().filter(|event| is_ours(event)).map(|event| event.name_any()).collect();
        found.is_superset(&expected).then_some(found)
    })
    .await?;
    // A transition since the list was read adds an Event; one that never happened has another name.
    let names: Vec<String> = alerts.iter().map(ResourceExt::name_any).collect();
    let strange: Vec<&String> =
        found.iter().filter(|event| !names.iter().any(|name| event.starts_with(&format!("{name}.")))).collect();
    assert!(strange.is_empty(), "Events of alerts that are not there: {strange:?}");
    for alert in alerts.iter().filter(|alert| state(alert) == Some(AlertState::Resolved)) {
        let prefix = format!("{}.", alert.name_any());
        let count = alert.status.as_ref().map_or(0, |status| status.count);
        let beyond =
            found.iter().filter_map(|event| event.strip_prefix(&prefix)?.split('.').next()?.parse::<u64>().ok());
        assert!(beyond.max().unwrap_or(0) <= count, "more Events than transitions of {}: {found:?}", alert.name_any());
    }
    Ok(alerts)
}

/// The Events of an alert: one for each firing, and one when it is resolved.
fn events_of(alert: &PrecursorAlert) -> Vec<String> {
    let Some(status) = &alert.status else { return Vec::new() };
    let name = alert.name_any();
    let mut events: Vec<String> = (1..=status.count).map(|count| format!("{name}.{count}.firing")).collect();
    if status.state == AlertState::Resolved {
        events.push(format!("{name}.{}.resolved", status.count));
    }
    events
}

fn state(alert: &PrecursorAlert) -> Option<AlertState> {
    alert.status.as_ref().map(|status| status.state)
}

fn is_ours(event: &Event) -> bool {
    event.reporting_controller.as_deref() == Some("netprecursor.io/agent")
}

/// Waits until an agent has published all messages. Returns how long that took, and how many it dropped since it started.
pub(super) async fn drained(agent: &Agent, limit: Duration) -> Result<(Duration, f64), Error> {
    let begun = Instant::now();
    let sink = |samples: &Samples, name: &str| samples.with(name, "sink", "kubernetes");
    let samples = agent
        .wait_until("no message to be pending", limit, |samples| {
            sink(samples, "netprecursor_sink_pending") == Some(0.0)
        })
        .await?;
    Ok((begun.elapsed(), sink(&samples, "netprecursor_sink_dropped_total").unwrap_or(0.0)))
}
