//! DaemonSets and the pods in them.

use serde_json::{Value, json};

use super::default;
use crate::cause::Cause;

/// Paths of a pod's spec that are not merged by default rules.
const POD: &[&str] = &[
    "containers[name]",
    "containers[name].env[name]",
    "containers[name].env[name].valueFrom.fieldRef{}",
    "containers[name].env[name].valueFrom.configMapKeyRef{}",
    "containers[name].env[name].valueFrom.secretKeyRef{}",
    "containers[name].env[name].valueFrom.resourceFieldRef{}",
    "containers[name].ports[containerPort,protocol=TCP]",
    "containers[name].volumeMounts[mountPath]",
    "containers[name].volumeDevices[devicePath]",
    "initContainers[name]",
    "initContainers[name].env[name]",
    "initContainers[name].ports[containerPort,protocol=TCP]",
    "initContainers[name].volumeMounts[mountPath]",
    "volumes[name]",
    "imagePullSecrets[name]",
    "hostAliases[ip]",
    "topologySpreadConstraints[topologyKey,whenUnsatisfiable]",
    "nodeSelector{}",
];

/// [`POD`] below a path.
pub(crate) fn pod_paths(above: &str) -> Vec<String> {
    POD.iter().map(|path| format!("{above}.{path}")).collect()
}

/// Fills in the server's defaults of a DaemonSet.
pub(crate) fn complete(object: &mut Value) {
    default(object, "spec.revisionHistoryLimit", json!(10));
    default(object, "spec.updateStrategy.type", json!("RollingUpdate"));
    if object["spec"]["updateStrategy"]["type"] == "RollingUpdate" {
        default(object, "spec.updateStrategy.rollingUpdate.maxUnavailable", json!(1));
        default(object, "spec.updateStrategy.rollingUpdate.maxSurge", json!(0));
    }
    if let Some(spec) = object.pointer_mut("/spec/template/spec") {
        complete_spec(spec);
    }
    for number in ["currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady"] {
        default(object, &format!("status.{number}"), json!(0));
    }
    let annotations = object["metadata"]["annotations"].as_object();
    if annotations.is_none_or(|annotations| !annotations.contains_key(TEMPLATE_GENERATION)) {
        let metadata = object["metadata"].as_object_mut();
        if let Some(metadata) = metadata {
            let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
            annotations[TEMPLATE_GENERATION] = json!("1");
        }
    }
}

/// The annotation in which the server counts changes of the template.
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

/// Counts a change of the template.
pub(crate) fn count_template(old: &Value, new: &mut Value) {
    let annotation = &old["metadata"]["annotations"][TEMPLATE_GENERATION];
    let count: u64 = annotation.as_str().and_then(|count| count.parse().ok()).unwrap_or(1);
    let is_other = old["spec"]["template"] != new["spec"]["template"];
    new["metadata"]["annotations"][TEMPLATE_GENERATION] = Value::from((count + u64::from(is_other)).to_string());
}

/// Fills in the server's defaults of a pod.
pub(crate) fn complete_pod(object: &mut Value) {
    if let Some(spec) = object.get_mut("spec") {
        complete_spec(spec);
    }
    default(object, "status.phase", json!("Pending"));
}

fn complete_spec(spec: &mut Value) {
    default(spec, "restartPolicy", json!("Always"));
    default(spec, "dnsPolicy", json!("ClusterFirst"));
    default(spec, "schedulerName", json!("default-scheduler"));
    default(spec, "terminationGracePeriodSeconds", json!(30));
    default(spec, "securityContext", json!({}));
    let account = spec["serviceAccountName"].clone();
    if account.is_string() {
        // The old name of the same field.
        default(spec, "serviceAccount", account);
    }
    for list in ["containers", "initContainers"] {
        for container in spec[list].as_array_mut().into_iter().flatten() {
            complete_container(container);
        }
    }
    for volume in spec["volumes"].as_array_mut().into_iter().flatten() {
        for (source, field) in [("configMap", "defaultMode"), ("secret", "defaultMode"), ("downwardAPI", "defaultMode")]
        {
            if volume.get(source).is_some() {
                default(&mut volume[source], field, json!(420));
            }
        }
        if volume.get("hostPath").is_some() {
            default(&mut volume["hostPath"], "type", json!(""));
        }
    }
    drop_nulls(spec);
}

/// Indexing by a missing key makes it null; none of these is ours.
fn drop_nulls(value: &mut Value) {
    if let Some(map) = value.as_object_mut() {
        map.retain(|_, value| !value.is_null());
    }
}

fn complete_container(container: &mut Value) {
    default(container, "terminationMessagePath", json!("/dev/termination-log"));
    default(container, "terminationMessagePolicy", json!("File"));
    default(container, "resources", json!({}));
    let image = container["image"].as_str().unwrap_or_default();
    let tag = image.rsplit('/').next().and_then(|name| name.split_once(':')).map(|(_, tag)| tag);
    let is_latest = tag.is_none_or(|tag| tag == "latest") && !image.contains('@');
    default(container, "imagePullPolicy", json!(if is_latest { "Always" } else { "IfNotPresent" }));
    for port in container["ports"].as_array_mut().into_iter().flatten() {
        default(port, "protocol", json!("TCP"));
    }
    for env in container["env"].as_array_mut().into_iter().flatten() {
        if env.pointer("/valueFrom/fieldRef").is_some() {
            default(env, "valueFrom.fieldRef.apiVersion", json!("v1"));
        }
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if container.get(probe).is_none() {
            continue;
        }
        let probe = &mut container[probe];
        for (field, value) in
            [("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)]
        {
            default(probe, field, json!(value));
        }
        if probe.get("httpGet").is_some() {
            default(probe, "httpGet.scheme", json!("HTTP"));
            default(probe, "httpGet.path", json!("/"));
        }
    }
    drop_nulls(container);
}

/// Validates a DaemonSet.
pub(crate) fn validate(old: Option<&Value>, new: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let wanted = &new["spec"]["selector"]["matchLabels"];
    let labels = &new["spec"]["template"]["metadata"]["labels"];
    if wanted.as_object().into_iter().flatten().any(|(key, value)| labels[key.as_str()] != *value) {
        let message = "Invalid value: `selector` does not match template `labels`";
        causes.push(Cause::new("spec.template.metadata.labels", "FieldValueInvalid", message));
    }
    if let Some(old) = old
        && old["spec"]["selector"] != new["spec"]["selector"]
    {
        causes.push(Cause::new("spec.selector", "FieldValueInvalid", "Invalid value: field is immutable"));
    }
    if new["spec"]["template"]["spec"]["containers"].as_array().is_none_or(Vec::is_empty) {
        causes.push(Cause::new("spec.template.spec.containers", "FieldValueRequired", "Required value"));
    }
    causes
}
