//! A request, read off its method, path, query and headers.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, header, request::Parts};
use serde_json::Value;

use crate::{
    kind::{Kind, Kinds},
    refusal::Refusal,
};

/// The verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// Read one.
    Get,
    /// Read all.
    List,
    /// Follow changes.
    Watch,
    /// Make one.
    Create,
    /// Replace one.
    Update,
    /// Change one.
    Patch,
    /// Delete one.
    Delete,
    /// Delete all that are selected.
    DeleteCollection,
}

impl Verb {
    /// Its name in RBAC rules and audit logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }

    /// Whether it changes anything.
    pub fn is_write(self) -> bool {
        !matches!(self, Self::Get | Self::List | Self::Watch)
    }
}

/// A request.
#[derive(Debug, Clone)]
pub struct Call {
    /// The verb.
    pub verb: Verb,
    /// The kind of the object.
    pub kind: Arc<Kind>,
    /// The namespace; empty for all, or when the kind has none.
    pub namespace: String,
    /// The name; empty for all.
    pub name: String,
    /// The subresource; empty for the object itself.
    pub subresource: String,
    /// The user.
    pub user: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) content: Content,
    pub(crate) is_metadata_only: bool,
    pub(crate) agent: String,
    pub(crate) body: Bytes,
}

/// The content of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    Object,
    MergePatch,
    Apply,
}

impl Call {
    /// Reads a request.
    pub(crate) fn read(parts: &Parts, body: Bytes, kinds: &Kinds, user: &str) -> Result<Self, Refusal> {
        let query: Vec<(String, String)> = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
            .map(|(key, value)| (key.into_owned(), value.into_owned()))
            .collect();
        let path: Vec<&str> = parts.uri.path().split('/').filter(|step| !step.is_empty()).collect();
        let (group, version, rest) = match path.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return Err(Refusal::no_such_path()),
        };
        let (namespace, plural, rest) = match rest {
            ["namespaces", namespace, plural, rest @ ..] if !matches!(*plural, "status" | "finalize") => {
                (*namespace, *plural, rest)
            }
            [plural, rest @ ..] => ("", *plural, rest),
            [] => return Err(Refusal::no_such_path()),
        };
        let kind = kinds.at(group, version, plural).ok_or_else(Refusal::no_such_path)?;
        let (name, subresource) = match rest {
            [] => ("", ""),
            [name] => (*name, ""),
            [name, "status"] if kind.has_status => (*name, "status"),
            _ => return Err(Refusal::no_such_path()),
        };
        if kind.is_namespaced == namespace.is_empty() && (!name.is_empty() || !kind.is_namespaced || !is_read(parts)) {
            return Err(Refusal::no_such_path());
        }
        let header =
            |key: header::HeaderName| parts.headers.get(key).and_then(|value| value.to_str().ok()).unwrap_or("");
        let is_watch = query.iter().any(|(key, value)| key == "watch" && matches!(value.as_str(), "true" | "1"));
        let verb = verb(&parts.method, !name.is_empty(), !subresource.is_empty(), is_watch)?;
        let content = content(header(header::CONTENT_TYPE), verb)?;
        Ok(Self {
            verb,
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            subresource: subresource.to_owned(),
            user: user.to_owned(),
            query,
            content,
            is_metadata_only: header(header::ACCEPT).contains("as=PartialObjectMetadata"),
            agent: header(header::USER_AGENT).split('/').next().unwrap_or_default().to_owned(),
            body,
        })
    }

    /// A parameter of the query; empty if missing.
    pub(crate) fn parameter(&self, key: &str) -> &str {
        self.query.iter().find(|(name, _)| name == key).map_or("", |(_, value)| value)
    }

    pub(crate) fn is_set(&self, key: &str) -> bool {
        matches!(self.parameter(key), "true" | "1")
    }

    /// The body as JSON. Applied configurations come as JSON too: kube sends no YAML.
    pub(crate) fn json(&self) -> Result<Value, Refusal> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Refusal::bad_request(format!("the body is no JSON: {error}")))
    }

    /// The manager of the fields that this request writes.
    pub(crate) fn manager(&self) -> &str {
        match self.parameter("fieldManager") {
            "" if self.agent.is_empty() => "unknown",
            "" => &self.agent,
            named => named,
        }
    }

    /// `patch daemonsets.apps/status ns/name`, as reports name it.
    pub fn words(&self) -> String {
        let part = if self.subresource.is_empty() { "" } else { "/" };
        let resource = self.kind.resource();
        let place = if self.namespace.is_empty() { String::new() } else { format!("{}/", self.namespace) };
        format!("{} {resource}{part}{} {place}{}", self.verb.as_str(), self.subresource, self.name)
    }
}

fn verb(method: &Method, has_name: bool, has_subresource: bool, is_watch: bool) -> Result<Verb, Refusal> {
    Ok(match (method, has_name) {
        (&Method::GET, false) if is_watch => Verb::Watch,
        (&Method::GET, false) => Verb::List,
        (&Method::GET, true) => Verb::Get,
        (&Method::POST, false) => Verb::Create,
        (&Method::PUT, true) => Verb::Update,
        (&Method::PATCH, true) => Verb::Patch,
        (&Method::DELETE, true) if !has_subresource => Verb::Delete,
        (&Method::DELETE, false) => Verb::DeleteCollection,
        _ => {
            let message = "the server does not allow this method on the requested resource";
            return Err(Refusal::new(405, "MethodNotAllowed", message));
        }
    })
}

fn content(media_type: &str, verb: Verb) -> Result<Content, Refusal> {
    match media_type {
        "application/apply-patch+yaml" => Ok(Content::Apply),
        "application/merge-patch+json" => Ok(Content::MergePatch),
        "" | "application/json" if verb != Verb::Patch => Ok(Content::Object),
        got => {
            let message = format!("got content type {got:?}, expected JSON, a merge patch or an apply patch");
            Err(Refusal::new(415, "UnsupportedMediaType", message))
        }
    }
}

fn is_read(parts: &Parts) -> bool {
    parts.method == Method::GET
}
