//! Wrong configuration: the agent reports what it got, what it expected and what to do, and either ends at once or
//! does without.

use std::{fs, net::TcpListener, path::Path};

use crate::fixture::{Agent, Host, alone, policy, scratch};

fn errors(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_policy_that_is_wrong_ends_it_with_code_2_and_the_place_of_the_mistake() {
    let table = [
        (
            "[{name: rtt, signal: RttForecast, rttForecast: {threshold: 9ms}, hold: 2s}]",
            "spec.rules[0].hold",
            "unknown",
        ),
        ("[{name: rtt, signal: RttForecast, rttForecast: {threshold: 200}}]", "threshold", "write for example `200ms`"),
        (
            "[{name: rtt, signal: RttForecast, rttForecast: {threshold: 5ms, resolveThreshold: 5ms}}]",
            "spec.rules[0].rttForecast.resolveThreshold",
            "lower it",
        ),
        ("[]", "spec.rules", "at least one"),
    ];
    for (rules, place, advice) in table {
        let file = policy(rules);
        let path = file.path().to_str().unwrap();
        let output = Agent::output(&["run", "--target", "netns:npt-none", "--policy", path]);
        let text = errors(&output);
        assert_eq!(output.status.code(), Some(2), "{rules}: {text}");
        assert!(text.contains(path) && text.contains(place) && text.contains(advice), "{rules}: {text}");
    }
}

#[test]
fn a_port_in_use_ends_it_with_the_address_and_the_flag_to_change_it_under_every_log_filter() {
    let Some(_alone) = alone() else { return };
    let (taken, state) = (TcpListener::bind("127.0.0.1:0").unwrap(), scratch());
    let address = taken.local_addr().unwrap().to_string();
    let state = state.path().to_str().unwrap();
    let arguments = ["run", "--target", "netns:npt-none", "--listen", &address, "--state-dir", state];
    for log in [&["--log", "info"][..], &["--log", "off"], &["--log", "kube=debug"], &["--log", "off", "--log-json"]] {
        let output = Agent::output(&[&arguments, log].concat());
        let text = errors(&output);
        assert!(!output.status.success());
        assert!(text.contains(&address) && text.contains("--listen"), "{log:?}: {text}");
    }
}

/// An entry of a model's `metadata_props`: field 14 of `ModelProto` in onnx.proto, a key and a value. Appended to a file
/// it belongs to the model, as protobuf merges.
fn metadata(key: &str, value: &str) -> Vec<u8> {
    let text = |field: u8, text: &str| [&[field << 3 | 2, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let entry = [text(1, key), text(2, value)].concat();
    [&[14 << 3 | 2, u8::try_from(entry.len()).unwrap()], entry.as_slice()].concat()
}

/// The model that ships with two names of its features, of equal length, changing places.
fn permuted() -> Vec<u8> {
    let mut model = netprecursor_models::builtin::model("rtt-xgboost").unwrap().to_vec();
    let names = ["\"rtt_p90_us_mean4\"", "\"rtt_p99_us_mean4\""];
    let place = |name: &str| model.windows(name.len()).position(|part| part == name.as_bytes()).unwrap();
    let places = names.map(place);
    for (place, name) in places.into_iter().zip(names.iter().rev()) {
        model[place..place + name.len()].copy_from_slice(name.as_bytes());
    }
    model
}

#[test]
fn a_model_that_cannot_be_used_has_a_fallback_and_the_reason_is_reported() {
    let Some(_alone) = alone() else { return };
    let (host, directory) = (Host::new(), scratch());
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/golden/xgboost-quantiles.onnx");
    let good = fs::read(golden).unwrap();
    let labelled =
        [good.as_slice(), &metadata("netprecursor.kind", "RttForecast"), &metadata("netprecursor.schema_hash", "00ff")];
    let table = [
        ("missing", None, "cannot read model file"),
        ("truncated", Some(good[..good.len() / 2].to_vec()), "truncated"),
        ("unlabelled", Some(good.clone()), "kind"),
        ("older", Some(labelled.concat()), "schema hash: got 00ff"),
        ("compressed", Some(b"\x1f\x8b\x08\0".to_vec()), "got a gzip file"),
        ("permuted", Some(permuted()), "feature_names: got \"rtt_p99_us_mean4\" at position"),
    ];
    let mut rules = Vec::new();
    for (name, bytes, _) in &table {
        let path = directory.path().join(format!("{name}.onnx"));
        if let Some(bytes) = bytes {
            fs::write(&path, bytes).unwrap();
        }
        let signal = "signal: RttForecast, rttForecast: {threshold: 200ms}";
        rules.push(format!("{{name: {name}, {signal}, model: {{file: {}}}}}", path.display()));
    }
    let policy = policy(&format!("[{}]", rules.join(", ")));
    let target = format!("netns:{}", host.name);
    let policy_file = policy.path().to_str().unwrap();
    let agent = Agent::start(directory.path(), &["--target", &target, "--policy", policy_file]);
    agent.until_ready_is(200);

    let scores = agent.json("/api/v1/scores");
    for (name, _, reason) in table {
        let score = scores.as_array().unwrap().iter().find(|score| score["rule"] == name).unwrap();
        let fallback = score["model"]["fallback"].as_str().unwrap_or_default();
        assert!(fallback.contains(reason), "{name}: {score:#}");
        assert!(score["model"]["sha256"].is_null(), "a rule of thumb has no digest: {score:#}");
    }
}
