//! What can go wrong, each with what was got, what was expected and what to do.

use std::time::Duration;

use netprecursor_testbed::TestbedError;

/// Why a test could not get what it needs, or did not see what it waited for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program, process or file.
    #[error(transparent)]
    Testbed(#[from] TestbedError),
    /// Making a certificate.
    #[error("making a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A request that was answered with an error, or not at all.
    #[error("{what}: {reason}")]
    Request {
        /// What was asked for.
        what: String,
        /// The client's error.
        reason: Box<kube::Error>,
    },
    /// A kubeconfig cannot be used.
    #[error("kubeconfig {path}: {reason}; expected one that reaches a cluster")]
    Kubeconfig {
        /// The file.
        path: String,
        /// What is wrong.
        reason: Box<kube::config::KubeconfigError>,
    },
    /// A server did not become ready in time.
    #[error("{program} answered \"{last}\" after {} s, expected it to be ready; its log is {log}\n{tail}", waited.as_secs())]
    NotReady {
        /// What was started.
        program: String,
        /// How long was waited.
        waited: Duration,
        /// The last state.
        last: String,
        /// Its whole log.
        log: String,
        /// The last of it.
        tail: String,
    },
    /// A line of the audit log is not what it should be.
    #[error("audit log: {reason} in: {line}")]
    AuditLog {
        /// The line, shortened.
        line: String,
        /// The parser's error.
        reason: serde_json::Error,
    },
    /// A condition did not come to hold.
    #[error("waited {} s for {what}; the last seen was: {last}", waited.as_secs())]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long.
        waited: Duration,
        /// What there was instead.
        last: String,
    },
    /// No cluster for stories.
    #[error("{0}")]
    NoCluster(String),
    /// A command on this machine failed.
    #[error("{command}: {got}; expected success")]
    Command {
        /// The command.
        command: String,
        /// Its status and output.
        got: String,
    },
    /// A command inside a container failed.
    #[error("'{command}' in pod {pod}: {got}, expected success: {output}")]
    Exec {
        /// The command.
        command: String,
        /// Where it ran.
        pod: String,
        /// How it ended.
        got: String,
        /// Its message.
        output: String,
    },
}

impl Error {
    /// For `map_err` on requests.
    pub fn request(what: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let what = what.into();
        move |reason| Self::Request { what, reason: Box::new(reason) }
    }
}
