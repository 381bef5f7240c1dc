//! What is wrong with a policy, where, and what to do.

use std::fmt;

use netprecursor_core::policy::{ConfidenceError, NameError, PeersError, RuleError, RulesError};
use thiserror::Error;

use crate::{Duration, duration::DurationError, policy::API_VERSION};

/// Everything that is wrong with a file of policies.
#[derive(Debug, Error)]
pub struct Refusal {
    /// The file, or whatever the text came from.
    pub origin: String,
    /// At least one.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Debug)]
pub struct Problem {
    /// The YAML document in the file, counted from 1; 0 for an object of a cluster, which is no file.
    pub document: usize,
    /// The field, such as `spec.rules[0].rttForecast.threshold`; empty for the document as a whole.
    pub path: String,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a field.
#[derive(Debug, Error)]
pub enum Fault {
    /// Not YAML, or beyond the limits of a policy file.
    #[error("got no readable YAML: {0}")]
    Yaml(String),
    /// More text than any policy needs.
    #[error("got {got} bytes, expected at most {max}: split the file")]
    TooLarge {
        /// Bytes.
        got: usize,
        /// Bytes.
        max: usize,
    },
    /// Nothing in the file.
    #[error("got no document, expected a PrecursorPolicy or ClusterPrecursorPolicy")]
    Empty,
    /// Another API.
    #[error("got `{got}`, expected `{API_VERSION}`")]
    ApiVersion {
        /// As written.
        got: String,
    },
    /// Another kind.
    #[error("got `{got}`, expected `PrecursorPolicy` or `ClusterPrecursorPolicy`")]
    Kind {
        /// As written.
        got: String,
    },
    /// A field that the API does not have.
    #[error("got a field that is unknown here, expected only fields of {API_VERSION}: check spelling and indentation")]
    UnknownField,
    /// What `of` of a debounce is not called, because a reader of YAML 1.1 takes it for `false`.
    #[error("got a field that is unknown here, expected `of`: write for example `debounce: {{k: 3, of: 5}}`")]
    NotOf,
    /// A value of the wrong type, an unknown variant, or a field that is missing.
    #[error("{0}")]
    Shape(String),
    /// No name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// No duration.
    #[error(transparent)]
    Duration(#[from] DurationError),
    /// Part of a second where the clock ticks in seconds.
    #[error("got `{got}`, expected whole seconds, because a rule is judged once a second: write for example `{write}`")]
    NotWholeSeconds {
        /// As written.
        got: String,
        /// What to write.
        write: Duration,
    },
    /// A value out of range.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// Rules that do not go together.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// A confidence that always or never warns.
    #[error(transparent)]
    Confidence(#[from] ConfidenceError),
    /// Peers that cannot be.
    #[error(transparent)]
    Peers(#[from] PeersError),
    /// No way to say who the peers are, or both.
    #[error(
        "got {got}, expected `scope` or `cidrs`: write for example `{{scope: External}}` or `{{cidrs: [10.0.0.0/8]}}`"
    )]
    PeersMembers {
        /// What there is.
        got: &'static str,
    },
    /// Peers of a cluster, where there is none.
    #[error(
        "got `scope: {scope}`, which needs a cluster; expected networks here: write for example `cidrs: [0.0.0.0/0, \"::/0\"]` with `except: [10.0.0.0/8]`"
    )]
    PeersInCluster {
        /// The scope.
        scope: &'static str,
    },
    /// The member that the signal needs is not there.
    #[error("got `signal: {signal}` without it, expected `{member}: {{threshold: 200ms}}`: add it")]
    MemberMissing {
        /// The signal.
        signal: &'static str,
        /// The member it needs.
        member: &'static str,
    },
    /// Both ways to hold.
    #[error("got `holdFor` and `debounce`, expected one of them: remove the other")]
    TwoHolds,
    /// No model, or several.
    #[error("got {got}, expected exactly one of {expected}")]
    ModelMembers {
        /// Those that are there.
        got: String,
        /// Those that can be had.
        expected: &'static str,
    },
    /// A model in a cluster, where there is none.
    #[error("got `configMapKeyRef`, which needs a cluster; expected `file: PATH.onnx` or `builtin: NAME` here")]
    ModelInCluster,
    /// A model outside the cluster, where only agents' own disks are.
    #[error(
        "got `file`, which is for use outside Kubernetes; expected `builtin: NAME` here, or the model in a ConfigMap and `configMapKeyRef: {{name, key, sha256}}`"
    )]
    ModelOutside,
    /// No path, or one that only a shell understands.
    #[error(
        "got `{got}`, expected the path of an ONNX file, in full and without `~`: write for example `/srv/models/rtt.onnx`"
    )]
    ModelFile {
        /// As written.
        got: String,
    },
    /// What no ConfigMap has as a key.
    #[error("got the key `{got}`, expected at most 253 letters, digits, `-`, `_` and `.`, such as `model.onnx.gz`")]
    ConfigMapKey {
        /// As written.
        got: String,
    },
    /// A digest of nothing.
    #[error("got `sha256` without `file`, expected it beside the file that it pins: remove it or add `file`")]
    DigestAlone,
    /// No digest.
    #[error("got `{got}`, expected 64 hexadecimal digits, as sha256sum prints them")]
    Digest {
        /// As written.
        got: String,
    },
    /// A budget of nothing.
    #[error("got 0, expected at least 1: a forecast that is never wrong does not exist; leave it out for no budget")]
    BudgetZero,
    /// A selector that wants values.
    #[error("got no values, expected at least one with `{operator}`: add values, or use Exists or DoesNotExist")]
    ValuesMissing {
        /// The operator.
        operator: &'static str,
    },
    /// A selector that wants none.
    #[error("got values, expected none with `{operator}`: remove them, or use In or NotIn")]
    ValuesUnwanted {
        /// The operator.
        operator: &'static str,
    },
    /// What no label has as its key.
    #[error(
        "got the key `{got}`, expected [PREFIX/]NAME: a name of at most 63 letters, digits, `-`, `_` and `.` that begins and ends with a letter or digit"
    )]
    LabelKey {
        /// As written.
        got: String,
    },
    /// What no label has as its value.
    #[error(
        "got the value `{got}`, expected at most 63 letters, digits, `-`, `_` and `.`, beginning and ending with a letter or digit"
    )]
    LabelValue {
        /// As written.
        got: String,
    },
    /// More than is looked at.
    #[error("got {got} entries, expected at most {max}: {hint}")]
    TooMany {
        /// Entries.
        got: usize,
        /// Entries.
        max: usize,
        /// What to do.
        hint: &'static str,
    },
    /// Two policies of one kind, namespace and name.
    #[error(
        "got {identity} a second time, expected each policy of a kind and namespace to have its own name: rename one of them"
    )]
    DuplicatePolicy {
        /// What both are called.
        identity: String,
    },
    /// Two policies of one UID.
    #[error("got the UID {uid} of {other} a second time, expected each policy to have its own: remove `metadata.uid`")]
    DuplicateUid {
        /// The UID that both have.
        uid: String,
        /// The first that has it.
        other: String,
    },
}

