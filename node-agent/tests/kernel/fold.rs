//! The agent's forecasts are those of the fold that backtests run: tick by tick, learning included.

use netprecursor_core::{
    features::{self, COUNT},
    gate::Start,
    signal::{Signal, Signals},
    tick::Tick,
    watch::{Ledger, Watch},
    window::Window,
};
use netprecursor_crds::policies_from_yaml;
use netprecursor_models::{Batch, builtin};
use serde_json::Value;

use crate::fixture::{Agent, Behaviour, Family, Host, Path, Server, alone, ask, policy, scratch};

/// A full window, ten seconds until the first truth, and some that were learned from.
const TICKS: usize = 60 + 10 + 8;

/// Unix second, tick and signals of the only target.
fn seen(line: &Value) -> Option<(u64, Tick, Signals)> {
    let target = line["targets"].as_array()?.first()?;
    let values: Vec<f32> = target["signals"]
        .as_array()?
        .iter()
        .map(|value| value.as_f64().map_or(f32::NAN, |value| value as f32))
        .collect();
    let signals = Signals::from_values(values.first_chunk::<{ Signal::COUNT }>()?);
    Some((line["unix_ms"].as_u64()? / 1_000, Tick(line["tick"].as_u64()?), signals))
}

#[test]
fn the_agent_says_what_the_fold_of_a_backtest_says_of_the_same_signals() {
    let Some(_alone) = alone() else { return };
    let (name, state) = (Host::new().name.clone(), scratch());
    let policy =
        policy("[{name: rtt, signal: RttForecast, rttForecast: {threshold: 2ms}, model: {builtin: adaptive}}]");
    let file = policy.path().to_str().unwrap();
    let agent = Agent::start(state.path(), &["--target", &format!("netns:{name}"), "--policy", file]);
    agent.until_ready_is(200);
    let mut stream = agent.stream();
    // From the target's first tick on.
    let path = Path::from(Host::named(name));
    let server = Server::start(&path.far, Path::far_address(Family::V4, 0), Behaviour::PROMPT);

    let mut ticks = Vec::new();
    while ticks.len() < TICKS {
        let line = stream.next().unwrap_or_else(|| panic!("the stream ended; log: {}", agent.log()));
        ticks.extend(seen(&line));
        // Some seconds measure nothing.
        for _ in 0..ticks.len() % 4 {
            drop(ask(&path.near, server.address));
        }
    }
    let history = agent.json("/api/v1/history");
    // One for each tick, as in the stream: on a busy machine two of them may end in one second.
    let points = history[0]["points"].as_array().unwrap();

    let rule = policies_from_yaml("test", &std::fs::read_to_string(policy.path()).unwrap()).unwrap();
    let rule = rule[0].rules.iter().next().unwrap();
    let (mut forecaster, mut batch) = (builtin::adaptive().unwrap(), Batch::default());
    let (mut window, mut vector, mut ledger) = (Window::new(), [0.0; COUNT], Ledger::starting_from(builtin::prior()));
    // The tick in which a target is found is its watch's first, and measures nothing yet.
    let mut watch = Watch::new(Start::Fresh, Tick(ticks[0].1.0 - 1));
    let mut measured = 0;
    for ((unix, now, signals), point) in ticks.iter().zip(points) {
        window.push(*now, signals).unwrap();
        features::extract(&window, &mut vector);
        forecaster.run_alone(&mut batch, &window, &vector).unwrap();
        let basis = forecaster.basis(0, &window, &vector);
        let step = watch.step(*now, signals.measured_rtt_us(), basis.as_ref(), rule, &mut ledger).unwrap();
        assert_eq!(point["unix"], *unix, "a tick is missing in one of them");
        for (field, folded) in
            [("predictedUs", step.predicted_us), ("chance", step.chance), ("measuredUs", step.measured_us)]
        {
            let shown = point[field].as_f64().map(|shown| shown as f32);
            assert_eq!(
                shown.map(f32::to_bits),
                folded.map(f32::to_bits),
                "{field} at {now:?}: {shown:?}, fold {folded:?}"
            );
        }
        measured += u32::from(step.measured_us.is_some());
    }
    assert!(measured > 20 && ledger.calibrator.labels() > 0, "{measured} {ledger:?}");
}
