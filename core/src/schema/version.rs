//! What schemas of features and of sequences have in common: the version, and how a hash is made.

use sha2::{Digest as _, Sha256};

use crate::hex;

/// Raised whenever a feature changes its meaning without changing its name (the hash covers names, signals,
/// transforms and scales by itself).
pub const VERSION: u32 = 1;

/// SHA-256 of a text in lower-case hex.
pub(crate) fn digest(text: &str) -> String {
    hex(&Sha256::digest(text))
}
