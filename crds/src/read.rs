//! Policy files: YAML with one or more documents, read so that one mistake does not hide the next.

use netprecursor_core::policy as core;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    Fault, Problem, Refusal,
    convert::{self, Place},
    policy::{self as spec, API_VERSION, ClusterPrecursorPolicySpec, PrecursorPolicySpec},
    problem::Problems,
};

/// The most text that is looked at: what etcd takes for one object.
const MAX_BYTES: usize = 1 << 20;

/// What a document is, and of whom. Further fields of the metadata are Kubernetes' business.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    api_version: String,
    kind: String,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    namespace: Option<String>,
    uid: Option<String>,
}

/// The policies of a file, for use outside Kubernetes. `origin` names the file in the refusal.
///
/// # Errors
/// Everything that is wrong with it: all unknown fields and invalid values, and of each rule and each policy's head
/// the first value of a wrong type.
pub fn policies_from_yaml(origin: &str, yaml: &str) -> Result<Vec<core::Policy>, Refusal> {
    let refuse = |problems| Refusal { origin: origin.to_owned(), problems };
    let whole = |fault| refuse(vec![Problem { document: 1, path: String::new(), fault }]);
    if yaml.len() > MAX_BYTES {
        return Err(whole(Fault::TooLarge { got: yaml.len(), max: MAX_BYTES }));
    }
    let documents = documents(yaml).map_err(|error| whole(Fault::Yaml(error.to_string())))?;
    let (mut policies, mut found) = (Vec::<core::Policy>::new(), Vec::new());
    for (index, document) in documents.into_iter().enumerate().filter(|(_, document)| !document.is_null()) {
        let mut problems = Problems::of_document(index + 1);
        if let Some(policy) = policy(document, &mut problems) {
            if let Some((field, fault)) = duplicate(&policies, &policy) {
                problems.add(field, fault);
            }
            policies.push(policy);
        }
        found.extend(problems.into_found());
    }
    match (policies.is_empty(), found.is_empty()) {
        (_, false) => Err(refuse(found)),
        (true, true) => Err(whole(Fault::Empty)),
        (false, true) => Ok(policies),
    }
}

/// The field by which a policy cannot be distinguished from one of `others`, and why that is a fault: counters are kept by
/// kind, namespace and name, alerts by UID.
pub fn duplicate(others: &[core::Policy], policy: &core::Policy) -> Option<(&'static str, Fault)> {
    let identity = policy.identity();
    if others.iter().any(|other| other.identity() == identity) {
        return Some(("metadata.name", Fault::DuplicatePolicy { identity: identity.to_string() }));
    }
    let other = others.iter().find(|other| other.uid == policy.uid)?;
    Some(("metadata.uid", Fault::DuplicateUid { uid: policy.uid.clone(), other: other.identity().to_string() }))
}

/// The documents of a file, with plain scalars taken as kubectl takes them: by YAML 1.1, in which `yes` and `on` are
/// truth and `010` is 8. (Names of fields are taken as written: none of the API's own means something else there.)
///
/// # Errors
/// No YAML, or more of it than a policy needs.
pub fn documents(yaml: &str) -> Result<Vec<Value>, serde_saphyr::Error> {
    serde_saphyr::from_multiple_with_options(yaml, serde_saphyr::options! { legacy_octal_numbers: true })
}

/// One document's policy; `None` when a problem was added.
fn policy(mut document: Value, problems: &mut Problems) -> Option<core::Policy> {
    let mut spec = document.get_mut("spec").map(Value::take);
    unknown_at_top(&document, problems);
    let head = part::<Head>(&document, "", false, problems)?;
    if head.api_version != API_VERSION {
        problems.add("apiVersion", Fault::ApiVersion { got: head.api_version });
        return None;
    }
    let clusterwide = match head.kind.as_str() {
        "PrecursorPolicy" => false,
        "ClusterPrecursorPolicy" => true,
        _ => {
            problems.add("kind", Fault::Kind { got: head.kind });
            return None;
        }
    };
    let name = problems.keep("metadata.name", core::Name::subdomain(&head.metadata.name));
    let namespace = match head.metadata.namespace.as_deref().filter(|_| !clusterwide).map(core::Name::label) {
        None => Some(None),
        Some(namespace) => problems.keep("metadata.namespace", namespace).map(Some),
    };
    let Some(spec) = &mut spec else {
        problems.add("spec", Fault::Shape("got none, expected target and rules".to_owned()));
        return None;
    };
    let rules = rules(spec, problems);
    let (mode, target, scope) = if clusterwide {
        let ClusterPrecursorPolicySpec { mode, target, .. } = part(spec, "spec", true, problems)?;
        let namespaces = target.namespace_selector.unwrap_or_default();
        let scope = convert::selector(&namespaces, "spec.target.namespaceSelector", problems).map(core::Scope::Cluster);
        (mode, target.pod_selector, scope)
    } else {
        let PrecursorPolicySpec { mode, target, .. } = part(spec, "spec", true, problems)?;
        (mode, target.pod_selector, namespace.map(core::Scope::Namespace))
    };
    let target = convert::selector(&target, "spec.target.podSelector", problems);
    let uid = head.metadata.uid.unwrap_or_else(|| {
        let namespace = head.metadata.namespace.filter(|_| !clusterwide).unwrap_or_default();
        format!("{}/{namespace}/{}", head.kind, head.metadata.name)
    });
    Some(core::Policy { name: name?, uid, scope: scope?, mode: mode.into(), target: target?, rules: rules? })
}

