//! The screen as text.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::{Agents, Policy, Status};
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
    let mut text = policies(&status.policies, style);
    text.push('\n');
    text += &alerts(status, style, now);
    text.push('\n');
    text += &agents(&status.agents, status.policies.is_empty(), style);
    for note in &status.notes {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", style.paint(Mood::Quiet, &format!("note: {}", clean(note))));
    }
    text
}

fn policies(policies: &[Policy], style: Style) -> String {
    let title = style.paint(Mood::Title, "POLICIES");
    if policies.is_empty() {
        return format!("{title}\n  no policy here: `kubectl apply` one (docs/policy-reference.md), or look with -A\n");
    }
    let header = ["NAMESPACE", "NAME", "MODE", "READY", "TARGETS", "FIRING", "RULE", "PRECISION", "RECALL", "LEAD"];
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
                own(if policy.ready { "yes" } else { "NO" }.to_owned()),
                own(maybe(policy.targets)),
                own(maybe(policy.firing)),
                maybe(rule.map(|rule| &rule.name)),
                percent(rule.and_then(|rule| rule.precision_percent)),
                percent(rule.and_then(|rule| rule.recall_percent)),
                maybe(rule.and_then(|rule| rule.lead_median.as_ref())),
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
            text += &indented(&format!("{}: {}", named(&trouble.condition, &trouble.reason), trouble.message), 6);
        }
    }
    text
}

/// `Ready` needs no name: the line above says that it is not.
fn named(condition: &str, reason: &str) -> String {
    if condition == "Ready" { reason.to_owned() } else { format!("{condition} {reason}") }
}

fn alerts(status: &Status, style: Style, now: Timestamp) -> String {
    let title = style.paint(Mood::Title, "ALERTS THAT ARE OUT");
    if status.alerts.is_empty() {
        return format!("{title}\n  none\n");
    }
    let header = ["NAMESPACE", "NAME", "SEVERITY", "POD", "THRESHOLD", "PREDICTED", "MEASURED", "LEAD", "FOR"];
    let rows: Vec<_> = status
        .alerts
        .iter()
        .take(SHOWN)
        .map(|alert| {
            [
                alert.namespace.clone(),
                alert.name.clone(),
                format!("{:?}", alert.severity),
                alert.pod.clone(),
                alert.threshold.to_string(),
                maybe(alert.predicted.as_ref()),
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
    if status.alerts.len() > SHOWN {
        let _ = writeln!(
            text,
            "  and {} more: kubectl get precursoralerts -A --field-selector status.state=Firing",
            status.alerts.len() - SHOWN
        );
    }
    text + "  why: kubectl netprecursor explain NAME -n NAMESPACE\n"
}

fn agents(agents: &Agents, is_without_policies: bool, style: Style) -> String {
    let title = style.paint(Mood::Title, "AGENTS");
    let text = match (agents.wanted, agents.reports) {
        (None, 0) if is_without_policies => "none: they start with the first policy".to_owned(),
        (None, 0) => format!("{NOTHING}: no node has reported yet"),
        (None, reports) => format!("{} ready, of {reports} nodes that have reported", agents.ready),
        (Some(wanted), _) => format!("{} of {wanted} ready", agents.ready),
    };
    let is_well = agents.troubles.is_empty()
        && agents.wanted.is_none_or(|wanted| usize::try_from(wanted).is_ok_and(|wanted| wanted <= agents.ready));
    let mut text = format!("{title}\n  {}\n", style.paint(if is_well { Mood::Good } else { Mood::Bad }, &text));
    for trouble in agents.troubles.iter().take(SHOWN) {
        text += &indented(&format!("{}: {}", trouble.node, trouble.message), 6);
    }
    if agents.troubles.len() > SHOWN {
        let _ = writeln!(text, "      and {} more: kubectl netprecursor doctor", agents.troubles.len() - SHOWN);
    }
    text
}
