//! What a query names, held against the tables. Whether it is a query at all, Prometheus says.

use std::collections::BTreeSet;

use crate::{Family, Kind, agent, operator};

/// Labels that a scrape adds to every series: by Prometheus, by the chart's monitors, or by who runs several clusters.
pub const SCRAPED: [&str; 9] =
    ["job", "instance", "cluster", "namespace", "pod", "container", "node", "endpoint", "service"];

/// What is followed by labels in parentheses.
const GROUPING: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

/// A word or a sign; texts and numbers are nobody's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Sign(char),
}

/// Series and labels in `query` that no program exposes, in words; `recorded` are the series that rules record.
pub fn problems(query: &str, recorded: &[String]) -> Vec<String> {
    let tokens = tokens(query);
    let mut named = Named { recorded, families: Vec::new(), uses_recorded: false, problems: Vec::new() };
    let mut grouped = BTreeSet::new();
    for (at, token) in tokens.iter().enumerate() {
        let Token::Word(word) = *token else { continue };
        if GROUPING.contains(&word) {
            grouped.extend(words_within(&tokens[at + 1..], '(', ')'));
        } else {
            named.series(word, &words_within(&tokens[at + 1..], '{', '}'));
        }
    }
    named.grouped(&grouped);
    named.problems
}

/// The families of which `query` names a series.
pub fn families(query: &str) -> Vec<&'static Family> {
    let word = |token: Token<'_>| match token {
        Token::Word(word) => family(word),
        Token::Sign(_) => None,
    };
    tokens(query).into_iter().filter_map(word).collect()
}

/// `query` as Grafana sends it when everything is chosen: its intervals are filled in, and every variable takes any value.
pub fn filled(query: &str, rate_interval: &str, range: &str) -> String {
    let query = query.replace("$__rate_interval", rate_interval).replace("$__range", range);
    let mut parts = query.split('$');
    let begin = parts.next().unwrap_or_default().to_owned();
    parts.fold(begin, |filled, part| {
        let length = length_of(part, |c| c.is_ascii_alphanumeric() || c == '_');
        filled + ".*" + &part[length..]
    })
}

/// What was found in a query.
struct Named<'a> {
    recorded: &'a [String],
    families: Vec<&'static Family>,
    uses_recorded: bool,
    problems: Vec<String>,
}

impl Named<'_> {
    /// A word that may be a series, with the labels that select of it.
    fn series(&mut self, word: &str, labels: &[&str]) {
        if word.contains(':') {
            self.uses_recorded = true;
            if !self.recorded.iter().any(|record| record == word) {
                self.problems.push(format!("got {word}, expected a series that the rules record"));
            }
        } else if word.starts_with("netprecursor_") {
            let Some(family) = family(word) else {
                self.problems.push(format!("got {word}, expected a series of a family in metrics/src"));
                return;
            };
            let unknown = labels.iter().filter(|label| !has(family, label));
            self.problems.extend(unknown.map(|label| format!("got {word}{{{label}}}, expected {}", words(family))));
            self.families.push(family);
        }
    }

    /// Labels that series are grouped or joined by. Which ones a recorded series has, its rule says.
    fn grouped(&mut self, labels: &BTreeSet<&str>) {
        if self.uses_recorded || self.families.is_empty() {
            return;
        }
        for label in labels.iter().filter(|label| !self.families.iter().any(|family| has(family, label))) {
            let expected: Vec<String> = self.families.iter().map(|family| words(family)).collect();
            self.problems.push(format!("got {label} to group by, expected {}", expected.join("; or ")));
        }
    }
}

/// The family of a series.
fn family(series: &str) -> Option<&'static Family> {
    static ALL: [&[Family]; 2] = [&agent::FAMILIES, &operator::FAMILIES];
    ALL.into_iter().flatten().find(|family| family.series().iter().any(|name| name == series))
}

fn has(family: &Family, label: &str) -> bool {
    SCRAPED.contains(&label) || (label == "le" && family.kind == Kind::Histogram) || is_own(family, label)
}

fn is_own(family: &Family, label: &str) -> bool {
    family.labels.iter().any(|own| own.label == label)
}

/// The labels of a family, for who named another.
fn words(family: &Family) -> String {
    let own: Vec<&str> = family.labels.iter().map(|label| label.label).collect();
    let own = if own.is_empty() { "no label of its own".to_owned() } else { own.join(", ") };
    format!("for {}: {own}, or a scrape's {}", family.name, SCRAPED.join(", "))
}

