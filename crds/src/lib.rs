//! The API as users write it and as the cluster stores it, and the conversion of policies into the domain.
//!
//! Data flows [`read`] (YAML → [`policy`] types, every unknown field reported) or the API server (checked by [`schema`]) →
//! [`convert`] (→ `netprecursor_core::policy`, every invalid value reported). A [`Problem`] has where, what was got, what
//! was expected and what to do. [`alert`] and [`report`] go the other way: agents write them. [`mod@write`]
//! gives policies as the YAML that [`read`] takes.
//!
//! Kubernetes' types are here without a feature to switch them off: whoever reads policies runs in a cluster as well
//! (agent, operator, kubectl plugin), and one set of types cannot drift apart. No client comes with them.

#![expect(clippy::duplicated_attributes, reason = "kube's attribute repeats its words for each printer column")]

pub mod alert;
pub mod condition;
pub mod convert;
pub mod diagnosis;
pub mod duration;
pub mod installation;
mod label;
pub mod model_copy;
pub mod policy;
pub mod problem;
pub mod read;
pub mod report;
pub mod schema;
pub mod write;

pub use alert::PrecursorAlert;
pub use condition::ConditionStatus;
pub use duration::Duration;
pub use policy::{ClusterPrecursorPolicy, PrecursorPolicy};
pub use problem::{Fault, Problem, Refusal};
pub use read::{duplicate, policies_from_yaml};
pub use report::PrecursorNodeReport;
pub use write::{AnyPolicy, policy_to_yaml};
