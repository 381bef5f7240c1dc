//! Policy files as users write them, right and wrong.

use netprecursor_core::policy::{Confidence, Hold, Labels, Mode, ModelRef, Policy, Scope, Severity};
use netprecursor_crds::{Fault, policies_from_yaml};

const CHECKOUT: &str = include_str!("../../examples/policies/checkout.yaml");

fn read(yaml: &str) -> Vec<Policy> {
    policies_from_yaml("test", yaml).unwrap_or_else(|refusal| panic!("{refusal}"))
}

/// Path and fault of everything wrong with the checkout example after an edit that has to change it.
fn problems(from: &str, to: &str) -> Vec<(String, String)> {
    let edited = CHECKOUT.replace(from, to);
    assert_ne!(edited, CHECKOUT, "`{from}` is not in the example");
    told(&edited)
}

fn told(yaml: &str) -> Vec<(String, String)> {
    let Err(refusal) = policies_from_yaml("test", yaml) else { panic!("it was accepted: {yaml}") };
    refusal.problems.into_iter().map(|problem| (problem.path, problem.fault.to_string())).collect()
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_policy_means_what_it_says() {
    let policies = read(CHECKOUT);
    let [policy] = policies.as_slice() else { panic!("{policies:?}") };
    assert_eq!((policy.name.as_str(), policy.mode), ("checkout", Mode::Active));
    assert_eq!(policy.uid, "PrecursorPolicy/shop/checkout");
    assert!(matches!(&policy.scope, Scope::Namespace(Some(namespace)) if namespace.as_str() == "shop"));
    assert!(policy.target.matches(&labels(&[("app", "checkout")])) && !policy.target.matches(&labels(&[])));
    let rule = policy.rules.iter().next().unwrap();
    assert_eq!((rule.thresholds.breach_us(), rule.thresholds.resolve_us()), (200_000, 160_000));
    assert_eq!((rule.hold, rule.keep_firing.get()), (Hold::ticks(2).unwrap(), 10));
    assert_eq!(
        (rule.severity, &rule.model, rule.max_false_alerts_per_day),
        (Severity::Warning, &ModelRef::Default, None)
    );
    assert_eq!(rule.confidence, Confidence::default(), "more likely than not");
}

#[test]
fn expressions_budgets_models_and_clusters_are_understood() {
    let web = &read(include_str!("../../examples/policies/web-tiers.yaml"))[0];
    assert!(web.target.matches(&labels(&[("tier", "gateway")])));
    assert!(!web.target.matches(&labels(&[("tier", "gateway"), ("canary", "yes")])));
    let confidences: Vec<_> = web.rules.iter().map(|rule| rule.confidence.get()).collect();
    assert_eq!(confidences, [50, 80]);
    let slow = web.rules.iter().next().unwrap();
    assert_eq!(slow.hold, Hold::debounce(3, 5).unwrap());
    assert_eq!((slow.thresholds.resolve_us(), slow.max_false_alerts_per_day.map(u32::from)), (64_000, Some(1)));

    let trials = read(include_str!("../../examples/policies/cluster-shadow.yaml"));
    let Scope::Cluster(namespaces) = &trials[1].scope else { panic!("{trials:?}") };
    assert!(namespaces.matches(&labels(&[("environment", "production")])) && !namespaces.matches(&labels(&[])));
    assert_eq!(trials[1].rules.iter().next().unwrap().model, ModelRef::Builtin("max-10".to_owned()));

    let storage = &read(include_str!("../../examples/policies/standalone/storage-lan.yaml"))[0];
    let model = &storage.rules.iter().next().unwrap().model;
    assert_eq!(*model, ModelRef::File { path: "models/storage.onnx".to_owned(), sha256: None });
}

#[test]
fn each_mistake_is_told_with_its_place_and_what_to_do() {
    let table = [
        ("threshold: 200ms", "threshold: 200", "spec.rules[0].rttForecast.threshold", "write for example `200ms`"),
        ("threshold: 200ms", "threshold: 0ms", "spec.rules[0].rttForecast.threshold", "more than 0"),
        (
            "threshold: 200ms",
            "threshold: soon",
            "spec.rules[0].rttForecast.threshold",
            "got `soon`, expected whole numbers",
        ),
        (
            "resolveThreshold: 160ms",
            "resolveThreshold: 200ms",
            "spec.rules[0].rttForecast.resolveThreshold",
            "lower it",
        ),
        ("resolveThreshold: 160ms", "resolve: 1ms", "spec.rules[0].rttForecast.resolve", "unknown"),
        ("    rttForecast: {threshold: 200ms, resolveThreshold: 160ms}\n", "", "spec.rules[0].rttForecast", "add it"),
        ("threshold: 200ms, ", "", "spec.rules[0].rttForecast", "expected the field `threshold`"),
        (
            "threshold: 200ms",
            "threshold: 200ms, measure: rtt",
            "spec.rules[0].rttForecast.measure",
            "`Rtt` or `Inflation`",
        ),
        ("threshold: 200ms", "threshold: 200ms, statistic: P95", "spec.rules[0].rttForecast.statistic", "`P90`"),
        ("threshold: 200ms", "threshold: 200ms, peers: {}", "spec.rules[0].rttForecast.peers", "got neither, expected"),
        (
            "threshold: 200ms",
            "threshold: 200ms, peers: {scope: All, cidrs: [10.0.0.0/8]}",
            "spec.rules[0].rttForecast.peers",
            "got both, expected",
        ),
        (
            "threshold: 200ms",
            "threshold: 200ms, peers: {scope: External}",
            "spec.rules[0].rttForecast.peers.scope",
            "needs a cluster; expected networks",
        ),
        (
            "threshold: 200ms",
            "threshold: 200ms, peers: {cidrs: [10.0.0.0/8, 10.0.0.0]}",
            "spec.rules[0].rttForecast.peers.cidrs[1]",
            "got `10.0.0.0`, expected a network",
        ),
        (
            "threshold: 200ms",
            "threshold: 200ms, peers: {cidrs: [10.0.0.0/8], except: [11.0.0.0/8]}",
            "spec.rules[0].rttForecast.peers.except",
            "expected a network inside one of `cidrs`",
        ),
        ("holdFor: 2s", "holdFor: 2s\n    debounce: {k: 1, of: 2}", "spec.rules[0].debounce", "remove the other"),
        ("holdFor: 2s", "debounce: {k: 6, of: 5}", "spec.rules[0].debounce", "k: 6, of: 5; expected 1 ≤ k ≤ of"),
        (
            "holdFor: 2s",
            "debounce: {k: 3, n: 5}",
            "spec.rules[0].debounce.n",
            "write for example `debounce: {k: 3, of: 5}`",
        ),
        ("holdFor: 2s", "debounce: {k: 3, false: 5}", "spec.rules[0].debounce.false", "expected `of`"),
        ("holdFor: 2s", "debounce: {k: -1, of: 5}", "spec.rules[0].debounce.k", "got invalid value: integer `-1`"),
        ("holdFor: 2s", "holdFor: 1500ms", "spec.rules[0].holdFor", "whole seconds"),
        ("holdFor: 2s", "holdFor: 2m", "spec.rules[0].holdFor", "at most 60s"),
        ("keepFiringFor: 10s", "keepFiringFor: 2h", "spec.rules[0].keepFiringFor", "at most 3600s"),
        ("keepFiringFor", "keepfiringFor", "spec.rules[0].keepfiringFor", "unknown"),
        ("severity: Warning", "severity: warning", "spec.rules[0].severity", "expected one of `Info`, `Warning`"),
        ("severity: Warning", "maxFalseAlertsPerDay: 0", "spec.rules[0].maxFalseAlertsPerDay", "at least 1"),
        (
            "severity: Warning",
            "minConfidencePercent: 4",
            "spec.rules[0].minConfidencePercent",
            "got 4, expected whole percent from 5 to 99: write for example `50`",
        ),
        ("severity: Warning", "minConfidencePercent: 100", "spec.rules[0].minConfidencePercent", "got 100, expected"),
        ("severity: Warning", "minConfidencePercent: 0", "spec.rules[0].minConfidencePercent", "got 0, expected"),
        ("severity: Warning", "minConfidencePercent: -50", "spec.rules[0].minConfidencePercent", "got -50, expected"),
        ("severity: Warning", "minConfidencePercent: 0.5", "spec.rules[0].minConfidencePercent", "write whole percent"),
        ("severity: Warning", "minConfidencePercent: 50%", "spec.rules[0].minConfidencePercent", "write whole percent"),
        ("severity: Warning", "minConfidence: 50", "spec.rules[0].minConfidence", "unknown"),
        ("signal: RttForecast", "signal: Rtt", "spec.rules[0].signal", "unknown variant `Rtt`, expected `RttForecast`"),
        ("name: rtt", "name: RTT", "spec.rules[0].name", "lower-case"),
        ("name: checkout", "name: check_out", "metadata.name", "lower-case"),
        ("namespace: shop", "namespace: the.shop", "metadata.namespace", "at most 63"),
        ("app: checkout", "app: 7", "spec.target.podSelector.matchLabels.app", "expected a string: put it in quotes"),
        ("app: checkout", "'-app': x", "spec.target.podSelector.matchLabels", "got the key `-app`"),
        ("app: checkout", "app: a b", "spec.target.podSelector.matchLabels", "got the value `a b`"),
        ("podSelector", "selector", "spec.target", "expected the field `podSelector`"),
        ("v1alpha1", "v1", "apiVersion", "expected `netprecursor.io/v1alpha1`"),
        ("kind: Prec", "kind: Prek", "kind", "got `PrekursorPolicy`"),
        ("spec:\n", "spec:\n  mode: Loud\n", "spec.mode", "expected `Active` or `Shadow`"),
        ("spec:\n", "extra: 1\nspec:\n", "extra", "unknown"),
        ("spec:\n", "specs:\n", "spec", "expected target and rules"),
    ];
    for (from, to, path, text) in table {
        let problems = problems(from, to);
        let told = problems.iter().any(|(at, fault)| at == path && fault.contains(text));
        assert!(told, "{from} → {to}: expected `{text}` at `{path}`, got {problems:#?}");
    }
}

#[test]
fn every_confidence_that_neither_always_nor_never_warns_is_taken() {
    let said = |percent: i64| CHECKOUT.replace("severity: Warning", &format!("minConfidencePercent: {percent}"));
    for percent in 5..=99 {
        assert_eq!(i64::from(read(&said(percent))[0].rules.iter().next().unwrap().confidence.get()), percent);
    }
}

#[test]
fn a_model_is_exactly_one_that_can_be_had_here() {
    let digest = "ab".repeat(32);
    let good = format!("{{file: a.onnx, sha256: {digest}}}");
    let policies = read(&CHECKOUT.replace("severity: Warning", &format!("model: {good}")));
    let expected = ModelRef::File { path: "a.onnx".to_owned(), sha256: Some([0xab; 32]) };
    assert_eq!(policies[0].rules.iter().next().unwrap().model, expected);
    let table = [
        ("{}", "spec.rules[0].model", "got none, expected exactly one"),
        ("{builtin: a, file: b}", "spec.rules[0].model", "got builtin and file"),
        ("{configMapKeyRef: {name: a, key: b, sha256: ab}}", "spec.rules[0].model.configMapKeyRef", "file: PATH.onnx"),
        ("{configMapKeyRef: {name: a, key: b}}", "spec.rules[0].model.configMapKeyRef", "the field `sha256`"),
        ("{builtin: a, sha256: ab}", "spec.rules[0].model.sha256", "without `file`"),
        ("{file: a.onnx, sha256: ab}", "spec.rules[0].model.sha256", "64 hexadecimal digits"),
    ];
    for (model, path, text) in table {
        let problems = problems("severity: Warning", &format!("model: {model}"));
        assert!(problems.iter().any(|(at, fault)| at == path && fault.contains(text)), "{model}: {problems:#?}");
    }
}

#[test]
fn rules_have_to_be_there_and_to_differ() {
    let (head, rules) = CHECKOUT.split_once("  - name: rtt\n").unwrap();
    assert_eq!(told(&format!("{} []\n", head.trim_end()))[0].0, "spec.rules");
    let twice = told(&format!("{CHECKOUT}  - name: rtt\n{rules}"));
    assert!(twice[0].0 == "spec.rules[1].name" && twice[0].1.contains("a second time"), "{twice:?}");
    assert!(told(&head.replace("  rules:\n", ""))[0].1.contains("expected the field `rules`"));
    let many = (0..65).map(|i| format!("  - name: r{i}\n{rules}")).collect::<String>();
    assert!(told(&format!("{head}{many}"))[0].1.contains("at most 64"));
}

#[test]
fn a_selector_wants_values_exactly_where_they_mean_something() {
    for (expression, text) in
        [("{key: a, operator: In}", "at least one"), ("{key: a, operator: Exists, values: [b]}", "remove them")]
    {
        let problems = problems("matchLabels: {app: checkout}", &format!("matchExpressions: [{expression}]"));
        assert_eq!(problems[0].0, "spec.target.podSelector.matchExpressions[0].values");
        assert!(problems[0].1.contains(text), "{problems:?}");
    }
}

#[test]
fn one_mistake_does_not_hide_the_others() {
    let broken = CHECKOUT
        .replace("200ms", "200")
        .replace("holdFor: 2s", "holdFor: 90s\n    treshold: 3ms")
        .replace("podSelector", "podSelektor: {}\n    podSelector")
        .replace("kind: Prec", "labels: {}\nkind: Prec");
    let file = format!("{broken}---\n{}", CHECKOUT.replace("10s", "10"));
    let refusal = policies_from_yaml("broken.yaml", &file).expect_err("it was accepted");
    let places: Vec<_> = refusal.problems.iter().map(|problem| (problem.document, problem.path.as_str())).collect();
    assert_eq!(
        places,
        [
            (1, "labels"),
            (1, "spec.rules[0].treshold"),
            (1, "spec.rules[0].rttForecast.threshold"),
            (1, "spec.rules[0].holdFor"),
            (1, "spec.target.podSelektor"),
            (2, "spec.rules[0].keepFiringFor"),
        ]
    );
    assert!(refusal.to_string().starts_with("broken.yaml cannot be used:\n  document 1, labels: got"), "{refusal}");
}

#[test]
fn a_file_without_a_policy_is_refused() {
    for yaml in ["", "---\n---\n", "# nothing\n"] {
        assert!(told(yaml)[0].1.contains("got no document"), "{yaml:?}");
    }
    for yaml in ["[", "a: b: c", "a: 1\na: 2"] {
        assert!(told(yaml)[0].1.contains("no readable YAML"), "{yaml:?}");
    }
    assert!(told("just text").iter().any(|(path, _)| path.is_empty()));
    assert!(told(&" ".repeat(2 << 20))[0].1.contains("split the file"));
}

#[test]
fn two_policies_of_one_name_are_refused() {
    let refusal = policies_from_yaml("test", &format!("{CHECKOUT}---\n{CHECKOUT}")).expect_err("it was accepted");
    assert!(matches!(refusal.problems[0].fault, Fault::DuplicatePolicy { .. }));
    assert!(refusal.to_string().contains("PrecursorPolicy shop/checkout a second time"), "{refusal}");
    // Also when both have a UID, as objects of two clusters have.
    let of = |uid: &str, name: &str| CHECKOUT.replace("name: checkout", &format!("name: {name}\n  uid: {uid}"));
    let refusal = policies_from_yaml("test", &format!("{}---\n{}", of("a", "checkout"), of("b", "checkout")));
    assert!(matches!(refusal.expect_err("accepted").problems[0].fault, Fault::DuplicatePolicy { .. }));
    let refusal = policies_from_yaml("test", &format!("{}---\n{}", of("a", "checkout"), of("a", "other")));
    assert!(matches!(refusal.expect_err("accepted").problems[0].fault, Fault::DuplicateUid { .. }));
    assert_eq!(read(&format!("{CHECKOUT}---\n{}", CHECKOUT.replace("shop", "store"))).len(), 2);
}

#[test]
fn an_object_as_the_api_server_returns_it_is_accepted() {
    let returned = CHECKOUT.replace(
        "metadata:\n",
        "status: {observedGeneration: 1}\nmetadata:\n  uid: 0f1\n  creationTimestamp: 2026-01-01T00:00:00Z\n  generation: 3\n",
    );
    assert_eq!(read(&returned)[0].uid, "0f1");
}

#[test]
fn yaml_that_multiplies_itself_is_refused() {
    let bomb: String = (1..30).fold("a0: &a0 [x, x]\n".to_owned(), |yaml, i| {
        format!("{yaml}a{i}: &a{i} [*a{p}, *a{p}, *a{p}, *a{p}]\n", p = i - 1)
    });
    assert!(told(&bomb)[0].1.contains("no readable YAML"));
}
