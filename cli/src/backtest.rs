//! `netprecursor backtest`: what a model or a rule of thumb would have warned of in recordings, by the agent's own fold.

mod chances;
mod drawn;
mod fixed;
pub(crate) mod forecaster;
mod moments;
mod page;
mod pinball;
mod sweep;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use netprecursor_core::{
    adapt::Learned,
    features::{self, COUNT},
    gate::Start,
    policy::{Identity, Rule, Thresholds},
    score::Scorecard,
    tick::Tick,
    watch::{Ledger, Watch},
};
use netprecursor_crds::policies_from_yaml;
use netprecursor_models::{Batch, Forecaster, builtin};
use serde::Serialize;

use crate::{
    arguments,
    quantity::{percent, seconds},
    recording::Recording,
    replay, terminal,
};
use chances::{Chances, Counted};
use drawn::{Drawn, Followed};
use fixed::FixedWatch;
use moments::{Counts, Owner};
use page::{Page, Unwritten};
use pinball::{Losses, Pairing, Rivals, Tally};

/// Shows what a model or a rule of thumb would have warned of in recordings: precision, recall, lead time
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// An ONNX model, naive:NAME for a rule of thumb, or adaptive for all of them mixed in place
    #[arg(long, value_name = "FILE|naive:NAME|adaptive")]
    model: String,
    /// Offsets of the rules of thumb; those of the release when absent
    #[arg(long, value_name = "FILE.json", value_parser = arguments::file())]
    offsets: Option<PathBuf>,
    /// What adaptive begins with, as 'netprecursor learn' writes it; that of the release when absent
    #[arg(long, value_name = "FILE.json", value_parser = arguments::file())]
    prior: Option<PathBuf>,
    /// An ONNX model that is an expert of adaptive instead of the one that ships
    #[arg(long, value_name = "FILE.onnx", value_parser = arguments::file())]
    expert: Option<PathBuf>,
    /// What to warn of: a file of policies, whose selectors do not matter here
    #[arg(long, value_name = "FILE.yaml", value_parser = arguments::file())]
    policy: PathBuf,
    /// Recordings, as 'netprecursor record', 'dataset' and 'import' write them; what is learned in one counts in the
    /// next
    #[arg(long = "recording", value_name = "FILE.parquet", num_args = 1.., required = true, value_parser = arguments::file())]
    recordings: Vec<PathBuf>,
    /// Thresholds in µs by target instead of the policy's: {"TARGET": 90000, …}; targets that are not in it are left out
    #[arg(long, value_name = "FILE.json", value_parser = arguments::file())]
    thresholds: Option<PathBuf>,
    /// Also decides without anything learned, with the forecast raised by this much in ln(µs); repeatable
    #[arg(long, value_name = "LN", value_delimiter = ',', allow_hyphen_values = true)]
    shift: Vec<f32>,
    /// Prints a JSON object per recording, rule and shift
    #[arg(long)]
    json: bool,
    /// Also writes a page with tables and plots: skill, what chances mean, other confidences, the best and the worst
    #[arg(long, value_name = "FILE.html", value_parser = arguments::file())]
    html: Option<PathBuf>,
}

/// Names of targets that are shown at most.
const SHOWN: usize = 5;

/// One line of the result.
#[derive(Debug, Serialize)]
struct Line<'a> {
    model: &'a str,
    recording: &'a Path,
    #[serde(flatten)]
    policy: &'a Identity,
    rule: &'a str,
    /// None for the agent's fold.
    shift: Option<f32>,
    scorecard: &'a Scorecard,
    /// Of the agent's fold alone.
    #[serde(flatten)]
    losses: Option<Losses>,
    /// Likewise: of the seconds in which the threshold was not breached.
    #[serde(skip_serializing_if = "Option::is_none")]
    chances: Option<Counted>,
}

/// A rule with all that it learned.
struct Watched {
    policy: Identity,
    rule: Rule,
    ledger: Ledger,
    total: Scorecard,
    tally: Tally,
    chances: Chances,
    shifts: Vec<(f32, Scorecard)>,
    /// For a page.
    drawn: Option<Drawn>,
}

