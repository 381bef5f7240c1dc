//! The log, and what is said at the end whatever the log's filter is.

use std::io::{self, IsTerminal as _};

use thiserror::Error;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// The variable that wins over any setting.
pub const VARIABLE: &str = "RUST_LOG";

/// What ends a program is logged under this target, which no filter can switch off.
const FATAL: &str = "fatal";

/// A filter that would not do what it seems to say.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum FilterError {
    /// Nothing.
    #[error("{origin}: got an empty log filter, expected a level: write for example `info`")]
    Empty {
        /// The flag or variable.
        origin: String,
    },
    /// A word that the filter would take for a module, which silences all others.
    #[error(
        "{origin}: got log filter `{got}`, in which `{word}` is no level; expected off, error, warn, info, debug or trace, and \
         for a module its level too: write for example `{level}` or `info,{word}=debug`"
    )]
    NoLevel {
        /// The flag or variable.
        origin: String,
        /// As written.
        got: String,
        /// The word.
        word: String,
        /// The level that is most like it.
        level: &'static str,
    },
    /// Nothing that the filter understands.
    #[error(
        "{origin}: got log filter `{got}`, of which `{part}` is not understood; expected a level or MODULE=LEVEL, with the \
         levels off, error, warn, info, debug and trace: write for example `info` or `info,kube=debug`"
    )]
    Malformed {
        /// The flag or variable.
        origin: String,
        /// As written.
        got: String,
        /// The part.
        part: String,
    },
}

/// A filter that is understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter(String);

impl Filter {
    /// A filter as written at `origin`, such as `--log`.
    ///
    /// # Errors
    /// It is empty, malformed, or has a word alone that is no level.
    pub fn parse(origin: &str, text: &str) -> Result<Self, FilterError> {
        let (origin, got) = (origin.to_owned(), text.trim().to_owned());
        let parts: Vec<&str> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
        if parts.is_empty() {
            return Err(FilterError::Empty { origin });
        }
        for part in &parts {
            let is_word = !part.contains(['=', '[']);
            if is_word && part.parse::<LevelFilter>().is_err() {
                return Err(match is_module(part) {
                    true => FilterError::NoLevel { origin, got, word: (*part).to_owned(), level: nearest(part) },
                    false => FilterError::Malformed { origin, got, part: (*part).to_owned() },
                });
            }
            let level = part.rsplit_once('=').filter(|_| !part.contains('['));
            let is_level = level.is_none_or(|(_, level)| !level.is_empty() && level.parse::<LevelFilter>().is_ok());
            if !is_level || EnvFilter::try_new(part).is_err() {
                return Err(FilterError::Malformed { origin, got, part: (*part).to_owned() });
            }
        }
        Ok(Self(parts.join(",")))
    }

    /// The filter of the variable, else `setting`, which stands at `origin`. An empty variable says nothing.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn in_force(variable: Option<String>, origin: &str, setting: &str) -> Result<Self, FilterError> {
        match variable.filter(|filter| !filter.trim().is_empty()) {
            Some(filter) => Self::parse(VARIABLE, &filter),
            None => Self::parse(origin, setting),
        }
    }

    fn build(&self) -> EnvFilter {
        let directive = tracing_subscriber::filter::Directive::from(LevelFilter::ERROR);
        let fatal = format!("{FATAL}=error").parse().unwrap_or(directive);
        EnvFilter::new(&self.0).add_directive(fatal)
    }
}

/// Starts the log on standard error, for the whole process.
pub fn start(filter: &Filter, json: bool) {
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter.build())
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr);
    if json {
        log.json().init();
    } else {
        log.init();
    }
}

/// Says on standard error why the program ends: in the log's format where there is a log, whatever its filter.
#[expect(clippy::print_stderr, reason = "before the log is started there is no other place")]
pub fn fatal(message: &str) {
    if tracing::dispatcher::has_been_set() {
        tracing::error!(target: FATAL, "{message}");
    } else {
        eprintln!("error: {message}");
    }
}

/// Whether a word can be the path of a module.
fn is_module(word: &str) -> bool {
    word.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | ':' | '-'))
}

/// The level that somebody most likely meant by a word.
fn nearest(word: &str) -> &'static str {
    let known = [
        ("w", "warn"),
        ("er", "error"),
        ("fatal", "error"),
        ("crit", "error"),
        ("de", "debug"),
        ("dbg", "debug"),
        ("verbose", "debug"),
        ("tr", "trace"),
        ("all", "trace"),
        ("no", "off"),
        ("quiet", "off"),
        ("silent", "off"),
        ("false", "off"),
    ];
    let word = word.to_lowercase();
    known.into_iter().find(|(start, _)| word.starts_with(start)).map_or("info", |(_, level)| level)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// What is logged under a filter while `work` is done.
    fn logged(filter: &str, work: impl FnOnce()) -> String {
        #[derive(Clone, Default)]
        struct Written(Arc<Mutex<Vec<u8>>>);
        impl io::Write for Written {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().extend(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let written = Written::default();
        let writer = written.clone();
        let log = tracing_subscriber::fmt()
            .with_env_filter(Filter::parse("--log", filter).unwrap().build())
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(log, work);
        String::from_utf8(written.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn no_filter_hides_what_ends_the_program() {
        for filter in ["off", "kube=debug", "info", "off,kube=trace", "fatal=off", "error", "[span]=info"] {
            let text = logged(filter, || {
                tracing::error!(target: FATAL, "the port is taken");
                tracing::info!("listening");
            });
            assert!(text.contains("the port is taken"), "{filter}: {text}");
            assert_eq!(text.contains("listening"), filter == "info", "{filter}: {text}");
        }
    }

    #[test]
    fn filters_are_levels_for_all_or_for_modules() {
        for good in
            ["info", "WARN", "off", "3", "info,kube=debug", " info , kube=trace,", "netprecursor=debug", "a::b=off"]
        {
            assert!(Filter::parse("--log", good).is_ok(), "{good}");
        }
        assert_eq!(Filter::parse("--log", " info , kube=debug,"), Ok(Filter("info,kube=debug".to_owned())));
    }

    #[test]
    fn what_a_refusal_says_to_write_is_a_filter() {
        let wrong = [
            "",
            " ",
            ",",
            "warning",
            "inof",
            "verbose",
            "loud",
            "kube",
            "info,hyper",
            "kube=loud",
            "=",
            "a b",
            "!",
            "ä",
            "nothing",
            "kube=",
            "[a",
        ];
        for text in wrong {
            let error = Filter::parse("--log", text).unwrap_err().to_string();
            let (_, advice) = error.rsplit_once("write for example ").unwrap();
            let advised: Vec<&str> = advice.split('`').skip(1).step_by(2).collect();
            assert!(!advised.is_empty() && error.starts_with("--log: got"), "{error}");
            for filter in advised {
                assert!(Filter::parse("--log", filter).is_ok(), "{text}: {error}: {filter}");
            }
        }
        assert!(Filter::parse("--log", "warning").unwrap_err().to_string().contains("`warn` or"));
    }

    #[test]
    fn an_empty_variable_says_nothing_and_another_one_wins() {
        let of = |variable: Option<&str>| Filter::in_force(variable.map(str::to_owned), "--log", "debug");
        for nothing in [None, Some(""), Some("  ")] {
            assert_eq!(of(nothing), Ok(Filter("debug".to_owned())));
        }
        assert_eq!(of(Some("warn")), Ok(Filter("warn".to_owned())));
        assert!(of(Some("loud")).unwrap_err().to_string().starts_with("RUST_LOG: "));
    }
}
