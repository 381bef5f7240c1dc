//! The output of the guest on its serial console: `@@kernel RELEASE`, sections between `@@begin NAME` and `@@end`,
//! `@@error WORDS` when it gave up, `@@done` at the end.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use serde::de::DeserializeOwned;

/// A console that was read to its end.
#[derive(Debug, Default)]
pub(super) struct Console {
    /// The kernel's release.
    pub(super) kernel: String,
    /// The agent's exit code.
    pub(super) exit: Option<i32>,
    sections: BTreeMap<String, String>,
}

impl Console {
    /// Reads a console.
    ///
    /// # Errors
    /// The guest gave up, or ended before it was done.
    pub(super) fn read(text: &str) -> anyhow::Result<Self> {
        let mut console = Self::default();
        let (mut open, mut error, mut done): (Option<(String, String)>, Option<String>, bool) = (None, None, false);
        for line in text.lines().map(|line| line.trim_end_matches('\r')) {
            let Some(word) = line.strip_prefix("@@") else {
                if let Some((_, body)) = &mut open {
                    body.push_str(line);
                    body.push('\n');
                }
                continue;
            };
            match word.split_once(' ').unwrap_or((word, "")) {
                ("kernel", release) => release.clone_into(&mut console.kernel),
                ("begin", name) => open = Some((name.to_owned(), String::new())),
                ("end", _) => console.sections.extend(open.take()),
                ("agent", exit) => console.exit = exit.strip_prefix("exit ").and_then(|code| code.parse().ok()),
                ("error", words) => error = Some(words.to_owned()),
                ("done", _) => done = true,
                _ => {}
            }
        }
        let last_words = |console: &Self| {
            let log = console.sections.get("agent-log").map(String::as_str).unwrap_or_default().trim().lines().last();
            log.map(|line| format!("; the agent's last words: {line}")).unwrap_or_default()
        };
        if let Some(error) = error {
            bail!("the guest gave up: {error}{}", last_words(&console));
        }
        if !done {
            bail!("the guest ended before it was done; kernel {:?}{}", console.kernel, last_words(&console));
        }
        Ok(console)
    }

    /// A section as JSON.
    ///
    /// # Errors
    /// It is missing, or is something else.
    pub(super) fn json<T: DeserializeOwned>(&self, section: &str) -> anyhow::Result<T> {
        let text = self.sections.get(section).with_context(|| format!("the console has no section {section}"))?;
        let start: String = text.trim().chars().take(200).collect();
        serde_json::from_str(text.trim()).with_context(|| format!("section {section} begins with {start:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_read_between_noise_and_carriage_returns() {
        let text = "SeaBIOS\r\n@@kernel 6.1.0-56\r\nnoise\r\n@@begin a\r\n{\"x\":\r\n1}\r\n@@end\r\n@@agent exit 0\r\n@@done\r\n";
        let console = Console::read(text).unwrap();
        assert_eq!((console.kernel.as_str(), console.exit), ("6.1.0-56", Some(0)));
        assert_eq!(console.json::<serde_json::Value>("a").unwrap()["x"], 1);
        assert!(console.json::<serde_json::Value>("b").unwrap_err().to_string().contains("no section b"));
    }

    #[test]
    fn a_guest_that_gave_up_says_why_with_the_agents_last_words() {
        let text = "@@error the agent ended\n@@begin agent-log\nfirst\nport in use\n@@end\n";
        let error = Console::read(text).unwrap_err().to_string();
        assert!(error.contains("the agent ended") && error.contains("port in use"), "{error}");
    }

    #[test]
    fn a_console_that_was_cut_off_is_no_success() {
        assert!(Console::read("@@kernel 6.1\n").unwrap_err().to_string().contains("before it was done"));
    }
}
