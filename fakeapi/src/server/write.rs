//! Writing: create, replace, merge, apply.

mod checks;

use std::sync::Arc;

use checks::{name_fault, place, refuse_unknown};
use serde_json::{Value, json};

use super::{Answer, State, shown};
use crate::{
    builtin,
    cause::Cause,
    fields::{
        managers::{self, Managers, Operation, Reach, Writer},
        walk::repeated,
    },
    kind::{Kind, Rules},
    refusal::Refusal,
    request::{Call, Content},
};

/// Metadata that belongs to the server.
const SERVERS_OWN: &[&str] = &["uid", "creationTimestamp", "generation", "deletionTimestamp", "namespace", "name"];

impl State {
    pub(super) fn create(&mut self, call: &Call) -> Result<Answer, Refusal> {
        let object = call.json()?;
        self.check_type(call, &object)?;
        refuse_unknown(call, &object)?;
        self.create_object(call, object, None)
    }

    /// Stores a new object, with the `managers` of an apply or else its creator's.
    fn create_object(&mut self, call: &Call, mut object: Value, managers: Option<Managers>) -> Result<Answer, Refusal> {
        let kind = Arc::clone(&call.kind);
        place(call, &mut object)?;
        let name = self.new_name(&kind, &object["metadata"])?;
        if kind.is_namespaced && self.store.object(&super::key(&*self.namespaces()?, "", &call.namespace)).is_none() {
            return Err(Refusal::not_found(&*self.namespaces()?, &call.namespace));
        }
        if !object["metadata"]["resourceVersion"].is_null() {
            return Err(Refusal::new(500, "", "resourceVersion should not be set on objects to be created"));
        }
        let now = self.clock.seconds();
        let uid = self.new_uid();
        let Some(metadata) = object["metadata"].as_object_mut() else {
            return Err(Refusal::bad_request("metadata: got no object, expected one"));
        };
        metadata.insert("name".to_owned(), Value::from(name.as_str()));
        metadata.insert("uid".to_owned(), Value::from(uid));
        metadata.insert("creationTimestamp".to_owned(), Value::from(now.as_str()));
        for key in ["managedFields", "deletionTimestamp", "generation"] {
            metadata.remove(key);
        }
        if kind.has_generation {
            metadata.insert("generation".to_owned(), Value::from(1));
        }
        // A new node may come with its status; elsewhere the status starts empty.
        if kind.has_status
            && kind.plural != "nodes"
            && let Some(map) = object.as_object_mut()
        {
            map.remove("status");
        }
        kind.complete(&mut object);
        let causes: Vec<Cause> = name_fault(&name).into_iter().chain(kind.validate(None, &object)).collect();
        if !causes.is_empty() {
            return Err(Refusal::invalid(&kind, &name, &causes));
        }
        let key = super::key(&kind, &call.namespace, &name);
        if self.store.object(&key).is_some() {
            return Err(Refusal::already_exists(&kind, &name));
        }
        let managers = managers.unwrap_or_else(|| creators(call, &object, &now));
        managers.write(&mut object);
        if is_dry(call) {
            return Ok(Answer::Json(201, shown(&object, call.is_metadata_only)));
        }
        let stored = self.store.put(key.clone(), object);
        self.collect_orphan(&key);
        Ok(Answer::Json(201, shown(&stored, call.is_metadata_only)))
    }

    /// The name that a new object asks for, or one generated from its prefix.
    fn new_name(&mut self, kind: &Kind, metadata: &Value) -> Result<String, Refusal> {
        let text = |key: &str| metadata[key].as_str().unwrap_or_default();
        match (text("name"), text("generateName")) {
            ("", "") => {
                let message = "Required value: name or generateName is required";
                Err(Refusal::invalid(kind, "", &[Cause::new("metadata.name", "FieldValueRequired", message)]))
            }
            ("", prefix) => Ok(format!("{prefix}{}", self.new_suffix())),
            (name, _) => Ok(name.to_owned()),
        }
    }

    pub(super) fn update(&mut self, call: &Call) -> Result<Answer, Refusal> {
        let mut object = call.json()?;
        self.check_type(call, &object)?;
        place(call, &mut object)?;
        refuse_unknown(call, &object)?;
        match object["metadata"]["name"].as_str() {
            Some(name) if name == call.name => {}
            name => {
                let name = name.unwrap_or_default();
                let url = &call.name;
                let message = format!("the name of the object ({name}) does not match the name on the URL ({url})");
                return Err(Refusal::bad_request(message));
            }
        }
        let old = match self.existing(call) {
            Ok(old) => old,
            Err(_) if call.kind.creates_on_update && call.subresource.is_empty() => {
                return self.create_object(call, object, None);
            }
            Err(refusal) => return Err(refusal),
        };
        if object["metadata"]["resourceVersion"].as_str().unwrap_or_default().is_empty() && !call.kind.is_unconditional
        {
            let message = "Invalid value: 0x0: must be specified for an update";
            let cause = Cause::new("metadata.resourceVersion", "FieldValueInvalid", message);
            let mut refusal = Refusal::invalid(&call.kind, &call.name, &[cause]);
            refusal.details["kind"] = Value::from(call.kind.plural.as_str());
            return Err(refusal);
        }
        self.replace(call, &old, object)
    }

