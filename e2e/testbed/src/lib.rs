//! The parts of test clusters: Kubernetes' own programs, built once from their Go modules into the cache, and
//! processes and directories that never outlive their owner. Without a Kubernetes client, so that the chores can
//! use it too.

pub mod cache;
mod daemon;
mod error;
pub mod module;
mod scratch;
mod version;

pub use daemon::{Daemon, tail};
pub use error::TestbedError;
pub use module::{Module, Programs};
pub use scratch::Scratch;
pub use version::Version;
