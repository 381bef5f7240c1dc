//! The link of an alert to a dashboard: a URL with the alert's labels in it. Pure.

use std::fmt::Write as _;

use http::Uri;
use thiserror::Error;

use crate::notice::{Labels, Notice};

/// Placeholders besides the names of labels.
const TIMES: [&str; 2] = ["from", "to"];

/// Placeholders that are labels.
const LABELS: [&str; 9] = ["cluster", "namespace", "node", "pod", "policy", "rule", "severity", "target", "workload"];

/// What is shown before the alert fired and after it resolved.
const MARGIN_SECONDS: u64 = 300;

/// The longest template.
const LONGEST: usize = 2048;

/// Why a text is no link.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LinkError {
    /// Something in braces that is not known.
    #[error("got {{{0}}}, expected one of {{{list}}}", list = placeholders().collect::<Vec<_>>().join("}, {"))]
    Placeholder(String),
    /// A brace without its other half.
    #[error("got a brace without the other one, expected a placeholder such as {{namespace}}")]
    Brace,
    /// No URL.
    #[error("got `{0}`, expected a URL such as https://grafana.example/d/precursor?var-namespace={{namespace}}")]
    Url(String),
    /// Too long.
    #[error("got {0} bytes, expected at most {LONGEST}")]
    Long(usize),
}

/// A template of links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Label(&'static str),
    /// Unix ms.
    From,
    /// Unix ms; `now` while the alert is firing.
    To,
}

fn placeholders() -> impl Iterator<Item = &'static str> {
    LABELS.into_iter().chain(TIMES)
}

impl Link {
    /// A template: a URL with placeholders in braces.
    ///
    /// # Errors
    /// It is no URL, or has a placeholder that is not known.
    pub fn new(template: &str) -> Result<Self, LinkError> {
        if template.len() > LONGEST {
            return Err(LinkError::Long(template.len()));
        }
        let mut parts = Vec::new();
        let mut rest = template;
        while let Some((text, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or(LinkError::Brace)?;
            parts.extend([Part::Text(text.to_owned()), part(name)?]);
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        if parts.iter().any(|part| matches!(part, Part::Text(text) if text.contains('}'))) {
            return Err(LinkError::Brace);
        }
        let link = Self(parts);
        let example = link.filled(|_| "x".to_owned());
        let is_url = example.parse::<Uri>().is_ok_and(|url| {
            matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some_and(|host| !host.is_empty())
        });
        if is_url { Ok(link) } else { Err(LinkError::Url(template.to_owned())) }
    }

    /// The link of an alert with these labels.
    pub fn of(&self, notice: &Notice, labels: &Labels) -> String {
        self.filled(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Label(name) => encoded(labels.get(name).map_or("", String::as_str)),
            Part::From => ms(notice.fired_unix.saturating_sub(MARGIN_SECONDS)),
            Part::To => notice
                .resolved_unix
                .filter(|_| !notice.is_firing())
                .map_or_else(|| "now".to_owned(), |unix| ms(unix.saturating_add(MARGIN_SECONDS))),
        })
    }

    fn filled(&self, fill: impl Fn(&Part) -> String) -> String {
        let part = |part: &Part| if let Part::Text(text) = part { text.clone() } else { fill(part) };
        self.0.iter().map(part).collect()
    }
}

fn part(name: &str) -> Result<Part, LinkError> {
    match name {
        "from" => Ok(Part::From),
        "to" => Ok(Part::To),
        _ => LABELS
            .into_iter()
            .find(|label| *label == name)
            .map(Part::Label)
            .ok_or_else(|| LinkError::Placeholder(name.to_owned())),
    }
}

fn ms(unix: u64) -> String {
    unix.saturating_mul(1000).to_string()
}

/// All but unreserved characters percent-encoded, so that a name cannot become another part of the URL.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut all, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            all.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _infallible = write!(all, "%{byte:02X}");
        }
        all
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notice::tests::{notice, resolved};

    fn link(template: &str, notice: &Notice) -> String {
        Link::new(template).unwrap().of(notice, &notice.labels(Some("c1")))
    }

    #[test]
    fn placeholders_are_filled_with_labels_and_times() {
        let template =
            "https://g/d/x?var-namespace={namespace}&var-workload={workload}&var-pod={pod}&from={from}&to={to}";
        assert_eq!(
            link(template, &notice()),
            "https://g/d/x?var-namespace=shop&var-workload=checkout&var-pod=&from=1699999700000&to=now"
        );
        assert!(link(template, &resolved()).ends_with("&to=1700000330000"));
        assert_eq!(link("http://g/", &notice()), "http://g/");
    }

    #[test]
    fn a_name_cannot_become_another_part_of_the_url() {
        let mut odd = notice();
        odd.about.policy = "a&b=c/ü".to_owned();
        assert_eq!(link("https://g/?p={policy}", &odd), "https://g/?p=a%26b%3Dc%2F%C3%BC");
    }

    #[test]
    fn what_is_no_template_is_refused_with_what_would_be_one() {
        for (template, expected) in [
            ("https://g/{colour}", "got {colour}, expected one of {cluster}, {namespace}"),
            ("https://g/{namespace", "brace"),
            ("https://g/namespace}", "brace"),
            ("grafana.example/d", "expected a URL such as https://"),
            ("javascript://x/", "expected a URL"),
            ("https://a b/", "expected a URL"),
            ("", "expected a URL"),
        ] {
            let error = Link::new(template).unwrap_err().to_string();
            assert!(error.contains(expected), "{template}: {error}");
        }
        assert!(matches!(Link::new(&"x".repeat(4000)), Err(LinkError::Long(4000))));
    }
}
