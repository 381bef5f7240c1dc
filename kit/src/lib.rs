//! What every program of ours that talks to an API server needs, once: agent, operator and kubectl plugin.
//!
//! The feature `daemon` has what only programs need that run on: mirrors, watches, budget, back-off, and who may read their
//! metrics. Without it there is nothing here but types of kube's client.

#[cfg(feature = "daemon")]
pub mod access;
#[cfg(feature = "daemon")]
pub mod backoff;
#[cfg(feature = "daemon")]
pub mod budget;
pub mod failure;
pub mod limits;
#[cfg(feature = "daemon")]
pub mod mirror;
#[cfg(feature = "daemon")]
pub mod networks;
#[cfg(feature = "daemon")]
pub mod share;
#[cfg(feature = "daemon")]
pub mod watch;

#[cfg(feature = "daemon")]
pub use {
    access::{Access, Permission, Permissions},
    backoff::Backoff,
    budget::Budget,
    mirror::{Key, Mirror, Sight},
    networks::Networks,
    share::Share,
    watch::{Change, Watch, Wire},
};
pub use {
    failure::{Failure, no_answer},
    limits::Limits,
};