/// What is known of one target.
struct Target {
    name: String,
    rules: Vec<Rule>,
    watches: Vec<Watch>,
    /// Of the first rule, and so on: the same truth for all.
    pairings: Vec<(Pairing, chances::Pairing)>,
    fixed: Vec<Vec<FixedWatch>>,
    followed: Vec<Option<Followed>>,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    // What cannot be written is said before hours of work.
    let unwritten = args.html.as_deref().map(Unwritten::create).transpose()?;
    let mut forecaster = forecaster::open(&args.model, args.offsets.as_deref(), args.expert.as_deref())?;
    let origin = args.policy.display().to_string();
    let yaml = fs::read_to_string(&args.policy)
        .with_context(|| format!("cannot read {origin}; expected a file of policies, as in examples/policies"))?;
    let policies = policies_from_yaml(&origin, &yaml)?;
    let thresholds = args.thresholds.as_deref().map(thresholds).transpose()?;
    let prior = match args.prior.as_deref() {
        Some(path) => prior(path)?,
        None if args.model == builtin::ADAPTIVE => builtin::prior(),
        None => Learned::default(),
    };
    let mut watched: Vec<Watched> = policies
        .iter()
        .flat_map(|policy| policy.rules.iter().map(|rule| (policy.identity(), rule)))
        .map(|(policy, rule)| Watched {
            policy,
            rule: rule.clone(),
            ledger: Ledger::starting_from(prior.clone()),
            total: Scorecard::default(),
            tally: Tally::default(),
            chances: Chances::default(),
            shifts: args.shift.iter().map(|shift| (*shift, Scorecard::default())).collect(),
            drawn: args.html.is_some().then(|| Drawn::of(rule)),
        })
        .collect();
    let bar = terminal::bar(Some(args.recordings.len() as u64));
    let mut seen = BTreeSet::new();
    for path in &args.recordings {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        seen.extend(fold(&name, &Recording::open(path)?, &mut forecaster, thresholds.as_ref(), &mut watched)?);
        for rule in &mut watched {
            let text = rule.close(args, path)?;
            terminal::print(&text)?;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    if let Some(thresholds) = &thresholds {
        require_one(thresholds, &seen)?;
    }
    if let Some(unwritten) = unwritten {
        let recordings = &args.recordings;
        unwritten.write(&Page { model: &args.model, recordings, targets: seen.len(), watched: &watched })?;
    }
    if !args.json {
        terminal::print(&table(&args.model, &watched))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Plays one recording through every rule. Returns the names of its targets.
fn fold(
    name: &str,
    recording: &Recording,
    forecaster: &mut Forecaster,
    thresholds: Option<&BTreeMap<String, u64>>,
    watched: &mut [Watched],
) -> anyhow::Result<BTreeSet<String>> {
    let mut targets: HashMap<String, Option<Target>> = HashMap::new();
    let mut seen = BTreeSet::new();
    let (mut vector, mut batch) = ([0.0; COUNT], Batch::default());
    let offsets = Rivals::new();
    replay::play(recording, |row, now, signals, window| {
        if !targets.contains_key(&row.uid) {
            let target =
                Target::new(&row.target, watched, thresholds.map(|known| known.get(&row.target).copied()), now)?;
            targets.insert(row.uid.clone(), target);
            seen.insert(row.target.clone());
        }
        let Some(Some(target)) = targets.get_mut(&row.uid) else { return Ok(()) };
        features::extract(window, &mut vector);
        forecaster.run_alone(&mut batch, window, &vector)?;
        let basis = forecaster.basis(0, window, &vector);
        let measured_us = signals.measured_rtt_us();
        let rivals = window.is_full().then(|| offsets.forecasts(window)).flatten();
        let rules = target.rules.iter().zip(&mut target.watches).zip(&mut target.pairings).zip(&mut target.fixed);
        let rules = rules.zip(&mut target.followed);
        for (watched, ((((rule, watch), (pairing, likely)), fixed), followed)) in watched.iter_mut().zip(rules) {
            let before = Counts::of(&watched.ledger.scorecard);
            let step = watch.step(now, measured_us, basis.as_ref(), rule, &mut watched.ledger);
            if let (Some(drawn), Some(followed), Some(step)) = (&mut watched.drawn, followed, &step) {
                let counts = [before, Counts::of(&watched.ledger.scorecard)];
                let owner = Owner { recording: name, target: &row.target, rule };
                drawn.step((now, row.unix_ms), step, counts, &owner, followed);
            }
            let forecast = step.and_then(|step| step.forecast);
            pairing.observe(now, measured_us, forecast.zip(rivals), &mut watched.tally);
            let breached = |us| rule.thresholds.breached(us);
            let open = step.filter(|step| step.gate.is_none() && !measured_us.is_some_and(breached));
            let chance = open.and_then(|step| step.chance);
            likely.observe(now, measured_us, chance, breached, &mut watched.chances);
            for ((shift, card), fixed) in watched.shifts.iter_mut().zip(fixed) {
                fixed.step(now, measured_us, forecast, *shift, rule, card);
            }
        }
        anyhow::Ok(())
    })?;
    let mut targets: Vec<Target> = targets.into_values().flatten().collect();
    // Of equals the first is drawn: the same one each time.
    targets.sort_by(|one, other| one.name.cmp(&other.name));
    for target in targets {
        let rules = target.rules.iter().zip(target.followed);
        for (watched, (rule, followed)) in watched.iter_mut().zip(rules) {
            if let (Some(drawn), Some(followed)) = (&mut watched.drawn, followed) {
                drawn.finish(followed, &Owner { recording: name, target: &target.name, rule });
            }
        }
    }
    Ok(seen)
}

/// Thresholds that are for none of the targets decide nothing.
fn require_one(thresholds: &BTreeMap<String, u64>, seen: &BTreeSet<String>) -> anyhow::Result<()> {
    let is_known = |name: &String| thresholds.contains_key(name);
    anyhow::ensure!(
        seen.is_empty() || seen.iter().any(is_known),
        "got thresholds for {}, but the recordings have {}; expected a threshold for one of these at least: correct the \
         names in --thresholds",
        some(thresholds.keys()),
        some(seen.iter())
    );
    Ok(())
}

fn some<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.take(SHOWN).cloned().collect::<Vec<_>>().join(", ")
}

impl Target {
    /// `threshold_us` is `Some(None)` where thresholds are given and this target has none: it is left out.
    fn new(
        name: &str,
        watched: &[Watched],
        threshold_us: Option<Option<u64>>,
        now: Tick,
    ) -> anyhow::Result<Option<Self>> {
        let mut rules: Vec<Rule> = watched.iter().map(|watched| watched.rule.clone()).collect();
        match threshold_us {
            Some(None) => return Ok(None),
            Some(Some(us)) => {
                let thresholds = Thresholds::new(us, None)?;
                rules.iter_mut().for_each(|rule| rule.thresholds = thresholds);
            }
            None => {}
        }
        let watches = rules.iter().map(|_| Watch::new(Start::Fresh, now)).collect();
        let pairings = rules.iter().map(|_| Default::default()).collect();
        let fixed = watched.iter().map(|watched| vec![FixedWatch::new(now); watched.shifts.len()]).collect();
        let followed = watched.iter().map(|watched| watched.drawn.as_ref().map(Drawn::follow)).collect();
        Ok(Some(Self { name: name.to_owned(), rules, watches, pairings, fixed, followed }))
    }
}

impl Watched {
    /// The lines of a recording; its counts go into the total.
    fn close(&mut self, args: &Args, recording: &Path) -> anyhow::Result<String> {
        let card = std::mem::take(&mut self.ledger.scorecard);
        self.total.merge(&card);
        let (tally, chances) = (std::mem::take(&mut self.tally), std::mem::take(&mut self.chances));
        if let Some(drawn) = &mut self.drawn {
            drawn.add(&tally, &chances);
        }
        let (losses, chances) = (tally.losses(), chances.counted());
        if !args.json {
            return Ok(String::new());
        }
        let mut text = String::new();
        let mut line = |shift, scorecard: &Scorecard, losses, chances| {
            let (model, policy, rule) = (&args.model, &self.policy, self.rule.name.as_str());
            let line = Line { model, recording, policy, rule, shift, scorecard, losses, chances };
            serde_json::to_string(&line).map(|line| text += &(line + "\n"))
        };
        line(None, &card, Some(losses), Some(chances))?;
        for (shift, card) in &mut self.shifts {
            line(Some(*shift), card, None, None)?;
            *card = Scorecard::default();
        }
        Ok(text)
    }
}

fn prior(path: &Path) -> anyhow::Result<Learned> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("cannot read {}; expected a file that 'netprecursor learn' wrote", path.display()))?;
    serde_json::from_str(&text)
        .with_context(|| format!("{}: expected what 'netprecursor learn' writes", path.display()))
}

fn thresholds(path: &Path) -> anyhow::Result<BTreeMap<String, u64>> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("cannot read {}; expected a file such as {{\"web1\": 90000}}", path.display()))?;
    let expected = "expected whole µs by target, such as {\"web1\": 90000}";
    serde_json::from_str(&text).with_context(|| format!("{}: {expected}", path.display()))
}

