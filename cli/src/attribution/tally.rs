//! How often the right group was named, by run: a run that struck six targets counts as much as one that struck one.

use std::collections::BTreeMap;

use netprecursor_core::{causes::Cause, features::Group};
use netprecursor_lab::labels::Origin;

/// The aim, over all runs.
const AIM: f64 = 0.7;

/// 90 % of the normal distribution lie within so many standard deviations.
const Z: f64 = 1.645;

/// The alerts of one run.
#[derive(Debug, Default)]
pub(super) struct Run {
    alerts: u32,
    right: u32,
    /// First the right group, or what follows from it.
    follows: u32,
    /// The right group among the first two.
    among_two: u32,
    /// How often each group was named first.
    first: BTreeMap<&'static str, u32>,
    /// How often each group would have been right.
    would: BTreeMap<&'static str, u32>,
}

/// The runs of all families.
#[derive(Debug, Default)]
pub(super) struct Tally(BTreeMap<String, Vec<Run>>);

impl Run {
    /// Counts an alert.
    pub(super) fn add(&mut self, causes: &[Cause], origin: Origin) {
        let is_right = |cause: &Cause| origin.begins.contains(&cause.group);
        let first = causes.first();
        self.alerts += 1;
        self.right += u32::from(first.is_some_and(is_right));
        self.follows += u32::from(first.is_some_and(|cause| is_right(cause) || origin.follows.contains(&cause.group)));
        self.among_two += u32::from(causes.iter().take(2).any(is_right));
        *self.first.entry(first.map_or("nothing", |cause| cause.group.name())).or_default() += 1;
        for group in origin.begins {
            *self.would.entry(group.name()).or_default() += 1;
        }
    }

    fn share(&self, count: u32) -> f64 {
        f64::from(count) / f64::from(self.alerts)
    }
}

impl Tally {
    /// Adds a run; one without alerts is not counted.
    pub(super) fn add(&mut self, family: &str, run: Run) {
        if run.alerts > 0 {
            self.0.entry(family.to_owned()).or_default().push(run);
        }
    }

    /// The table, with what naming always the same group, or any, would reach, and whether the aim is.
    pub(super) fn table(&self) -> String {
        let mut text = format!(
            "{:16} {:>5} {:>7}  {:20} {:>17} {:>15}  {}\n",
            "family", "runs", "alerts", "right first", "or what follows", "right in two", "named first (alerts)"
        );
        let mut line = |name: &str, runs: &[&Run]| {
            let mut named: BTreeMap<&str, u32> = BTreeMap::new();
            runs.iter().flat_map(|run| &run.first).for_each(|(group, n)| *named.entry(group).or_default() += n);
            let mut named: Vec<(&str, u32)> = named.into_iter().collect();
            named.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            let named: Vec<String> = named.iter().map(|(group, count)| format!("{group} {count}")).collect();
            text += &format!(
                "{name:16} {:>5} {:>7}  {:20} {:>17} {:>15}  {}\n",
                runs.len(),
                runs.iter().map(|run| run.alerts).sum::<u32>(),
                with_interval(mean(runs, |run| run.share(run.right)), runs.len()),
                percent(mean(runs, |run| run.share(run.follows))),
                percent(mean(runs, |run| run.share(run.among_two))),
                named.join(", "),
            );
        };
        for (family, runs) in &self.0 {
            line(family, &runs.iter().collect::<Vec<_>>());
        }
        let all: Vec<&Run> = self.0.values().flatten().collect();
        line("all", &all);
        let always = |group: Group| mean(&all, |run| run.share(run.would.get(group.name()).copied().unwrap_or(0)));
        let rates = Group::ALL.map(|group| (group, always(group).unwrap_or(0.0)));
        if let Some((group, rate)) = rates.iter().max_by(|a, b| a.1.total_cmp(&b.1)) {
            text += &format!("always {:<23} {}\n", group.name(), percent(Some(*rate)));
        }
        let random = rates.iter().map(|(_, rate)| rate).sum::<f64>() / rates.len() as f64;
        text += &format!("{:<30} {}\n", "any group, at random", percent(Some(random)));
        let reached = mean(&all, |run| run.share(run.right));
        let verdict = if reached.is_some_and(|share| share >= AIM) { "reached" } else { "missed" };
        text + &format!(
            "aim: the right group first in {:.0} % of the runs: {verdict}, {}\n",
            100.0 * AIM,
            percent(reached)
        )
    }
}

fn mean(runs: &[&Run], share: impl Fn(&Run) -> f64) -> Option<f64> {
    (!runs.is_empty()).then(|| runs.iter().map(|run| share(run)).sum::<f64>() / runs.len() as f64)
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "–".to_owned(), |share| format!("{:.0} %", 100.0 * share))
}

/// A share of `n` runs with Wilson's 90 % interval (1927, "Probable inference, the law of succession").
fn with_interval(share: Option<f64>, n: usize) -> String {
    let Some(share) = share else { return percent(None) };
    let n = n as f64;
    let (centre, spread) = (share + Z * Z / (2.0 * n), Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt());
    let [low, high] = [centre - spread, centre + spread].map(|bound| 100.0 * bound / (1.0 + Z * Z / n));
    format!("{:.0} % ({low:.0} … {high:.0})", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOAD: Origin = Origin { begins: &[Group::Rates, Group::Connections], follows: &[Group::Queue] };

    fn run(named: &[&[Group]]) -> Run {
        let cause = |group: &Group| {
            let (group, feature, unit) = (*group, "f", "1");
            Cause { group, feature: feature.into(), unit: unit.into(), value: 2.0, baseline: 1.0, share_percent: 50 }
        };
        let mut run = Run::default();
        for groups in named {
            run.add(&groups.iter().map(cause).collect::<Vec<_>>(), LOAD);
        }
        run
    }

    #[test]
    fn right_first_what_follows_and_right_in_two_are_told_apart() {
        let run = run(&[&[Group::Rates], &[Group::Queue, Group::Connections], &[Group::Pressure], &[]]);
        assert_eq!((run.alerts, run.right, run.follows, run.among_two), (4, 1, 2, 2));
        assert_eq!(run.first["nothing"], 1);
    }

    #[test]
    fn each_run_counts_the_same_and_constant_answers_are_set_beside() {
        let mut tally = Tally::default();
        tally.add("load", run(&[&[Group::Rates], &[Group::Rates], &[Group::Rates]]));
        tally.add("load", run(&[&[Group::Queue]]));
        tally.add("load", run(&[]));
        let text = tally.table();
        assert!(text.contains("50 % (12 … 88)"), "{text}");
        assert!(text.contains("100 %") && text.contains("missed, 50 %"), "{text}");
        let always = text.lines().find(|line| line.starts_with("always")).unwrap();
        assert!(always.ends_with("100 %"), "{always}");
        let random = text.lines().find(|line| line.starts_with("any group")).unwrap();
        assert!(random.ends_with("25 %"), "{random}");
    }

    #[test]
    fn wilsons_interval_is_wide_for_few_and_stays_within_bounds() {
        assert_eq!(with_interval(Some(0.5), 10), "50 % (27 … 73)");
        assert_eq!(with_interval(Some(1.0), 3), "100 % (53 … 100)");
        assert_eq!(with_interval(None, 0), "–");
    }
}
