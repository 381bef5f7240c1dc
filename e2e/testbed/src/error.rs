//! What can go wrong, each with what was got, what was expected and what to do.

use std::{io, path::PathBuf};

/// Why a part of a test cluster is not available.
#[derive(Debug, thiserror::Error)]
pub enum TestbedError {
    /// No place is known for caches.
    #[error("got no HOME and no NETPRECURSOR_CACHE, expected a place for caches: set one of them")]
    NoCache,
    /// Reading or writing a file.
    #[error("{}: {reason}; expected to be able to read and write there: free space, or give another place", path.display())]
    File {
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        reason: io::Error,
    },
    /// A program of the machine is missing.
    #[error("got no program '{program}' in PATH, expected one: {remedy}")]
    MissingProgram {
        /// Its name.
        program: String,
        /// How to install it.
        remedy: String,
    },
    /// A Go module did not build.
    #[error("building {module} failed: {got}; expected programs; the log is {}\n{tail}", log.display())]
    Build {
        /// Its folder.
        module: String,
        /// How the build ended.
        got: String,
        /// Its whole output.
        log: PathBuf,
        /// The last of it.
        tail: String,
    },
    /// A module has no program of that name.
    #[error("got no program '{program}' in {}, expected one that go.mod lists as a tool; remove the directory and run again", directory.display())]
    NoSuchProgram {
        /// Its name.
        program: String,
        /// Where the module's programs are.
        directory: PathBuf,
    },
    /// A process did not start, or ended before its time.
    #[error("{program}: {got}, expected it to run; its log is {}\n{tail}", log.display())]
    Process {
        /// The program.
        program: String,
        /// How it ended, or why it did not start.
        got: String,
        /// Its whole output.
        log: PathBuf,
        /// The last of it.
        tail: String,
    },
    /// Not a version that is built here.
    #[error("got Kubernetes version '{got}', expected one of {known}")]
    UnknownVersion {
        /// What was asked for.
        got: String,
        /// The versions that are built here.
        known: String,
    },
}

impl TestbedError {
    /// For `map_err` on file operations.
    pub fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |reason| Self::File { path, reason }
    }
}
