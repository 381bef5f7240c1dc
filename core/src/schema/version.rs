//! What schemas of features and of sequences have in common: the version, and how a hash is made.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// Raised whenever a feature changes its meaning without changing its name (the hash covers names, signals,
/// transforms and scales by itself).
pub const VERSION: u32 = 1;

/// SHA-256 of a text in lower-case hex.
pub(crate) fn digest(text: &str) -> String {
    Sha256::digest(text).iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _infallible = write!(hex, "{byte:02x}");
        hex
    })
}
