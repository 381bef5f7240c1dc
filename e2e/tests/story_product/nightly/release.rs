//! The life of a release with an alert out: from an older chart to this one, back, away, and back again.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use k8s_openapi::{
    api::{apps::v1::DaemonSet, core::v1::Pod, events::v1::Event},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams},
    runtime::watcher::Config,
};
use netprecursor_crds::{alert::PrecursorAlert, policy::PrecursorPolicy};
use netprecursor_e2e::{
    Error,
    agent::SELECTOR,
    baseline::{self, LATER_FIELD},
    cluster::{SYSTEM_NAMESPACE, Story, story, wait_for, wait_for_list},
    product::{AGENTS, Product, RELEASE},
};
use serde_json::{Value, json};

use super::{Trouble, delivered};
use crate::shared::{DEFINITIONS, clean, condition, is_in_use, policy, request, wait_with_kubectl};

const HELM: Duration = Duration::from_secs(180);
const LIMIT: Duration = Duration::from_secs(120);

/// Whether the definition of policies has the field that came later.
async fn has_later_field(story: &Story) -> Result<bool, Error> {
    let definitions: Api<CustomResourceDefinition> = Api::all(story.client());
    let found = definitions.get(DEFINITIONS[0]).await.map_err(request("getting a definition"))?;
    Ok(serde_json::to_string(&found.spec).unwrap().contains(LATER_FIELD))
}

/// Waits until every agent has been started with `--log LEVEL`, and is ready.
async fn agents_log(story: &Story, product: &Product, level: &str) -> Result<(), Error> {
    let pods: Api<Pod> = Api::namespaced(story.client(), SYSTEM_NAMESPACE);
    let has_level = |pod: &&Pod| {
        let container = pod.spec.as_ref().and_then(|spec| spec.containers.first());
        let arguments = container.and_then(|container| container.args.as_ref()).into_iter().flatten();
        arguments.clone().zip(arguments.skip(1)).any(|(flag, value)| flag == "--log" && value == level)
    };
    let what = format!("agents that log at {level}");
    wait_for_list(&pods, Config::default().labels(SELECTOR), &what, LIMIT, |pods| {
        (!pods.is_empty() && pods.iter().all(has_level)).then_some(())
    })
    .await?;
    product.agents_ready().await.map(|_| ())
}

/// The alert is the one that it was.
async fn is_kept(story: &Story, trouble: &Trouble, after: &str) -> Result<PrecursorAlert, Error> {
    let alerts: Api<PrecursorAlert> = story.api();
    let name = trouble.alert.name_any();
    let found = alerts.get(&name).await.map_err(request(format!("getting alert {name} after {after}")))?;
    assert_eq!(found.metadata.uid, trouble.alert.metadata.uid, "another alert after {after}");
    Ok(found)
}

/// Gives the rule a budget, a field that only this chart's definition has; what the server kept of it.
async fn budget(story: &Story) -> Result<Option<u32>, Error> {
    let policies: Api<PrecursorPolicy> = story.api();
    let change: Value = json!([{"op": "add", "path": format!("/spec/rules/0/{LATER_FIELD}"), "value": 7}]);
    let change = serde_json::from_value(change).unwrap();
    let patched = policies.patch("web", &PatchParams::default(), &Patch::<()>::Json(change)).await;
    let patched = patched.map_err(request("changing the policy"))?;
    Ok(patched.spec.rules.first().and_then(|rule| rule.max_false_alerts_per_day))
}

/// What somebody changes in the agents' DaemonSet is put right, and an Event says so.
async fn edited(story: &Story) -> Result<(), Error> {
    const LABEL: &str = "app.kubernetes.io/part-of";
    let sets: Api<DaemonSet> = Api::namespaced(story.client(), SYSTEM_NAMESPACE);
    // One that replaces no pod.
    let edit = json!({"metadata": {"labels": {LABEL: "edited"}}});
    let edited = sets.patch(AGENTS, &PatchParams::default(), &Patch::Merge(edit)).await;
    let edited = edited.map_err(request("editing the agents"))?;
    let is_right =
        |set: Option<&DaemonSet>| set.is_some_and(|set| set.labels().get(LABEL).is_some_and(|is| is == RELEASE));
    wait_for(&sets, AGENTS, "the edit to be put right", LIMIT, is_right).await?;
    let events: Api<Event> = Api::namespaced(story.client(), SYSTEM_NAMESPACE);
    let config = Config::default().fields("reason=EditReverted");
    // Not that of a DaemonSet of an earlier story.
    let is_it = |event: &&Event| event.regarding.as_ref().is_some_and(|regarding| regarding.uid == edited.uid());
    wait_for_list(&events, config, "an Event about the edit", LIMIT, |events| events.iter().any(is_it).then_some(()))
        .await
}

