//! The agents' DaemonSet: as it is to be, and whether it is; and what agents may write.

mod drift;
mod manifest;
pub mod share;

pub use drift::{Difference, difference};
pub use manifest::{MANIFEST_HASH, daemon_set};

/// `app.kubernetes.io/name` of agent pods.
pub const AGENT: &str = "netprecursor-agent";

/// Selects them.
pub const AGENTS: &str = "app.kubernetes.io/name=netprecursor-agent";
