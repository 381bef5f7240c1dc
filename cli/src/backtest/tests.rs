use netprecursor_core::{
    adapt::Learned,
    forecast::QuantileOffsets,
    policy::{Confidence, Policy, Rule},
    score::Scorecard,
};

use super::{
    timeline::{Outcome, Warned},
    *,
};
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

/// The rule of each policy in `yaml`, with nothing learned.
fn runs(yaml: &str, shifts: &[f32], has_page: bool, change: impl Fn(&mut Rule)) -> Vec<RuleRun> {
    let run = |policy: &Policy| {
        let mut rule = policy.rules.iter().next().unwrap().clone();
        change(&mut rule);
        RuleRun::new(policy.identity(), rule, Learned::default(), shifts, has_page)
    };
    policies_from_yaml("test", yaml).unwrap().iter().map(run).collect()
}

/// The card of the agent's fold and those of the shifts.
fn cards(model: &str, thresholds: Option<&BTreeMap<String, u64>>, shifts: &[f32]) -> (Scorecard, Vec<Scorecard>) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("r.parquet");
    record_rtt(&path, (0..400).map(|tick| (tick, "web1", Some(ramp(tick)))));
    let mut runs = runs(POLICY, shifts, false, |_| {});
    // The release's own offsets change with each training.
    let offsets = directory.path().join("offsets.json");
    fs::write(&offsets, serde_json::to_string(&QuantileOffsets::default()).unwrap()).unwrap();
    let mut forecaster = forecaster::open(model, Some(&offsets), None).unwrap();
    fold("r.parquet", &Recording::open(&path).unwrap(), &mut forecaster, thresholds, &mut runs).unwrap();
    let RuleRun { ledger, shifts, .. } = runs.remove(0);
    (ledger.scorecard, shifts.into_iter().map(|(_, card)| card).collect())
}

#[test]
fn thresholds_for_unknown_targets_are_refused_with_the_names_in_the_recordings() {
    let thresholds = BTreeMap::from([("wbe1".to_owned(), 9)]);
    let seen = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let error = require_known_target(&thresholds, &seen(&["web1", "web2"])).unwrap_err().to_string();
    assert!(error.contains("wbe1") && error.contains("have web1, web2"), "{error}");
    assert!(
        require_known_target(&thresholds, &seen(&["web1", "wbe1"])).is_ok()
            && require_known_target(&thresholds, &seen(&[])).is_ok()
    );
}

#[test]
fn a_ramp_is_warned_of_by_its_trend() {
    let (card, _) = cards("naive:damped-holt", None, &[]);
    assert_eq!((card.incidents, card.warned, card.target_seconds), (1, 1, 400));
    assert!(card.median_lead() >= Some(3), "{card:?}");
}

#[test]
fn rules_of_policies_with_the_same_name_are_told_apart() {
    let yaml = format!("{POLICY}---{}", POLICY.replace("PrecursorPolicy", "ClusterPrecursorPolicy"));
    let runs = runs(&yaml, &[], false, |_| {});
    let text = table("m", &runs);
    assert!(
        text.contains("\nPrecursorPolicy test/rtt ") && text.contains("\nClusterPrecursorPolicy test/rtt "),
        "{text}"
    );
    assert!(table("m", &runs[..1]).contains("\nrtt "));
}

#[test]
fn shifts_range_from_blind_to_alarmed_and_a_shift_of_zero_sees_the_incidents_of_the_fold() {
    let (card, shifts) = cards("naive:max-10", None, &[-3.0, 0.0, 3.0]);
    assert_eq!((shifts[0].warned, shifts[0].unconfirmed), (0, 0));
    assert!(shifts[2].unconfirmed > 0, "{:?}", shifts[2]);
    assert_eq!((shifts[1].incidents, shifts[1].target_seconds), (card.incidents, card.target_seconds));
}

/// Two targets that ramp over the threshold, step over it, and rise and fall back, ten minutes apart.
pub(crate) fn event_seconds() -> impl Iterator<Item = (u64, &'static str, Option<f32>)> {
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
    (0..2_000).flat_map(move |tick| [(tick, "a", Some(rtt(tick, 0))), (tick, "b", Some(rtt(tick, 70)))])
}

