//! Models of users: one that is good, and four that are refused. A policy that names one of these shows the reason, the best
//! rule of thumb is its fallback, and every alert says so.

use std::{
    io::Write as _,
    path::Path,
    time::{Duration, Instant},
};

use flate2::{Compression, write::GzEncoder};
use k8s_openapi::{ByteString, api::core::v1::ConfigMap};
use kube::{
    Api, ResourceExt as _,
    api::{ObjectMeta, PostParams},
    runtime::watcher::Config,
};
use netprecursor_crds::{alert::AlertState, policy::PrecursorPolicy, report::PrecursorNodeReport};
use netprecursor_e2e::{
    Error,
    cluster::{Story, story, wait_for, wait_for_list},
    congestion::{SERVER, Scene},
    product::Product,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::shared::{alert_in, policy, request};

/// The best rule of thumb, as the release names it.
const FALLBACK: &str = "damped-holt";
/// Inflated, a model has at most as many bytes.
const LARGEST: usize = 8 << 20;
/// A verdict takes a child process and a look at the API server.
const VERDICT: Duration = Duration::from_secs(60);

/// From a ConfigMap that a policy has named in vain to its model.
const NOTICED: Duration = Duration::from_secs(15);

/// A model in a ConfigMap, and the expected verdict.
struct Model {
    /// Of ConfigMap and policy.
    name: &'static str,
    stored: Vec<u8>,
    sha256: String,
    /// Status and reason of `ModelReady`.
    verdict: [&'static str; 2],
    /// Parts of its message.
    words: Vec<String>,
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn of_checkout(path: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../models").join(path)).unwrap()
}

fn models() -> [Model; 5] {
    let good = of_checkout("artifacts/rtt-xgboost.onnx");
    let unfit = of_checkout("golden/lightgbm-forest.onnx");
    let broken = &good[..good.len() / 2];
    let another = digest(b"another model");
    let bad = |name, stored, sha256, reason, words: &[&str]| Model {
        name,
        stored,
        sha256,
        verdict: ["False", reason],
        words: words.iter().map(|word| (*word).to_owned()).chain([format!("{FALLBACK} forecasts meanwhile")]).collect(),
    };
    [
        Model {
            name: "good",
            stored: gzip(&good),
            sha256: digest(&good),
            verdict: ["True", "Published"],
            words: vec!["the model that it asks for".to_owned()],
        },
        bad(
            "wrong-digest",
            gzip(&good),
            another.clone(),
            "DigestMismatch",
            &[&format!("got a model with sha256 {}, expected {another}", digest(&good)), "correct one of them"],
        ),
        bad("broken", gzip(broken), digest(broken), "Refused", &["rule rtt: ", "got ", "expected ", "; fix: "]),
        bad("unfit", unfit.clone(), digest(&unfit), "Refused", &["metadata kind: got none, expected RttForecast"]),
        bad(
            "too-large",
            gzip(&vec![0; LARGEST + 1]),
            digest(&vec![0; LARGEST + 1]),
            "TooLarge",
            &[&format!("got more than {LARGEST} bytes when inflated"), "train a smaller model"],
        ),
    ]
}

async fn bring(story: &Story, model: &Model) -> Result<(), Error> {
    let map = ConfigMap {
        metadata: ObjectMeta { name: Some(model.name.to_owned()), ..ObjectMeta::default() },
        binary_data: Some([("model.onnx".to_owned(), ByteString(model.stored.clone()))].into()),
        ..ConfigMap::default()
    };
    let maps: Api<ConfigMap> = story.api();
    maps.create(&PostParams::default(), &map).await.map_err(request(format!("creating ConfigMap {}", model.name)))?;
    Ok(())
}

fn rules(model: &Value) -> Value {
    let rule = json!({
        "name": "rtt", "signal": "RttForecast", "rttForecast": {"threshold": "200ms"},
        "holdFor": "2s", "keepFiringFor": "3s", "model": model,
    });
    json!({"spec": {"rules": [rule]}})
}

#[tokio::test]
async fn a_refused_model_is_reported_with_its_reason_and_a_rule_of_thumb_is_the_fallback() {
    story("models", async |story| {
        let product = Product::new(story.cluster());
        product.install(&[&format!("models.namespaces={{{}}}", story.namespace())]).await?;
        let (models, mut uids) = (models(), Vec::new());
        for model in &models {
            bring(story, model).await?;
            let reference = json!({"configMapKeyRef": {
                "name": model.name, "key": "model.onnx", "sha256": model.sha256}});
            uids.push(policy(story, model.name, rules(&reference)).await?.uid().unwrap());
        }
        let scene = Scene::start(story).await?;

        // The conditions of the policies.
        let policies: Api<PrecursorPolicy> = story.api();
        for model in &models {
            let what = format!("ModelReady={} ({}) of {}", model.verdict[0], model.verdict[1], model.name);
            let ready = |policy: Option<&PrecursorPolicy>| {
                let conditions = policy.and_then(|policy| policy.status.as_ref()).map(|status| &status.conditions);
                let found = conditions.into_iter().flatten().find(|condition| condition.type_ == "ModelReady");
                found.map(|found| (found.status.clone(), found.reason.clone(), found.message.clone()))
            };
            let policy = wait_for(&policies, model.name, &what, VERDICT, |policy| {
                ready(policy).is_some_and(|(status, reason, _)| [status.as_str(), reason.as_str()] == model.verdict)
            })
            .await?;
            let (_, _, message) = ready(policy.as_ref()).unwrap();
            println!("{}: {message}", model.name);
            for words in &model.words {
                assert!(message.contains(words), "{}: expected {words:?} in {message:?}", model.name);
            }
        }

        // The report and the alerts of the agent.
        product.agents_ready().await?;
        let reports: Api<PrecursorNodeReport> = Api::all(story.client());
        let what = "a node report in which only the good model is ready";
        wait_for_list(&reports, Config::default(), what, Duration::from_secs(180), |reports| {
            reports.iter().find_map(|report| {
                let status = report.status.as_ref()?;
                let found = |uid: &String| status.models.iter().find(|model| model.policy_uid == *uid);
                let is_so = uids.iter().zip(&models).all(|(uid, model)| {
                    let is_good = model.verdict[0] == "True";
                    found(uid).is_some_and(|model| model.ready == is_good && model.reason.is_none() == is_good)
                });
                is_so.then_some(())
            })
        })
        .await?;
        scene.warm_up(story, &models.each_ref().map(|model| model.name)).await?;
        scene.narrow().await?;
        for model in &models {
            let (alert, _) = alert_in(story, model.name, AlertState::Firing, Duration::from_secs(120)).await?;
            let used = alert.status.unwrap().model;
            if model.verdict[0] == "True" {
                assert_eq!((used.sha256.as_deref(), &used.fallback), (Some(model.sha256.as_str()), &None));
            } else {
                assert_eq!((used.name.as_str(), &used.sha256), (FALLBACK, &None), "{}", model.name);
                let why = used.fallback.unwrap();
                assert!(why.contains("ModelReady"), "{}: {why}", model.name);
            }
        }
        Ok::<_, Error>(())
    })
    .await;
}

/// Status and reason of a policy's `ModelReady`.
fn model_ready(policy: Option<&PrecursorPolicy>) -> Option<[&str; 2]> {
    let conditions = &policy?.status.as_ref()?.conditions;
    let found = conditions.iter().find(|condition| condition.type_ == "ModelReady")?;
    Some([&found.status, &found.reason])
}

#[tokio::test]
#[ignore = "nightly: waits for what a watch would be too dear for; E2E_STORIES=nightly make e2e"]
async fn a_model_that_comes_after_its_policy_is_noticed_within_fifteen_seconds() {
    story("late-model", async |story| {
        let product = Product::new(story.cluster());
        product.install(&[&format!("models.namespaces={{{}}}", story.namespace())]).await?;
        let [good, ..] = models();
        let reference = json!({"configMapKeyRef": {"name": good.name, "key": "model.onnx", "sha256": good.sha256}});
        policy(story, good.name, rules(&reference)).await?;
        let policies: Api<PrecursorPolicy> = story.api();
        let missing = |policy: Option<&PrecursorPolicy>| model_ready(policy) == Some(["False", "NotFound"]);
        wait_for(&policies, good.name, "ModelReady=False (NotFound)", VERDICT, missing).await?;
        bring(story, &good).await?;
        let begun = Instant::now();
        let there = |policy: Option<&PrecursorPolicy>| model_ready(policy) == Some(good.verdict);
        wait_for(&policies, good.name, "ModelReady=True (Published)", VERDICT, there).await?;
        let took = begun.elapsed();
        println!("a model that appeared was noticed after {:.1} s", took.as_secs_f64());
        assert!(took <= NOTICED, "noticed after {took:?}, expected at most {NOTICED:?}");
        Ok::<_, Error>(())
    })
    .await;
}

/// Applies a policy with one change by `kubectl apply` and returns the message of the refusal.
async fn refusal(product: &Product, namespace: &str, pointer: &str, value: Value) -> Result<String, Error> {
    let mut policy = json!({
        "apiVersion": "netprecursor.io/v1alpha1", "kind": "PrecursorPolicy",
        "metadata": {"name": "refused", "namespace": namespace},
        "spec": {
            "target": {"podSelector": {"matchLabels": {"app": SERVER}}},
            "rules": [{"name": "rtt", "signal": "RttForecast", "rttForecast": {"threshold": "200ms"}}],
        },
    });
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    policy.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(key.to_owned(), value);
    match product.kubectl_with(&["apply", "-f", "-"], &policy.to_string()).await {
        Ok(output) => panic!("{pointer} was accepted: {output}"),
        Err(Error::Command { got, .. }) => Ok(got),
        Err(other) => Err(other),
    }
}

#[tokio::test]
async fn kubectl_apply_says_what_to_write_instead() {
    story("refused", async |story| {
        let product = Product::new(story.cluster());
        product.install(&[]).await?;
        let both =
            json!({"builtin": "max-10", "configMapKeyRef": {"name": "a", "key": "b", "sha256": "ab".repeat(32)}});
        let rule = "/spec/rules/0";
        let mistakes = [
            (format!("{rule}/rttForecast/threshold"), json!("200"), "numbers with units"),
            (format!("{rule}/rttForecast/resolveThreshold"), json!("300ms"), "less than threshold: lower it"),
            (format!("{rule}/holdFor"), json!("2m"), "at most 60s"),
            (format!("{rule}/keepFiringFor"), json!("1ms"), "whole seconds"),
            (format!("{rule}/severity"), json!("loud"), "\"Info\", \"Warning\", \"Critical\""),
            (format!("{rule}/model"), both, "exactly one"),
            (format!("{rule}/model"), json!({"file": "a.onnx"}), "put the model into a ConfigMap"),
            ("/spec/mode".to_owned(), json!("Loud"), "\"Active\", \"Shadow\""),
            ("/spec/rules".to_owned(), json!([]), "at least 1 items"),
        ];
        for (pointer, value, expected) in mistakes {
            let message = refusal(&product, story.namespace(), &pointer, value).await?;
            assert!(message.contains(expected), "{pointer}: expected {expected:?} in {message:?}");
        }
        let policies: Api<PrecursorPolicy> = story.api();
        let left = policies.list(&Default::default()).await.map_err(request("listing policies"))?;
        assert!(left.items.is_empty(), "{:#?}", left.items);
        Ok::<_, Error>(())
    })
    .await;
}
