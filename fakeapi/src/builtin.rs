//! The built-in kinds that the project meets: how they merge, what the server fills in and what it refuses.
//!
//! Defaults are those for the fields that the project's objects have; the script that runs against a real API server
//! too (see [`crate::script`]) shows when one is missing.

mod daemonset;
mod event;

pub(crate) use daemonset::count_template;

use serde_json::{Map, Value, json};

use crate::{
    cause::Cause,
    kind::{self, Kind, Kinds},
    rules::BuiltinRules,
    structure::Structure,
};

/// Structure of conditions, wherever they occur.
const CONDITIONS: &str = "status.conditions[type]";

const POD_FIELDS: &[&str] = &[
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.nominatedNodeName",
];

const CORE_EVENT_FIELDS: &[&str] =
    &["involvedObject.kind", "involvedObject.name", "involvedObject.uid", "reason", "type"];

const EVENT_FIELDS: &[&str] = &["reason", "type", "reportingController", "regarding.kind", "regarding.name"];

impl Kinds {
    /// The built-in kinds that the project meets.
    pub fn builtin() -> Self {
        Self::of(kinds())
    }
}

fn kinds() -> Vec<Kind> {
    let plain = BuiltinRules { complete: |_| {}, validate: |_, _| Vec::new() };
    let pod_paths = daemonset::pod_paths("spec");
    let pod: Vec<&str> = pod_paths.iter().map(String::as_str).chain([CONDITIONS, "status.podIPs[ip]"]).collect();
    let set_paths = daemonset::pod_paths("spec.template.spec");
    let set: Vec<&str> = set_paths.iter().map(String::as_str).chain([CONDITIONS, "spec.selector{}"]).collect();
    let node = ["status.conditions[type]", "status.addresses[type]", "spec.taints{}", "spec.podCIDRs[]"];
    let config_map = BuiltinRules { complete: |_| {}, validate: config_map };
    let daemon_set = BuiltinRules { complete: daemonset::complete, validate: daemonset::validate };
    let pod_rules = BuiltinRules { complete: daemonset::complete_pod, validate: |_, _| Vec::new() };
    let event = BuiltinRules { complete: event::complete, validate: event::validate };
    let namespace = BuiltinRules { complete: namespace, ..plain };
    vec![
        Kind { is_unconditional: true, ..builtin("", "configmaps", "ConfigMap", &[], config_map) },
        Kind {
            is_namespaced: false,
            has_status: true,
            is_unconditional: true,
            ..builtin("", "nodes", "Node", &node, plain)
        },
        Kind {
            is_namespaced: false,
            has_status: true,
            is_unconditional: true,
            ..builtin("", "namespaces", "Namespace", &[CONDITIONS], namespace)
        },
        Kind {
            has_status: true,
            is_unconditional: true,
            has_generation: true,
            selectable: POD_FIELDS.iter().map(|field| ((*field).to_owned(), (*field).to_owned())).collect(),
            ..builtin("", "pods", "Pod", &pod, pod_rules)
        },
        Kind {
            has_status: true,
            has_generation: true,
            is_unconditional: true,
            ..builtin("apps", "daemonsets", "DaemonSet", &set, daemon_set)
        },
        // Read for its owner only.
        Kind {
            has_status: true,
            has_generation: true,
            is_unconditional: true,
            ..builtin("apps", "replicasets", "ReplicaSet", &[CONDITIONS], plain)
        },
        Kind {
            is_namespaced: false,
            is_unconditional: true,
            ..builtin("rbac.authorization.k8s.io", "clusterroles", "ClusterRole", &[], plain)
        },
        Kind { creates_on_update: true, ..builtin("coordination.k8s.io", "leases", "Lease", &[], plain) },
        // As of Kubernetes 1.33.
        Kind {
            is_namespaced: false,
            has_status: true,
            is_unconditional: true,
            ..builtin("networking.k8s.io", "servicecidrs", "ServiceCIDR", &[CONDITIONS], plain)
        },
        // A separate store: Events written in one API group are not seen in the other.
        Kind {
            is_unconditional: true,
            creates_on_update: true,
            selectable: CORE_EVENT_FIELDS.iter().map(|field| ((*field).to_owned(), (*field).to_owned())).collect(),
            ..builtin("", "events", "Event", &["involvedObject{}", "related{}"], plain)
        },
        Kind {
            is_unconditional: true,
            creates_on_update: true,
            selectable: EVENT_FIELDS.iter().map(|field| ((*field).to_owned(), (*field).to_owned())).collect(),
            ..builtin("events.k8s.io", "events", "Event", &["regarding{}", "related{}"], event)
        },
    ]
}

fn builtin(group: &str, plural: &str, kind: &str, paths: &[&str], rules: BuiltinRules) -> Kind {
    Kind {
        group: group.to_owned(),
        version: "v1".to_owned(),
        plural: plural.to_owned(),
        kind: kind.to_owned(),
        is_namespaced: true,
        has_status: false,
        has_generation: false,
        is_unconditional: false,
        creates_on_update: false,
        selectable: Vec::new(),
        structure: Structure::from_paths(paths).with("metadata", Structure::of_metadata()),
        rules: kind::Rules::Builtin(rules),
        id: kind::resource(plural, group).into(),
    }
}

/// Sets `value[path]` unless it is set. Creates missing parents.
pub(crate) fn default(value: &mut Value, path: &str, to: Value) {
    let mut at = value;
    for step in path.split('.') {
        let Some(map) = at.as_object_mut() else { return };
        at = map.entry(step.to_owned()).or_insert_with(|| Value::Object(Map::new()));
    }
    if at.as_object().is_some_and(Map::is_empty) {
        *at = to;
    }
}

fn namespace(object: &mut Value) {
    let name = object["metadata"]["name"].clone();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        let labels = metadata.entry("labels").or_insert_with(|| json!({}));
        labels["kubernetes.io/metadata.name"] = name;
    }
    default(object, "spec.finalizers", json!(["kubernetes"]));
    default(object, "status.phase", json!("Active"));
}

fn config_map(old: Option<&Value>, new: &Value) -> Vec<Cause> {
    let Some(old) = old.filter(|old| old["immutable"] == true) else { return Vec::new() };
    let mut causes = Vec::new();
    for field in ["immutable", "data", "binaryData"] {
        if old[field] != new[field] {
            causes.push(Cause::new(
                field,
                "FieldValueForbidden",
                "Forbidden: field is immutable when `immutable` is set",
            ));
        }
    }
    causes
}
