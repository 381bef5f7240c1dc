//! Errors as they are logged and reported.

/// An error with its causes on one line. The verifier's log, which some causes carry, is cut to its first line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let message = error.to_string();
        let line = message.lines().next().unwrap_or_default();
        // thiserror's `{0}` and its source often have the same text.
        if !text.ends_with(line) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(line);
        }
        next = error.source();
    }
    text
}
