//! Numbers and transitions in words, the same on the terminal and in the log of a run.

use netprecursor_core::{
    alert::{Alert, AlertState, Confirmed},
    causes::Cause,
    decide::{Resolution, Trigger},
    gate::{Gate, WARM_UP_TICKS},
};

use super::api::Target;
use crate::agent_api::RuleState;
pub(super) use crate::quantity::{maybe_time, time};
use crate::quantity::{percent, quantity, spaced};

/// Minutes and seconds.
pub(super) fn clock(seconds: f64) -> String {
    let seconds = seconds.max(0.0) as u64;
    format!("{:02}:{:02}", seconds / 60, seconds % 60)
}

/// A cause on one line: group, share, value and baseline.
pub(super) fn cause(cause: &Cause) -> String {
    let [value, baseline] = [cause.value, cause.baseline].map(|value| quantity(value, &cause.unit));
    format!("{} {} %: {} {value}, usually {baseline}", spaced(cause.group.name()), cause.share_percent, cause.feature)
}

/// Without the lab's own part of the name: `web3` of `nplab1cd-web3`.
pub(super) fn short(target: &str) -> &str {
    target.split_once('-').map_or(target, |(_, name)| name)
}

/// How urgent a state is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Quiet,
    Calm,
    Warning,
    Trouble,
}

/// The state of a target.
pub(super) fn state(target: &Target, alert: Option<&Alert>, threshold_us: f32) -> (Mood, String) {
    let Some(rule) = target.rules.first() else { return (Mood::Quiet, "no rule".to_owned()) };
    let breached = target.measured_us.is_some_and(|us| us > threshold_us);
    match (rule.gate, rule.state) {
        (_, RuleState::Firing) if breached => {
            let lead = alert.and_then(|alert| alert.lead_seconds);
            let warned = lead.map_or_else(|| "no warning".to_owned(), |lead| format!("warned {lead} s ahead"));
            (Mood::Trouble, format!("TROUBLE, {warned}"))
        }
        (_, RuleState::Firing) => (Mood::Warning, "WARNING".to_owned()),
        (_, RuleState::Resolving) => (Mood::Calm, "recovering".to_owned()),
        (Some(Gate::WarmingUp { ticks, .. }), _) if ticks < WARM_UP_TICKS => {
            (Mood::Quiet, format!("warming up {ticks}/{WARM_UP_TICKS}"))
        }
        (Some(gate), _) => (Mood::Quiet, gate.to_string()),
        (None, _) if breached => (Mood::Trouble, "TROUBLE".to_owned()),
        (None, RuleState::Pending) => (Mood::Calm, "pending".to_owned()),
        (None, RuleState::Idle) => (Mood::Calm, "calm".to_owned()),
    }
}

