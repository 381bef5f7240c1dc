//! Why settings of receivers cannot be meant.

use std::time::Duration;

use thiserror::Error;

use super::{MAX_REPLICAS, RESEND_LIMITS, access::MAX_USERNAME};
use crate::link::LinkError;

/// Why receivers cannot be what their settings say.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SettingsError {
    /// No URL.
    #[error("got {name} `{got}`, expected a URL with its scheme, such as {example}")]
    Url {
        /// The setting.
        name: String,
        /// Its value, without what may be a password.
        got: String,
        /// What would do.
        example: &'static str,
    },
    /// A user's name in a URL, which would be sent nowhere.
    #[error(
        "got a user's name in {name}, expected a URL without it: give the name to {username} and its password to {password}"
    )]
    User {
        /// The setting.
        name: String,
        /// Where the name belongs.
        username: String,
        /// Where its password's file belongs.
        password: String,
    },
    /// Too many replicas.
    #[error("got {got} of {name}, expected at most {MAX_REPLICAS}: name the replicas of one cluster")]
    Replicas {
        /// The setting.
        name: String,
        /// How many.
        got: usize,
    },
    /// One replica twice.
    #[error("got {name} `{got}` twice, expected each replica once")]
    Twice {
        /// The setting.
        name: String,
        /// The URL.
        got: String,
    },
    /// One without the other.
    #[error("got {got} without {missing}, expected both or neither")]
    Half {
        /// What is set.
        got: String,
        /// What is not.
        missing: String,
    },
    /// One or the other.
    #[error("got {0} and {1}, expected at most one of them")]
    Both(String, String),
    /// Something that needs a receiver, without one.
    #[error("got {got} without {missing}, expected it with a receiver only: leave {got} out, or set {missing}")]
    NoReceiver {
        /// What is set.
        got: String,
        /// What is not.
        missing: String,
    },
    /// An interval that is too short or too long.
    #[error("got {name} of {got:?}, expected {min:?} to {max:?}", min = RESEND_LIMITS[0], max = RESEND_LIMITS[1])]
    Resend {
        /// The setting.
        name: String,
        /// Its value.
        got: Duration,
    },
    /// A user's name that no header carries.
    #[error("got {0} that is empty, longer than {MAX_USERNAME} bytes or has a colon in it, expected a user's name")]
    Username(String),
    /// No template of links.
    #[error("{name}: {error}")]
    Link {
        /// The setting.
        name: String,
        /// Why.
        error: LinkError,
    },
}