/// The rules, each read by itself, taken out of the spec so that its own fields are read without them.
fn rules(spec: &mut Value, problems: &mut Problems) -> Option<core::Rules> {
    let Some(Value::Array(written)) = spec.get_mut("rules").filter(|rules| rules.is_array()).map(Value::take) else {
        return None; // Absent or no list: reading the spec says so.
    };
    spec["rules"] = json!([]);
    let mut rules = Vec::with_capacity(written.len().min(spec::MAX_RULES));
    for (index, value) in written.iter().enumerate() {
        let path = format!("spec.rules[{index}]");
        let read = part::<spec::Rule>(value, &path, true, problems);
        rules.push(read.and_then(|rule| convert::rule(&rule, Place::Standalone, &path, problems)));
    }
    convert::together(rules, problems)
}

/// Reads one part of a document, adding its unknown fields (if `strict`) and the first value of a wrong type.
fn part<T: DeserializeOwned>(value: &Value, path: &str, strict: bool, problems: &mut Problems) -> Option<T> {
    let mut unknown = Vec::new();
    let mut track = serde_path_to_error::Track::new();
    let read = {
        let tracked = serde_path_to_error::Deserializer::new(value, &mut track);
        serde_ignored::deserialize(tracked, |field| unknown.push(joined(path, &dotted(&field))))
    };
    if strict {
        unknown.into_iter().for_each(|field| problems.add(&*field, unknown_field(&field)));
    }
    let read: Result<T, serde_json::Error> = read;
    let inner = track.path().to_string();
    problems.keep(joined(path, if inner == "." { "" } else { &inner }), read.map_err(|error| shape(&error, &inner)))
}

fn unknown_field(path: &str) -> Fault {
    match path.rsplit_once(".debounce.") {
        Some((_, "n" | "false")) => Fault::NotOf,
        _ => Fault::UnknownField,
    }
}

fn unknown_at_top(document: &Value, problems: &mut Problems) {
    let known = ["apiVersion", "kind", "metadata", "spec", "status"];
    let fields = document.as_object().into_iter().flat_map(|fields| fields.keys());
    fields.filter(|field| !known.contains(&field.as_str())).for_each(|field| problems.add(field, Fault::UnknownField));
}

/// serde's own words with ours for what follows from them.
fn shape(error: &serde_json::Error, field: &str) -> Fault {
    let text = error.to_string();
    if let Some(field) = text.strip_prefix("missing field ") {
        return Fault::Shape(format!("got none of it, expected the field {field}: add it"));
    }
    let found = text.strip_prefix("invalid type: ").unwrap_or(&text);
    // YAML takes `7`, `1e5`, `yes` and `on` for numbers and truth.
    let is_scalar = ["integer", "floating point", "boolean"].iter().any(|kind| found.starts_with(kind));
    let advice = match field {
        _ if is_scalar && found.ends_with("expected a string") => ": put it in quotes",
        // Not `0.5`, `50%` or `'50'`.
        _ if field.ends_with("Percent") => ": write whole percent, for example `50`",
        _ => "",
    };
    Fault::Shape(format!("got {found}{advice}"))
}

fn joined(path: &str, inner: &str) -> String {
    match (path.is_empty(), inner.is_empty()) {
        (true, _) => inner.to_owned(),
        (_, true) => path.to_owned(),
        _ if inner.starts_with('[') => format!("{path}{inner}"),
        _ => format!("{path}.{inner}"),
    }
}

fn dotted(path: &serde_ignored::Path<'_>) -> String {
    use serde_ignored::Path;
    match path {
        Path::Root => String::new(),
        Path::Seq { parent, index } => format!("{}[{index}]", dotted(parent)),
        Path::Map { parent, key } => joined(&dotted(parent), key),
        Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => dotted(parent),
    }
}
