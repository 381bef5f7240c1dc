//! The policy API as users write it, and its conversion into the domain.
//!
//! Data flows [`read`] (YAML → [`spec`] types, every unknown field told) → [`convert`] (→ `netprecursor_core::policy`,
//! every invalid value told). A [`Problem`] says where, what was got, what was expected and what to do.

pub mod convert;
pub mod duration;
pub mod problem;
pub mod read;
pub mod spec;

pub use duration::Duration;
pub use problem::{Fault, Problem, Refusal};
pub use read::policies_from_yaml;
