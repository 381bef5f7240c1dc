//! A real Kubernetes for tests: an API server alone ([`apiserver`]), or a cluster for stories ([`cluster`]) with the product on
//! it ([`product`]), installed by the commands of the documents ([`road`]). `e2e/README.md` says which to choose.

pub mod agent;
pub mod apiserver;
pub mod baseline;
pub mod cluster;
pub mod congestion;
mod error;
pub mod product;
pub mod road;

pub use apiserver::ApiServer;
pub use error::Error;
pub use netprecursor_testbed::Version;
