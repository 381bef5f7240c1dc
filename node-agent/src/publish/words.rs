//! An alert in words and in the API's notation, for Events, conditions and log records.

use netprecursor_core::{
    alert::{Affected, Alert, Workload},
    causes::Cause,
    decide::{Resolution, Trigger},
    policy::Kind,
};
use netprecursor_crds::diagnosis::reasons::Firing;
use netprecursor_sinks::notice;
pub use netprecursor_sinks::words::{exact, rounded};

/// Bytes of an Event's note: what the API calls characters.
pub const MAX_NOTE: usize = 1024;

/// Bytes of what a rule means by RTT.
pub const MAX_RTT: usize = 128;

/// Why the alert is as it is now.
pub const fn reason(alert: &Alert) -> Firing {
    match (&alert.resolution, alert.trigger) {
        (None, Trigger::Forecast) => Firing::RttBreachForecast,
        (None, Trigger::Measured) => Firing::RttBreachMeasured,
        (Some(resolution), _) => match resolution {
            Resolution::Recovered => Firing::RttRecovered,
            Resolution::Silent => Firing::RttNotMeasured,
            Resolution::Gone | Resolution::TargetGone => Firing::TargetGone,
            Resolution::AgentLost => Firing::AgentRestarted,
            Resolution::Uninstalled => Firing::Uninstalled,
        },
    }
}

/// The state of the alert in one to three sentences.
pub fn note(alert: &Alert) -> String {
    // The alert's own namespace is a policy's, unless it is one of the cluster.
    let kind = if alert.policy.kind == Kind::Cluster { "cluster policy" } else { "policy" };
    let rule = format!("{kind} {}, rule {}", alert.policy.name, alert.rule);
    let threshold = exact(alert.threshold_us);
    let mut text = match alert.resolution {
        None => {
            let what = match alert.trigger {
                Trigger::Forecast => warning(alert),
                Trigger::Measured => {
                    let measured = us(alert.measured_us).map_or_else(|| "in breach".to_owned(), rounded);
                    format!("is {measured}, above the threshold of {threshold}")
                }
            };
            let causes = causes(&alert.causes).map(|causes| format!(" Cause: {causes}.")).unwrap_or_default();
            format!("{} {what} ({rule}).{causes}", rtt(alert))
        }
        Some(resolution) => {
            let why = match resolution {
                Resolution::Recovered => format!("{} stayed below the resolve threshold", rtt(alert)),
                Resolution::Silent => format!("{} is no longer measured", rtt(alert)),
                Resolution::Gone | Resolution::TargetGone => "the pod or the rule is gone".to_owned(),
                Resolution::AgentLost => "the agent restarted and has seen no breach since".to_owned(),
                Resolution::Uninstalled => "netprecursor was uninstalled".to_owned(),
            };
            let worst = us(alert.measured_us).map(|us| {
                format!(" The highest measured {} was {}; the threshold is {threshold}.", rtt(alert), rounded(us))
            });
            let lead = alert.lead_seconds.map(|lead| format!(" The warning came {lead}s before the breach."));
            format!("Resolved: {why} ({rule}).{}{}", worst.unwrap_or_default(), lead.unwrap_or_default())
        }
    };
    text += &affected(alert);
    cut(&text, MAX_NOTE)
}

/// Which pods of a workload the alert is about; nothing for an alert on one pod.
fn affected(alert: &Alert) -> String {
    let Some(affected) = &alert.affected else { return String::new() };
    let Affected { workload: Workload { kind, name }, count, firing, worst } = affected.as_ref();
    let pod = worst.first().map_or("", |pod| &pod.name);
    match (*count, *firing) {
        (1, _) => format!(" Pod {pod} of {kind} {name}."),
        (count, 0) => format!(" {count} pods of {kind} {name} on this node were affected; {pod} was the worst."),
        (count, firing) => {
            format!(" {count} pods of {kind} {name} on this node, {firing} of them firing, {pod} is the worst.")
        }
    }
}

/// What the rule means by RTT, without a long list of networks.
pub fn rtt(alert: &Alert) -> String {
    cut(&alert.rtt, MAX_RTT)
}