/// The same; the names are long.
fn eventful(path: &Path) {
    let names = ["a".repeat(300), "b".repeat(300)];
    let name = |short: &str| if short == "a" { &*names[0] } else { &*names[1] };
    record_rtt(path, event_seconds().map(|(tick, short, rtt)| (tick, name(short), rtt)));
}

/// A rule after two such recordings, with its page data.
fn with_page(model: &str, change: impl Fn(&mut Rule)) -> RuleRun {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("r.parquet");
    eventful(&path);
    let mut runs = runs(POLICY, &[], true, change);
    let mut forecaster = forecaster::open(model, None, None).unwrap();
    for _ in 0..2 {
        fold("r", &Recording::open(&path).unwrap(), &mut forecaster, None, &mut runs).unwrap();
    }
    runs.remove(0)
}

/// What the command counts for the first rule of a policy over a recording.
pub(crate) fn backtested(yaml: &str, recording: &Path, model: &str) -> Scorecard {
    let directory = tempfile::tempdir().unwrap();
    let policy = directory.path().join("policy.yaml");
    fs::write(&policy, yaml).unwrap();
    let args = Args {
        model: model.to_owned(),
        offsets: None,
        prior: None,
        expert: None,
        policy,
        recordings: vec![recording.to_owned()],
        thresholds: None,
        shift: Vec::new(),
        json: false,
        html: None,
    };
    let mut forecaster = forecaster::open(&args.model, None, None).unwrap();
    let mut runs = args.rule_runs().unwrap();
    fold("r", &Recording::open(recording).unwrap(), &mut forecaster, None, &mut runs).unwrap();
    runs.remove(0).ledger.scorecard
}

/// The rule of [`POLICY`] at a confidence that ramps reach.
fn ramp_rule() -> (netprecursor_core::policy::Identity, Rule) {
    let RuleRun { policy, mut rule, .. } = runs(POLICY, &[], false, |_| {}).remove(0);
    rule.confidence = Confidence::percent(20).unwrap();
    (policy, rule)
}

/// A trial of [`eventful`], of which `is_kept` seconds are there, and a backtest of the same.
fn tried(is_kept: impl Fn(u64) -> bool) -> (trial::Tried, RuleRun) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("r.parquet");
    record_rtt(&path, event_seconds().filter(|(tick, ..)| is_kept(*tick)));
    let recording = Recording::open(&path).unwrap();
    let (policy, rule) = ramp_rule();
    let mut forecaster = forecaster::of_release("damped-holt").unwrap();
    let mut higher = rule.clone();
    higher.thresholds = netprecursor_core::policy::Thresholds::new(400_000, None).unwrap();
    let prior = Learned::default();
    let tried = trial::attempt(&recording, &mut forecaster, &policy, &rule, &[higher], &prior).unwrap();
    let mut runs = vec![RuleRun::new(policy, rule, prior, &[], false)];
    fold("r", &recording, &mut forecaster, None, &mut runs).unwrap();
    (tried, runs.remove(0))
}

#[test]
fn a_trial_has_the_figures_of_a_backtest_at_its_own_confidence_and_at_every_threshold() {
    let (tried, backtest) = tried(|_| true);
    assert_eq!(tried.scorecard, backtest.ledger.scorecard);
    assert!(tried.scorecard.alerts > 0 && tried.scorecard.missed > 0, "{:?}", tried.scorecard);
    let [(higher_us, higher)] = &tried.thresholds[..] else { panic!("{:?}", tried.thresholds) };
    assert_eq!((*higher_us, higher.incidents), (400_000, 0));
    assert_eq!(higher.target_seconds, tried.scorecard.target_seconds);
}

