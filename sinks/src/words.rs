//! An alert in words, for every surface that shows one: durations and causes in the API's notation, and the summary.

use netprecursor_core::{alert::AlertState, decide::Trigger};

use crate::notice::{Notice, Target};

/// A duration to the microsecond, as the API writes it.
pub fn exact(us: u64) -> String {
    let parts = [(us / 1_000_000, "s"), (us / 1000 % 1000, "ms"), (us % 1000, "us")];
    let text: String = parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}")).collect();
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// A measured or forecast duration with three or four digits that matter, as the API writes it; a day at most.
pub fn rounded(us: u64) -> String {
    match us {
        0..10_000 => format!("{us}us"),
        10_000..9_999_500 => format!("{}ms", (us + 500) / 1000),
        _ => format!("{}s", (us.saturating_add(500_000) / 1_000_000).min(86_400)),
    }
}

/// A value in a unit of the schema as people write it. A unit that this release does not know is shown as it is.
pub fn quantity(value: &str, unit: &str) -> String {
    let Ok(number) = value.parse::<f64>() else { return format!("{value} {unit}") };
    match unit {
        "µs" => rounded(number as u64),
        "ratio" => format!("{:.0} %", number * 100.0),
        "1" => value.to_owned(),
        "bytes" | "bytes/s" => {
            let per = unit.trim_start_matches("bytes");
            match number {
                1e6.. => format!("{:.1} MB{per}", number / 1e6),
                1e3.. => format!("{:.0} kB{per}", number / 1e3),
                _ => format!("{number:.0} B{per}"),
            }
        }
        _ => format!("{value} {unit}"),
    }
}

/// A group of features in words.
pub fn group(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    if let Some(rest) = words.strip_prefix("rtt") { format!("RTT{rest}") } else { words }
}

/// The alert in one line: who is in trouble, and with what.
pub fn summary(notice: &Notice) -> String {
    let about = about(notice);
    let Notice { rtt, threshold, .. } = notice;
    match (notice.state, notice.trigger, notice.chance_percent) {
        (AlertState::Resolved, ..) => format!("{about}: the alert on {rtt} above {threshold} resolved"),
        (AlertState::Firing, Trigger::Measured, _) => match &notice.measured {
            Some(measured) => format!("{about}: {rtt} is {measured}, above {threshold}"),
            None => format!("{about}: {rtt} is above {threshold}"),
        },
        (AlertState::Firing, Trigger::Forecast, Some(chance)) => {
            format!("{about}: {rtt} has a {chance} % chance of exceeding {threshold} within 10s")
        }
        (AlertState::Firing, Trigger::Forecast, None) => {
            format!("{about}: {rtt} is forecast to exceed {threshold} within 10s")
        }
    }
}

/// Who is in trouble, and where.
fn about(notice: &Notice) -> String {
    let within = |name: &str| match &notice.about.namespace {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name.to_owned(),
    };
    let who = match &notice.about.target {
        Target::Workload { kind, name } => format!("{kind} {}", within(name)),
        Target::Pod(name) => format!("Pod {}", within(name)),
        Target::Named(name) => name.clone(),
    };
    format!("{who} on {}", notice.about.node)
}

/// Causes on one line, the largest first; `None` when none is known.
pub fn causes(notice: &Notice) -> Option<String> {
    notice.causes.iter().map(|cause| cause.to_string()).reduce(|all, one| format!("{all}, {one}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notice::tests::{notice, resolved};

    #[test]
    fn values_are_rendered_in_units_that_suit_them() {
        for (value, unit, expected) in [
            ("89925", "µs", "90ms"),
            ("950", "µs", "950us"),
            ("0.2", "ratio", "20 %"),
            ("17", "1", "17"),
            ("2500000", "bytes/s", "2.5 MB/s"),
            ("950", "bytes", "950 B"),
            ("1.5", "packets/s", "1.5 packets/s"),
            ("n/a", "µs", "n/a µs"),
        ] {
            assert_eq!(quantity(value, unit), expected);
        }
    }

    #[test]
    fn groups_are_spelt_in_words() {
        assert_eq!(group("RttHistory"), "RTT history");
        assert_eq!(group("Queue"), "queue");
    }

    #[test]
    fn the_summary_says_who_is_in_trouble_with_what() {
        let expected = "Deployment shop/checkout on node1: RTT has a 74 % chance of exceeding 200ms within 10s";
        assert_eq!(summary(&notice()), expected);
        let measured =
            Notice { trigger: Trigger::Measured, measured: Some("244ms".to_owned()), chance_percent: None, ..notice() };
        assert_eq!(summary(&measured), "Deployment shop/checkout on node1: RTT is 244ms, above 200ms");
        assert_eq!(summary(&resolved()), "Deployment shop/checkout on node1: the alert on RTT above 200ms resolved");
        let mut alone = notice();
        alone.about.target = Target::Named("web1".to_owned());
        assert!(summary(&alone).starts_with("web1 on node1: "), "{}", summary(&alone));
    }

    #[test]
    fn causes_are_on_one_line() {
        let expected = "queue (61 %: standing_queue_max_10s is 182 kB, usually 9 kB)";
        assert_eq!(causes(&notice()).as_deref(), Some(expected));
        assert_eq!(causes(&Notice { causes: Vec::new(), ..notice() }), None);
    }
}