fn table(model: &str, watched: &[Watched]) -> String {
    // The rule's name is enough where there is one policy.
    let is_one = watched.windows(2).all(|pair| pair[0].policy == pair[1].policy);
    let name = |Watched { policy, rule, .. }: &Watched| {
        if is_one { rule.name.to_string() } else { format!("{policy}/{}", rule.name) }
    };
    let width = watched.iter().map(|watched| name(watched).len() + 5).fold(20, usize::max);
    let mut text = format!(
        "{model}\n{:<width$} {:>9} {:>7} {:>7} {:>7} {:>9} {:>9} {:>9} {:>12}\n",
        "RULE", "INCIDENTS", "WARNED", "RECALL", "ALERTS", "PRECISION", "LEAD", "LEAD P10", "FALSE/DAY"
    );
    let mut row = |name: String, card: &Scorecard| {
        let daily = card.false_alerts_per_day().map_or("-".into(), |daily| format!("{daily:.1}"));
        text += &format!(
            "{name:<width$} {:>9} {:>7} {:>7} {:>7} {:>9} {:>9} {:>9} {daily:>12}\n",
            card.incidents,
            card.warned,
            percent(card.recall()),
            card.alerts,
            percent(card.precision()),
            seconds(card.median_lead()),
            seconds(card.lead_quantile(0.1)),
        );
    };
    for watched in watched {
        let name = name(watched);
        row(name.clone(), &watched.total);
        watched.shifts.iter().for_each(|(shift, card)| row(format!("{name} {shift:+}"), card));
    }
    text
}

