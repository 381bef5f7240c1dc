//! Field ownership: sets of fields, how they follow from values, and how writes change them.
//!
//! The rules are those of Kubernetes' structured merge: see <https://kubernetes.io/docs/reference/using-api/server-side-apply/>.

pub(crate) mod managers;
pub(crate) mod merge;
pub(crate) mod set;
pub(crate) mod walk;
