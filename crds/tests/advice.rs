//! Whoever does what a refusal says is not refused again.

use netprecursor_crds::policies_from_yaml;

const CHECKOUT: &str = include_str!("../../examples/policies/checkout.yaml");

/// The checkout example with `to` in place of `from`.
fn edited(from: &str, to: &str) -> String {
    let edited = CHECKOUT.replace(from, to);
    assert!(edited != CHECKOUT || from == to, "`{from}` is not in the example");
    edited
}

/// All that is said against a text.
fn told(yaml: &str) -> String {
    match policies_from_yaml("test", yaml) {
        Ok(_) => panic!("it was accepted: {yaml}"),
        Err(refusal) => refusal.to_string(),
    }
}

/// What to write: everything in backquotes after `write`.
fn advised(text: &str) -> Vec<&str> {
    let Some((_, advice)) = text.split_once("write ") else { return Vec::new() };
    let advice = advice.split("\n  document").next().unwrap_or_default();
    // Units are listed behind it.
    let advice = advice.split(" (units").next().unwrap_or_default();
    advice.split('`').skip(1).step_by(2).collect()
}

#[test]
fn what_is_advised_in_place_of_a_wrong_value_is_accepted() {
    let table = [
        (
            "threshold: 200ms, resolveThreshold: 160ms",
            "threshold: {}",
            &[
                "0.2", "200", "2000", "0", "1.5", "1e2", "soon", "1.5s", "200 ms", "5sec", "5µs", "-5s", "0ms", "16m",
                "~", "yes",
            ][..],
        ),
        (
            "threshold: 200ms, ",
            "threshold: 200ms, peers: {cidrs: [{}]}, ",
            &["10.0.0.0", "10.1.2.3/8", "2001:db8::1/32", "10.0.0.0/33", "all"][..],
        ),
        ("resolveThreshold: 160ms", "resolveThreshold: {}", &["160", "0.16", "200", "soon", "0.1s", "1500"][..]),
        (
            "holdFor: 2s",
            "holdFor: {}",
            &["2", "0.2", "2000", "1500ms", "2m", "1.5s", "59s999ms", "60s1us", "later"][..],
        ),
        ("keepFiringFor: 10s", "keepFiringFor: {}", &["10", "0.5", "2h", "1ms", "1.5m", "5 min", "3600.5s"][..]),
        (
            "holdFor: 2s",
            "debounce: {}",
            &["{k: 6, of: 5}", "{k: 0, of: 5}", "{k: 3, n: 5}", "{k: 3, false: 5}", "{k: 1, of: 61}"][..],
        ),
        ("name: rtt\n", "name: {}\n", &["RTT", "rtt_slow", "'-'", "a.b", "ü", "Slow RTT"][..]),
        ("name: checkout", "name: {}", &["check_out", "Checkout.", "..", "Käse"][..]),
        ("namespace: shop", "namespace: {}", &["the.shop", "Shop"][..]),
        ("severity: Warning", "model: {file: {}}", &["~/storage.onnx", "''"][..]),
        ("severity: Warning", "severity: {}", &["warning", "High"][..]),
        (
            "severity: Warning",
            "minConfidencePercent: {}",
            &["0", "4", "100", "-50", "0.5", "50%", "'50'", "high", "yes", "99999999999999999999"][..],
        ),
    ];
    let mut followed = 0;
    for (from, place, wrong) in table {
        for value in wrong {
            let text = told(&edited(from, &place.replace("{}", value)));
            let advised: Vec<&str> = match advised(&text) {
                advised if !advised.is_empty() => advised,
                // Of a list, each.
                _ => text
                    .rsplit_once("expected one of ")
                    .map(|(_, list)| list.split('`').skip(1).step_by(2).collect())
                    .unwrap_or_default(),
            };
            assert!(!advised.is_empty(), "{place} {value}: nothing to write in {text}");
            for advice in advised {
                let field = place.split(':').next().unwrap_or_default();
                let advice = advice.strip_prefix(&format!("{field}: ")).unwrap_or(advice);
                let corrected = edited(from, &place.replace("{}", advice));
                assert!(
                    policies_from_yaml("test", &corrected).is_ok(),
                    "{place} {value}: {text}\n{}",
                    told(&corrected)
                );
                followed += 1;
            }
        }
    }
    assert!(followed > 50, "only {followed}");
}

