//! What holds for every input, and the transitions one by one.

use proptest::prelude::*;

use super::*;
use crate::policy::{AlertPer, Confidence, Hold, KeepFiring, ModelRef, Name, Severity, Thresholds, View};

const THRESHOLD: f32 = 1_000.0;
const RESOLVE: f32 = 800.0;

fn rule(hold: Hold, keep_firing: u64) -> Rule {
    Rule {
        name: Name::label("rtt").unwrap(),
        view: View::default(),
        thresholds: Thresholds::new(THRESHOLD as u64, Some(RESOLVE as u64)).unwrap(),
        hold,
        keep_firing: KeepFiring::ticks(keep_firing).unwrap(),
        severity: Severity::Warning,
        alert_per: AlertPer::Workload,
        model: ModelRef::Default,
        confidence: Confidence::default(),
        max_false_alerts_per_day: None,
    }
}

/// Runs inputs through the machine, one tick each: state before, input, action.
fn run(inputs: &[Input], rule: &Rule) -> Vec<(State, Input, Option<Action>)> {
    let mut state = State::Idle;
    let step = |(tick, input): (usize, &Input)| {
        let before = state;
        let (after, action) = decide(state, input, Tick(tick as u64), rule);
        state = after;
        (before, *input, action)
    };
    inputs.iter().enumerate().map(step).collect()
}

/// What is known of a tick whose chance of a breach agrees with its forecast.
fn known(gate: Option<Gate>, predicted_us: Option<f32>, measured_us: Option<f32>) -> Input {
    let chance = predicted_us.map(|us| match us {
        us if us > THRESHOLD => 0.9,
        us if us < RESOLVE => 0.1,
        _ => 0.4,
    });
    Input { gate, chance, needed: 0.5, predicted_us, measured_us }
}

/// Inputs in letters: `.` calm, `-` between the thresholds, `P` breach forecast, `M` breach measured, ` ` nothing,
/// `g` gated in breach, `s` stale for a minute.
fn inputs(letters: &str) -> Vec<Input> {
    let input = |letter| match letter {
        '.' => known(None, Some(100.0), Some(90.0)),
        '-' => known(None, Some(900.0), Some(90.0)),
        'P' => known(None, Some(2_000.0), Some(90.0)),
        'M' => known(None, None, Some(2_000.0)),
        'g' => known(Some(Gate::Grace { ticks_left: 1 }), Some(2_000.0), None),
        's' => known(Some(Gate::Stale { ticks: SILENT_TICKS }), Some(2_000.0), None),
        _ => Input::default(),
    };
    letters.chars().map(input).collect()
}

/// Actions in letters: `F` warning, `f` late, `U` update, `R` recovered, `S` silent, `.` none.
fn actions(letters: &str, rule: &Rule) -> String {
    let letter = |action| match action {
        None => '.',
        Some(Action::Fire { trigger: Trigger::Forecast, .. }) => 'F',
        Some(Action::Fire { trigger: Trigger::Measured, .. }) => 'f',
        Some(Action::Update { .. }) => 'U',
        Some(Action::Resolve { reason: Resolution::Recovered }) => 'R',
        Some(Action::Resolve { reason: Resolution::Silent }) => 'S',
        Some(Action::Resolve { .. }) => 'G',
    };
    run(&inputs(letters), rule).into_iter().map(|(_, _, action)| letter(action)).collect()
}

#[test]
fn transitions_are_as_documented() {
    let (hold1, hold3, two_of_four) = (Hold::ticks(1).unwrap(), Hold::ticks(3).unwrap(), Hold::debounce(2, 4).unwrap());
    let table = [
        ("fires on the first breach", hold1, 0, "..P", "..F"),
        ("fires after three in a row", hold3, 0, "PP.PPP", ".....F"),
        ("fires on two of four", two_of_four, 0, "P...P.P", "......F"),
        ("a gate breaks the hold", hold3, 0, "PPgPP.", "......"),
        ("a gate forbids firing", hold1, 0, "gggg", "...."),
        ("a measured breach fires late", hold1, 0, ".M", ".f"),
        ("a warning that comes true is updated once", hold1, 0, "PPMMM", "F.U.."),
        ("resolves at once without keep-firing", hold1, 0, "P.", "FR"),
        ("keeps firing", hold1, 3, "P....", "F...R"),
        ("between the thresholds recovery starts over", hold1, 2, "P..-...", "F.....R"),
        ("a tick without input neither resolves nor starts over", hold1, 2, "P. .", "F..R"),
        ("stale for a minute resolves", hold1, 9, "P s", "F.S"),
        ("after a resolve the hold starts over", hold3, 0, "PPP.PP.PPP", "..FR.....F"),
    ];
    for (name, hold, keep_firing, letters, expected) in table {
        assert_eq!(actions(letters, &rule(hold, keep_firing)), expected, "{name}: {letters}");
    }
}

#[test]
fn worse_by_a_tenth_is_worth_an_update() {
    let at = |us| known(None, Some(us), None);
    let steps =
        run(&[at(2_000.0), at(2_150.0), at(2_250.0), at(2_400.0), at(2_500.0)], &rule(Hold::ticks(1).unwrap(), 0));
    let updates: Vec<_> = steps.iter().map(|(_, _, action)| matches!(action, Some(Action::Update { .. }))).collect();
    assert_eq!(updates, [false, false, true, false, true]);
}

