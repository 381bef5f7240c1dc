//! What a request asks for, behind `?`.

use std::fmt;

use super::cluster::MOST;

/// Targets of one request.
const MOST_UIDS: usize = 100;

/// Bytes of an identifier: pods' have 36, those of namespaces a name of at most 253 in them.
const LONGEST_UID: usize = 512;

/// Bytes of a node's name.
const LONGEST_NODE: usize = 253;

/// The most that a request may ask for, s.
const LONGEST: u64 = super::history::HOUR;

/// The parameters.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    /// Targets, by identifier.
    pub(super) uids: Vec<String>,
    /// The last second, Unix s.
    pub(super) until: Option<u64>,
    /// How many seconds.
    pub(super) seconds: Option<u64>,
    /// Which page looks.
    pub(super) view: Option<View>,
    /// Nodes that are looked at before others, in a cluster.
    pub(super) nodes: Vec<String>,
}

/// A page of the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    Overview,
    Target,
    Alerts,
    Policies,
    Nodes,
}

impl View {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Overview, "overview"),
        (Self::Target, "target"),
        (Self::Alerts, "alerts"),
        (Self::Policies, "policies"),
        (Self::Nodes, "nodes"),
    ];
}

impl Query {
    /// Reads the parameters; an error says what was got and what is expected.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut query = Self::default();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            match &*name {
                "uid" if value.len() > LONGEST_UID => {
                    return Err(format!("got uid of {} bytes, expected at most {LONGEST_UID}", value.len()));
                }
                "uid" if query.uids.len() == MOST_UIDS => {
                    return Err(format!(
                        "got more than {MOST_UIDS} uid, expected at most so many: ask again for the rest"
                    ));
                }
                "uid" => query.uids.push(value.into_owned()),
                "until" => query.until = Some(number("until", &value, u64::MAX, "a Unix time in seconds")?),
                "seconds" => {
                    let expected = format_args!("a number up to {LONGEST}");
                    query.seconds = Some(number("seconds", &value, LONGEST, expected)?);
                }
                "view" => {
                    let view = View::ALL.into_iter().find(|(_, name)| *name == value);
                    let (view, _) = view.ok_or_else(|| {
                        format!("got view {:?}, expected overview, target, alerts, policies or nodes", shown(&value))
                    })?;
                    query.view = Some(view);
                }
                "node" if value.len() > LONGEST_NODE => {
                    return Err(format!("got node of {} bytes, expected at most {LONGEST_NODE}", value.len()));
                }
                "node" if query.nodes.len() == MOST => {
                    return Err(format!("got more than {MOST} node, expected at most so many: no more are streamed"));
                }
                "node" => query.nodes.push(value.into_owned()),
                other => {
                    return Err(format!(
                        "got parameter {:?}, expected uid, until, seconds, view or node",
                        shown(other)
                    ));
                }
            }
        }
        Ok(query)
    }

    /// The one target that is asked for.
    pub(super) fn uid(&self) -> Result<&str, String> {
        match self.uids.as_slice() {
            [uid] => Ok(uid),
            uids => Err(format!("got {} uid, expected one; /api/v1/overview lists the targets", uids.len())),
        }
    }
}

fn number(name: &str, text: &str, most: u64, expected: impl fmt::Display) -> Result<u64, String> {
    let value =
        text.parse::<u64>().ok().filter(|value| *value <= most && text.bytes().all(|byte| byte.is_ascii_digit()));
    value.ok_or_else(|| format!("got {name} {:?}, expected {expected}", shown(text)))
}

fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_with_their_escapes() {
        let query = Query::parse("uid=a%2Fb%3C&uid=c+d&until=1700000000&seconds=600&view=target").unwrap();
        assert_eq!(
            (query.uids.as_slice(), query.view),
            (["a/b<".to_owned(), "c d".to_owned()].as_slice(), Some(View::Target))
        );
        assert_eq!((query.until, query.seconds), (Some(1_700_000_000), Some(600)));
        assert_eq!(Query::parse("view=overview&node=n1").map(|query| query.nodes), Ok(vec!["n1".to_owned()]));
        assert_eq!(Query::parse(""), Ok(Query::default()));
    }

    #[test]
    fn what_is_wrong_is_said_with_what_is_expected() {
        let many = ["uid=a"; MOST_UIDS + 1].join("&");
        let long = format!("uid={}", "x".repeat(LONGEST_UID + 1));
        let far = ["node=a"; MOST + 1].join("&");
        let table = [
            ("until=-1", "expected a Unix time"),
            ("until=1e9", "expected a Unix time"),
            ("until=+5", "expected a Unix time"),
            ("seconds=3601", "expected a number up to 3600"),
            ("view=node", "expected overview, target, alerts, policies or nodes"),
            ("ui=a", "expected uid, until, seconds, view or node"),
            (&many, "expected at most so many"),
            (&long, "expected at most 512"),
            (&far, "expected at most so many: no more are streamed"),
        ];
        for (text, expected) in table {
            assert!(Query::parse(text).unwrap_err().contains(expected), "{text}");
        }
    }

    #[test]
    fn a_request_about_one_target_names_one() {
        let uid = |text: &str| Query::parse(text).unwrap().uid().map(str::to_owned);
        assert_eq!(uid("uid=a"), Ok("a".to_owned()));
        assert!(uid("").is_err() && uid("uid=a&uid=b").is_err());
    }
}
