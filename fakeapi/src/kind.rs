//! The kinds of objects that the server knows.

use std::sync::Arc;

use serde_json::Value;

use crate::{cause::Cause, rules::BuiltinRules, schema, structure::Structure};

/// A kind of object.
#[derive(Debug, Clone)]
pub struct Kind {
    /// API group; empty for the core group.
    pub group: String,
    /// API version.
    pub version: String,
    /// The resource's name in paths.
    pub plural: String,
    /// The kind's name in objects.
    pub kind: String,
    /// Whether its objects live in namespaces.
    pub is_namespaced: bool,
    /// Whether the status is a resource of its own.
    pub has_status: bool,
    /// Whether changes of the desired state are counted in `metadata.generation`.
    pub has_generation: bool,
    /// Whether an update needs no version.
    pub is_unconditional: bool,
    /// Whether an update of a missing object creates it.
    pub creates_on_update: bool,
    /// Fields that can be selected on, besides name and namespace: the label and the path to the value.
    pub selectable: Vec<(String, String)>,
    pub(crate) structure: Structure,
    pub(crate) rules: Rules,
    /// [`Self::resource`], made once: it is asked for at every look at an object.
    pub(crate) id: Arc<str>,
}

/// Defaults and validation of a kind.
#[derive(Debug, Clone)]
pub(crate) enum Rules {
    /// A custom resource: pruned, defaulted and validated by this OpenAPI schema.
    Custom(Arc<Value>),
    /// A built-in kind.
    Builtin(BuiltinRules),
}

impl Kind {
    /// The kind that a CustomResourceDefinition's stored version defines; `None` when it is not a whole definition.
    pub fn custom(definition: &Value) -> Option<Self> {
        let spec = &definition["spec"];
        let version = spec["versions"].as_array()?.iter().find(|version| version["storage"] == true)?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let schema = version["schema"]["openAPIV3Schema"].clone();
        let selectable = version["selectableFields"].as_array().into_iter().flatten();
        let selectable = selectable.filter_map(|field| field["jsonPath"].as_str());
        let structure = Structure::from_schema(&schema).with("metadata", Structure::of_metadata());
        Some(Self {
            group: text(&spec["group"])?,
            version: text(&version["name"])?,
            plural: text(&spec["names"]["plural"])?,
            kind: text(&spec["names"]["kind"])?,
            is_namespaced: spec["scope"] == "Namespaced",
            has_status: !version["subresources"]["status"].is_null(),
            has_generation: true,
            is_unconditional: false,
            creates_on_update: false,
            selectable: selectable
                .map(|path| (path.trim_start_matches('.').to_owned(), path.trim_start_matches('.').to_owned()))
                .collect(),
            structure,
            rules: Rules::Custom(Arc::new(schema)),
            id: resource(&text(&spec["names"]["plural"])?, &text(&spec["group"])?).into(),
        })
    }

    /// `apiVersion` of its objects.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// `plural.group`, as messages name it.
    pub fn resource(&self) -> &str {
        &self.id
    }

    /// Drops unknown fields and fills in defaults.
    pub(crate) fn complete(&self, object: &mut Value) {
        match &self.rules {
            Rules::Custom(schema) => schema::complete(object, schema),
            Rules::Builtin(rules) => (rules.complete)(object),
        }
    }

    /// Fields that the kind does not know; built-in kinds are not asked.
    pub(crate) fn undeclared(&self, object: &Value) -> Vec<String> {
        match &self.rules {
            Rules::Custom(schema) => schema::undeclared(object, schema),
            Rules::Builtin(_) => Vec::new(),
        }
    }

    /// Validates `new`, which replaces `old`.
    pub(crate) fn validate(&self, old: Option<&Value>, new: &Value) -> Vec<Cause> {
        match &self.rules {
            Rules::Custom(schema) => schema::validate(new, schema),
            Rules::Builtin(rules) => (rules.validate)(old, new),
        }
    }
}

/// `plural.group`, or `plural` in the core group.
pub(crate) fn resource(plural: &str, group: &str) -> String {
    if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") }
}

/// The table of kinds.
#[derive(Debug, Clone)]
pub struct Kinds {
    kinds: Vec<Arc<Kind>>,
}

impl Kinds {
    /// These kinds.
    pub(crate) fn of(kinds: Vec<Kind>) -> Self {
        Self { kinds: kinds.into_iter().map(Arc::new).collect() }
    }

    /// With a further kind.
    #[must_use]
    pub fn with(mut self, kind: Kind) -> Self {
        self.kinds.push(Arc::new(kind));
        self
    }

    /// The kind at a path of the API.
    pub(crate) fn at(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Kind>> {
        let is_it = |kind: &&Arc<Kind>| kind.group == group && kind.version == version && kind.plural == plural;
        self.kinds.iter().find(is_it).cloned()
    }

    /// The kind that an owner reference names.
    pub(crate) fn named(&self, api_version: &str, kind: &str) -> Option<Arc<Kind>> {
        self.kinds.iter().find(|known| known.kind == kind && known.api_version() == api_version).cloned()
    }

    /// All kinds.
    pub fn iter(&self) -> impl Iterator<Item = &Kind> {
        self.kinds.iter().map(AsRef::as_ref)
    }
}
