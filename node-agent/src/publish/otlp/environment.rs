//! The environment as the OpenTelemetry specification reads it: an empty value counts as none, words and booleans are
//! case-insensitive, a signal's own variable wins over the general one, and a value that is not understood is reported
//! and ignored. What no setting asked for is reported too, so that no variable is dropped silently.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    time::Duration,
};

/// The longest duration or timeout, as long as the specification asks for: 2³¹ − 1 ms, nearly 25 days.
const LONGEST: u64 = i32::MAX as u64;

/// The variables, those that a setting asked for, and the notices about them.
#[derive(Debug, Default)]
pub(super) struct Environment {
    values: BTreeMap<String, String>,
    asked: BTreeSet<String>,
    notices: Vec<String>,
}

/// A key with its value, and whether the value was percent-encoded as it should be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) is_decoded: bool,
}

impl Environment {
    /// The variables of a process.
    pub(super) fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut environment = Self::default();
        for (name, value) in variables {
            // A name that is no text is none that is asked for.
            let Ok(name) = name.into_string() else { continue };
            match value.into_string() {
                Ok(value) if value.trim().is_empty() => {}
                Ok(value) => drop(environment.values.insert(name, value.trim().to_owned())),
                Err(_) if name.starts_with("OTEL_") => {
                    environment.note(format!("got bytes in {name} that are not UTF-8, expected text; it is ignored"));
                }
                Err(_) => {}
            }
        }
        environment
    }

    /// Adds a notice.
    pub(super) fn note(&mut self, notice: String) {
        if !self.notices.contains(&notice) {
            self.notices.push(notice);
        }
    }

    /// A variable's value.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.asked.insert(name.to_owned());
        self.values.get(name).cloned()
    }

    /// The first of `names` that has a value, with its name.
    pub(super) fn first(&mut self, names: &[String]) -> Option<(String, String)> {
        let found = names.iter().map(|name| (name.clone(), self.text(name))).collect::<Vec<_>>();
        found.into_iter().find_map(|(name, value)| value.map(|value| (name, value)))
    }

    /// The first of `names` with a value that `parse` understands; others are reported as not what is `expected`.
    pub(super) fn parsed<T>(
        &mut self,
        names: &[String],
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let mut found = None;
        for name in names {
            let Some(got) = self.text(name) else { continue };
            match parse(&got) {
                Some(value) => found = found.or(Some(value)),
                None => self.note(format!("got {name}={got}, expected {expected}; it is ignored")),
            }
        }
        found
    }

    /// The first of `names` that is one of `choices`.
    pub(super) fn choice<T: Copy>(&mut self, names: &[String], choices: &[(&str, T)]) -> Option<T> {
        let expected = choices.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(" or ");
        self.parsed(names, &expected, |got| {
            choices.iter().find(|(word, _)| word.eq_ignore_ascii_case(got)).map(|(_, choice)| *choice)
        })
    }

    /// The first of `names` that is true or false; false without any.
    pub(super) fn boolean(&mut self, names: &[String]) -> bool {
        self.choice(names, &[("true", true), ("false", false)]).unwrap_or_default()
    }

    /// The first of `names` that is a duration.
    pub(super) fn duration(&mut self, names: &[String]) -> Option<Duration> {
        let expected = format!("a whole number of milliseconds from 1 to {LONGEST}, without a unit");
        self.parsed(names, &expected, |got| milliseconds(got).filter(|duration| !duration.is_zero()))
    }

    /// The first of `names` that is a timeout; `Some(None)` for no limit.
    pub(super) fn timeout(&mut self, names: &[String]) -> Option<Option<Duration>> {
        let expected = format!("a whole number of milliseconds up to {LONGEST}, without a unit (0: no limit)");
        let timeout = self.parsed(names, &expected, milliseconds)?;
        Some((!timeout.is_zero()).then_some(timeout))
    }

    /// The notices, and the variables that nothing asked for.
    pub(super) fn into_notices(self) -> Vec<String> {
        let unused: Vec<&str> = self.unused().collect();
        let unused = (!unused.is_empty()).then(|| format!("without effect on this agent: {}", unused.join(", ")));
        self.notices.iter().cloned().chain(unused).collect()
    }

    fn unused(&self) -> impl Iterator<Item = &str> {
        let names = self.values.keys().map(String::as_str).filter(|name| name.starts_with("OTEL_"));
        names.filter(|name| !self.asked.contains(*name) && !self.is_of_a_service(name))
    }

    /// Kubernetes puts variables of each Service into pods; one called `otel-collector` gives `OTEL_COLLECTOR_…`.
    fn is_of_a_service(&self, name: &str) -> bool {
        let hosts = self.values.keys().filter_map(|known| known.strip_suffix("_SERVICE_HOST"));
        hosts
            .filter_map(|service| name.strip_prefix(service))
            .any(|rest| ["_SERVICE_", "_PORT_"].iter().any(|part| rest.starts_with(part)) || rest == "_PORT")
    }
}

