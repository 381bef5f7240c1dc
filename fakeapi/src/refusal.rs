//! Refusals of the server: a status code, a reason and a message, as `metav1.Status`.

use serde_json::{Value, json};

use crate::{cause::Cause, kind::Kind};

/// A refusal.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// The HTTP status.
    pub code: u16,
    /// The machine-readable reason.
    pub reason: &'static str,
    /// The text.
    pub message: String,
    /// The object that it is about, and the causes.
    pub details: Value,
}

impl Refusal {
    pub(crate) fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: json!({}) }
    }

    fn about(mut self, kind: &Kind, name: &str) -> Self {
        self.details = json!({"name": name, "kind": kind.plural});
        if !kind.group.is_empty() {
            self.details["group"] = Value::from(kind.group.as_str());
        }
        self
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub(crate) fn not_found(kind: &Kind, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{} {name:?} not found", kind.resource())).about(kind, name)
    }

    pub(crate) fn no_such_path() -> Self {
        Self::new(404, "", "404 page not found\n")
    }

    pub(crate) fn already_exists(kind: &Kind, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{} {name:?} already exists", kind.resource())).about(kind, name)
    }

    /// The object is not the one that the request is for.
    pub(crate) fn precondition(kind: &Kind, name: &str, what: &str, wanted: &str, got: &str) -> Self {
        let why = format!("Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {got}");
        let mut refusal = Self::conflict(kind, name, &why);
        refusal.details["kind"] = Value::from(kind.kind.as_str());
        refusal
    }

    /// Another write came first, or a precondition does not hold.
    pub fn conflict(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} {name:?}: {why}", kind.resource());
        Self::new(409, "Conflict", message).about(kind, name)
    }

    pub(crate) fn modified(kind: &Kind, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(kind, name, why)
    }

    pub(crate) fn causes(mut self, causes: &[Cause]) -> Self {
        let causes = causes
            .iter()
            .map(|cause| json!({"reason": cause.reason, "message": cause.message, "field": cause.field}))
            .collect();
        self.details["causes"] = Value::Array(causes);
        self
    }

    pub(crate) fn invalid(kind: &Kind, name: &str, causes: &[Cause]) -> Self {
        let words: Vec<String> = causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
        let message = format!("{}.{} {name:?} is invalid: {}", kind.kind, kind.group, words.join(", "));
        let mut refusal = Self::new(422, "Invalid", message).about(kind, name).causes(causes);
        refusal.details["kind"] = Value::from(kind.kind.as_str());
        // Events are validated in their stored form.
        if let (Some(details), "Event") = (refusal.details.as_object_mut(), kind.kind.as_str()) {
            details.remove("group");
        }
        refusal
    }

    pub(crate) fn forbidden(user: &str, verb: &str, kind: &Kind, name: &str) -> Self {
        let resource = kind.resource();
        let message = format!("{resource} {name:?} is forbidden: User {user:?} cannot {verb} resource {resource:?}");
        Self::new(403, "Forbidden", message).about(kind, name)
    }

    /// A version that history no longer reaches.
    pub fn expired(wanted: u64, oldest: u64) -> Self {
        Self::new(410, "Expired", format!("too old resource version: {wanted} ({oldest})"))
    }

    /// Asked to come back after `seconds`.
    pub fn too_many_requests(seconds: u64) -> Self {
        let mut refusal =
            Self::new(429, "TooManyRequests", "the server has received too many requests, try again later");
        refusal.details["retryAfterSeconds"] = Value::from(seconds);
        refusal
    }

    /// An error of the server itself: 500, 503 or 504.
    pub fn server_error(code: u16) -> Self {
        let (reason, message) = match code {
            503 => ("ServiceUnavailable", "the server is currently unable to handle the request"),
            504 => ("Timeout", "the request did not complete within the allotted timeout"),
            _ => ("InternalError", "an error on the server has prevented the request from succeeding"),
        };
        Self::new(code, reason, message)
    }

    /// Whether the answer is a line of text: there is no such path.
    pub(crate) fn is_text(&self) -> bool {
        self.code == 404 && self.reason.is_empty()
    }

    /// Seconds to wait, when the refusal names them.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        self.details["retryAfterSeconds"].as_u64()
    }

    /// The wire form.
    pub fn to_json(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "code": self.code,
        });
        // Unclassified errors have neither.
        if !self.reason.is_empty() {
            status["reason"] = Value::from(self.reason);
            status["details"] = self.details.clone();
        }
        status
    }
}
