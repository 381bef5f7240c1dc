//! The outcome of each tier: the closing table, `tiers.json`, and the verdict.

use std::fmt::Write as _;

use serde::Serialize;

/// How many checks went which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    /// Checks that held.
    pub(crate) passed: u64,
    /// Checks that did not.
    pub(crate) failed: u64,
    /// Checks that did not run; never counted as passed.
    pub(crate) skipped: u64,
}

impl Counts {
    /// Adds the counts of `other`.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }

    /// Counts in what a test binary prints. Lines of libtest's summary count; a binary without harness has none, there
    /// each `test NAME ... ok` counts. A test that prints `skipped: REASON` and returns has not passed.
    pub(crate) fn in_output(output: &str) -> Self {
        let mut counts = Self::default();
        let (mut without_harness, mut has_summary) = (0, false);
        for line in output.lines() {
            if let Some(summary) = line.strip_prefix("test result: ") {
                has_summary = true;
                counts.add(Self::in_summary(summary));
            } else if line.starts_with("test ") && line.ends_with(" ... ok") {
                without_harness += 1;
            }
        }
        if !has_summary {
            counts.passed = without_harness;
        }
        let excused = (excuses(output).len() as u64).min(counts.passed);
        Self { passed: counts.passed - excused, skipped: counts.skipped + excused, ..counts }
    }

    /// Of `ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.02s`.
    fn in_summary(summary: &str) -> Self {
        let number = |word: &str| {
            let mut parts = summary.split([';', '.']).map(str::trim);
            parts.find_map(|part| part.strip_suffix(word)?.trim().parse().ok()).unwrap_or(0)
        };
        Self { passed: number("passed"), failed: number("failed"), skipped: number("ignored") }
    }
}

/// Why tests did not run that say so themselves, one for each.
pub(crate) fn excuses(output: &str) -> Vec<String> {
    output.lines().filter_map(|line| line.strip_prefix("skipped: ")).map(str::to_owned).collect()
}

/// The tests that failed, each with what it panicked with, in a line.
pub(crate) fn failures(output: &str) -> Vec<String> {
    let failed = output.lines().filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"));
    failed.map(|test| format!("{test}: {}", last_words(output, test))).collect()
}

/// Where and with what a test panicked, as libtest shows it.
fn last_words(output: &str, test: &str) -> String {
    let mut lines = output.lines().skip_while(|line| *line != format!("---- {test} stdout ----"));
    let Some(place) = lines.find_map(|line| line.split_once(" panicked at ").map(|(_, place)| place)) else {
        return "no panic in its output".to_owned();
    };
    let message = lines.next().unwrap_or_default();
    // What a command printed is one line here, of which both ends say most.
    let letters: Vec<char> = message.chars().collect();
    let text = match letters.len() {
        0..=800 => message.to_owned(),
        length => letters[..400].iter().chain(&[' ', '…', ' ']).chain(&letters[length - 400..]).collect(),
    };
    format!("{place} {text}")
}

/// The outcome of a tier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// All of it ran and held.
    Ran,
    /// None of it ran.
    Skipped {
        /// Why.
        reason: String,
        /// Whether this machine could run it, had it been set up: then its absence fails in CI.
        able: bool,
    },
    /// Something did not hold.
    Failed {
        /// What.
        reason: String,
    },
}

/// One line of the table.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    /// The tier.
    pub(crate) name: &'static str,
    /// Its outcome.
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
    /// How long it took.
    pub(crate) seconds: f64,
    /// Its checks.
    #[serde(flatten)]
    pub(crate) counts: Counts,
    /// Parts that did not run, and figures worth a line.
    pub(crate) notes: Vec<String>,
    /// Tests that failed, with the reason.
    pub(crate) failures: Vec<String>,
}

/// All tiers.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    tiers: Vec<Row>,
    #[serde(flatten)]
    counts: Counts,
    ok: bool,
    ci: bool,
}

impl Report {
    /// The verdict over `tiers`. In `ci`, a tier that this machine could have run must have run.
    pub(crate) fn new(tiers: Vec<Row>, ci: bool) -> Self {
        let mut counts = Counts::default();
        tiers.iter().for_each(|row| counts.add(row.counts));
        let ok = tiers.iter().all(|row| match &row.outcome {
            Outcome::Ran => true,
            Outcome::Skipped { able, .. } => !(ci && *able),
            Outcome::Failed { .. } => false,
        });
        Self { tiers, counts, ok, ci }
    }

    /// Whether nothing failed.
    pub(crate) const fn is_ok(&self) -> bool {
        self.ok
    }

