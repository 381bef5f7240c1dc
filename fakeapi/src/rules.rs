//! The server's own changes to objects of a kind.

use serde_json::Value;

use crate::cause::Cause;

/// Defaults and validation of a built-in kind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BuiltinRules {
    pub(crate) complete: fn(&mut Value),
    pub(crate) validate: fn(Option<&Value>, &Value) -> Vec<Cause>,
}