#[test]
fn seconds_that_are_left_out_leave_the_sweep_equal_to_the_fold() {
    let (tried, backtest) = tried(|tick| tick % 97 > 3 && tick % 100 != 50);
    let own = tried.levels.iter().find(|(confidence, _)| confidence.get() == 20).unwrap();
    assert_eq!((&own.1, &tried.scorecard), (&backtest.ledger.scorecard, &backtest.ledger.scorecard));
    assert!(own.1.alerts > 0, "{:?}", own.1);
}

#[test]
fn the_timelines_of_a_trial_add_up_to_its_scorecard() {
    for is_kept in [(|_| true) as fn(u64) -> bool, |tick| tick % 97 > 3] {
        let (tried, _) = tried(is_kept);
        let card = &tried.scorecard;
        let alerts: Vec<_> = tried.targets.values().flat_map(|target| &target.timeline.alerts).collect();
        let outcomes = |wanted: fn(Outcome) -> bool| alerts.iter().filter(|alert| wanted(alert.outcome)).count() as u64;
        assert_eq!(alerts.len() as u64, card.alerts);
        assert_eq!(outcomes(|outcome| matches!(outcome, Outcome::Confirmed { .. })), card.confirmed);
        assert_eq!(outcomes(|outcome| outcome == Outcome::False), card.unconfirmed);
        assert_eq!(outcomes(|outcome| outcome == Outcome::Late), card.late);
        let incidents: Vec<_> = tried.targets.values().flat_map(|target| &target.timeline.incidents).collect();
        let warned = |wanted: Warned| incidents.iter().filter(|incident| incident.warned == wanted).count() as u64;
        assert_eq!(incidents.len() as u64, card.incidents);
        assert_eq!(
            [Warned::InTime, Warned::Missed, Warned::Ongoing, Warned::Gated].map(warned),
            [card.warned, card.missed, card.ongoing, card.gated]
        );
        let seconds: usize = tried.targets.values().map(|target| target.timeline.seconds.len()).sum();
        assert_eq!((tried.targets.len(), seconds as u64), (2, card.target_seconds));
    }
}

#[test]
fn at_the_rules_own_confidence_the_sweep_equals_the_fold() {
    for (model, percent, budget) in [("naive:damped-holt", 30, None), ("adaptive", 55, std::num::NonZeroU32::new(9))] {
        let run = with_page(model, |rule| {
            rule.confidence = Confidence::percent(percent).unwrap();
            rule.max_false_alerts_per_day = budget;
        });
        let levels = run.page.as_ref().unwrap().sweep.levels();
        let own = levels.iter().find(|level| level.confidence == run.rule.confidence).unwrap();
        assert_eq!(own.card, run.ledger.scorecard, "{model}");
        assert!(own.card.alerts > 0 && own.card.incidents > 0, "{model}: {:?}", own.card);
        let alerts: Vec<u64> = levels.iter().map(|level| level.card.alerts).collect();
        assert!(alerts.first() > alerts.last(), "a lower confidence gives more alerts: {alerts:?}");
    }
}

#[test]
fn the_best_and_the_worst_moments_are_few_ranked_and_show_a_minute_on_either_side() {
    let run = with_page("naive:damped-holt", |rule| {
        rule.confidence = Confidence::percent(20).unwrap();
    });
    let gallery = &run.page.as_ref().unwrap().gallery;
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
fn a_page_is_bounded_and_counts_what_it_leaves_out() {
    let first = with_page("naive:damped-holt", |_| {});
    let runs: Vec<RuleRun> = (0..150)
        .map(|_| {
            let mut run = RuleRun::new(first.policy.clone(), first.rule.clone(), Learned::default(), &[], false);
            (run.total, run.page) = (first.ledger.scorecard.clone(), first.page.clone());
            run
        })
        .collect();
    let recordings = vec![PathBuf::from("r".repeat(5_000)); 500];
    let page = Page { model: "m", recordings: &recordings, targets: 2, runs: &runs };
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
fn an_unknown_rule_of_thumb_is_refused_with_the_known_ones() {
    let text = forecaster::open("naive:max10", None, None).map(drop).unwrap_err().to_string();
    assert!(text.contains("'max10'") && text.contains("max-10"), "{text}");
}
