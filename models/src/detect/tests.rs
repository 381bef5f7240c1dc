use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// Models are loaded once for all tests.
static DETECTOR: LazyLock<Detector> = LazyLock::new(Detector::default);

/// A minute in which RTT rises.
fn minute() -> Vec<Signals> {
    let second = |tick: u32| {
        let mut signals = Signals::ABSENT;
        let wobble = 1.0 + (tick * 7 % 13) as f32 / 100.0 + tick as f32 / 60.0;
        signals.set(Signal::RttMax, 20_000.0 * wobble);
        signals.set(Signal::RttP50, 10_000.0 * wobble);
        signals.set(Signal::TxBytes, 1e6);
        signals
    };
    (0..60).map(second).collect()
}

fn window() -> Window {
    let mut window = Window::new();
    for (tick, signals) in (0..).zip(minute()) {
        window.push(Tick(tick), &signals).unwrap();
    }
    window
}

/// As the stream has them: null for what is no number.
fn posted(numbers: &[f32]) -> Value {
    numbers.iter().map(|number| json!(number.is_finite().then_some(*number))).collect()
}

fn signals() -> Value {
    json!([minute().iter().map(|signals| posted(signals.as_slice())).collect::<Value>()])
}

fn rows() -> Value {
    let mut row = [0.0; COUNT];
    features::extract(&window(), &mut row);
    json!([posted(&row)])
}

fn sequences() -> Value {
    let mut values = Vec::new();
    sequence::append(&window(), &mut values);
    json!([values.chunks(sequence::WIDTH).map(posted).collect::<Value>()])
}

fn detect(request: &Value) -> Result<RttForecasts, Problem> {
    let Answer::RttForecast(forecasts) = DETECTOR.detect(request.to_string().as_bytes())?;
    Ok(forecasts)
}

/// The forecast of the only line.
fn only(request: &Value) -> Expectation {
    let forecasts = detect(request).unwrap_or_else(|problem| panic!("{problem}"));
    let [forecast] = forecasts.forecasts() else { panic!("{forecasts:?}") };
    *forecast
}

#[test]
fn every_model_scores_a_minute_of_signals() {
    for name in builtin::names() {
        let forecast = only(&json!({"model": name, "thresholdUs": 60_000, "signals": signals()}));
        let quantiles = forecast.quantiles_us.unwrap();
        assert!(quantiles.is_sorted() && quantiles[0] > 1_000.0, "{name}: {quantiles:?}");
        assert!(forecast.chance.is_some_and(|chance| (0.0..=1.0).contains(&chance)), "{name}: {forecast:?}");
    }
}

#[test]
fn rows_and_sequences_are_scored_as_the_signals_that_they_are_made_of() {
    let ceiling_us = window().ceiling_us().unwrap();
    for (name, form, lines) in [("rtt-xgboost", "rows", rows()), ("rtt-lstm", "sequences", sequences())] {
        let from_lines = only(&json!({"model": name, form: lines})).quantiles_us.unwrap();
        let from_signals = only(&json!({"model": name, "signals": signals()})).quantiles_us.unwrap();
        let close = |(line, signal): (f32, f32)| (line.min(ceiling_us) / signal - 1.0).abs() < 1e-3;
        assert!(from_lines.into_iter().zip(from_signals).all(close), "{name}: {from_lines:?}, {from_signals:?}");
    }
}

#[test]
fn numbers_by_name_are_those_in_order() {
    let ordered = rows();
    let names = features::all().iter().map(|feature| feature.name.clone());
    let named: serde_json::Map<String, Value> = names.zip(ordered[0].as_array().unwrap().clone()).collect();
    let model = "rtt-xgboost";
    assert_eq!(only(&json!({"model": model, "rows": [named]})), only(&json!({"model": model, "rows": ordered})));
}

#[test]
fn without_a_threshold_there_is_no_chance_and_without_a_measurement_no_forecast() {
    assert_eq!(only(&json!({"model": "last", "signals": signals()})).chance, None);
    let nothing = only(&json!({"model": "last", "thresholdUs": 60_000, "signals": [[{}]]}));
    assert_eq!((nothing.quantiles_us, nothing.chance), (None, None));
}

#[test]
fn a_model_is_named_with_its_digest() {
    let answer = |model: &str| detect(&json!({"model": model, "signals": signals()})).unwrap();
    let of = |model: &str| json!(answer(model))["model"].clone();
    assert_eq!(of("rtt-xgboost")["sha256"].as_str().map(str::len), Some(64));
    assert_eq!(of("adaptive"), json!({"name": "adaptive"}));
}

