//! Foreign texts in messages.

/// The beginning of a text that somebody else wrote, on one line, as a message shows it.
pub(super) fn shown(text: &str) -> String {
    const LETTERS: usize = 60;
    let letters = text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter });
    let end = if text.chars().nth(LETTERS).is_some() { "…" } else { "" };
    letters.take(LETTERS).chain(end.chars()).collect()
}
