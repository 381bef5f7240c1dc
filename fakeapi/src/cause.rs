//! A fault of one field.

/// One of several causes of a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The path of the field.
    pub field: String,
    /// The machine-readable reason.
    pub reason: &'static str,
    /// The text.
    pub message: String,
}

impl Cause {
    /// A cause about `field`.
    pub fn new(field: impl Into<String>, reason: &'static str, message: impl Into<String>) -> Self {
        Self { field: field.into(), reason, message: message.into() }
    }
}
