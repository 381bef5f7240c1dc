//! From types to the CustomResourceDefinitions that a cluster gets. The committed `crds/yaml/` is what [`definitions`]
//! returns; a test compares.
//!
//! kube's own `crd()` makes no schema here (`schema = "disabled"`): Kubernetes takes a dialect of JSON schema, and
//! `Structural` is our translation into it. It differs from kube's in three ways: absent is the only way to leave a
//! field out (no `null` in stored objects), bounds of integer types are kept as bounds (Kubernetes knows no unsigned
//! formats), and what each value of an enumeration means goes into the field's description.

pub(crate) mod cel;
mod structural;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceValidation, JSONSchemaProps,
};
use kube::CustomResourceExt;
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde_json::{Value, json};

use crate::{
    ClusterPrecursorPolicy, ConditionStatus, PrecursorAlert, PrecursorNodeReport, PrecursorPolicy,
    alert::{PrecursorAlertSpec, PrecursorAlertStatus},
    condition::MAX_MESSAGE,
    policy::{ClusterPrecursorPolicySpec, PrecursorPolicySpec, PrecursorPolicyStatus},
    report::PrecursorNodeReportStatus,
};

use structural::Structural;

/// A label's value, as Kubernetes checks it.
const LABEL_VALUE: &str = "^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$";

/// A quantity as agents write it.
const QUANTITY: &str = "^[0-9]{1,15}(\\.[0-9]{1,3})?(m|k|M|G|Ki|Mi|Gi)?$";

/// The definitions of all kinds, with their schemas, in the order in which users meet them.
///
/// # Errors
/// A schema that is none in Kubernetes' dialect: a mistake in the types, which the tests of this crate find.
pub fn definitions() -> Result<Vec<CustomResourceDefinition>, serde_json::Error> {
    let policy = |spec| [spec, ("status", schema_of::<PrecursorPolicyStatus>())];
    Ok(vec![
        with_schema(
            PrecursorPolicy::crd(),
            "Warns of network trouble of a namespace's pods before it happens.",
            policy(("spec", schema_of::<PrecursorPolicySpec>())),
        )?,
        with_schema(
            ClusterPrecursorPolicy::crd(),
            "Warns of network trouble of pods in several namespaces before it happens.",
            policy(("spec", schema_of::<ClusterPrecursorPolicySpec>())),
        )?,
        with_schema(
            PrecursorAlert::crd(),
            "A warning that a pod's network is about to get into trouble, or is in it, and what became of it.",
            [("spec", schema_of::<PrecursorAlertSpec>()), ("status", schema_of::<PrecursorAlertStatus>())],
        )?,
        with_schema(
            PrecursorNodeReport::crd(),
            "What the agent of one node says of itself: its sensors, its cost, and what its rules counted.",
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

fn schema_of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    settings.with_transform(Structural).into_generator().into_root_schema_for::<T>().to_value()
}

/// A point in time.
pub(crate) fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time"})
}

/// A decimal or binary quantity, as agents write it.
pub(crate) fn quantity(schema: &mut Schema) {
    schema.insert("pattern".to_owned(), QUANTITY.into());
}

/// Labels to be equal to.
pub(crate) fn labels(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": crate::policy::MAX_REQUIREMENTS,
        "additionalProperties": {"type": "string", "maxLength": 63, "pattern": LABEL_VALUE},
    })
}

/// Values of a label.
pub(crate) fn label_values(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": crate::policy::MAX_VALUES,
        "items": {"type": "string", "maxLength": 63, "pattern": LABEL_VALUE},
        "x-kubernetes-list-type": "atomic",
    })
}

/// Kubernetes' conditions, with the bounds that its own types have.
pub(crate) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "description": "One aspect of the state.",
            "type": "object",
            "required": ["lastTransitionTime", "message", "reason", "status", "type"],
            "properties": {
                "type": {
                    "description": "What the condition is about.",
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 63,
                    "pattern": "^[A-Z][A-Za-z0-9]*$",
                },
                "status": {
                    "description": "Whether it holds.",
                    "type": "string",
                    "enum": [ConditionStatus::True, ConditionStatus::False, ConditionStatus::Unknown],
                },
                "reason": {
                    "description": "Why, in one word for programs.",
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 127,
                    "pattern": "^[A-Z][A-Za-z0-9]*$",
                },
                "message": {
                    "description": "Why, and what to do, in words for people.",
                    "type": "string",
                    "maxLength": MAX_MESSAGE,
                },
                "lastTransitionTime": {
                    "description": "When `status` last changed.",
                    "type": "string",
                    "format": "date-time",
                },
                "observedGeneration": {
                    "description": "The generation of the spec that the condition speaks of.",
                    "type": "integer",
                    "format": "int64",
                    "minimum": 0,
                },
            },
        },
    })
}