#[test]
fn what_is_wrong_is_named_with_its_field() {
    let many = vec![json!([]); ROWS + 1];
    let mut short = rows();
    short[0].as_array_mut().unwrap().pop();
    let mut sequence = sequences();
    sequence[0][5][3] = Value::Null;
    let table = [
        (json!({"model": "gpt", "rows": rows()}), "model", "expected one of adaptive, rtt-xgboost"),
        (json!({"rows": rows()}), "", "missing field `model`"),
        (json!({"model": "last"}), "", "got 0 of rows"),
        (json!({"model": "last", "rows": rows(), "signals": signals()}), "", "got 2 of rows"),
        (json!({"model": "last", "rows": rows()}), "rows", "got rows for last, expected signals"),
        (json!({"model": "rtt-lstm", "rows": rows()}), "rows", "expected sequences or signals"),
        (json!({"model": "rtt-xgboost", "rows": []}), "rows", "got 0 of rows, expected 1 to 1000"),
        (json!({"model": "rtt-xgboost", "rows": many}), "rows", "got 1001 of rows"),
        (json!({"model": "rtt-xgboost", "rows": short}), "rows[0]", "got 181 numbers in rows[0], expected 182"),
        (json!({"model": "rtt-xgboost", "rows": [{"rtt": 1}]}), "rows[0].rtt", "expected the name of a feature"),
        (json!({"model": "rtt-xgboost", "rows": [{}]}), "rows[0]", "got no "),
        (json!({"model": "rtt-xgboost", "rows": [[0, "1"]]}), "rows[0][1]", "expected a finite number"),
        (json!({"model": "rtt-xgboost", "rows": [[0, 1e39]]}), "rows[0][1]", "expected a finite number"),
        (json!({"model": "rtt-xgboost", "rows": [7]}), "rows[0]", "expected an array of numbers"),
        (json!({"model": "rtt-lstm", "sequences": [[[0]]]}), "sequences[0]", "got 1 of sequences[0], expected 60"),
        (json!({"model": "rtt-lstm", "sequences": sequence}), "sequences[0][5][3]", "got null"),
        (json!({"model": "last", "signals": [[]]}), "signals[0]", "got 0 of signals[0]"),
        (json!({"model": "last", "signals": [[{"rtt_max_us": -1}]]}), "signals[0][0].rtt_max_us", "expected 0 to 1e12"),
        (json!({"model": "last", "thresholdUs": 0, "signals": signals()}), "thresholdUs", "got 0 in thresholdUs"),
        (json!({"model": "last", "threshold": 1, "signals": signals()}), "threshold", "unknown field `threshold`"),
        (json!(["last", null, null, null, [[{}]]]), "", "expected an object"),
    ];
    for (request, field, words) in table {
        let problem = detect(&request).unwrap_err();
        let shown: String = request.to_string().chars().take(80).collect();
        assert!(problem.to_string().contains(words), "{shown}: {problem}");
        assert_eq!(problem.field(), Some(field), "{shown}: {problem}");
    }
}

#[test]
fn a_body_that_is_no_json_is_refused_without_being_followed_down() {
    let deep = format!(r#"{{"model": "last", "signals": {}"#, "[".repeat(100_000));
    for body in
        ["", "{", "NaN", r#"{"model": "last", "signals": [[{"rtt_max_us": NaN}]]}"#, "{} {}", "\u{0}", deep.as_str()]
    {
        assert!(matches!(Request::read(body.as_bytes()), Err(Problem::Malformed { .. })), "{:.40}", body);
    }
}

/// A signal in range, of any size.
fn signal() -> impl Strategy<Value = Option<f32>> {
    let any = (0.0_f32..=12.0).prop_map(|exponent| 10_f32.powf(exponent).min(1e12));
    prop_oneof![1 => Just(None), 1 => Just(Some(0.0)), 4 => any.prop_map(Some)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_signals_in_range_have_a_forecast_in_order_or_none(
        seconds in prop::collection::vec(prop::collection::vec(signal(), Signal::COUNT), 1..90),
        us in 1.0_f32..=900_000_000.0,
    ) {
        for name in builtin::names() {
            let request = json!({"model": name, "thresholdUs": us, "signals": [seconds]});
            for forecast in detect(&request).unwrap().forecasts() {
                let is_in_order = |us: [f32; 3]| us.is_sorted() && us.iter().all(|us| us.is_finite());
                prop_assert!(forecast.quantiles_us.is_none_or(is_in_order), "{name}: {forecast:?}");
                prop_assert!(forecast.chance.is_none_or(|chance| (0.0..=1.0).contains(&chance)), "{name}: {forecast:?}");
            }
        }
    }

    #[test]
    fn any_row_of_numbers_is_answered(row in prop::collection::vec(prop::option::of(any::<f32>()), COUNT)) {
        let scored = detect(&json!({"model": "rtt-xgboost", "rows": [row]}));
        prop_assert!(scored.is_ok());
    }

    #[test]
    fn bytes_that_are_no_request_are_refused(body in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Request::read(&body).is_err());
    }
}