#[tokio::test]
#[ignore = "nightly: installs and removes everything; E2E_STORIES=nightly make e2e"]
async fn a_release_is_upgraded_rolled_back_removed_and_installed_again_with_an_alert_out() {
    story("release", async |story| {
        let product = Product::new(story.cluster());
        if is_in_use(story).await? {
            println!("skipped: others have policies in this cluster, which would go with the definitions");
            return Ok(());
        }
        clean(story, &product).await?;
        let directory = tempfile::tempdir().unwrap();
        let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/netprecursor");
        let (older, newer) = (baseline::write(&chart, directory.path())?, chart);
        let (older, newer) = (older.display().to_string(), newer.display().to_string());

        // The older one.
        let wait = ["--wait", "--timeout", "170s"];
        product.make_namespace().await?;
        product.helm(&[&["install", RELEASE, &older], &wait[..]].concat(), HELM).await?;
        assert!(!has_later_field(story).await?);
        let trouble = Trouble::make(story, &product).await?;
        assert_eq!(budget(story).await?, None, "the older definition does not know the field");

        // Upgraded, with a change that every agent has to take in.
        let begun = Instant::now();
        product.helm(&[&["upgrade", RELEASE, &newer, "--set", "logLevel=debug"], &wait[..]].concat(), HELM).await?;
        agents_log(story, &product, "debug").await?;
        println!("upgrade to agents ready: {:.1} s", begun.elapsed().as_secs_f64());
        assert!(has_later_field(story).await?);
        assert_eq!(budget(story).await?, Some(7), "the newer definition knows the field");
        is_kept(story, &trouble, "the upgrade").await?;

        // Rolled back.
        product.helm(&[&["rollback", RELEASE, "1"], &wait[..]].concat(), HELM).await?;
        agents_log(story, &product, "info").await?;
        assert!(!has_later_field(story).await?);
        is_kept(story, &trouble, "the rollback").await?;
        trouble.end(story).await?;
        delivered::once(story).await?;

        edited(story).await?;

        // Removed: agents go, what users wrote and read stays, nothing hangs.
        let begun = Instant::now();
        product.uninstall().await?;
        let sets: Api<DaemonSet> = Api::namespaced(story.client(), SYSTEM_NAMESPACE);
        wait_for(&sets, AGENTS, "the agents to be gone", LIMIT, |set| set.is_none()).await?;
        let pods: Api<Pod> = Api::namespaced(story.client(), SYSTEM_NAMESPACE);
        let none = |pods: &[&Pod]| pods.is_empty().then_some(());
        wait_for_list(&pods, Config::default(), "no pod to be left", LIMIT, none).await?;
        println!("uninstalled after {:.1} s", begun.elapsed().as_secs_f64());
        is_kept(story, &trouble, "the removal").await?;
        let kept: Api<PrecursorPolicy> = story.api();
        let kept = kept.get("web").await.map_err(request("getting the kept policy"))?;
        let conditions = &kept.status.as_ref().unwrap().conditions;
        let said: Vec<&str> = conditions.iter().map(|condition| condition.reason.as_str()).collect();
        assert_eq!(
            (said, condition(conditions, "Ready")),
            (vec!["Uninstalled"], "Unknown"),
            "the policy claims to be watched"
        );
        let definitions: Api<CustomResourceDefinition> = Api::all(story.client());
        for name in DEFINITIONS {
            definitions.get(name).await.map_err(request(format!("getting {name}, which is kept")))?;
        }
        // With nobody there to help, a policy goes at once, and its alerts with it.
        policy(story, "second", json!({})).await?;
        let policies: Api<PrecursorPolicy> = story.api();
        policies.delete("web", &DeleteParams::default()).await.map_err(request("deleting the policy"))?;
        let alerts: Api<PrecursorAlert> = story.api();
        let none = |alerts: &[&PrecursorAlert]| alerts.is_empty().then_some(());
        wait_for_list(&alerts, Config::default(), "the policy's alerts to go with it", LIMIT, none).await?;

        // And back: what was kept is taken up.
        product.install(&[]).await?;
        product.agents_ready().await?;
        assert!(has_later_field(story).await?);
        wait_with_kubectl(&product, story, "second", "Ready").await?;
        Ok::<_, Error>(())
    })
    .await;
}