#[cfg(test)]
mod tests {
    use netprecursor_core::forecast::QuantileOffsets;

    use super::*;
    use crate::recording::tests::record_rtt;

    const POLICY: &str = "
apiVersion: netprecursor.io/v1alpha1
kind: PrecursorPolicy
metadata: {name: test}
spec:
  target: {podSelector: {}}
  rules:
  - {name: rtt, signal: RttForecast, rttForecast: {threshold: 100ms}, minConfidencePercent: 15, holdFor: 2s}
";

    /// 20 ms with a wobble, and a ramp over the threshold from the 200th second on.
    fn ramp(tick: u64) -> f32 {
        let growth = if (200..240).contains(&tick) { (tick - 199) as f32 / 10.0 } else { 0.0 };
        (20_000.0 + (tick * 7 % 13) as f32 * 50.0) * growth.exp2()
    }

    fn recorded(path: &Path) {
        record_rtt(path, (0..400).map(|tick| (tick, "web1", Some(ramp(tick)))));
    }

    /// The card of the agent's fold and those of the shifts.
    fn cards(model: &str, thresholds: Option<&BTreeMap<String, u64>>, shifts: &[f32]) -> (Scorecard, Vec<Scorecard>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("r.parquet");
        recorded(&path);
        let policies = policies_from_yaml("test", POLICY).unwrap();
        let (policy, rule) = (policies[0].identity(), policies[0].rules.iter().next().unwrap().clone());
        let (ledger, total, tally, chances) = Default::default();
        let shifts = shifts.iter().map(|shift| (*shift, Scorecard::default())).collect();
        let mut watched = [Watched { policy, rule, ledger, total, tally, chances, shifts, drawn: None }];
        // The release's own offsets change with each training.
        let offsets = directory.path().join("offsets.json");
        fs::write(&offsets, serde_json::to_string(&QuantileOffsets::default()).unwrap()).unwrap();
        let mut forecaster = forecaster::open(model, Some(&offsets), None).unwrap();
        fold("r.parquet", &Recording::open(&path).unwrap(), &mut forecaster, thresholds, &mut watched).unwrap();
        let [Watched { ledger, shifts, .. }] = watched;
        (ledger.scorecard, shifts.into_iter().map(|(_, card)| card).collect())
    }