    pub(super) fn patch(&mut self, call: &Call) -> Result<Answer, Refusal> {
        let patch = call.json()?;
        if call.content == Content::Apply {
            return self.apply(call, patch);
        }
        let old = self.existing(call)?;
        let mut object = (*old).clone();
        if let Some(metadata) = object["metadata"].as_object_mut() {
            // A patch without a version applies to the current object.
            metadata.remove("resourceVersion");
        }
        json_patch::merge(&mut object, &patch);
        self.check_type(call, &object)?;
        refuse_unknown(call, &object)?;
        self.replace(call, &old, object)
    }

    /// Replaces `old` by `object`, for writes other than apply.
    fn replace(&mut self, call: &Call, old: &Value, mut object: Value) -> Result<Answer, Refusal> {
        self.check_preconditions(call, old, &object)?;
        if !object["metadata"].is_object() {
            return Err(Refusal::bad_request("metadata: got no object, expected one"));
        }
        match reach(call) {
            Reach::All => {}
            Reach::NotStatus => managers::restore(&mut object, old, true),
            Reach::Status => managers::restore(&mut object, old, false),
        }
        keep_servers_own(&mut object, old);
        call.kind.complete(&mut object);
        let now = self.clock.seconds();
        let writer = writer(call, Operation::Update);
        let managers = Managers::of(old).update(&writer, old, &object, &call.kind.structure, reach(call), &now);
        managers.write(&mut object);
        self.finish(call, old, object)
    }

    fn apply(&mut self, call: &Call, mut config: Value) -> Result<Answer, Refusal> {
        let kind = Arc::clone(&call.kind);
        if call.parameter("fieldManager").is_empty() {
            let cause = Cause::new("fieldManager", "FieldValueRequired", "Required value: is required for apply patch");
            let mut refusal = Refusal::invalid(&kind, "", &[cause]);
            refusal.details["kind"] = Value::from("PatchOptions");
            refusal.details["group"] = Value::from("meta.k8s.io");
            return Err(refusal);
        }
        self.check_type(call, &config)?;
        let undeclared = kind.undeclared(&config);
        if let Some(field) = undeclared.first() {
            let message = format!("failed to create typed patch object: .{field}: field not declared in schema");
            return Err(Refusal::new(500, "", message));
        }
        if let Some(path) = repeated(&config, &kind.structure) {
            let message = format!("failed to create typed patch object: .{path}: duplicate entries for key");
            return Err(Refusal::new(500, "", message));
        }
        if config["metadata"].get("managedFields").is_some_and(|fields| !fields.is_null()) {
            return Err(Refusal::bad_request("metadata.managedFields must be nil"));
        }
        let old = self.store.object(&Self::key(call)).cloned();
        let named = config["metadata"]["name"].as_str();
        if named.is_some_and(|name| name != call.name) {
            let message = format!(
                "the name of the object ({}) does not match the name on the URL ({})",
                named.unwrap_or_default(),
                call.name
            );
            return Err(Refusal::bad_request(message));
        }
        let how = managers::Apply { is_forced: call.is_set("force"), reach: reach(call), now: &self.clock.seconds() };
        let writer = writer(call, Operation::Apply);
        let conflict = |conflicts: Vec<managers::Conflict>| refuse_apply(&conflicts);
        let Some(old) = old else {
            if !call.subresource.is_empty() {
                return Err(Refusal::not_found(&kind, &call.name));
            }
            if let Some(uid) = config["metadata"]["uid"].as_str() {
                let why =
                    format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found");
                return Err(Refusal::conflict(&kind, &call.name, &why));
            }
            place(call, &mut config)?;
            let nothing = json!({
                "apiVersion": kind.api_version(), "kind": kind.kind, "metadata": {"name": call.name},
            });
            let (object, managers) =
                Managers::default().apply(&writer, &nothing, &config, &kind.structure, how).map_err(conflict)?;
            return self.create_object(call, object, Some(managers));
        };
        self.check_preconditions(call, &old, &config)?;
        let (mut object, managers) =
            Managers::of(&old).apply(&writer, &old, &config, &kind.structure, how).map_err(conflict)?;
        keep_servers_own(&mut object, &old);
        kind.complete(&mut object);
        managers.write(&mut object);
        self.finish(call, &old, object)
    }

