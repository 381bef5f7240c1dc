//! What a server does by itself to objects of a kind.

use serde_json::Value;

use crate::cause::Cause;

/// What a built-in kind does to objects before they are stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BuiltinRules {
    pub(crate) complete: fn(&mut Value),
    pub(crate) validate: fn(Option<&Value>, &Value) -> Vec<Cause>,
}