#[test]
fn a_warning_needs_the_chance_whatever_the_forecast_says_and_stays_while_a_breach_is_half_as_likely() {
    let at = |chance| Input { chance: Some(chance), needed: 0.6, predicted_us: Some(5_000.0), ..Input::default() };
    let steps = run(&[at(0.6), at(0.61), at(0.31), at(0.3)], &rule(Hold::ticks(1).unwrap(), 0));
    let actions: Vec<_> = steps.into_iter().map(|(_, _, action)| action).collect();
    assert!(
        matches!(actions[1], Some(Action::Fire { trigger: Trigger::Forecast, chance: Some(0.61), .. })),
        "{actions:?}"
    );
    assert_eq!((actions[0], actions[2]), (None, None));
    assert_eq!(actions[3], Some(Action::Resolve { reason: Resolution::Recovered }));
}

#[test]
fn only_an_alert_that_is_out_is_resolved_when_its_target_goes() {
    let rule = rule(Hold::ticks(2).unwrap(), 5);
    let (pending, _) = decide(State::Idle, &inputs("P")[0], Tick(0), &rule);
    assert!(matches!(pending, State::Pending { .. }) && retire(pending).is_none());
    let (firing, _) = decide(pending, &inputs("P")[0], Tick(1), &rule);
    assert_eq!(retire(firing), Some(Action::Resolve { reason: Resolution::Gone }));
}

fn any_input() -> impl Strategy<Value = Input> {
    let value = || {
        prop::option::weighted(0.9, prop_oneof![3 => 1.0..RESOLVE, 1 => RESOLVE..THRESHOLD, 3 => THRESHOLD..5_000.0])
    };
    let gate = prop_oneof![
        12 => Just(None),
        1 => Just(Some(Gate::WarmingUp { ticks: 3, samples: 3 })),
        1 => Just(Some(Gate::Grace { ticks_left: 3 })),
        1 => Just(Some(Gate::Missing)),
        1 => (10..120_u64).prop_map(|ticks| Some(Gate::Stale { ticks })),
        1 => Just(Some(Gate::Constant { samples: 60 })),
    ];
    (gate, value(), value()).prop_map(|(gate, predicted_us, measured_us)| known(gate, predicted_us, measured_us))
}

fn any_hold() -> impl Strategy<Value = (u32, u32)> {
    (1..=60_u32).prop_flat_map(|n| (1..=n.min(4), Just(n)))
}

proptest! {
    #[test]
    fn nothing_fires_while_gated(inputs in prop::collection::vec(any_input(), 1..200), (k, n) in any_hold(), keep in 0..8_u64) {
        for (_, input, action) in run(&inputs, &rule(Hold::debounce(k, n).unwrap(), keep)) {
            let fired = matches!(action, Some(Action::Fire { .. }));
            prop_assert!(!(fired && input.gate.is_some()), "{:?}", input);
        }
    }

    #[test]
    fn fires_and_resolves_take_turns(inputs in prop::collection::vec(any_input(), 1..200), (k, n) in any_hold(), keep in 0..8_u64) {
        let mut out = false;
        for (state, _, action) in run(&inputs, &rule(Hold::debounce(k, n).unwrap(), keep)) {
            prop_assert_eq!(state.firing().is_some(), out);
            match action {
                Some(Action::Fire { .. }) => prop_assert!(!std::mem::replace(&mut out, true)),
                Some(Action::Resolve { .. }) => prop_assert!(std::mem::replace(&mut out, false)),
                Some(Action::Update { .. }) => prop_assert!(out),
                None => {}
            }
        }
    }

    #[test]
    fn it_fires_exactly_on_k_of_n(inputs in prop::collection::vec(any_input(), 1..200), (k, n) in any_hold(), keep in 0..8_u64) {
        // Computed independently: the breaches since the last gate or resolve, of which the last n count.
        let mut breaches: Vec<bool> = Vec::new();
        for (state, input, action) in run(&inputs, &rule(Hold::debounce(k, n).unwrap(), keep)) {
            if state.firing().is_some() || input.gate.is_some() {
                breaches.clear();
                continue;
            }
            breaches.push([input.predicted_us, input.measured_us].iter().flatten().any(|us| *us > THRESHOLD));
            let counted = breaches.iter().rev().take(n as usize).filter(|breach| **breach).count();
            prop_assert_eq!(matches!(action, Some(Action::Fire { .. })), counted >= k as usize);
        }
    }

    #[test]
    fn it_resolves_exactly_when_recovered_for_long_enough_or_silent(
        inputs in prop::collection::vec(any_input(), 1..200), (k, n) in any_hold(), keep in 0..8_u64
    ) {
        // Computed independently: ticks since the first one below the resolve threshold without one above in between.
        let mut recovering: Option<usize> = None;
        for (tick, (state, input, action)) in run(&inputs, &rule(Hold::debounce(k, n).unwrap(), keep)).into_iter().enumerate() {
            if state.firing().is_none() {
                recovering = None;
                continue;
            }
            let blind = matches!(input.gate, Some(Gate::Stale { .. } | Gate::Missing));
            let known: Vec<f32> = [input.predicted_us, input.measured_us].into_iter().flatten().filter(|_| !blind).collect();
            let below = !known.is_empty() && known.iter().all(|us| *us < RESOLVE);
            if below {
                recovering = recovering.or(Some(tick));
            } else if !known.is_empty() {
                recovering = None;
            }
            let recovered = below && recovering.is_some_and(|since| (tick - since) as u64 >= keep);
            let silent = matches!(input.gate, Some(Gate::Stale { ticks }) if ticks >= SILENT_TICKS);
            let expected = match (recovered, silent) {
                (true, _) => Some(Resolution::Recovered),
                (_, true) => Some(Resolution::Silent),
                _ => None,
            };
            let found = match action {
                Some(Action::Resolve { reason }) => Some(reason),
                _ => None,
            };
            prop_assert_eq!(found, expected);
        }
    }
}
