//! What can go wrong, each with what was got, what was expected and what to do.

use std::{io, path::PathBuf};

/// Why a lab could not be run.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// Namespaces need root.
    #[error("got uid {uid}, expected root: a lab makes network namespaces; run it with sudo")]
    Unprivileged {
        /// Effective user of the process.
        uid: u32,
    },
    /// A program of the distribution is missing.
    #[error("got no program '{tool}' in PATH, expected one; install it: apt-get install {package}")]
    MissingTool {
        /// Name of the program.
        tool: &'static str,
        /// Debian package that has it.
        package: &'static str,
    },
    /// Neither a file nor a shipped scenario.
    #[error("got scenario '{got}', expected a path to a YAML file or one of: {known}; see 'netprecursor lab list'")]
    UnknownScenario {
        /// What was asked for.
        got: String,
        /// Names of the shipped scenarios.
        known: String,
    },
    /// The file is no scenario.
    #[error("{path}: {message}; 'netprecursor lab schema' prints what a scenario file may contain")]
    Malformed {
        /// File, or name of the shipped scenario.
        path: String,
        /// The parser's message, with line and column.
        message: String,
    },
    /// A value of the scenario is out of bounds.
    #[error("{field}: got {got}, expected {expected}; change the scenario file")]
    Range {
        /// Path of the value inside the file.
        field: String,
        /// The value or range as written.
        got: String,
        /// The allowed values.
        expected: String,
    },
    /// Reading or writing a file.
    #[error("{}: {reason}{}", path.display(), advice(reason))]
    File {
        /// The file or directory.
        path: PathBuf,
        /// The system's message.
        reason: io::Error,
    },
    /// A namespace of that name is there already.
    #[error(
        "got a network namespace '{name}' already, expected none; run 'netprecursor lab sweep', or delete it: ip netns del {name}"
    )]
    NamespaceExists {
        /// Name of the namespace.
        name: String,
    },
    /// Entering a namespace, or making a socket or device inside it.
    #[error(
        "{what} in namespace '{name}': {reason}; expected the namespace to live as long as the lab: did someone delete it?"
    )]
    Namespace {
        /// Name of the namespace.
        name: String,
        /// The operation.
        what: &'static str,
        /// The system's message.
        reason: io::Error,
    },
    /// A command of iproute2 failed.
    #[error("'{command}' failed: got \"{stderr}\", expected success; the kernel may lack what it asks for")]
    Command {
        /// The command line, or the batch's purpose.
        command: String,
        /// Its error output.
        stderr: String,
    },
    /// A child process could not start or ended early.
    #[error("{program} in '{namespace}': got {got}, expected it to run as long as the lab; its last words: \"{tail}\"")]
    Process {
        /// The program.
        program: &'static str,
        /// Where it ran.
        namespace: String,
        /// What happened.
        got: String,
        /// End of its output.
        tail: String,
    },
    /// The observer saw nothing come back on the idle path.
    #[error(
        "the observer got {got} of {sent} probes back on the idle path of '{target}', expected nearly all; is a firewall dropping ICMP?"
    )]
    Blind {
        /// Namespace of the target.
        target: String,
        /// Probes that came back.
        got: usize,
        /// Probes sent.
        sent: usize,
    },
    /// A worker thread panicked or could not start.
    #[error("the {what} thread got {got}, expected to run to the end; this is a defect, please report it")]
    Thread {
        /// Which one.
        what: &'static str,
        /// What happened to it.
        got: String,
    },
}

impl LabError {
    /// For `map_err` on file operations.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |reason| Self::File { path, reason }
    }

    /// For `map_err` on operations inside a namespace.
    pub(crate) fn namespace(name: &str, what: &'static str) -> impl FnOnce(io::Error) -> Self {
        let name = name.to_owned();
        move |reason| Self::Namespace { name, what, reason }
    }
}

fn advice(reason: &io::Error) -> &'static str {
    match reason.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; expected free space: delete something or give another --out directory"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; expected to be allowed to write there: give another --out directory"
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => "; expected a directory: give another --out",
        io::ErrorKind::NotFound => "; expected it to exist, or to be able to make it there: give another path",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_says_what_to_do() {
        let error = LabError::file("/out/labels.json")(io::Error::from_raw_os_error(libc::ENOSPC));
        let text = error.to_string();
        assert!(text.contains("/out/labels.json") && text.contains("free space") && text.contains("--out"), "{text}");
    }
}
