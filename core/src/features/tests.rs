use proptest::prelude::*;

use super::*;
use crate::{signal::Signals, tick::Tick};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/features/golden.json");

fn vector(window: &Window) -> [f32; COUNT] {
    let mut out = [f32::NAN; COUNT];
    extract(window, &mut out);
    out
}

/// A reproducible number in 0 to 1.
fn noise(tick: u64, signal: usize) -> f32 {
    let mixed = (tick ^ (signal as u64) << 40).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((mixed ^ mixed >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 40) as f32 / (1_u64 << 24) as f32
}

/// Life as a function of the tick: every signal around a level of its own, some not measured, load each four minutes.
fn lively(tick: u64) -> Signals {
    let mut signals = Signals::ABSENT;
    for (i, signal) in Signal::ALL.iter().enumerate() {
        let level = if matches!(Scale::of(*signal), Scale::Identity) { 0.2 } else { 10.0 * (1 + i % 7) as f32 };
        let load = if tick % 240 < 15 { 20.0 } else { 1.0 };
        if noise(tick, i + 100) > 0.1 {
            signals.set(*signal, level * load * (0.5 + noise(tick, i)));
        }
    }
    signals
}

fn lived(ticks: impl IntoIterator<Item = u64>) -> Window {
    let mut window = Window::new();
    for tick in ticks {
        window.push(Tick(tick), &lively(tick)).unwrap();
    }
    window
}

#[test]
fn names_are_unique_and_every_group_and_signal_has_features() {
    assert_eq!(all().len(), COUNT);
    assert!((100..=200).contains(&COUNT), "{COUNT}");
    for (i, feature) in all().iter().enumerate() {
        assert_eq!(index(&feature.name), Some(i), "{} is there twice", feature.name);
        assert_eq!(name(i), feature.name);
        assert!(!feature.doc.is_empty());
    }
    assert_eq!((name(COUNT), group(COUNT)), ("", None));
    for group in Group::ALL {
        assert!(all().iter().any(|feature| feature.group == group), "{group:?}");
    }
    assert_eq!(name(RESIDUAL_BASELINE), "rtt_measured_max10_ln");
}

#[test]
fn same_last_hour_gives_the_same_vector_however_long_the_target_lived() {
    let end = 20_000;
    let young = vector(&lived(end - 3_700..end));
    assert_eq!(young, vector(&lived(end - 10_000..end)));
    assert_eq!(young, vector(&lived(end - 17_000..end)));
}

#[test]
fn same_hour_gives_the_same_vector_whatever_the_clock_said() {
    let window = |origin: u64| {
        let mut window = Window::new();
        for tick in 0..4_000 {
            window.push(Tick(origin + tick), &lively(tick)).unwrap();
        }
        vector(&window)
    };
    assert_eq!(window(0), window(7_654_320));
}

/// A feature that counted how much of the window or of the memory is filled would move while constant input goes on.
#[test]
fn constant_input_gives_a_constant_vector_from_the_first_full_window_on() {
    let mut signals = Signals::ABSENT;
    for signal in Signal::ALL {
        signals.set(*signal, if matches!(Scale::of(*signal), Scale::Identity) { 0.25 } else { 512.0 });
    }
    let (mut window, mut first) = (Window::new(), None);
    for tick in 0..4_000 {
        window.push(Tick(tick), &signals).unwrap();
        if window.is_full() {
            let now = vector(&window);
            let first = first.get_or_insert(now);
            for i in 0..COUNT {
                assert!((now[i] - first[i]).abs() < 1e-4, "{} at {tick}: {} was {}", name(i), now[i], first[i]);
            }
        }
    }
}

#[test]
fn nothing_measured_gives_neutral_values() {
    let empty = vector(&Window::new());
    let mut silent = Window::new();
    for tick in 0..100 {
        silent.push(Tick(tick), &Signals::ABSENT).unwrap();
    }
    assert_eq!(empty, vector(&silent));
    for (i, value) in empty.iter().enumerate() {
        let neutral = match name(i) {
            "rtt_missing_share10" => 1.0,
            name if name.ends_with("_age_s") && name != "rtt_max10_age_s" => 60.0,
            name if name.ends_with("until_peak_s") || name == "rtt_silence_s" || name == "tx_saturation_s" => 60.0,
            _ => 0.0,
        };
        assert_eq!(*value, neutral, "{}", name(i));
    }
}

#[test]
fn ablation_replaces_one_group_and_no_other() {
    let (features, baseline) = ([1.0; COUNT], [2.0; COUNT]);
    for chosen in Group::ALL {
        let mut out = [0.0; COUNT];
        ablate(&features, &baseline, chosen, &mut out);
        for (i, value) in out.iter().enumerate() {
            assert_eq!(*value, if group(i) == Some(chosen) { 2.0 } else { 1.0 }, "{}", name(i));
        }
    }
}

/// A formula that changes without its name would feed models what they were not trained on.
#[test]
fn schema_version_is_raised_when_a_formula_changes() {
    let window = lived(16_000..20_003);
    let values: Vec<(&str, f32)> = (0..COUNT).map(|i| (name(i), vector(&window)[i])).collect();
    if std::env::var_os("BLESS").is_some() {
        let lines: Vec<String> = values.iter().map(|(name, value)| format!("  [\"{name}\", {value}]")).collect();
        let json = format!("{{\"version\": {}, \"values\": [\n{}\n]}}\n", crate::schema::VERSION, lines.join(",\n"));
        std::fs::write(GOLDEN, json).unwrap();
    }
    #[derive(Deserialize)]
    struct Golden {
        version: u32,
        values: Vec<(String, f32)>,
    }
    let golden: Golden = serde_json::from_str(&std::fs::read_to_string(GOLDEN).unwrap()).unwrap();
    assert_eq!(golden.version, crate::schema::VERSION, "run cargo xtask bless features");
    assert_eq!(golden.values.len(), COUNT, "run cargo xtask bless features");
    for ((golden_name, golden), (name, value)) in golden.values.iter().zip(&values) {
        assert_eq!(golden_name, name, "run cargo xtask bless features");
        assert!(
            (golden - value).abs() <= 1e-4 * golden.abs().max(1.0),
            "{name} is {value}, was {golden}: when that is meant, raise schema::VERSION and run cargo xtask bless features"
        );
    }
}

fn any_value() -> impl Strategy<Value = f32> {
    prop_oneof![
        4 => 0.0_f32..1e7,
        2 => Just(0.0),
        2 => Just(f32::NAN),
        1 => any::<f32>(),
        1 => prop_oneof![Just(f32::MAX), Just(f32::MIN), Just(f32::MIN_POSITIVE), Just(f32::INFINITY), Just(-1.0)],
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn vector_is_finite_and_bounded_for_any_signals_and_gaps(
        rows in prop::collection::vec((1_u64..30, prop::collection::vec(any_value(), Signal::COUNT)), 1..120),
    ) {
        let (mut window, mut tick) = (Window::new(), 0);
        for (step, values) in rows {
            tick += if step > 25 { step * step } else { step / 12 + 1 };
            let values: &[f32; Signal::COUNT] = values.first_chunk().unwrap();
            window.push(Tick(tick), &Signals::from_values(values)).unwrap();
        }
        for (i, value) in vector(&window).iter().enumerate() {
            prop_assert!(value.is_finite() && value.abs() <= 100.0, "{} is {value}", name(i));
        }
    }

    #[test]
    fn constant_signals_have_no_trend_no_ratio_and_no_recurrence(level in 0.0_f32..1e9, ticks in 61_u64..500) {
        let mut window = Window::new();
        for tick in 0..ticks {
            window.push(Tick(tick), &Signals::from_values(&[level; Signal::COUNT])).unwrap();
        }
        let out = vector(&window);
        for (i, feature) in all().iter().enumerate() {
            let flat = matches!(feature.source, Some((_, Transform::Slope5 | Transform::Ratio60)))
                || feature.name.ends_with("_strength");
            prop_assert!(!flat || out[i].abs() < 1e-3, "{} is {}", feature.name, out[i]);
        }
    }
}
