//! The state of a cluster after a failed story: objects, Events, and the last logs of agents and operator.

use std::fmt::Write as _;

use k8s_openapi::api::core::v1::{Event, Pod};
use kube::{
    Api, Client, ResourceExt as _,
    api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, LogParams},
};

use super::SYSTEM_NAMESPACE;

/// Lines of each container's log.
const LINES: i64 = 60;
/// Events and objects shown of each kind.
const MOST: usize = 50;

/// The state of the story's namespace and of the product's. It names what cannot be read.
pub(super) async fn state(client: &Client, namespace: &str) -> String {
    let mut text = String::new();
    for kind in ["PrecursorPolicy", "PrecursorAlert"] {
        objects(&mut text, client, kind, Some(namespace)).await;
    }
    for kind in ["ClusterPrecursorPolicy", "PrecursorNodeReport"] {
        objects(&mut text, client, kind, None).await;
    }
    for namespace in [namespace, SYSTEM_NAMESPACE] {
        events(&mut text, client, namespace).await;
        pods(&mut text, client, namespace).await;
    }
    text
}

async fn objects(text: &mut String, client: &Client, kind: &str, namespace: Option<&str>) {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("netprecursor.io", "v1alpha1", kind));
    let resource = match kind {
        "PrecursorPolicy" => ApiResource { plural: "precursorpolicies".to_owned(), ..resource },
        "ClusterPrecursorPolicy" => ApiResource { plural: "clusterprecursorpolicies".to_owned(), ..resource },
        _ => resource,
    };
    let api: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    match api.list(&ListParams::default()).await {
        Ok(list) => {
            line(text, &format!("== {kind}: {}", list.items.len()));
            for mut object in list.items.into_iter().take(MOST) {
                object.metadata.managed_fields = None;
                line(text, &serde_json::to_string(&object).unwrap_or_else(|error| error.to_string()));
            }
        }
        Err(error) => line(text, &format!("== {kind}: {error}")),
    }
}

async fn events(text: &mut String, client: &Client, namespace: &str) {
    let api: Api<Event> = Api::namespaced(client.clone(), namespace);
    match api.list(&ListParams::default()).await {
        Ok(list) => {
            line(text, &format!("== events in {namespace}: {}", list.items.len()));
            let from = list.items.len().saturating_sub(MOST);
            for event in &list.items[from..] {
                let of = &event.involved_object;
                let (kind, name) = (of.kind.as_deref().unwrap_or("?"), of.name.as_deref().unwrap_or("?"));
                let (reason, message) = (event.reason.as_deref(), event.message.as_deref());
                line(text, &format!("{kind}/{name} {}: {}", reason.unwrap_or("?"), message.unwrap_or("")));
            }
        }
        Err(error) => line(text, &format!("== events in {namespace}: {error}")),
    }
}

async fn pods(text: &mut String, client: &Client, namespace: &str) {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let list = match api.list(&ListParams::default()).await {
        Ok(list) => list,
        Err(error) => return line(text, &format!("== pods in {namespace}: {error}")),
    };
    line(text, &format!("== pods in {namespace}: {}", list.items.len()));
    for pod in list.items.iter().take(MOST) {
        let name = pod.name_any();
        let status = pod.status.as_ref();
        let phase = status.and_then(|status| status.phase.as_deref()).unwrap_or("?");
        line(text, &format!("-- {namespace}/{name} {phase}"));
        for container in status.and_then(|status| status.container_statuses.as_ref()).into_iter().flatten() {
            let state =
                container.state.as_ref().and_then(|state| serde_json::to_string(state).ok()).unwrap_or_default();
            line(text, &format!("   {} restarts {} {state}", container.name, container.restart_count));
            let mut runs = vec![false];
            if container.restart_count > 0 {
                runs.insert(0, true);
            }
            for previous in runs {
                let params = LogParams {
                    container: Some(container.name.clone()),
                    tail_lines: Some(LINES),
                    previous,
                    ..LogParams::default()
                };
                match api.logs(&name, &params).await {
                    Ok(log) => log.lines().for_each(|logged| line(text, &format!("   | {logged}"))),
                    Err(error) => line(text, &format!("   | no log: {error}")),
                }
            }
        }
    }
}

fn line(text: &mut String, line: &str) {
    // Writing to a String does not fail.
    let _ = writeln!(text, "{line}");
}
