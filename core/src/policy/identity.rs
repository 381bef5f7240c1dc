//! What distinguishes a policy from every other one. Its name alone does not: the same name may be taken in each namespace
//! and by each of the two kinds.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Name, Policy, Scope};

/// A kind of policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Kind {
    /// A policy for one namespace.
    #[serde(rename = "PrecursorPolicy")]
    Namespaced,
    /// A policy for several namespaces.
    #[serde(rename = "ClusterPrecursorPolicy")]
    Cluster,
}

impl Kind {
    /// The kind's name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Namespaced => "PrecursorPolicy",
            Self::Cluster => "ClusterPrecursorPolicy",
        }
    }
}

/// A policy's kind, namespace and name: no two policies that are there at the same time have all three in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Identity {
    /// Its kind.
    #[serde(rename = "policyKind")]
    pub kind: Kind,
    /// Its namespace; none for a cluster's policy, and for one of a file that names none.
    #[serde(rename = "policyNamespace", default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Name>,
    /// Its name.
    #[serde(rename = "policy")]
    pub name: Name,
}

impl Identity {
    /// The namespace as the value of a label, which is never absent.
    pub fn namespace_or_empty(&self) -> &str {
        self.namespace.as_ref().map_or("", Name::as_str)
    }
}

/// `PrecursorPolicy shop/checkout`.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, namespace, name } = self;
        match namespace {
            Some(namespace) => write!(f, "{} {namespace}/{name}", kind.name()),
            None => write!(f, "{} {name}", kind.name()),
        }
    }
}

impl Policy {
    /// What distinguishes it from every other one.
    pub fn identity(&self) -> Identity {
        let (kind, namespace) = match &self.scope {
            Scope::Namespace(namespace) => (Kind::Namespaced, namespace.clone()),
            Scope::Cluster(_) => (Kind::Cluster, None),
        };
        Identity { kind, namespace, name: self.name.clone() }
    }
}