    /// Updates the generation, validates `object` and stores it in place of `old` if they differ.
    fn finish(&mut self, call: &Call, old: &Value, mut object: Value) -> Result<Answer, Refusal> {
        let kind = Arc::clone(&call.kind);
        object["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"].clone();
        if kind.plural == "daemonsets" {
            builtin::count_template(old, &mut object);
        }
        if kind.has_generation && wish(&kind, old) != wish(&kind, &object) {
            let generation = old["metadata"]["generation"].as_u64().unwrap_or_default();
            object["metadata"]["generation"] = Value::from(generation + 1);
        }
        let causes = kind.validate(Some(old), &object);
        if !causes.is_empty() {
            return Err(Refusal::invalid(&kind, &call.name, &causes));
        }
        // An apply that sets what is there is no change, even when it took a default to make it so.
        if object != *old && managers::without_times(&object) == managers::without_times(old) {
            object = old.clone();
        }
        if object == *old || is_dry(call) {
            return Ok(Answer::Json(200, shown(&object, call.is_metadata_only)));
        }
        let key = Self::key(call);
        let is_going = !object["metadata"]["deletionTimestamp"].is_null();
        if is_going && object["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty) {
            // No finalizer is left: it is deleted unchanged.
            self.remove(&key);
            return Ok(Answer::Json(200, shown(&object, call.is_metadata_only)));
        }
        let stored = self.store.put(key.clone(), object);
        self.collect_orphan(&key);
        Ok(Answer::Json(200, shown(&stored, call.is_metadata_only)))
    }

    fn namespaces(&self) -> Result<Arc<Kind>, Refusal> {
        self.kinds.at("", "v1", "namespaces").ok_or_else(Refusal::no_such_path)
    }
}

/// The managers of a new object that was not applied: its creator owns all fields.
fn creators(call: &Call, object: &Value, now: &str) -> Managers {
    // Built-in kinds have these from the start, even when they are empty.
    let mut nothing = json!({"metadata": {}});
    let is_builtin = matches!(call.kind.rules, Rules::Builtin(_));
    for field in ["spec", "deprecatedSource"].iter().filter(|field| is_builtin && object.get(*field).is_some()) {
        nothing[*field] = json!({});
    }
    let writer = writer(call, Operation::Update);
    Managers::default().update(&writer, &nothing, object, &call.kind.structure, reach(call), now)
}

fn writer(call: &Call, operation: Operation) -> Writer {
    Writer {
        manager: call.manager().to_owned(),
        operation,
        api_version: call.kind.api_version(),
        subresource: call.subresource.clone(),
    }
}

fn reach(call: &Call) -> Reach {
    match (call.kind.has_status, call.subresource.as_str()) {
        (_, "status") => Reach::Status,
        (true, _) => Reach::NotStatus,
        (false, _) => Reach::All,
    }
}

fn is_dry(call: &Call) -> bool {
    call.parameter("dryRun") == "All"
}

/// The desired state: everything but metadata, and a status with a subresource of its own.
fn wish<'a>(kind: &Kind, object: &'a Value) -> Vec<(&'a String, &'a Value)> {
    let fields = object.as_object().into_iter().flatten();
    let is_wish = |name: &str| match name {
        "metadata" | "kind" | "apiVersion" => false,
        "status" => !kind.has_status,
        _ => true,
    };
    fields.filter(|(name, _)| is_wish(name)).collect()
}

fn keep_servers_own(object: &mut Value, old: &Value) {
    for key in SERVERS_OWN {
        let Some(metadata) = object["metadata"].as_object_mut() else { return };
        match old["metadata"].get(*key) {
            Some(value) => metadata.insert((*key).to_owned(), value.clone()),
            None => metadata.remove(*key),
        };
    }
}

fn refuse_apply(conflicts: &[managers::Conflict]) -> Refusal {
    let mut causes = Vec::new();
    for conflict in conflicts {
        let how = if conflict.operation == Operation::Update { " using Update" } else { "" };
        let part = if conflict.subresource.is_empty() { "" } else { " with a subresource" };
        for path in &conflict.paths {
            let message = format!("conflict with {:?}{part}{how}", conflict.manager);
            causes.push(Cause::new(path.as_str(), "FieldManagerConflict", message));
        }
    }
    let words: Vec<String> = causes.iter().map(|cause| format!("{}: {}", cause.message, cause.field)).collect();
    let plural = if causes.len() == 1 { "conflict" } else { "conflicts" };
    let message = format!("Apply failed with {} {plural}: {}", causes.len(), words.join("\n"));
    Refusal::new(409, "Conflict", message).causes(&causes)
}
