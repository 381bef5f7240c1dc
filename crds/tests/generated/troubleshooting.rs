//! `docs/troubleshooting.md`: its tables of reasons are those by which operator and plugin decide what to do.

use std::fs;

use netprecursor_crds::diagnosis::{
    Place,
    reasons::{ALERT, FOUND, POLICY, REPORT, Reason, all},
};

use crate::assert_committed;

const FILE: &str = "docs/troubleshooting.md";

/// Where a table begins, with its name, and where it ends.
const BEGIN: &str = "<!-- made from crds/src/diagnosis/reasons.rs: ";
const END: &str = "<!-- end -->";

#[test]
fn the_committed_tables_are_those_of_the_reasons() {
    let path = format!("{}/../{FILE}", env!("CARGO_MANIFEST_DIR"));
    let committed = fs::read_to_string(path).unwrap();
    let mut parts = committed.split(BEGIN);
    let mut text = parts.next().unwrap().to_owned();
    let mut told = 0;
    for part in parts {
        let (name, rest) = part.split_once(" -->\n").unwrap();
        let (_, rest) = rest.split_once(END).unwrap();
        let reasons = reasons_of(name);
        told += reasons.len();
        text += &format!("{BEGIN}{name} -->\n{}{END}{rest}", table(name, &reasons));
    }
    assert_committed(FILE, &text);
    let count = [POLICY, REPORT, ALERT, FOUND].into_iter().flat_map(all).count();
    assert_eq!(told, count, "a reason stands in no table, or in two");
}

fn reasons_of(name: &str) -> Vec<&'static Reason> {
    let always = ["Ready", "AgentsReady", "TargetsResolved", "ModelReady"];
    let chosen: Vec<_> = match name {
        "signs of a policy" => all(POLICY).filter(|reason| !always.contains(&reason.condition)).collect(),
        "a report" => all(REPORT).collect(),
        "an alert" => all(ALERT).collect(),
        "found" => all(FOUND).collect(),
        condition => all(POLICY).filter(|reason| reason.condition == condition).collect(),
    };
    assert!(!chosen.is_empty(), "{FILE} has a table of {name}, of which there are no reasons");
    chosen
}

fn table(name: &str, reasons: &[&Reason]) -> String {
    let place = Place { release: Some("netprecursor".to_owned()), ..Place::new("netprecursor-system") };
    let (header, line) = match name {
        "signs of a policy" | "a report" => ("| condition | reason | status | what to do |", "|---|---|---|---|"),
        "an alert" => ("| condition | reason | status | what it means |", "|---|---|---|---|"),
        "found" => ("| reason | what to do |", "|---|---|"),
        _ => ("| reason | status | what to do |", "|---|---|---|"),
    };
    let mut text = format!("{header}\n{line}\n");
    for Reason { condition, name: reason, status, advice, .. } in reasons {
        let advice = place.fill(advice);
        text += &match name {
            "signs of a policy" | "a report" | "an alert" => {
                format!("| `{condition}` | `{reason}` | {status} | {advice} |\n")
            }
            "found" => format!("| `{reason}` | {advice} |\n"),
            _ => format!("| `{reason}` | {status} | {advice} |\n"),
        };
    }
    text
}
