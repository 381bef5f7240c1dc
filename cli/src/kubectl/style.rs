//! Colours where they help, and none where they would get into a file; nothing from the cluster moves the cursor.

use std::{ffi::OsStr, io::IsTerminal as _};

/// How a piece of text wants to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Good,
    Warning,
    Bad,
    Quiet,
    Title,
}

/// Whether there are colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Style {
    is_coloured: bool,
}

impl Style {
    /// Without colours.
    #[cfg(test)]
    pub(super) const PLAIN: Self = Self { is_coloured: false };

    /// What suits standard output.
    pub(super) fn of_stdout() -> Self {
        Self::decide(std::io::stdout().is_terminal(), std::env::var_os("NO_COLOR").as_deref())
    }

    /// No colours for files and pipes, and none where `NO_COLOR` says something (<https://no-color.org>).
    fn decide(is_terminal: bool, no_color: Option<&OsStr>) -> Self {
        Self { is_coloured: is_terminal && no_color.is_none_or(OsStr::is_empty) }
    }

    pub(super) fn paint(self, mood: Mood, text: &str) -> String {
        if !self.is_coloured || text.is_empty() {
            return text.to_owned();
        }
        let code = match mood {
            Mood::Good => 32,
            Mood::Warning => 33,
            Mood::Bad => 31,
            Mood::Quiet => 2,
            Mood::Title => 1,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// Text of the cluster's objects without what a terminal takes for a command.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() && letter != '\n' { ' ' } else { letter }).collect()
}

/// A message below what it is about: each of its lines indented.
pub(super) fn indented(text: &str, by: usize) -> String {
    clean(text).trim_end().lines().map(|line| format!("{:by$}{line}\n", "")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals_whose_user_did_not_refuse_them() {
        let on = Style { is_coloured: true };
        for (is_terminal, no_color, style) in
            [(true, None, on), (true, Some(""), on), (true, Some("1"), Style::PLAIN), (false, None, Style::PLAIN)]
        {
            assert_eq!(Style::decide(is_terminal, no_color.map(OsStr::new)), style, "{is_terminal} {no_color:?}");
        }
        assert_eq!(
            (on.paint(Mood::Bad, "no"), Style::PLAIN.paint(Mood::Bad, "no")),
            ("\x1b[31mno\x1b[0m".into(), "no".into())
        );
    }

    #[test]
    fn a_message_cannot_command_the_terminal() {
        assert_eq!(indented("a\x1b[2Jb\n  c\r", 2), "  a [2Jb\n    c\n");
    }
}
