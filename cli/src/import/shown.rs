//! Foreign texts in messages.

/// The beginning of a text that somebody else wrote, on one line, as a message shows it.
pub(super) fn shown(text: &str) -> String {
    const LETTERS: usize = 60;
    let letters = text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter });
    let end = if text.chars().nth(LETTERS).is_some() { "…" } else { "" };
    letters.take(LETTERS).chain(end.chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strangers_text_is_shown_on_one_line_and_not_whole() {
        assert_eq!(shown("a\nb\u{1b}[1m"), "a\u{fffd}b\u{fffd}[1m");
        assert_eq!(shown(&"x".repeat(900)).chars().count(), 61);
    }
}
