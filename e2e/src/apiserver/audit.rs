//! The API server's audit log: who asked for what, and what came of it. It proves which rights are used.

use std::{collections::BTreeMap, fs, path::Path};

use serde::Deserialize;

use crate::Error;

/// What is logged: every request that was answered, without bodies.
pub(super) const POLICY: &str = r#"{"apiVersion": "audit.k8s.io/v1", "kind": "Policy",
  "omitStages": ["RequestReceived"], "rules": [{"level": "Metadata"}]}"#;

/// An answered request (audit.k8s.io/v1, `Event`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// `ResponseComplete`, `ResponseStarted` for watches, or `Panic`.
    pub stage: String,
    /// Path and query.
    #[serde(rename = "requestURI")]
    pub uri: String,
    /// Such as `get`, `list`, `watch`, `create`, `patch`.
    pub verb: String,
    /// The user.
    pub user: User,
    /// As whom, when a user acted as another.
    pub impersonated_user: Option<User>,
    /// What for; absent for paths outside the API such as `/readyz`.
    pub object_ref: Option<Object>,
    /// What came of it.
    pub response_status: Option<Response>,
    /// What admission and authorization noted.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// When it came, RFC 3339 with microseconds; as text in the order of time.
    #[serde(default)]
    pub request_received_timestamp: String,
}

/// A user as the API server knows it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct User {
    /// Such as `system:serviceaccount:netprecursor-system:netprecursor-agent`.
    #[serde(default)]
    pub username: String,
    /// Groups.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Claims such as `authentication.kubernetes.io/node-name`.
    #[serde(default)]
    pub extra: BTreeMap<String, Vec<String>>,
}

/// What a request was about.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Object {
    /// Plural name, such as `precursoralerts`.
    #[serde(default)]
    pub resource: String,
    /// Empty for the core group.
    #[serde(default)]
    pub api_group: String,
    /// Such as `status`.
    #[serde(default)]
    pub subresource: String,
    /// Empty for what has none, and for lists over all.
    #[serde(default)]
    pub namespace: String,
    /// Empty for lists and creations with a generated name.
    #[serde(default)]
    pub name: String,
}

/// A response's code.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Response {
    /// HTTP status.
    #[serde(default)]
    pub code: u16,
}

impl Request {
    /// Who asked in effect.
    pub fn acting_user(&self) -> &str {
        &self.impersonated_user.as_ref().unwrap_or(&self.user).username
    }

    /// The response's HTTP status; 0 when there was none.
    pub fn code(&self) -> u16 {
        self.response_status.as_ref().map_or(0, |status| status.code)
    }
}

/// What the log holds so far. The last line may be half written.
pub(super) fn read(log: &Path) -> Result<Vec<Request>, Error> {
    let text = match fs::read_to_string(log) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(netprecursor_testbed::TestbedError::file(log)(error).into()),
    };
    parse(&text)
}

/// The requests in the text of a log. The last line may be half written.
///
/// # Errors
/// A line is not what it should be.
pub fn parse(text: &str) -> Result<Vec<Request>, Error> {
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let parse = |line: &str| {
        serde_json::from_str(line).map_err(|reason| Error::AuditLog { line: line.chars().take(300).collect(), reason })
    };
    whole.lines().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_and_a_half_written_line_waits() {
        let directory = std::env::temp_dir().join(format!("netprecursor-audit-{}", std::process::id()));
        let line = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"1","stage":"ResponseComplete",
            "requestURI":"/apis/netprecursor.io/v1alpha1/namespaces/n/precursoralerts/a/status","verb":"patch",
            "user":{"username":"admin","groups":["system:masters"]},"impersonatedUser":{"username":"agent"},
            "sourceIPs":["127.0.0.1"],"objectRef":{"resource":"precursoralerts","namespace":"n","name":"a",
            "apiGroup":"netprecursor.io","apiVersion":"v1alpha1","subresource":"status"},
            "responseStatus":{"metadata":{},"code":403}}"#
            .replace('\n', "");
        fs::write(&directory, format!("{line}\n{}", &line[..40])).unwrap();
        let requests = read(&directory).unwrap();
        fs::remove_file(&directory).unwrap();
        assert_eq!(requests.len(), 1);
        assert_eq!((requests[0].acting_user(), requests[0].code()), ("agent", 403));
        assert_eq!(requests[0].object_ref.as_ref().unwrap().subresource, "status");
    }

    #[test]
    fn a_log_that_is_not_there_yet_is_empty() {
        assert!(read(Path::new("/nonexistent/audit.log")).unwrap().is_empty());
    }
}
