//! The agent in a cluster: what to watch, read from the API server, and what it publishes there.
//!
//! One thread owns all traffic with the API server ([`thread`]). [`watching`] follows policies, namespaces and this node's
//! pods into a [`mirror`] of them, from which it makes what is [`Desired`](crate::desired::Desired); [`models`] fetches the
//! models that policies name by digest, [`recall`] reads what is remembered of their rules, [`networks`] where the cluster
//! is. The tick thread takes up the result and never waits for any of it.

pub mod client;
pub mod mirror;
pub mod models;
pub mod networks;
pub mod pod;
pub mod recall;
pub mod thread;
pub mod watching;
