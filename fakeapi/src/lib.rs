//! An API server inside the test that answers a `kube::Client` from memory, in paused time.
//!
//! Typed by a table of [`Kinds`]; server-side apply with owners of fields, watches with versions and bookmarks, status
//! as a resource of its own, garbage collection by owner, RBAC, and [`fault`]s drawn by seed or put at a certain
//! request. Not implemented: admission webhooks and policies, CEL rules, conversion, several versions of one kind, strategic
//! merge and JSON patches. A [`script`] compares its behaviour with that of a real API server.

mod access;
mod audit;
mod builtin;
mod cause;
mod clock;
pub mod fault;
mod fields;
mod kind;
mod refusal;
mod request;
mod rules;
mod schema;
pub mod script;
mod selector;
mod server;
mod service;
mod shared;
mod store;
mod structure;
mod watch;

pub use access::Rule;
pub use audit::Entry;
pub use cause::Cause;
pub use kind::{Kind, Kinds};
pub use refusal::Refusal;
pub use request::{Call, Verb};
pub use service::{Connection, Frozen, Server};