/// The transitions of an alert since it was last shown: its latest firing, then the verdict, then the end.
pub(super) fn transitions(before: Option<&Alert>, now: &Alert, threshold: &str) -> Vec<String> {
    let name = short(&now.target);
    let mut transitions = Vec::new();
    let is_new = before.is_none_or(|before| before.count != now.count);
    let known = before.filter(|_| !is_new);
    if is_new {
        let why = now.causes.first().map(|first| format!("; {}", cause(first))).unwrap_or_default();
        let measured = maybe_time(now.measured_us);
        transitions.push(match now.trigger {
            Trigger::Forecast => format!(
                "{name} WARNING: {} chance of more than {threshold} within 10 s, forecast {}, now {measured}{why}",
                percent(now.chance.map(f64::from)),
                maybe_time(now.predicted_us)
            ),
            Trigger::Measured => format!("{name} TROUBLE without a warning: {measured}, limit {threshold}{why}"),
        });
    }
    if known.map_or(Confirmed::Unknown, |known| known.confirmed) != now.confirmed {
        transitions.push(match (now.confirmed, now.lead_seconds) {
            (Confirmed::True, Some(lead)) => {
                format!("{name} came true {lead} s after the warning: {}", maybe_time(now.measured_us))
            }
            (Confirmed::True, None) => format!("{name} came true"),
            (Confirmed::False, _) => format!("{name} was a false alarm: no breach in time"),
            (Confirmed::Unknown, _) => format!("{name} is open again"),
        });
    }
    let was_over = known.is_some_and(|known| known.state == AlertState::Resolved);
    if now.state == AlertState::Resolved && !was_over {
        transitions.push(match now.resolution {
            Some(Resolution::Silent) => format!("{name} is over: nothing is measured any more"),
            Some(Resolution::Gone | Resolution::TargetGone | Resolution::AgentLost | Resolution::Uninstalled) => {
                format!("{name} is gone")
            }
            Some(Resolution::Recovered) | None => format!("{name} has recovered"),
        });
    }
    transitions
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An alert of `web1` as its JSON would have it.
    pub(crate) fn alert(edits: &[(&str, serde_json::Value)]) -> Alert {
        let mut json = serde_json::json!({
            "name": "demo-1", "policyKind": "PrecursorPolicy", "policy": "demo", "rule": "rtt", "target": "npla-web1",
            "targetUid": "u", "severity": "Warning", "state": "Firing", "trigger": "Forecast", "thresholdUs": 100_000,
            "resolveUs": 80_000, "predictedUs": 132_000.0, "chance": 0.87, "measuredUs": 61_000.0, "leadSeconds": null,
            "confirmed": "Unknown", "judgedUnix": null, "count": 1, "firedUnix": 100, "resolvedUnix": null,
            "resolution": null, "model": {"name": "max-10"}, "causes": [{"group": "RttHistory", "feature": "rtt_measured_max10_ln", "unit": "µs",
            "value": 61_000.0, "baseline": 14_000.0, "sharePercent": 100}]
        });
        for (key, value) in edits {
            json[*key] = value.clone();
        }
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn names_and_times_of_a_run_are_short() {
        assert_eq!((clock(83.9), short("nplab-web3")), ("01:23".into(), "web3"));
    }

    #[test]
    fn each_transition_of_an_alert_is_shown_once() {
        let fired = alert(&[]);
        let confirmed =
            alert(&[("confirmed", "True".into()), ("leadSeconds", 6.into()), ("measuredUs", 143_000.0.into())]);
        let over = Alert { state: AlertState::Resolved, resolution: Some(Resolution::Recovered), ..confirmed.clone() };
        let shown = transitions(None, &fired, "100 ms");
        assert_eq!(
            shown,
            ["web1 WARNING: 87 % chance of more than 100 ms within 10 s, forecast 132 ms, now 61 ms; \
              RTT history 100 %: rtt_measured_max10_ln 61 ms, usually 14 ms"]
        );
        assert_eq!(transitions(Some(&fired), &fired, "100 ms"), Vec::<String>::new());
        assert_eq!(transitions(Some(&fired), &confirmed, "100 ms"), ["web1 came true 6 s after the warning: 143 ms"]);
        assert_eq!(transitions(Some(&confirmed), &over, "100 ms"), ["web1 has recovered"]);
        let again = Alert { count: 2, ..alert(&[("trigger", "Measured".into())]) };
        assert!(transitions(Some(&over), &again, "100 ms")[0].starts_with("web1 TROUBLE without a warning: 61 ms"));
    }

    #[test]
    fn a_false_alarm_is_called_one() {
        let vain = alert(&[("confirmed", "False".into())]);
        assert_eq!(transitions(Some(&alert(&[])), &vain, "100 ms"), ["web1 was a false alarm: no breach in time"]);
    }

    #[test]
    fn states_are_shown_in_words() {
        let target = |measured: f32, rule: &str| Target {
            target: "npla-web1".into(),
            measured_us: Some(measured),
            predicted_us: None,
            chance: None,
            rules: vec![serde_json::from_str(rule).unwrap()],
        };
        let warming = r#"{"state":"Idle","gate":"WarmingUp","ticks":37,"samples":30}"#;
        let confirmed = alert(&[("leadSeconds", 6.into())]);
        for (measured, rule, alert, words) in [
            (9e3, warming, None, "warming up 37/60"),
            (9e3, r#"{"state":"Idle","gate":"Missing"}"#, None, "no RTT was ever measured"),
            (9e3, r#"{"state":"Idle"}"#, None, "calm"),
            (9e3, r#"{"state":"Firing"}"#, None, "WARNING"),
            (2e5, r#"{"state":"Firing"}"#, Some(&confirmed), "TROUBLE, warned 6 s ahead"),
            (2e5, r#"{"state":"Firing"}"#, None, "TROUBLE, no warning"),
        ] {
            assert_eq!(state(&target(measured, rule), alert, 1e5).1, words);
        }
    }
}