    #[test]
    fn thresholds_for_nobody_are_refused_with_the_names_that_there_are() {
        let thresholds = BTreeMap::from([("wbe1".to_owned(), 9)]);
        let seen = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let error = require_one(&thresholds, &seen(&["web1", "web2"])).unwrap_err().to_string();
        assert!(error.contains("wbe1") && error.contains("have web1, web2"), "{error}");
        assert!(
            require_one(&thresholds, &seen(&["web1", "wbe1"])).is_ok() && require_one(&thresholds, &seen(&[])).is_ok()
        );
    }

    #[test]
    fn a_ramp_is_warned_of_by_its_trend() {
        let (card, _) = cards("naive:damped-holt", None, &[]);
        assert_eq!((card.incidents, card.warned, card.target_seconds), (1, 1, 400));
        assert!(card.median_lead() >= Some(3), "{card:?}");
    }

    #[test]
    fn rules_of_policies_of_one_name_are_told_apart() {
        let yaml = format!("{POLICY}---{}", POLICY.replace("PrecursorPolicy", "ClusterPrecursorPolicy"));
        let policies = policies_from_yaml("test", &yaml).unwrap();
        let watched: Vec<Watched> = policies
            .iter()
            .map(|policy| Watched {
                policy: policy.identity(),
                rule: policy.rules.iter().next().unwrap().clone(),
                ledger: Ledger::default(),
                total: Scorecard::default(),
                tally: Tally::default(),
                chances: Chances::default(),
                shifts: Vec::new(),
                drawn: None,
            })
            .collect();
        let text = table("m", &watched);
        assert!(
            text.contains("\nPrecursorPolicy test/rtt ") && text.contains("\nClusterPrecursorPolicy test/rtt "),
            "{text}"
        );
        assert!(table("m", &watched[..1]).contains("\nrtt "));
    }

    #[test]
    fn a_shift_moves_from_blind_to_alarmed_and_without_one_fold_and_sweep_see_the_same_incidents() {
        let (card, shifts) = cards("naive:max-10", None, &[-3.0, 0.0, 3.0]);
        assert_eq!((shifts[0].warned, shifts[0].unconfirmed), (0, 0));
        assert!(shifts[2].unconfirmed > 0, "{:?}", shifts[2]);
        assert_eq!((shifts[1].incidents, shifts[1].target_seconds), (card.incidents, card.target_seconds));
    }

    /// Two targets that ramp over the threshold, step over it, and rise and fall back, ten minutes apart; the names are long.
    fn eventful(path: &Path) {
        let rtt = |tick: u64, late: u64| {
            let (at, turn) = ((tick + late) % 300, (tick + late) / 300 % 2);
            let growth = match (at, turn) {
                (200..240, 0) => (at - 199) as f32 / 10.0,
                (220..240, _) => 4.0,
                (100..115, _) => (at - 99) as f32 / 10.0,
                _ => 0.0,
            };
            (20_000.0 + (tick * 7 % 13) as f32 * 50.0) * growth.exp2()
        };
        let names = ["a".repeat(300), "b".repeat(300)];
        let rows = (0..2_000)
            .flat_map(|tick| [(tick, &*names[0], Some(rtt(tick, 0))), (tick, &*names[1], Some(rtt(tick, 70)))]);
        record_rtt(path, rows);
    }

    /// A rule after two such recordings, with what a page shows of it.
    fn drawn(model: &str, change: impl Fn(&mut Rule)) -> Watched {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("r.parquet");
        eventful(&path);
        let policies = policies_from_yaml("test", POLICY).unwrap();
        let (policy, mut rule) = (policies[0].identity(), policies[0].rules.iter().next().unwrap().clone());
        change(&mut rule);
        let (ledger, total, tally, chances) = Default::default();
        let drawn = Some(Drawn::of(&rule));
        let mut watched = [Watched { policy, rule, ledger, total, tally, chances, shifts: Vec::new(), drawn }];
        let mut forecaster = forecaster::open(model, None, None).unwrap();
        for _ in 0..2 {
            fold("r", &Recording::open(&path).unwrap(), &mut forecaster, None, &mut watched).unwrap();
        }
        let [watched] = watched;
        watched
    }

