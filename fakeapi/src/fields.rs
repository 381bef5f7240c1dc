//! Who owns which field: sets of fields, how they are read off values, and what writes do to them.
//!
//! The rules are those of Kubernetes' structured merge: see <https://kubernetes.io/docs/reference/using-api/server-side-apply/>.

pub(crate) mod managers;
pub(crate) mod merge;
pub(crate) mod set;
pub(crate) mod walk;
