//! What tests need of a real Kubernetes: an API server alone ([`apiserver`]), or a cluster for stories ([`cluster`]).
//! `e2e/README.md` says which to choose.

pub mod apiserver;
pub mod cluster;
mod error;

pub use apiserver::ApiServer;
pub use error::Error;
pub use netprecursor_testbed::Version;
