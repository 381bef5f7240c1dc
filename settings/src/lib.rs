//! What the programs are told by flags, files and the environment: log filters, addresses, paths. Each is read in one
//! place, so that agent, operator and command line take the same and refuse the same, with advice that is taken when it is
//! followed.

pub mod listen;
pub mod log;
pub mod path;

pub use listen::Listen;
