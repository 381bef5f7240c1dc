//! What a request asks of a history, behind `?`. Pure; an error names the parameter, what was got and what is expected.

use std::fmt;

use super::ledger::AlertKey;

/// Bytes of an identifier: pods' have 36, those of namespaces a name of at most 253 in them.
const LONGEST_UID: usize = 512;

/// The longest step, s.
const LONGEST_STEP: u64 = 3_600;

/// The latest time that is asked about, Unix s: the year 2500, so that no arithmetic of time overflows.
const LATEST: u64 = 16_725_225_600;

/// Alerts of an answer, without a word of how many and at most.
const ALERTS: usize = 100;
const MOST_ALERTS: usize = 1_000;

/// Points of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RangeAsked {
    pub(crate) uid: String,
    /// The first second and the last, Unix s; none for the last hour, and for now.
    pub(super) from: Option<u64>,
    pub(super) until: Option<u64>,
    /// Seconds of a step; none for the shortest that fits.
    pub(super) step: Option<u64>,
}

/// Alerts, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AlertsAsked {
    /// When they fired at the earliest and at the latest, Unix s.
    pub(super) from: u64,
    pub(super) until: u64,
    /// Those that come behind this one.
    pub(super) after: Option<AlertKey>,
    pub(super) limit: usize,
}

impl RangeAsked {
    /// Reads the parameters.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (mut uid, mut from, mut until, mut step) = (None, None, None, None);
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            match &*name {
                "uid" => once(&mut uid, &name, identifier(&value)?)?,
                "from" => once(&mut from, &name, time(&name, &value)?)?,
                "until" => once(&mut until, &name, time(&name, &value)?)?,
                "step" => once(&mut step, &name, number(&name, &value, 1, LONGEST_STEP, "a number of seconds")?)?,
                other => return Err(unknown(other, "uid, from, until or step")),
            }
        }
        let uid = uid.ok_or("got no uid, expected one; /api/v1/overview lists the targets")?;
        ordered(from.unwrap_or(0), until.unwrap_or(LATEST))?;
        Ok(Self { uid, from, until, step })
    }
}

impl AlertsAsked {
    /// Reads the parameters.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (mut from, mut until, mut after, mut limit) = (None, None, None, None);
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            match &*name {
                "from" => once(&mut from, &name, time(&name, &value)?)?,
                "until" => once(&mut until, &name, time(&name, &value)?)?,
                "after" => once(&mut after, &name, cursor(&value)?)?,
                "limit" => {
                    let most = MOST_ALERTS as u64;
                    once(&mut limit, &name, number(&name, &value, 1, most, "a number of alerts")?)?;
                }
                other => return Err(unknown(other, "from, until, after or limit")),
            }
        }
        let (from, until) = (from.unwrap_or(0), until.unwrap_or(LATEST));
        ordered(from, until)?;
        Ok(Self { from, until, after, limit: limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(ALERTS) })
    }

    /// How many at most.
    pub(crate) const fn limit(&self) -> usize {
        self.limit
    }

    /// The newest ones.
    pub(super) const fn newest(limit: usize) -> Self {
        Self { from: 0, until: LATEST, after: None, limit }
    }

    /// Whether one is asked for, but for the limit.
    pub(crate) fn has(&self, key: &AlertKey) -> bool {
        (self.from..=self.until).contains(&key.0) && self.after.as_ref().is_none_or(|after| key < after)
    }
}

/// An alert as `after` names it.
pub(crate) fn cursor_of((fired, name): &AlertKey) -> String {
    format!("{fired}:{name}")
}

fn cursor(text: &str) -> Result<AlertKey, String> {
    let parts = text.split_once(':').filter(|(_, name)| !name.is_empty() && name.len() <= LONGEST_UID);
    let key = parts.and_then(|(fired, name)| Some((whole(fired).filter(|fired| *fired <= LATEST)?, name.to_owned())));
    key.ok_or_else(|| format!("got after {:?}, expected the `next` of an answer", shown(text)))
}

fn once<T>(place: &mut Option<T>, name: &str, value: T) -> Result<(), String> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(format!("got {name} twice, expected it once")),
    }
}

fn identifier(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > LONGEST_UID {
        return Err(format!("got uid of {} bytes, expected 1 to {LONGEST_UID}", text.len()));
    }
    Ok(text.to_owned())
}

fn time(name: &str, text: &str) -> Result<u64, String> {
    number(name, text, 0, LATEST, "a Unix time in seconds,")
}

fn number(name: &str, text: &str, least: u64, most: u64, expected: impl fmt::Display) -> Result<u64, String> {
    let value = whole(text).filter(|value| (least..=most).contains(value));
    value.ok_or_else(|| format!("got {name} {:?}, expected {expected} {least} to {most}", shown(text)))
}

fn whole(text: &str) -> Option<u64> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

fn ordered(from: u64, until: u64) -> Result<(), String> {
    if from > until {
        return Err(format!("got from {from} after until {until}, expected from to be no later"));
    }
    Ok(())
}

fn unknown(name: &str, expected: &str) -> String {
    format!("got parameter {:?}, expected {expected}", shown(name))
}

fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_with_its_escapes() {
        let asked = RangeAsked::parse("uid=a%2Fb&from=1764300000&until=1764309599&step=10").unwrap();
        let expected =
            RangeAsked { uid: "a/b".to_owned(), from: Some(1_764_300_000), until: Some(1_764_309_599), step: Some(10) };
        assert_eq!(asked, expected);
        assert_eq!(RangeAsked::parse("uid=a").unwrap().step, None);
    }

    #[test]
    fn what_is_wrong_is_said_by_its_name_with_what_is_expected() {
        let long = format!("uid={}", "x".repeat(LONGEST_UID + 1));
        let table = [
            ("", "got no uid"),
            ("uid=", "got uid of 0 bytes"),
            (&long, "expected 1 to 512"),
            ("uid=a&uid=b", "got uid twice"),
            ("uid=a&from=-1", "got from \"-1\", expected a Unix time"),
            ("uid=a&until=1e9", "got until \"1e9\""),
            ("uid=a&from=99999999999999", "got from"),
            ("uid=a&from=5&until=4", "got from 5 after until 4"),
            ("uid=a&step=0", "expected a number of seconds 1 to 3600"),
            ("uid=a&step=3601", "got step"),
            ("uid=a&seconds=5", "expected uid, from, until or step"),
        ];
        for (text, words) in table {
            let error = RangeAsked::parse(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
        for (text, words) in [
            ("limit=0", "got limit"),
            ("limit=1001", "1 to 1000"),
            ("after=x", "the `next` of an answer"),
            ("after=5:", "the `next` of an answer"),
            ("uid=a", "expected from, until, after or limit"),
        ] {
            let error = AlertsAsked::parse(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn the_next_of_an_answer_is_where_the_one_after_it_begins() {
        let key = (1_764_300_000, "demo:1 ä".to_owned());
        let encoded: String = form_urlencoded::byte_serialize(cursor_of(&key).as_bytes()).collect();
        let asked = AlertsAsked::parse(&format!("after={encoded}&limit=7")).unwrap();
        assert_eq!((asked.after.as_ref(), asked.limit), (Some(&key), 7));
        assert!(!asked.has(&key) && asked.has(&(1_764_299_999, "z".to_owned())));
    }
}