/// The words between two signs that enclose what comes next.
fn words_within<'a>(tokens: &[Token<'a>], open: char, close: char) -> Vec<&'a str> {
    if tokens.first() != Some(&Token::Sign(open)) {
        return Vec::new();
    }
    let inside = tokens[1..].iter().take_while(|token| **token != Token::Sign(close));
    let word = |token: &Token<'a>| match *token {
        Token::Word(word) => Some(word),
        Token::Sign(_) => None,
    };
    inside.filter_map(word).collect()
}

fn tokens(query: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = query;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' | '\'' | '`' => text_length(rest, first),
            letter if letter.is_ascii_alphabetic() || letter == '_' => {
                let length = length_of(rest, |c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
                tokens.push(Token::Word(&rest[..length]));
                length
            }
            digit if digit.is_ascii_digit() => length_of(rest, |c| c.is_ascii_alphanumeric() || c == '.'),
            space if space.is_whitespace() => space.len_utf8(),
            sign => {
                tokens.push(Token::Sign(sign));
                sign.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    tokens
}

/// The length of the run of what `is_part` at the start of a text, in bytes.
fn length_of(text: &str, is_part: impl Fn(char) -> bool) -> usize {
    text.find(|c| !is_part(c)).unwrap_or(text.len())
}

/// The length of the text in quotes that comes first, with them, in bytes.
fn text_length(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if quote != '`' => is_escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems_of(query: &str) -> Vec<String> {
        problems(query, &["node:netprecursor_ticks:rate5m".to_owned()])
    }

    #[test]
    fn a_query_is_filled_in_as_when_everything_is_chosen() {
        assert_eq!(
            filled(r#"rate(a{b=~"$namespace|",c=~"$node"}[$__rate_interval]) / increase(a[$__range])"#, "10s", "5m"),
            r#"rate(a{b=~".*|",c=~".*"}[10s]) / increase(a[5m])"#
        );
        assert_eq!(filled("up == 0", "10s", "5m"), "up == 0");
    }

    #[test]
    fn a_family_is_named_by_its_whole_name_outside_of_texts() {
        let names = |query| families(query).into_iter().map(|family| family.name).collect::<Vec<_>>();
        assert_eq!(names("max(netprecursor_targets) by (node)"), ["netprecursor.targets"]);
        assert_eq!(names("netprecursor_targets_of_another + up{a=\"netprecursor_targets\"}"), <[&str; 0]>::default());
    }

    #[test]
    fn a_query_of_what_the_programs_expose_is_good() {
        for query in [
            r#"max by (cluster, namespace, workload) (netprecursor_rtt_max_seconds{namespace=~"$namespace"})"#,
            "rate(netprecursor_ticks_total[$__rate_interval]) < 0.9",
            r#"sum by (kind) (rate(netprecursor_operator_writes_total{outcome!="Done"}[5m:1m])) > 0"#,
            "histogram_quantile(0.99, sum by (le) (rate(netprecursor_operator_round_seconds_bucket[5m])))",
            r#"up{job="netprecursor-agent", anything="else"} == 0"#,
            "1 - node:netprecursor_ticks:rate5m{of=\"netprecursor_nothing\"}",
        ] {
            assert_eq!(problems_of(query), Vec::<String>::new(), "{query}");
        }
    }

    #[test]
    fn a_series_that_nobody_exposes_or_records_is_named() {
        for series in ["netprecursor_rtt_mean_seconds", "netprecursor_ticks", "node:netprecursor_ticks:rate1h"] {
            let found = problems_of(&format!("sum(rate({series}[5m]))"));
            assert!(found.len() == 1 && found[0].contains(series), "{found:?}");
        }
    }

    #[test]
    fn a_label_that_the_family_has_not_is_named() {
        let found = problems_of(r#"netprecursor_rtt_max_seconds{policy="checkout",target="web"}"#);
        assert!(found.len() == 1 && found[0].contains("{policy}"), "{found:?}");
        let found = problems_of("sum by (policy, target) (netprecursor_sink_pending)");
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn texts_are_not_names_whatever_they_hold() {
        assert_eq!(
            problems_of(r#"up{a="netprecursor_x \" netprecursor_y", b=`netprecursor_z`}"#),
            Vec::<String>::new()
        );
    }
}
