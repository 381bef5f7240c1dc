//! The checks as text.

use std::fmt::Write as _;

use super::{AGENTS, Check, InstallCheck, POLICIES, Verdict};
use crate::kubectl::style::{Mood, Style, clean};

pub(in crate::kubectl) fn text(report: &InstallCheck, style: Style) -> String {
    let title = format!("netprecursor in namespace {}", clean(&report.install_namespace));
    let mut text = format!("{}\n", style.paint(Mood::Title, &title));
    let width = report.checks.iter().map(|check| check.name.chars().count()).max().unwrap_or(0);
    for check in &report.checks {
        let (sign, mood) = match check.verdict {
            Verdict::Good => ('✓', Mood::Good),
            Verdict::Bad => ('✗', Mood::Bad),
            Verdict::Open => ('–', Mood::Quiet),
        };
        let sign = style.paint(mood, &format!("{sign} {:<width$}", check.name));
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{sign}   {}", clean(&check.says).replace('\n', " "));
        if let Some(fix) = &check.fix {
            let _ = writeln!(text, "  {:width$}   → {}", "", clean(fix).replace('\n', " "));
        }
    }
    // What is not there yet is well; what a diagnosis found is not.
    let is_found = |check: &&Check| check.verdict == Verdict::Open && matches!(check.name, AGENTS | POLICIES);
    let wants_look = report.checks.iter().filter(is_found).any(|check| check.fix.is_some());
    text + &match (report.is_well, report.is_installed) {
        (true, true) if wants_look => {
            style.paint(Mood::Warning, "Nothing is broken, but the lines with – and → deserve a look.")
        }
        (true, true) => style.paint(Mood::Good, "All is well."),
        (true, false) => style.paint(Mood::Good, "The cluster is ready for an installation."),
        (false, _) => style.paint(Mood::Bad, "Something needs to be fixed: see the lines with ✗."),
    } + "\n"
}