#[test]
fn what_is_advised_otherwise_is_accepted_as_well() {
    let digest = "ab".repeat(32);
    let table = [
        // From, the mistake, what is said, what it means when done.
        ("holdFor: 2s", "holdFor: 2s\n    debounce: {k: 1, of: 2}", "remove the other", "debounce: {k: 1, of: 2}"),
        ("resolveThreshold: 160ms", "resolveThreshold: 200ms", "lower it", "resolveThreshold: 199ms"),
        (", resolveThreshold: 160ms", ", resolveThreshold: 200ms", "or leave it out for 80 %", ""),
        (
            "    rttForecast: {threshold: 200ms, resolveThreshold: 160ms}\n",
            "",
            "expected `rttForecast: {threshold: 200ms}`: add it",
            "    rttForecast: {threshold: 200ms}\n",
        ),
        (
            "{threshold: 200ms, resolveThreshold: 160ms}",
            "{resolveThreshold: 160ms}",
            "expected the field `threshold`: add it",
            "{resolveThreshold: 160ms, threshold: 200ms}",
        ),
        ("severity: Warning", "maxFalseAlertsPerDay: 0", "at least 1", "maxFalseAlertsPerDay: 1"),
        ("severity: Warning", "maxFalseAlertsPerDay: 0", "leave it out for no budget", ""),
        ("{app: checkout}", "{app: 7}", "put it in quotes", "{app: '7'}"),
        ("{app: checkout}", "{app: yes}", "put it in quotes", "{app: 'yes'}"),
        ("{app: checkout}", "{app: 1e5}", "put it in quotes", "{app: '1e5'}"),
        ("name: checkout", "name: 2024", "put it in quotes", "name: '2024'"),
        ("name: rtt\n", "name: on\n", "put it in quotes", "name: 'on'\n"),
        (
            "severity: Warning",
            "model: {configMapKeyRef: {name: a, key: b, sha256: ab}}",
            "`file: PATH.onnx` or `builtin: NAME`",
            "model: {builtin: max-10}",
        ),
        ("severity: Warning", "model: {builtin: a, sha256: ab}", "remove it or add `file`", "model: {builtin: max-10}"),
        ("severity: Warning", "model: {}", "`builtin` and `file`", "model: {file: a.onnx}"),
        (
            "matchLabels: {app: checkout}",
            "matchExpressions: [{key: a, operator: In}]",
            "add values",
            "matchExpressions: [{key: a, operator: In, values: [b]}]",
        ),
        (
            "matchLabels: {app: checkout}",
            "matchExpressions: [{key: a, operator: In}]",
            "or use Exists",
            "matchExpressions: [{key: a, operator: Exists}]",
        ),
        (
            "matchLabels: {app: checkout}",
            "matchExpressions: [{key: a, operator: Exists, values: [b]}]",
            "remove them",
            "matchExpressions: [{key: a, operator: Exists}]",
        ),
        ("kind: PrecursorPolicy", "kind: precursorpolicy", "`PrecursorPolicy` or", "kind: PrecursorPolicy"),
        (
            "netprecursor.io/v1alpha1",
            "netprecursor.io/v1",
            "expected `netprecursor.io/v1alpha1`",
            "netprecursor.io/v1alpha1",
        ),
    ];
    for (from, mistake, words, done) in table {
        let text = told(&edited(from, mistake));
        assert!(text.contains(words), "{mistake}: expected `{words}` in {text}");
        let corrected = edited(from, done);
        assert!(policies_from_yaml("test", &corrected).is_ok(), "{done}: {}", told(&corrected));
    }
    let pinned = format!("model: {{file: a.onnx, sha256: {digest}}}");
    assert!(told(&edited("severity: Warning", &pinned.replace(&digest, "ab12"))).contains("64 hexadecimal digits"));
    assert!(policies_from_yaml("test", &edited("severity: Warning", &pinned)).is_ok());
}