    #[test]
    fn at_the_rules_own_confidence_the_sweep_is_the_fold_count_by_count() {
        for (model, percent, budget) in
            [("naive:damped-holt", 30, None), ("adaptive", 55, std::num::NonZeroU32::new(9))]
        {
            let watched = drawn(model, |rule| {
                rule.confidence = netprecursor_core::policy::Confidence::percent(percent).unwrap();
                rule.max_false_alerts_per_day = budget;
            });
            let levels = watched.drawn.as_ref().unwrap().sweep.levels();
            let own = levels.iter().find(|level| level.confidence == watched.rule.confidence).unwrap();
            assert_eq!(own.card, watched.ledger.scorecard, "{model}");
            assert!(own.card.alerts > 0 && own.card.incidents > 0, "{model}: {:?}", own.card);
            let alerts: Vec<u64> = levels.iter().map(|level| level.card.alerts).collect();
            assert!(alerts.first() > alerts.last(), "who asks for less is warned more often: {alerts:?}");
        }
    }

    #[test]
    fn the_best_and_the_worst_are_few_in_order_and_show_a_minute_before_and_after() {
        let watched = drawn("naive:damped-holt", |rule| {
            rule.confidence = netprecursor_core::policy::Confidence::percent(20).unwrap();
        });
        let gallery = &watched.drawn.as_ref().unwrap().gallery;
        let (best, worst) = (gallery.best(), gallery.worst());
        assert!((1..=moments::SHOWN).contains(&best.len()), "{}", best.len());
        assert_eq!(worst.len(), moments::SHOWN);
        let leads: Vec<u64> = best
            .iter()
            .map(|moment| match moment.kind {
                moments::Kind::Warned { lead } => lead,
                _ => panic!("{moment:?}"),
            })
            .collect();
        assert!(leads.is_sorted_by(|one, other| one >= other), "{leads:?}");
        for moment in best.iter().chain(worst) {
            let offsets = moment.seconds.iter().map(|second| second.tick.0.abs_diff(moment.at.0));
            assert!(offsets.clone().all(|offset| offset <= moments::REACH) && offsets.count() > 60, "{moment:?}");
            let breached = |second: &&moments::Second| second.measured_us.is_some_and(|us| us > 100_000.0);
            let at = moment.seconds.iter().find(|second| second.tick == moment.at).unwrap();
            assert_eq!(breached(&at), moment.kind != moments::Kind::FalseAlarm, "{moment:?}");
            if let (moments::Kind::Warned { lead }, Some(warning)) = (moment.kind, moment.warning) {
                assert_eq!(moment.at.since(warning.at), lead);
            }
        }
    }

    #[test]
    fn a_page_is_bounded_and_says_what_it_leaves_out() {
        let first = drawn("naive:damped-holt", |_| {});
        let another = || Watched {
            policy: first.policy.clone(),
            rule: first.rule.clone(),
            ledger: Ledger::default(),
            total: first.ledger.scorecard.clone(),
            tally: Tally::default(),
            chances: Chances::default(),
            shifts: Vec::new(),
            drawn: first.drawn.clone(),
        };
        let watched: Vec<Watched> = (0..150).map(|_| another()).collect();
        let recordings = vec![PathBuf::from("r".repeat(5_000)); 500];
        let page = Page { model: "m", recordings: &recordings, targets: 2, watched: &watched };
        let text = page.document().into_string();
        assert!(text.len() < 3_000_000, "{} bytes", text.len());
        for part in ["50 more rules are left out", "138 more rules are left out", "470 more."] {
            assert!(text.contains(part), "{part}");
        }
        let longest = text
            .split(['<', '>'])
            .filter(|part| !part.starts_with("path") && !part.contains("color-scheme"))
            .map(str::len)
            .max();
        assert!(longest < Some(1_000), "{longest:?}");
    }

    #[test]
    fn thresholds_by_target_replace_the_policys_and_leave_others_out() {
        let level = |target: &str, us| BTreeMap::from([(target.to_owned(), us)]);
        assert_eq!(cards("naive:last", Some(&level("web1", 900_000)), &[]).0.incidents, 0);
        assert_eq!(cards("naive:last", Some(&level("other", 900_000)), &[]).0.target_seconds, 0);
    }

    #[test]
    fn an_unknown_rule_of_thumb_is_told_with_the_known_ones() {
        let text = forecaster::open("naive:max10", None, None).map(drop).unwrap_err().to_string();
        assert!(text.contains("'max10'") && text.contains("max-10"), "{text}");
    }
}
