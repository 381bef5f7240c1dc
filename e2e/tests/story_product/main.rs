//! Stories of the whole product on a cluster: installed by Helm, policies applied, real congestion between real pods.

#![expect(clippy::unwrap_used, reason = "tests say what they expect by unwrapping")]

mod breach;
mod cluster_policy;
mod forecast;
mod models;
mod newcomer;
mod nightly;
mod policies;
mod rights;
mod shared;