    /// The table, one line a tier, and the sums on a line of their own.
    pub(crate) fn table(&self) -> String {
        let mut text = format!(
            "{:<8} {:<8} {:>7}  {:>6} {:>6} {:>7}\n",
            "tier", "state", "seconds", "passed", "failed", "skipped"
        );
        for row in &self.tiers {
            let (state, reason) = match &row.outcome {
                Outcome::Ran => ("ran", String::new()),
                Outcome::Skipped { reason, able: true } if self.ci => {
                    ("skipped", format!("{reason} (fails: this machine could run it)"))
                }
                Outcome::Skipped { reason, .. } => ("skipped", reason.clone()),
                Outcome::Failed { reason } => ("FAILED", reason.clone()),
            };
            let Counts { passed, failed, skipped } = row.counts;
            let reasons: Vec<&str> = std::iter::once(reason.as_str())
                .chain(row.notes.iter().map(String::as_str))
                .filter(|text| !text.is_empty())
                .collect();
            let line = format!(
                "{:<8} {state:<8} {:>7.1}  {passed:>6} {failed:>6} {skipped:>7}  {}",
                row.name,
                row.seconds,
                reasons.join("; ")
            );
            // Writing to a String does not fail.
            let _ = writeln!(text, "{}", line.trim_end());
        }
        let Counts { passed, failed, skipped } = self.counts;
        let _ = writeln!(text, "\n{passed} passed, {failed} failed, {skipped} skipped");
        for (tier, failure) in self.tiers.iter().flat_map(|row| row.failures.iter().map(move |one| (row.name, one))) {
            let _ = writeln!(text, "FAILED {tier} {failure}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &'static str, outcome: Outcome, counts: Counts) -> Row {
        Row { name, outcome, seconds: 1.25, counts, notes: Vec::new(), failures: Vec::new() }
    }

    #[test]
    fn summaries_of_several_binaries_add_up() {
        let output = "running 2 tests\ntest a ... ok\ntest b ... FAILED\n\
            test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
            test c ... ok\ntest result: ok. 3 passed; 0 failed; 2 ignored; 0 measured; 7 filtered out; finished in 1.50s\n";
        assert_eq!(Counts::in_output(output), Counts { passed: 4, failed: 1, skipped: 2 });
    }

    #[test]
    fn a_binary_without_harness_is_counted_by_its_lines() {
        assert_eq!(Counts::in_output("test a ... ok\nnoise\ntest b ... ok\n").passed, 2);
    }

    #[test]
    fn a_test_that_excuses_itself_has_not_passed() {
        let output = "---- a stdout ----\nskipped: not root\n\ntest result: ok. 5 passed; 0 failed; 0 ignored;\n";
        assert_eq!(Counts::in_output(output), Counts { passed: 4, failed: 0, skipped: 1 });
    }

    #[test]
    fn a_test_that_failed_is_named_below_the_table_with_its_panic() {
        let output = "test a ... ok\ntest b::c ... FAILED\ntest d ... FAILED\n\nfailures:\n\n---- b::c stdout ----\n\
            $ kubectl get pods\n\nthread 'b::c' (7) panicked at e2e/tests/b.rs:59:5:\nno end within 300 s\nnote: run with\n";
        let failures = failures(output);
        assert_eq!(failures, ["b::c: e2e/tests/b.rs:59:5: no end within 300 s", "d: no panic in its output"]);
        let failed = Row { failures, ..row("api", Outcome::Failed { reason: "x".into() }, Counts::default()) };
        let table = Report::new(vec![failed], true).table();
        assert!(table.ends_with("FAILED api d: no panic in its output\n"), "{table}");
    }

    #[test]
    fn a_skip_that_was_avoidable_fails_in_ci_only() {
        let skipped = |able| row("vm", Outcome::Skipped { reason: "no qemu".into(), able }, Counts::default());
        assert!(Report::new(vec![skipped(true)], false).is_ok());
        assert!(!Report::new(vec![skipped(true)], true).is_ok());
        assert!(Report::new(vec![skipped(false)], true).is_ok());
    }

    #[test]
    fn the_table_has_every_tier_with_its_reason_and_the_sums_alone_on_a_line() {
        let counts = Counts { passed: 10, failed: 1, skipped: 0 };
        let rows = vec![
            row("unit", Outcome::Failed { reason: "exit status: 101".into() }, counts),
            row("vm", Outcome::Skipped { reason: "no qemu".into(), able: false }, Counts::default()),
        ];
        let report = Report::new(rows, true);
        let table = report.table();
        assert!(table.lines().any(|line| line == "10 passed, 1 failed, 0 skipped"), "{table}");
        assert!(table.contains("FAILED") && table.contains("exit status: 101") && table.contains("no qemu"), "{table}");
        assert!(!report.is_ok());
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["tiers"][1]["state"], "skipped");
        assert_eq!(json["passed"], 10);
    }
}
