//! The load on the path: nginx answers paced requests, wrk and iperf3.

mod flood;
mod nginx;
mod paced;
mod requests;
mod tools;

pub(crate) use flood::Flood;
pub(crate) use nginx::{start as start_nginx, wait_until_ready};
pub(crate) use paced::Pacer;
pub use paced::RequestCounts;
pub use requests::Stream;
pub(crate) use requests::streams;
pub(crate) use tools::{BULK_PORT, Pace, check_installed, start_bulk_receiver, start_bulk_sender, start_wrk};
