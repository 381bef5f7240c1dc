//! The HTTP client for receivers: URLs, credentials and certificates as settings name them, one attempt at a time within a time
//! limit, and what its failure means. TLS, failures and the parts of a URL are also those of the agent's OTLP.

mod access;
pub mod failure;
pub mod file;
mod sender;
pub mod tls;
pub mod url;

pub use self::{
    access::{Access, Login},
    failure::Failure,
    file::File,
    sender::{Address, Sender, TIME_LIMIT},
    tls::Security,
};
