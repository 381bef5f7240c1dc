//! Helpers of the stories: a policy over the server of the scene, and waiting for its alerts.

use std::time::{Duration, Instant};

use k8s_openapi::{
    api::core::v1::Pod, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    apimachinery::pkg::apis::meta::v1::Condition,
};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, ListParams, PostParams},
    runtime::watcher::Config,
};
use netprecursor_crds::{
    alert::{AlertState, PrecursorAlert},
    policy::PrecursorPolicy,
};
use netprecursor_e2e::{
    Error,
    cluster::{Story, wait_for, wait_for_list},
    congestion::SERVER,
    product::Product,
};
use serde_json::{Value, json};

/// The threshold of the stories' policies.
const THRESHOLD: &str = "200ms";
/// From the first narrowing to the breach and its verdict.
pub(crate) const RAMP: Duration = Duration::from_secs(120);
/// From one state of objects to the next.
const LIMIT: Duration = Duration::from_secs(120);
/// The kinds of the product.
pub(crate) const DEFINITIONS: [&str; 4] = [
    "precursorpolicies.netprecursor.io",
    "clusterprecursorpolicies.netprecursor.io",
    "precursoralerts.netprecursor.io",
    "precursornodereports.netprecursor.io",
];

/// Creates a policy over the pods with the label `app` of the scene's server.
pub(crate) async fn policy(story: &Story, name: &str, more: Value) -> Result<PrecursorPolicy, Error> {
    let mut policy = json!({
        "apiVersion": "netprecursor.io/v1alpha1", "kind": "PrecursorPolicy",
        "metadata": {"name": name},
        "spec": {
            "target": {"podSelector": {"matchLabels": {"app": SERVER}}},
            "rules": [{
                "name": "rtt", "signal": "RttForecast", "rttForecast": {"threshold": THRESHOLD},
                "holdFor": "2s", "keepFiringFor": "3s",
                // A trend warns of the first narrowing; a model that learns in place would have to see one before.
                "model": {"builtin": "damped-holt"}, "minConfidencePercent": 30,
            }],
        },
    });
    merge(&mut policy, more);
    let policies: Api<PrecursorPolicy> = story.api();
    let policy = serde_json::from_value(policy).unwrap();
    policies.create(&PostParams::default(), &policy).await.map_err(request(format!("creating policy {name}")))
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            from.into_iter().for_each(|(key, value)| merge(into.entry(key).or_insert(Value::Null), value));
        }
        (into, from) => *into = from,
    }
}

/// An error of a request with what was asked for.
pub(crate) fn request(what: impl Into<String>) -> impl FnOnce(kube::Error) -> Error {
    let what = what.into();
    move |reason| Error::Request { what, reason: Box::new(reason) }
}

/// Waits for an alert of the policy in the state `state`. Returns it and how long that took.
pub(crate) async fn alert_in(
    story: &Story,
    policy: &str,
    state: AlertState,
    limit: Duration,
) -> Result<(PrecursorAlert, Duration), Error> {
    let begun = Instant::now();
    let config = Config::default().fields(&format!("spec.policyRef.name={policy}"));
    let what = format!("an alert of {policy} that is {state:?}");
    let alerts: Api<PrecursorAlert> = story.api();
    let alert = wait_for_list(&alerts, config, &what, limit, |alerts| {
        alerts
            .iter()
            .find(|alert| alert.status.as_ref().is_some_and(|status| status.state == state))
            .map(|one| (*one).clone())
    })
    .await?;
    Ok((alert, begun.elapsed()))
}

/// Waits by `kubectl wait` until a condition of a policy is true.
pub(crate) async fn wait_with_kubectl(
    product: &Product,
    story: &Story,
    policy: &str,
    condition: &str,
) -> Result<(), Error> {
    let (policy, condition) = (format!("precursorpolicy/{policy}"), format!("condition={condition}"));
    let words = ["wait", &policy, "--for", &condition, "--timeout=55s", "-n", story.namespace()];
    product.kubectl(&words).await.map(|_| ())
}

/// The status of a condition; `absent` without one.
pub(crate) fn condition<'a>(conditions: &'a [Condition], name: &str) -> &'a str {
    conditions.iter().find(|condition| condition.type_ == name).map_or("absent", |condition| &condition.status)
}

/// UID of a pod.
pub(crate) fn uid(pod: &Pod) -> String {
    pod.uid().unwrap()
}

/// Whether anyone else has policies, so that this story must not delete the definitions. Those of earlier stories are about
/// to be gone.
pub(crate) async fn is_in_use(story: &Story) -> Result<bool, Error> {
    let policies: Api<PrecursorPolicy> = Api::all(story.client());
    match policies.list(&ListParams::default()).await {
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(false),
        listed => drop(listed.map_err(request("listing policies"))?),
    }
    let none = |policies: &[&PrecursorPolicy]| policies.is_empty().then_some(());
    match wait_for_list(&policies, Config::default(), "no policy to be there", LIMIT, none).await {
        Err(Error::Timeout { .. }) => Ok(true),
        other => other.map(|()| false),
    }
}

/// Removes the product and its definitions.
pub(crate) async fn clean(story: &Story, product: &Product) -> Result<(), Error> {
    product.uninstall().await?;
    let definitions: Api<CustomResourceDefinition> = Api::all(story.client());
    for name in DEFINITIONS {
        match definitions.delete(name, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            other => drop(other.map_err(request(format!("deleting {name}")))?),
        }
        let gone = |found: Option<&CustomResourceDefinition>| found.is_none();
        wait_for(&definitions, name, &format!("{name} to be gone"), LIMIT, gone).await?;
    }
    Ok(())
}
