//! The screen as text.

use std::fmt::Write as _;

use jiff::Timestamp;
use netprecursor_crds::{
    diagnosis::{Finding, Severity},
    policy::Mode,
};

use super::Status;
use crate::kubectl::{
    moment,
    style::{Mood, Style, clean, indented},
    table::{NOTHING, maybe, percent, table},
};

/// Alerts and agents on the screen; the others are counted.
const SHOWN: usize = 10;

/// What stands for the namespace of a policy of the whole cluster.
const CLUSTER: &str = "(cluster)";

pub(in crate::kubectl) fn text(status: &Status, style: Style, now: Timestamp) -> String {
    let mut text = operator(status, style) + &policies(status, style);
    text.push('\n');
    text += &alerts(status, style, now);
    text.push('\n');
    text += &agents(status, style);
    for note in &status.notes {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", style.paint(Mood::Quiet, &format!("note: {}", clean(note))));
    }
    text
}

/// Shown only where something is wrong with it.
fn operator(status: &Status, style: Style) -> String {
    if status.operator.is_empty() {
        return String::new();
    }
    let findings: String = status.operator.iter().map(|finding| indented(&finding.to_string(), 2)).collect();
    let title = style.paint(Mood::Title, "OPERATOR");
    format!(
        "{title}\n{}  the states of policies below are the last that it reported\n\n",
        style.paint(Mood::Bad, &findings)
    )
}

fn policies(status: &Status, style: Style) -> String {
    let (title, policies) = (style.paint(Mood::Title, "POLICIES"), &status.policies);
    if policies.is_empty() {
        let why = if status.hides_policies {
            "none that you may see: the notes below list what is not permitted"
        } else {
            "no policy here: create one with `kubectl apply` (docs/policy-reference.md), or look at all namespaces with -A"
        };
        return format!("{title}\n  {why}\n");
    }
    let header = [
        "NAMESPACE",
        "NAME",
        "MODE",
        "READY",
        "TARGETS",
        "FIRING",
        "RULE",
        "PRECISION",
        "RECALL",
        "LEAD",
        "NEEDED",
        "REACHABLE",
    ];
    // Each rule has its line; what is the policy's stands on the first.
    let (mut rows, mut of) = (Vec::new(), Vec::new());
    for (index, policy) in policies.iter().enumerate() {
        for line in 0..policy.rules.len().max(1) {
            let rule = policy.rules.get(line);
            let own = |cell: String| if line == 0 { cell } else { String::new() };
            rows.push([
                own(policy.namespace.clone().unwrap_or_else(|| CLUSTER.to_owned())),
                own(policy.name.clone()),
                own(format!("{:?}", policy.mode)),
                own(match (policy.ready, status.operator.is_empty()) {
                    (true, true) => "yes",
                    (true, false) => "yes?",
                    (false, _) => "NO",
                }
                .to_owned()),
                own(maybe(policy.targets)),
                own(maybe(policy.firing)),
                maybe(rule.map(|rule| &rule.name)),
                percent(rule.and_then(|rule| rule.precision_percent)),
                percent(rule.and_then(|rule| rule.recall_percent)),
                maybe(rule.and_then(|rule| rule.lead_median.as_ref())),
                percent(rule.and_then(|rule| rule.needed_percent)),
                percent(rule.and_then(|rule| rule.reachable_percent)),
            ]);
            of.push(index);
        }
    }
    let mut lines = table(header, &rows).into_iter();
    let header = lines.next().unwrap_or_default();
    let mut text = format!("{title}\n  {}\n", style.paint(Mood::Quiet, &header));
    let lines: Vec<String> = lines.collect();
    for (position, (line, index)) in lines.iter().zip(&of).enumerate() {
        let policy = &policies[*index];
        let painted = if policy.ready { line.clone() } else { style.paint(Mood::Bad, line) };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {painted}");
        if of.get(position + 1) == Some(index) {
            continue;
        }
        for trouble in &policy.troubles {
            text += &indented(&format!("{}: {trouble}", named(&trouble.condition, &trouble.reason)), 6);
        }
    }
    text
}

