//! What every object of the operator's has: its labels, and an owner that goes with the release.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::{Map, Value, json};

/// Field manager of all that is applied.
pub const MANAGER: &str = "netprecursor-operator";

/// Selects what the operator made.
pub const SELECTOR: &str = "app.kubernetes.io/managed-by=netprecursor-operator";

/// Labels of all that the operator makes.
pub fn labels() -> Map<String, Value> {
    let labels = [("app.kubernetes.io/managed-by", MANAGER), ("app.kubernetes.io/part-of", "netprecursor")];
    labels.map(|(key, value)| (key.to_owned(), value.into())).into_iter().collect()
}

/// When the operator last wrote an object with these managed fields.
pub fn applied(fields: &[ManagedFieldsEntry]) -> Option<Timestamp> {
    let ours = fields.iter().filter(|entry| entry.manager.as_deref() == Some(MANAGER) && entry.subresource.is_none());
    ours.filter_map(|entry| entry.time.as_ref().map(|time| time.0)).max()
}

/// A reference to the anchor: uninstalling deletes it, and the API server all that refers to it.
pub fn reference(anchor: &str, uid: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "name": anchor, "uid": uid})
}