/// The warning. The chance triggers it, so the forecast itself may be below the threshold.
fn warning(alert: &Alert) -> String {
    let threshold = exact(alert.threshold_us);
    // Compared as shown: a value that rounds to the threshold is not reported as above it.
    let predicted_us = us(alert.predicted_us);
    let above = predicted_us.filter(|us| *us > alert.threshold_us).map(rounded).filter(|shown| *shown != threshold);
    match (above, alert.chance.map(percent)) {
        (Some(reached), Some(chance)) => {
            format!(
                "is forecast to reach {reached} within 10s, above the threshold of {threshold}; the chance of a breach is \
                 {chance} %"
            )
        }
        (Some(reached), None) => {
            format!("is forecast to reach {reached} within 10s, above the threshold of {threshold}")
        }
        (None, Some(chance)) => {
            let forecast = predicted_us.map(|us| format!(" (forecast {})", rounded(us))).unwrap_or_default();
            format!("has a {chance} % chance of exceeding the threshold of {threshold} within 10s{forecast}")
        }
        (None, None) => format!("is forecast to exceed the threshold of {threshold} within 10s"),
    }
}

/// Causes in words, the largest first; nothing when none is known.
pub fn causes(causes: &[Cause]) -> Option<String> {
    causes.iter().map(|one| cause(one).to_string()).reduce(|all, one| format!("{all}, {one}"))
}

/// A cause in words.
pub fn cause(cause: &Cause) -> notice::Cause {
    let Cause { group, feature, unit, value, baseline, share_percent } = cause;
    let [value, baseline] = [*value, *baseline].map(number);
    notice::Cause::new(group.name(), feature, unit, [&value, &baseline], *share_percent)
}