fn milliseconds(text: &str) -> Option<Duration> {
    text.parse().ok().filter(|ms| *ms <= LONGEST).map(Duration::from_millis)
}

/// `key=value,key=value` with percent-encoded values; `Err` with the position of what is no such pair.
pub(super) fn pairs(text: &str) -> impl Iterator<Item = Result<Pair, usize>> {
    let entries = text.split(',').enumerate().filter(|(_, entry)| !entry.trim().is_empty());
    entries.map(|(index, entry)| {
        let (key, value) = entry.split_once('=').ok_or(index + 1)?;
        let (key, value) = (key.trim(), value.trim());
        if key.is_empty() {
            return Err(index + 1);
        }
        let decoded = decoded(value);
        let is_decoded = decoded.is_some();
        Ok(Pair { key: key.to_owned(), value: decoded.unwrap_or_else(|| value.to_owned()), is_decoded })
    })
}

/// Without its percent-encoding; `None` when `%` is not followed by two digits, or the bytes are no text.
fn decoded(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                (digit(rest.next())? << 4 | digit(rest.next())?) as u8
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn environment(variables: &[(&str, &str)]) -> Environment {
        Environment::new(variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))))
    }

    fn names() -> [String; 2] {
        ["OTEL_OWN".to_owned(), "OTEL_ALL".to_owned()]
    }

    #[test]
    fn an_empty_value_counts_as_none() {
        let mut environment = environment(&[("OTEL_OWN", " "), ("OTEL_ALL", " x ")]);
        assert_eq!(environment.first(&names()), Some(("OTEL_ALL".to_owned(), "x".to_owned())));
        assert_eq!(environment.into_notices(), <[String; 0]>::default());
    }

    #[test]
    fn a_value_that_is_not_understood_is_reported_and_the_next_one_is_used() {
        for malformed in ["10s", "-1", "1.5", "2147483648", "1e3"] {
            let mut environment = environment(&[("OTEL_OWN", malformed), ("OTEL_ALL", "700")]);
            assert_eq!(environment.timeout(&names()), Some(Some(Duration::from_millis(700))));
            let notices = environment.into_notices();
            assert!(notices[0].starts_with(&format!("got OTEL_OWN={malformed}, expected")), "{notices:?}");
        }
    }

    #[test]
    fn a_timeout_of_nothing_is_no_limit_and_an_interval_of_nothing_is_none() {
        assert_eq!(environment(&[("OTEL_ALL", "0")]).timeout(&names()), Some(None));
        let mut environment = environment(&[("OTEL_ALL", "0")]);
        assert_eq!(environment.duration(&names()), None);
        assert_eq!(environment.into_notices().len(), 1);
    }

    #[test]
    fn only_the_word_true_is_true_in_any_case() {
        for (value, expected, notices) in
            [("TRUE", true, 0), ("true", true, 0), ("False", false, 0), ("1", false, 1), ("yes", false, 1)]
        {
            let mut environment = environment(&[("OTEL_ALL", value)]);
            assert_eq!(environment.boolean(&names()), expected, "{value}");
            assert_eq!(environment.into_notices().len(), notices, "{value}");
        }
    }

    #[test]
    fn pairs_are_percent_decoded_and_what_is_no_pair_has_its_position() {
        let pair =
            |key: &str, value: &str, is_decoded| Ok(Pair { key: key.to_owned(), value: value.to_owned(), is_decoded });
        let read: Vec<_> = pairs("a=Basic%20x%3D=, nonsense,b = ,=x,c=100%,d=%ff,").collect();
        assert_eq!(
            read,
            [
                pair("a", "Basic x==", true),
                Err(2),
                pair("b", "", true),
                Err(4),
                pair("c", "100%", false),
                pair("d", "%ff", false)
            ]
        );
    }

    #[test]
    fn variables_that_nothing_asks_for_are_reported_but_not_those_of_a_service() {
        let mut environment = environment(&[
            ("OTEL_EXPORTER_OLTP_ENDPOINT", "http://c"),
            ("OTEL_BLRP_MAX_QUEUE_SIZE", "9"),
            ("OTEL_ALL", "1"),
            ("OTEL_COLLECTOR_SERVICE_HOST", "10.0.0.1"),
            ("OTEL_COLLECTOR_PORT", "tcp://10.0.0.1:4317"),
            ("OTEL_COLLECTOR_PORT_4317_TCP_ADDR", "10.0.0.1"),
            ("PATH", "/bin"),
        ]);
        environment.text("OTEL_ALL");
        assert_eq!(
            environment.into_notices(),
            ["without effect on this agent: OTEL_BLRP_MAX_QUEUE_SIZE, OTEL_EXPORTER_OLTP_ENDPOINT"]
        );
    }

    #[test]
    fn bytes_that_are_no_text_are_reported() {
        use std::os::unix::ffi::OsStringExt as _;

        let value = OsString::from_vec(vec![0xff]);
        let environment = Environment::new([(OsString::from("OTEL_SERVICE_NAME"), value)]);
        assert!(environment.into_notices()[0].contains("OTEL_SERVICE_NAME"));
    }
}
