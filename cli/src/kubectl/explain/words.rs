//! An explanation as text.

use std::fmt::Write as _;

use jiff::Timestamp;
use netprecursor_crds::{
    Duration,
    alert::{AlertPod, AlertState, Trigger, WorkloadReference},
};

use super::{
    Explanation, Reported,
    order::{Step, What},
    window::{Unavailable, Window},
};
use crate::{
    kubectl::{
        chart::{self, Plot, Point},
        moment,
        style::{Mood, Style, clean},
        table::NOTHING,
    },
    quantity::{spaced, time},
};

/// Letters of the longest bar, and of a cause's.
const BAR: usize = 40;
const SHARE: usize = 20;

/// The plot without its labels: with them it fits eighty columns.
const COLUMNS: usize = 66;
const ROWS: usize = 12;

/// Letters left of the plot.
const MARGIN: usize = 10;

pub(in crate::kubectl) fn text(explanation: &Explanation, style: Style, now: Timestamp) -> String {
    let Explanation { name, namespace, node, policy_kind, policy, rule, order, window, notes, .. } = explanation;
    let mut text = format!(
        "{} in {namespace}\n{} on node {node}; {} {policy}, rule {rule}\n",
        style.paint(Mood::Title, &clean(name)),
        subject(explanation),
        policy_kind.name()
    );
    let Some(reported) = &explanation.reported else {
        return text + "The agent has not reported its status yet: try again in a few seconds.\n";
    };
    text += &state(reported, style, now);
    text += &figures(reported, style);
    if explanation.workload.is_some() {
        text += &pods(reported);
    }
    text += &causes(reported, style);
    text += &steps(order, style);
    text += &match window {
        Window::Points { points, .. } => plot(points, reported, order, style),
        Window::Unavailable(why) => {
            // Nobody but its agent resolves it at once.
            let is_old = matches!(why, Unavailable::NoAgent { .. }) && reported.state == AlertState::Firing;
            let old = if is_old { "; the figures above are the last that its agent reported" } else { "" };
            format!("\nThere is no chart: {}{old}.\n", clean(&why.to_string()))
        }
    };
    // Writing to a String cannot fail.
    for note in notes {
        let _ = writeln!(text, "{}", style.paint(Mood::Quiet, &format!("note: {}", clean(note))));
    }
    text
}

/// What the alert is about.
fn subject(explanation: &Explanation) -> String {
    match (&explanation.workload, &explanation.pod) {
        (Some(WorkloadReference { kind, name }), _) => format!("{} {}", clean(kind), clean(name)),
        (None, Some(pod)) => format!("pod {}", clean(pod)),
        (None, None) => "a pod that is not known yet".to_owned(),
    }
}

/// The pods of a workload: how many, and the worst.
fn pods(reported: &Reported) -> String {
    let count = reported.pod_count.unwrap_or_default();
    let mut text = match (count, reported.firing_pod_count.unwrap_or_default()) {
        (1, _) => "\nOne pod:\n".to_owned(),
        (_, firing) => format!("\n{count} pods, {firing} of them firing:\n"),
    };
    // Writing to a String cannot fail.
    for AlertPod { name, state, predicted, measured, .. } in &reported.pods {
        let _ = writeln!(
            text,
            "  {:<40} {:<9} predicted {:>8}  measured {:>8}",
            clean(name),
            format!("{state:?}"),
            figure(predicted.as_ref()),
            figure(measured.as_ref())
        );
    }
    let more = (count as usize).saturating_sub(reported.pods.len());
    if more > 0 {
        let _ = writeln!(text, "  and {more} more");
    }
    text
}

fn state(reported: &Reported, style: Style, now: Timestamp) -> String {
    let mood = if reported.state == AlertState::Firing { Mood::Bad } else { Mood::Good };
    let times = if reported.count == 1 { "once".to_owned() } else { format!("{} times", reported.count) };
    let trigger = match reported.trigger {
        Trigger::Forecast => "on the forecast",
        Trigger::Measured => "on a measured breach, without a warning",
    };
    let state = style.paint(mood, &format!("{:?}", reported.state));
    let ago = moment::ago(now, reported.fired_at.0);
    let outcome = reported.outcome.verdict;
    let because = reported
        .confirmed_because
        .as_deref()
        .map(|because| format!(" ({})", because.trim_end_matches('.')))
        .unwrap_or_default();
    format!(
        "{state} ({:?}): fired {times}, last {ago} ago, {trigger}; {outcome}{}\n",
        reported.severity,
        clean(&because)
    )
}

/// A duration of the API's in µs; what is none draws nothing.
fn us(duration: &Duration) -> Option<f32> {
    duration.us().ok().map(|us| us as f32)
}

/// A duration of the API's as people read it; a dash where there is none.
fn figure(duration: Option<&Duration>) -> String {
    duration.map_or_else(|| NOTHING.to_owned(), |it| us(it).map_or_else(|| clean(&it.to_string()), time))
}

