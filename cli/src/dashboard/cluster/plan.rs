//! Whose agents are streamed. Pure. A stream costs its agent and the API server something each second, so there are few: every
//! node's as long as they are so few, else those that somebody looks at and those with firing alerts.

use std::{cmp::Reverse, collections::BTreeSet, time::Duration};

/// Streams at once.
pub(crate) const MOST: usize = 8;

/// Who has not asked for a node for this long does not look at it any more: pages ask each second.
const LOOKING: Duration = Duration::from_secs(10);

/// A node.
#[derive(Debug, Clone)]
pub(in crate::dashboard) struct Candidate {
    pub(in crate::dashboard) name: String,
    /// Whether there is an agent that could be streamed.
    pub(in crate::dashboard) has_agent: bool,
    /// Alerts that are firing.
    pub(in crate::dashboard) firing: u64,
    /// How long ago somebody looked at it.
    pub(in crate::dashboard) looked: Option<Duration>,
    pub(in crate::dashboard) is_streamed: bool,
}

/// Less is more wanted; `None`: not at all.
fn rank(node: &Candidate) -> Option<(u8, Duration, bool, Reverse<u64>)> {
    let now = Duration::ZERO;
    // Of those with alerts, the ones that are streamed stay: a stream that begins has no history yet.
    let firing = (node.firing > 0).then_some((1, now, !node.is_streamed, Reverse(node.firing)));
    match node.looked {
        // Of those that are looked at now, the ones that are streamed stay: each asks every second, and whose turn was last is
        // chance.
        Some(ago) if ago <= LOOKING => Some((0, now, !node.is_streamed, Reverse(0))),
        looked => firing.or_else(|| {
            let ago = looked.unwrap_or(Duration::MAX);
            node.is_streamed.then_some((2, ago, false, Reverse(0)))
        }),
    }
}

/// Names of those to stream.
pub(in crate::dashboard) fn chosen(nodes: &[Candidate]) -> BTreeSet<String> {
    let able: Vec<&Candidate> = nodes.iter().filter(|node| node.has_agent).collect();
    if able.len() <= MOST {
        return able.into_iter().map(|node| node.name.clone()).collect();
    }
    let mut wanted: Vec<_> = able.into_iter().filter_map(|node| Some((rank(node)?, node.name.as_str()))).collect();
    wanted.sort();
    wanted.into_iter().take(MOST).map(|(_, name)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(names: &[String], change: impl Fn(usize, &mut Candidate)) -> BTreeSet<String> {
        let node = |(at, name): (usize, &String)| {
            let mut node =
                Candidate { name: name.clone(), has_agent: true, firing: 0, looked: None, is_streamed: false };
            change(at, &mut node);
            node
        };
        chosen(&names.iter().enumerate().map(node).collect::<Vec<_>>())
    }

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("n{number:02}")).collect()
    }

    #[test]
    fn few_nodes_are_all_streamed_as_far_as_they_have_agents() {
        assert_eq!(nodes(&names(MOST), |_, _| ()).len(), MOST);
        assert_eq!(nodes(&names(MOST + 1), |at, node| node.has_agent = at > 0).len(), MOST);
        assert!(nodes(&names(MOST + 1), |_, _| ()).is_empty(), "of many, none that nobody asks for");
    }

    #[test]
    fn of_many_nodes_those_that_are_looked_at_come_before_those_with_alerts() {
        let names = names(30);
        let chosen = nodes(&names, |at, node| match at {
            29 => node.looked = Some(Duration::from_secs(1)),
            10..=27 => node.firing = at as u64,
            _ => {}
        });
        assert!(chosen.contains("n29") && chosen.contains("n27") && !chosen.contains("n10"), "{chosen:?}");
        assert_eq!(chosen.len(), MOST);
    }

    #[test]
    fn who_was_looked_at_longest_ago_goes_first() {
        let names = names(30);
        let ago = |at: usize| Duration::from_secs(60 * (at as u64 + 1));
        let chosen = nodes(&names, |at, node| {
            if at < MOST {
                (node.looked, node.is_streamed) = (Some(ago(at)), true);
            } else if at == 20 {
                node.looked = Some(Duration::ZERO);
            }
        });
        assert!(chosen.contains("n20") && chosen.contains("n00") && !chosen.contains("n07"), "{chosen:?}");
    }

    #[test]
    fn streams_that_are_looked_at_stay_while_more_nodes_are_looked_at_than_there_are_streams() {
        let names = names(2 * MOST);
        let ago = |at: usize| Duration::from_millis(900 - 50 * at as u64);
        let chosen = nodes(&names, |at, node| (node.looked, node.is_streamed) = (Some(ago(at)), at < MOST));
        assert_eq!(chosen.iter().map(String::as_str).collect::<Vec<_>>(), names[..MOST]);
    }

    #[test]
    fn a_stream_of_a_node_with_alerts_stays_while_others_get_more_alerts() {
        let names = names(30);
        let chosen = nodes(&names, |at, node| (node.firing, node.is_streamed) = (1 + at as u64, at < MOST));
        assert_eq!(chosen.iter().map(String::as_str).collect::<Vec<_>>(), names[..MOST]);
    }
}