/// Gathers problems while a document is read.
#[derive(Debug)]
pub(crate) struct Problems {
    document: usize,
    found: Vec<Problem>,
}

impl Problems {
    pub(crate) const fn of_document(document: usize) -> Self {
        Self { document, found: Vec::new() }
    }

    /// Of an object of a cluster.
    pub(crate) const fn of_object() -> Self {
        Self::of_document(0)
    }

    pub(crate) fn add(&mut self, path: impl Into<String>, fault: impl Into<Fault>) {
        self.found.push(Problem { document: self.document, path: path.into(), fault: fault.into() });
    }

    /// The value, or its error added.
    pub(crate) fn keep<T, E: Into<Fault>>(&mut self, path: impl Into<String>, result: Result<T, E>) -> Option<T> {
        result.map_err(|fault| self.add(path, fault)).ok()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub(crate) fn into_found(self) -> Vec<Problem> {
        self.found
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.document, self.path.is_empty()) {
            (0, true) => return fmt::Display::fmt(&self.fault, f),
            (0, false) => f.write_str(&self.path)?,
            (document, true) => write!(f, "document {document}")?,
            (document, false) => write!(f, "document {document}, {}", self.path)?,
        }
        write!(f, ": {}", self.fault)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be used:", self.origin)?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}