/// `Ready` needs no name: the line above says that it is not.
fn named(condition: &str, reason: &str) -> String {
    if matches!(condition, "Ready" | "") { reason.to_owned() } else { format!("{condition} {reason}") }
}

fn alerts(status: &Status, style: Style, now: Timestamp) -> String {
    let title = style.paint(Mood::Title, "FIRING ALERTS");
    let Some(alerts) = &status.alerts else {
        return format!("{title}\n  not permitted: see the notes below\n");
    };
    if alerts.is_empty() {
        let shadows = status.policies.iter().filter(|policy| policy.mode == Mode::Shadow).count();
        let why = if shadows == 0 { "none" } else { "none; policies in mode Shadow count alerts but publish none" };
        return format!("{title}\n  {why}\n");
    }
    let header =
        ["NAMESPACE", "NAME", "SEVERITY", "POD", "THRESHOLD", "PREDICTED", "CHANCE", "MEASURED", "LEAD", "FOR"];
    let rows: Vec<_> = alerts
        .iter()
        .take(SHOWN)
        .map(|alert| {
            [
                alert.namespace.clone(),
                alert.name.clone(),
                format!("{:?}", alert.severity),
                match alert.pod_count {
                    Some(count @ 2..) => format!("{} and {} more", alert.pod, count - 1),
                    _ => alert.pod.clone(),
                },
                alert.threshold.to_string(),
                maybe(alert.predicted.as_ref()),
                percent(alert.chance_percent),
                maybe(alert.measured.as_ref()),
                maybe(alert.lead.as_ref()),
                moment::ago(now, alert.fired_at.0),
            ]
        })
        .collect();
    let mut text = format!("{title}\n");
    for (index, line) in table(header, &rows).iter().enumerate() {
        let mood = if index == 0 { Mood::Quiet } else { Mood::Warning };
        let _ = writeln!(text, "  {}", style.paint(mood, line));
    }
    if alerts.len() > SHOWN {
        let _ = writeln!(
            text,
            "  and {} more: kubectl get precursoralerts -A --field-selector status.state=Firing",
            alerts.len() - SHOWN
        );
    }
    text + "  why: kubectl netprecursor explain NAME -n NAMESPACE\n"
}

fn agents(status: &Status, style: Style) -> String {
    let (title, agents) = (style.paint(Mood::Title, "AGENTS"), &status.agents);
    let mut text = match (agents.wanted, agents.reports) {
        (Some(wanted), _) => format!("{} of {wanted} ready", agents.ready),
        (None, None) => format!("{NOTHING}: not permitted"),
        (None, Some(0)) if status.policies.is_empty() => "none: they start with the first policy".to_owned(),
        (None, Some(0)) => format!("{NOTHING}: no node has reported yet"),
        (None, Some(reports)) => format!("{} ready, of {reports} nodes that have reported", agents.ready),
    };
    if let Some(finding) = &agents.finding {
        text += &format!(": {}", clean(&finding.reason));
    }
    let mood = match (&agents.finding, agents.troubles.is_empty()) {
        (None, true) => Mood::Good,
        (Some(Finding { severity: Severity::Warning, .. }), _) => Mood::Warning,
        _ => Mood::Bad,
    };
    let mut text = format!("{title}\n  {}\n", style.paint(mood, &text));
    if let Some(finding) = agents.finding.as_ref().filter(|finding| !is_shown(status, finding)) {
        text += &indented(&finding.to_string(), 6);
    }
    for trouble in agents.troubles.iter().take(SHOWN) {
        text += &indented(&format!("{}: {}", trouble.node, trouble.message), 6);
    }
    if agents.troubles.len() > SHOWN {
        let _ = writeln!(text, "      and {} more: kubectl netprecursor doctor", agents.troubles.len() - SHOWN);
    }
    text
}

/// Whether a policy above has the same words.
fn is_shown(status: &Status, finding: &Finding) -> bool {
    let mut troubles = status.policies.iter().flat_map(|policy| &policy.troubles);
    troubles.any(|trouble| trouble.message.ends_with(&finding.message) && trouble.advice == finding.advice)
}
