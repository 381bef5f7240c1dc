//! The state of the agents as text.

use std::fmt::Write as _;

use netprecursor_crds::{
    diagnosis::Standing,
    report::{ClusterNetworks, NetworksFrom},
};

use super::{Counts, Doctor, NodeLine, Reported};
use crate::kubectl::{
    moment,
    style::{Mood, Style, clean, indented},
    table::{NOTHING, maybe, percent, table},
};

pub(in crate::kubectl) fn text(report: &Doctor, style: Style) -> String {
    let header = [
        "NODE",
        "AGENT",
        "VERSION",
        "KERNEL",
        "RTT",
        "COVERAGE",
        "TARGETS",
        "PENDING",
        "DROPPED",
        "CPU",
        "MEMORY",
        "HEARTBEAT",
    ];
    let rows: Vec<_> = report.nodes.iter().map(row).collect();
    let mut lines = table(header, &rows).into_iter();
    let mut text = format!("{}\n", style.paint(Mood::Title, &lines.next().unwrap_or_default()));
    // Writing to a String cannot fail.
    for (line, node) in lines.zip(&report.nodes) {
        let mood = match (node.problems.is_empty(), node.standing) {
            (false, _) => Mood::Bad,
            (true, Standing::Unwanted) => Mood::Quiet,
            (true, _) if !node.remarks.is_empty() => Mood::Warning,
            (true, _) => Mood::Good,
        };
        let _ = writeln!(text, "{}", style.paint(mood, &line));
        for (sign, lines) in [("✗", &node.problems), ("!", &node.remarks)] {
            lines.iter().for_each(|line| text += &indented(&format!("{sign} {line}"), 4));
        }
    }
    if report.nodes.is_empty() {
        text += "no nodes or reports found: agents start with the first policy\n";
    }
    if let Some(networks) = &report.cluster_networks {
        let _ = writeln!(text, "{}", style.paint(Mood::Quiet, &clean(&cluster_networks(networks))));
    }
    for (sign, mood, lines) in [("✗", Mood::Bad, &report.problems), ("!", Mood::Warning, &report.remarks)] {
        for line in lines {
            let _ = writeln!(text, "{}", style.paint(mood, &format!("{sign} {}", clean(line))));
        }
    }
    for note in &report.notes {
        let _ = writeln!(text, "{}", style.paint(Mood::Quiet, &format!("note: {}", clean(note))));
    }
    let things =
        |count: usize, one: &str, many: &str| if count == 1 { one.to_owned() } else { format!("{count} {many}") };
    text + &match report.counts {
        Counts { faults: 0, warnings: 0 } if report.notes.is_empty() => style.paint(Mood::Good, "Nothing is wrong."),
        Counts { faults: 0, warnings: 0 } => style.paint(Mood::Good, "Nothing is wrong in what you may see."),
        Counts { faults: 0, warnings } => {
            let look = things(warnings, "1 thing deserves a look", "things deserve a look");
            style.paint(Mood::Warning, &format!("{look}: see the lines with !."))
        }
        Counts { faults, .. } => {
            let wrong = things(faults, "1 thing is wrong", "things are wrong");
            style.paint(Mood::Bad, &format!("{wrong}: see the lines with ✗, and docs/troubleshooting.md for more."))
        }
    } + "\n"
}

/// Such as `cluster networks: from nodes: 10.96.0.0/12, 10.244.0.0/16 (2)`.
fn cluster_networks(networks: &ClusterNetworks) -> String {
    let ClusterNetworks { from, reason, networks, count } = networks;
    let from = match from {
        NetworksFrom::Given => "given",
        NetworksFrom::Nodes => "from nodes",
        NetworksFrom::PrivateRanges => "private ranges",
    };
    let more = if *count as usize > networks.len() { ", …" } else { "" };
    let why = reason.as_ref().map(|reason| format!("; {reason}")).unwrap_or_default();
    format!("cluster networks: {from}: {}{more} ({count}){why}", networks.join(", "))
}

fn row(line: &NodeLine) -> [String; 12] {
    let Reported { agent_version, kernel, rtt_source, socket_coverage_percent, targets, queue, overhead, .. } =
        match &line.report {
            Some(report) => report,
            None => {
                let mut row = [const { String::new() }; 12].map(|_| NOTHING.to_owned());
                (row[0], row[1]) = (line.node.clone(), format!("{:?}", line.standing));
                return row;
            }
        };
    [
        line.node.clone(),
        format!("{:?}", line.standing),
        agent_version.clone(),
        kernel.clone(),
        format!("{rtt_source:?}"),
        percent(*socket_coverage_percent),
        targets.to_string(),
        queue.pending.to_string(),
        queue.dropped.to_string(),
        maybe(overhead.as_ref().map(|overhead| &overhead.cpu)),
        maybe(overhead.as_ref().map(|overhead| &overhead.memory)),
        line.heartbeat_age_seconds.map_or_else(|| NOTHING.to_owned(), moment::span),
    ]
}