/// Three digits that matter, as a decimal number.
pub fn number(value: f32) -> String {
    if !value.is_finite() {
        return "unknown".to_owned();
    }
    let whole = value.abs().max(1.0).log10().floor() as usize;
    let text = format!("{value:.*}", 2_usize.saturating_sub(whole));
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// A duration in whole µs; none when it is not one.
pub fn us(us: Option<f32>) -> Option<u64> {
    us.filter(|us| us.is_finite() && *us >= 0.0).map(|us| us.round() as u64)
}

/// A share in whole percent.
pub fn percent(share: f32) -> u8 {
    (share.clamp(0.0, 1.0) * 100.0).round() as u8
}

/// At most `max` bytes, cut between characters, an ellipsis for the rest.
pub fn cut(text: &str, max: usize) -> String {
    const ELLIPSIS: char = '…';
    if text.len() <= max {
        return text.to_owned();
    }
    let mut kept = text[..text.floor_char_boundary(max.saturating_sub(ELLIPSIS.len_utf8()))].to_owned();
    kept.push(ELLIPSIS);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::firing::{alert, on_workload};

    #[test]
    fn numbers_are_shown_with_the_digits_that_matter() {
        let cases: [(f32, &str); 9] = [
            (182_345.0, "182345"),
            (9.0, "9"),
            (0.034, "0.03"),
            (12.345, "12.3"),
            (1.0, "1"),
            (-0.001, "0"),
            (-2.81759, "-2.82"),
            (100.0, "100"),
            (f32::NAN, "unknown"),
        ];
        for (value, expected) in cases {
            assert_eq!(number(value), expected);
        }
    }

    #[test]
    fn a_warning_says_what_is_ahead_and_why() {
        assert_eq!(
            note(&alert(0)),
            "RTT is forecast to reach 231ms within 10s, above the threshold of 200ms; the chance of a breach is 74 % (policy \
             checkout, rule rtt). Cause: queue (61 %: standing_queue_max_10s is 182 kB, usually 9 kB)."
        );
        assert_eq!(reason(&alert(0)), Firing::RttBreachForecast);
    }

    #[test]
    fn a_warning_says_of_the_forecast_what_is_so() {
        let ahead = |predicted_us, chance| {
            let note = note(&Alert { predicted_us, chance, causes: Vec::new(), ..alert(0) });
            note.strip_suffix(" (policy checkout, rule rtt).").unwrap_or(&note).to_owned()
        };
        let chance = "RTT has a 74 % chance of exceeding the threshold of 200ms within 10s";
        assert_eq!(ahead(Some(190_000.0), Some(0.74)), format!("{chance} (forecast 190ms)"));
        assert_eq!(ahead(Some(200_000.0), Some(0.74)), format!("{chance} (forecast 200ms)"));
        assert_eq!(ahead(Some(200_400.0), Some(0.74)), format!("{chance} (forecast 200ms)"));
        assert_eq!(ahead(None, Some(0.74)), chance);
        // Records of earlier releases.
        assert_eq!(
            ahead(Some(231_400.0), None),
            "RTT is forecast to reach 231ms within 10s, above the threshold of 200ms"
        );
        assert_eq!(ahead(Some(190_000.0), None), "RTT is forecast to exceed the threshold of 200ms within 10s");
    }

    #[test]
    fn a_breach_that_is_measured_needs_no_chance() {
        let measured =
            Alert { trigger: Trigger::Measured, measured_us: Some(244_000.0), causes: Vec::new(), ..alert(0) };
        assert_eq!(note(&measured), "RTT is 244ms, above the threshold of 200ms (policy checkout, rule rtt).");
        let lost = Alert { measured_us: None, ..measured.clone() };
        assert_eq!(note(&lost), "RTT is in breach, above the threshold of 200ms (policy checkout, rule rtt).");
        let seen = Alert { rtt: "P90 of the RTT inflation to external peers".to_owned(), ..measured };
        assert!(
            note(&seen).starts_with("P90 of the RTT inflation to external peers is 244ms, above"),
            "{}",
            note(&seen)
        );
    }

    #[test]
    fn shares_are_rendered_in_whole_percent() {
        for (share, expected) in [(0.0, 0), (0.004, 0), (0.744, 74), (0.996, 100), (1.5, 100), (-1.0, 0), (f32::NAN, 0)]
        {
            assert_eq!(percent(share), expected, "{share}");
        }
    }

    #[test]
    fn the_end_says_how_it_went() {
        let mut over = Alert { measured_us: Some(244_000.0), lead_seconds: Some(6), ..alert(0) };
        over.resolve(Resolution::Recovered, 1_700_000_030);
        assert_eq!(
            note(&over),
            "Resolved: RTT stayed below the resolve threshold (policy checkout, rule rtt). The highest measured RTT was \
             244ms; the threshold is 200ms. The warning came 6s before the breach."
        );
    }

    #[test]
    fn an_alert_on_a_workload_says_which_pods_it_is_about() {
        let ends = |pods, end: &str| {
            let note = note(&on_workload(0, pods));
            assert!(note.ends_with(end), "{note}");
        };
        ends(1, " Pod checkout-0 of Deployment checkout.");
        ends(30, " 30 pods of Deployment checkout on this node, 30 of them firing, checkout-0 is the worst.");
        let mut over = on_workload(0, 30);
        over.resolve(Resolution::Recovered, 1_700_000_030);
        let note = note(&over);
        assert!(
            note.ends_with(" 30 pods of Deployment checkout on this node were affected; checkout-0 was the worst."),
            "{note}"
        );
    }

    #[test]
    fn a_long_note_is_cut_between_characters() {
        let mut alert = alert(0);
        alert.causes = vec![Cause { feature: "ü".repeat(400).into(), ..alert.causes[0].clone() }; 4];
        let note = note(&alert);
        assert!((MAX_NOTE - 1..=MAX_NOTE).contains(&note.len()) && note.ends_with("ü…"), "{} {note}", note.len());
        assert_eq!(cut("äöü", 6), "äöü");
        assert_eq!(cut("äöüß", 7), "äö…");
        assert_eq!(cut("äöüß", 6), "ä…");
    }

    #[test]
    fn durations_are_as_the_api_reads_them() {
        let exactly = [(0, "0s"), (750, "750us"), (200_000, "200ms"), (1_500_000, "1s500ms"), (900_000_000, "900s")];
        for (us, text) in exactly {
            assert_eq!(exact(us), text);
            assert_eq!(netprecursor_crds::Duration::new(text).us(), Ok(us));
        }
        for (us, text) in [(0, "0us"), (9_999, "9999us"), (10_499, "10ms"), (231_400, "231ms"), (12_600_000, "13s")] {
            assert_eq!(rounded(us), text);
            assert!(netprecursor_crds::Duration::new(text).us().is_ok());
        }
        assert!(netprecursor_crds::Duration::new(rounded(u64::MAX)).us().is_ok());
    }
}