fn figures(reported: &Reported, style: Style) -> String {
    let rows = [
        ("predicted", reported.predicted.as_ref(), Mood::Warning),
        ("measured", reported.measured.as_ref(), Mood::Good),
        ("threshold", Some(&reported.threshold), Mood::Bad),
    ];
    let most = rows.iter().filter_map(|(_, duration, _)| us((*duration)?)).fold(0.0, f32::max);
    let mut text = String::from("\n");
    for (name, duration, mood) in rows {
        let shown = figure(duration);
        let bar = duration.and_then(us).map(|value| chart::bar(value, most, BAR)).unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {name:<10}{shown:>8}  {}", style.paint(mood, &bar));
    }
    if let Some(chance) = reported.chance_percent {
        let _ = writeln!(text, "  {:<10}{:>8}  of a breach within ten seconds", "chance", format!("{chance} %"));
    }
    if let Some(resolve) = &reported.resolve_threshold {
        let _ = writeln!(text, "  {:<10}{:>8}", "resolves", figure(Some(resolve)));
    }
    let lead = |lead: &Duration| match lead.us() {
        Ok(us @ 0..120_000_000) => format!("{} s", us / 1_000_000),
        Ok(us) => moment::span(i64::try_from(us / 1_000_000).unwrap_or(i64::MAX)),
        Err(_) => clean(&lead.to_string()),
    };
    let (shown, means) = (reported.lead.as_ref().map_or_else(|| NOTHING.to_owned(), lead), reported.outcome.lead);
    let _ = writeln!(text, "  {:<10}{shown:>8}  {means}", "lead");
    text
}

fn causes(reported: &Reported, style: Style) -> String {
    let model = &reported.model;
    let mut text = format!("\n{} by {}", style.paint(Mood::Title, "WHY"), clean(&model.name));
    if let Some(digest) = &model.sha256 {
        text += &format!(" (sha256 {}…)", digest.chars().take(12).collect::<String>());
    }
    if let Some(fallback) = &model.fallback {
        text += &format!(", a fallback: {}", clean(fallback));
    }
    text.push('\n');
    if reported.causes.is_empty() {
        text += "  nothing was unusual for the pod\n";
    }
    for cause in &reported.causes {
        let share = cause.cause.share_percent;
        let bar = chart::bar(f32::from(share), 100.0, SHARE);
        let padding = SHARE.saturating_sub(bar.chars().count());
        let words = clean(&cause.words).replace('\n', " ");
        let words = words.strip_prefix(&format!("{}: ", spaced(&cause.cause.group))).unwrap_or(&words);
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "  {:<12} {share:>3} % {}{:padding$} {words}",
            clean(&spaced(&cause.cause.group)),
            style.paint(Mood::Warning, &bar),
            ""
        );
    }
    text
}

fn steps(order: &[Step], style: Style) -> String {
    let mut text = format!("\n{} (UTC)\n", style.paint(Mood::Title, "WHAT HAPPENED"));
    let mut day = None;
    for Step { at, what, says } in order {
        // The day is shown where it changes.
        let today = at.0.strftime("%Y-%m-%d").to_string();
        if day.as_ref() != Some(&today) {
            let _ = writeln!(text, "  {today}");
            day = Some(today);
        }
        let says = says.as_deref().map(|says| clean(says).replace('\n', " ")).unwrap_or_default();
        let line = format!("  {}  {:<13}  {says}", moment::clock(at.0), what.word());
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn plot(points: &[Point], reported: &Reported, order: &[Step], style: Style) -> String {
    let (Some(first), Some(last), Some(threshold_us)) = (points.first(), points.last(), us(&reported.threshold)) else {
        return "\nThere is no chart: the agent has measured nothing yet.\n".to_owned();
    };
    let plot = Plot { points, threshold_us, columns: COLUMNS, rows: ROWS };
    let mut text = format!("\n{} of the pod, highest per column\n", style.paint(Mood::Title, "RTT"));
    for (row, line) in plot.lines(style).iter().enumerate() {
        let label = match row {
            row if row == plot.threshold_row() => time(threshold_us),
            0 => time(plot.top()),
            row if row + 1 == ROWS => "0".to_owned(),
            _ => String::new(),
        };
        let edge = if label.is_empty() { '│' } else { '┤' };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{label:>MARGIN$} {edge}{}", line.trim_end());
    }
    let _ = writeln!(text, "{:MARGIN$} └{}", "", "─".repeat(COLUMNS));
    for (column, words) in marks(&plot, order) {
        // On the left of the mark where there is no room on its right.
        let line = if column + 2 + words.chars().count() <= COLUMNS {
            format!("{:column$}▲ {words}", "")
        } else {
            let before = column.saturating_sub(words.chars().count() + 1);
            format!("{:before$}{words} ▲", "")
        };
        let _ = writeln!(text, "{:MARGIN$}  {line}", "");
    }
    let clock = |point: &Point| {
        i64::try_from(point.unix)
            .ok()
            .and_then(|unix| Timestamp::from_second(unix).ok())
            .map(moment::clock)
            .unwrap_or_default()
    };
    let _ =
        writeln!(text, "{:MARGIN$}  {}{:>width$}", "", clock(first), clock(last), width = COLUMNS.saturating_sub(8));
    let legend =
        [("█ measured", Mood::Good), ("• forecast for the next 10 s", Mood::Warning), ("─ threshold", Mood::Bad)];
    let legend: Vec<String> = legend.into_iter().map(|(words, mood)| style.paint(mood, words)).collect();
    text + &format!("{:MARGIN$}  {}\n", "", legend.join("   "))
}

/// Where something happened, by column; what confirmed it needs no mark of its own.
fn marks(plot: &Plot<'_>, order: &[Step]) -> Vec<(usize, String)> {
    let marked = order.iter().filter(|step| matches!(step.what, What::Fired | What::Breach | What::Resolved));
    marked
        .filter_map(|step| {
            let column = plot.column(u64::try_from(step.at.0.as_second()).ok()?)?;
            Some((column, format!("{} {}", step.what.word(), moment::clock(step.at.0))))
        })
        .collect()
}
