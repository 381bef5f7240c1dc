//! Learning in place as a whole, on series of one target.

use super::*;
use crate::{
    calibrate::Truth,
    features::{self, COUNT},
    forecast::{Naive, QUANTILES, QuantileOffsets},
    signal::{Signal, Signals},
    tick::Tick,
    window::Window,
};

/// A number in [−0.5, 0.5) for a tick.
fn noise(tick: u64) -> f32 {
    let mut mixed = tick.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ mixed >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (mixed >> 40) as f32 / (1_u64 << 24) as f32 - 0.5
}

fn pinball(quantile: f32, forecast: f32, came: f32) -> f32 {
    if came >= forecast { quantile * (came - forecast) } else { (quantile - 1.0) * (came - forecast) }
}

/// Losses by second of what matured: of the mixture, and of the rules of thumb with the release's offsets, summed over
/// quantiles.
fn losses(ticks: u64, rtt_us: impl Fn(u64) -> f32) -> Vec<(u64, f32, [f32; Naive::ALL.len()])> {
    let (mut window, mut vector, offsets) = (Window::new(), [0.0; COUNT], QuantileOffsets::default());
    let (mut learned, mut truth) = (Learned::default(), Truth::default());
    let mut losses = Vec::new();
    for tick in 0..ticks {
        let mut signals = Signals::ABSENT;
        signals.set(Signal::RttMax, rtt_us(tick));
        window.push(Tick(tick), &signals).unwrap();
        features::extract(&window, &mut vector);
        let evidence = Evidence::of(&window, &vector, &offsets, [None]).unwrap();
        let made = learned.make(&evidence).unwrap();
        if let Some(matured) = truth.observe(Tick(tick), Some(rtt_us(tick)), Some(made)) {
            let came = matured.truth_us.ln();
            let forecast = matured.predicted.forecast().unwrap().ln_us();
            let sum = |forecast: [f32; 3]| (0..3).map(|at| pinball(QUANTILES[at], forecast[at], came)).sum::<f32>();
            let rules = Naive::ALL.map(|naive| {
                sum([0, 1, 2]
                    .map(|quantile| matured.predicted.evidence().forecast_ln_us(quantile, Expert::Naive(naive))))
            });
            losses.push((tick, sum(forecast), rules));
            learned.learn_forecast(&matured.predicted, matured.truth_us);
            learned.close();
        }
    }
    losses
}

fn mean(values: impl Iterator<Item = f32>) -> f32 {
    let (sum, count) = values.fold((0.0, 0.0_f32), |(sum, count), value| (sum + value, count + 1.0));
    sum / count.max(1.0)
}

#[test]
fn within_an_hour_the_mixture_is_better_than_every_rule_with_the_releases_offsets() {
    let losses = losses(3_600, |tick| 20_000.0 * (0.2 * noise(tick) + 0.1 * (tick as f32 / 25.0).sin()).exp());
    let later = || losses.iter().filter(|(tick, ..)| *tick > 1_800);
    let mixture = mean(later().map(|(_, mixture, _)| *mixture));
    for naive in Naive::ALL {
        let rule = mean(later().map(|(.., rules)| rules[naive as usize]));
        assert!(mixture < 0.8 * rule, "{}: {mixture} against {rule}", naive.name());
    }
}

#[test]
fn a_minute_after_a_step_in_level_the_mixture_beats_every_rule_and_after_ten_it_is_nearly_back() {
    let step = 3_000;
    for factor in [0.2, 5.0] {
        let level = |tick| if tick < step { 20_000.0 } else { 20_000.0 * factor };
        let losses = losses(step + 900, |tick| level(tick) * (0.2 * noise(tick)).exp());
        let within = |from, to| losses.iter().filter(move |(tick, ..)| (step + from..step + to).contains(tick));
        let mixture = |from, to| mean(within(from, to).map(|(_, loss, _)| *loss));
        for naive in Naive::ALL {
            let (mixture, rule) = (mixture(70, 180), mean(within(70, 180).map(|(.., rules)| rules[naive as usize])));
            assert!(mixture < rule, "{factor}, {}: {mixture} against {rule}", naive.name());
        }
        let before =
            mean(losses.iter().filter(|(tick, ..)| (step - 600..step).contains(tick)).map(|(_, loss, _)| *loss));
        assert!(mixture(600, 900) < 3.0 * before, "{factor}: {before} before, {} after", mixture(600, 900));
    }
}

#[test]
fn labels_of_one_tick_count_as_one_in_whatever_order_they_come() {
    let (mut window, mut vector, offsets) = (Window::new(), [0.0; COUNT], QuantileOffsets::default());
    let mut evidence = Vec::new();
    for tick in 0..200 {
        let mut signals = Signals::ABSENT;
        signals.set(Signal::RttMax, 1_000.0 * noise(tick).exp());
        window.push(Tick(tick), &signals).unwrap();
        features::extract(&window, &mut vector);
        evidence.extend(Evidence::of(&window, &vector, &offsets, [None]));
    }
    let taught = |order: &mut dyn Iterator<Item = usize>| {
        let mut learned = Learned::default();
        for at in order {
            let made = learned.make(&evidence[at]).unwrap();
            learned.learn_forecast(&made, 1_100.0 + at as f32);
            let odds = learned.odds(&learned.situation(&evidence[at], 1_200.0, &mut Peers::default(), &mut None));
            learned.learn_breach(&evidence[at], 1_200.0, &odds, at % 3 == 0);
        }
        learned.close();
        learned.make(&evidence[0]).unwrap().forecast().unwrap()
    };
    let (forward, backward) = (taught(&mut (100..200)), taught(&mut (100..200).rev()));
    for (one, other) in forward.ln_us().into_iter().zip(backward.ln_us()) {
        assert!((one - other).abs() < 1e-5, "{forward:?} {backward:?}");
    }
}

#[test]
fn whatever_is_measured_forecast_and_chance_are_numbers() {
    let wild = [1e-3, 1.0, 1e12, 5.0, 3e8, 900e6];
    for (_, loss, _) in losses(400, |tick| wild[(noise(tick).to_bits() % 6) as usize]) {
        assert!(loss.is_finite(), "{loss}");
    }
}
