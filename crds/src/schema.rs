//! From types to the CustomResourceDefinitions that a cluster gets. The committed `crds/yaml/` is what [`definitions`]
//! returns; a test compares.
//!
//! kube's own `crd()` makes no schema here (`schema = "disabled"`): Kubernetes takes a dialect of JSON schema, and
//! `Structural` is our translation into it. It differs from kube's in three ways: absent is the only way to leave a
//! field out (no `null` in stored objects), bounds of integer types are kept as bounds (Kubernetes knows no unsigned
//! formats), and what each value of an enumeration means goes into the field's description.

pub(crate) mod cel;
pub(crate) mod fragment;
mod structural;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceValidation, JSONSchemaProps,
};
use kube::CustomResourceExt;
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Value, json};

use crate::{
    ClusterPrecursorPolicy, PrecursorAlert, PrecursorNodeReport, PrecursorPolicy,
    alert::{PrecursorAlertSpec, PrecursorAlertStatus},
    policy::{ClusterPrecursorPolicySpec, PrecursorPolicySpec, PrecursorPolicyStatus},
    report::PrecursorNodeReportStatus,
};

use structural::Structural;

/// The definitions of all kinds, with their schemas, in the order in which users meet them.
///
/// # Errors
/// A schema that is none in Kubernetes' dialect: a mistake in the types, which the tests of this crate find.
pub fn definitions() -> Result<Vec<CustomResourceDefinition>, serde_json::Error> {
    let policy = |spec| [spec, ("status", schema_of::<PrecursorPolicyStatus>())];
    Ok(vec![
        with_schema(
            PrecursorPolicy::crd(),
            "Warns of network trouble of pods in one namespace before it happens.",
            policy(("spec", schema_of::<PrecursorPolicySpec>())),
        )?,
        with_schema(
            ClusterPrecursorPolicy::crd(),
            "Warns of network trouble of pods in several namespaces before it happens.",
            policy(("spec", schema_of::<ClusterPrecursorPolicySpec>())),
        )?,
        in_one_write(with_schema(
            PrecursorAlert::crd(),
            "An alert on a pod's network: a warning of trouble ahead or a measured breach, and its outcome.",
            [("spec", schema_of::<PrecursorAlertSpec>()), ("status", schema_of::<PrecursorAlertStatus>())],
        )?),
        with_schema(
            PrecursorNodeReport::crd(),
            "The report of one node's agent: its sensors, its resource usage, its models and the counts of its rules.",
            [("status", schema_of::<PrecursorNodeReportStatus>())],
        )?,
    ])
}

/// A definition as text for `kubectl apply`.
///
/// # Errors
/// As [`definitions`].
pub fn yaml(definition: &CustomResourceDefinition) -> Result<String, serde_json::Error> {
    let mut value = serde_json::to_value(definition)?;
    whole_numbers(&mut value);
    serde_saphyr::to_string(&value).map_err(serde::ser::Error::custom)
}

/// k8s-openapi keeps bounds as floating-point numbers; ours are whole, and `maximum: 60` is what people read.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(float) = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 1e15) {
                *number = (float as i64).into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(fields) => fields.values_mut().for_each(whole_numbers),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

fn with_schema<const N: usize>(
    mut definition: CustomResourceDefinition,
    description: &str,
    properties: [(&str, Value); N],
) -> Result<CustomResourceDefinition, serde_json::Error> {
    // Objects without a status are what users apply.
    let required: Vec<_> = properties.iter().map(|(name, _)| *name).filter(|name| *name != "status").collect();
    let mut root = json!({"type": "object", "description": description});
    if !required.is_empty() {
        root["required"] = json!(required);
    }
    root["properties"] = properties.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    let root: JSONSchemaProps = serde_json::from_value(root)?;
    for version in &mut definition.spec.versions {
        version.schema = Some(CustomResourceValidation { open_api_v3_schema: Some(root.clone()) });
    }
    Ok(definition)
}

/// Nobody applies an alert and has another one report on it: without a subresource its agent writes all of it at once, and
/// nobody sees one that does not say yet how it is.
fn in_one_write(mut definition: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut definition.spec.versions {
        version.subresources = None;
        let root = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut());
        if let Some(root) = root {
            root.required.get_or_insert_default().push("status".to_owned());
        }
    }
    definition
}

fn schema_of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    settings.with_transform(Structural).into_generator().into_root_schema_for::<T>().to_value()
}
