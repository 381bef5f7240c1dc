//! The road of somebody who has nothing but a checkout and a cluster: the commands of the documents, as they stand.

use std::{env, fs, time::Duration};

use k8s_openapi::{
    api::core::v1::Namespace, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{Api, api::DeleteParams};
use netprecursor_e2e::{
    Error,
    cluster::{SYSTEM_NAMESPACE, Story, story, wait_for},
    product::Product,
    road,
};

use crate::shared::{DEFINITIONS, clean, is_in_use, request};

/// Builds of images and of the plugin on two slow cores, and what is waited for on the cluster.
const LIMIT: Duration = Duration::from_secs(40 * 60);
/// Pods end first.
const GONE: Duration = Duration::from_secs(180);
/// The namespace of `examples/shop.yaml`.
const SHOP: &str = "shop";
/// The name of a cluster that `cargo xtask cluster` made.
const CLUSTER: &str = "NETPRECURSOR_CLUSTER";

/// Deletes a namespace, and waits until it is gone.
async fn remove(story: &Story, name: &str) -> Result<(), Error> {
    let namespaces: Api<Namespace> = Api::all(story.client());
    match namespaces.delete(name, &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.code == 404 => {}
        other => drop(other.map_err(request(format!("deleting namespace {name}")))?),
    }
    wait_for(&namespaces, name, &format!("namespace {name} to be gone"), GONE, |found| found.is_none())
        .await
        .map(|_| ())
}

/// The cluster as it is before anybody has heard of the project; false where that is not for this story to bring about.
#[expect(clippy::print_stdout, reason = "a story says why it is skipped")]
async fn is_fresh(story: &Story) -> Result<bool, Error> {
    if env::var_os(CLUSTER).is_none() {
        println!("skipped: the documents' cluster is one by cargo xtask cluster; got no {CLUSTER}, expected its name");
        return Ok(false);
    }
    remove(story, SHOP).await?;
    if is_in_use(story).await? {
        println!("skipped: others have policies in this cluster, which would go with the definitions");
        return Ok(false);
    }
    clean(story, &Product::new(story.cluster())).await?;
    remove(story, SYSTEM_NAMESPACE).await?;
    Ok(true)
}

/// Types the commands for the story's cluster.
async fn walk(story: &Story, steps: &[road::Step]) -> Result<String, Error> {
    road::walk(&[("KUBECONFIG", story.cluster().kubeconfig().into())], steps, LIMIT).await
}

fn read(document: &str) -> String {
    fs::read_to_string(road::checkout().join(document)).unwrap()
}

#[tokio::test]
async fn the_readme_leads_from_a_checkout_to_an_alert() {
    story("readme", async |story| {
        if !is_fresh(story).await? {
            return Ok(());
        }
        let readme = read("README.md");
        let steps = road::steps(road::section(&readme, "## On Kubernetes").unwrap());
        let alerts = walk(story, &steps).await?;
        assert!(alerts.contains("checkout-") && alerts.contains("rtt"), "expected an alert, got: {alerts}");
        remove(story, SHOP).await?;
        Ok::<_, Error>(())
    })
    .await;
}

#[tokio::test]
#[ignore = "nightly: builds and installs everything; E2E_STORIES=nightly make e2e"]
async fn every_command_about_installing_works_after_those_before_it() {
    story("installing", async |story| {
        if !is_fresh(story).await? {
            return Ok(());
        }
        walk(story, &road::steps(&read("docs/install.md"))).await?;
        // Its last words are about removing everything.
        let definitions: Api<CustomResourceDefinition> = Api::all(story.client());
        for name in DEFINITIONS {
            let found = definitions.get_opt(name).await.map_err(request(format!("getting {name}")))?;
            assert!(found.is_none(), "{name} is left");
        }
        remove(story, SHOP).await?;
        Ok::<_, Error>(())
    })
    .await;
}
