//! The network of a lab: namespaces, links, one bottleneck, the relay; and their ownership.

mod iproute;
mod link;
mod namespace;
pub mod ownership;
mod process;
pub mod relay;
mod wiring;

pub(crate) use namespace::Namespace;
pub(crate) use process::Running;
pub(crate) use wiring::{Address, Network, client_address, server_address};
