//! Errors as they are logged and reported.

pub use netprecursor_kit::failure::chain;
