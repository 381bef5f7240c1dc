//! Shows the steps of the README on a cluster: `helm install`, `kubectl apply`, `kubectl get precursoralerts`, while the link
//! of a real nginx gets slowly narrower. `cargo xtask kind-demo` makes the cluster and runs this.

#![expect(clippy::print_stdout, reason = "it shows what it does")]

use std::{
    process::{ExitCode, Stdio},
    time::{Duration, Instant},
};

use netprecursor_e2e::{
    Error,
    cluster::{Cluster, SYSTEM_NAMESPACE, Story, story},
    congestion::{SERVER, Scene},
    product::Product,
};
use tokio::process::{Child, Command};

/// How long the narrow link is left as it is, so that the first alerts come true.
const NARROW: Duration = Duration::from_secs(20);

#[tokio::main]
async fn main() -> ExitCode {
    if let Err(error) = Cluster::connect().await {
        println!("{error}");
        return ExitCode::FAILURE;
    }
    story("demo", show).await;
    ExitCode::SUCCESS
}

async fn show(story: &Story) -> Result<(), Error> {
    let product = Product::new(story.cluster());
    let namespace = story.namespace();
    let begun = Instant::now();
    println!("\n$ kubectl apply -f deploy/kustomize/namespace.yaml");
    println!("$ helm install netprecursor charts/netprecursor --namespace {SYSTEM_NAMESPACE}");
    product.install(&[]).await?;
    println!("{}", product.kubectl(&["get", "pods", "--namespace", SYSTEM_NAMESPACE]).await?);

    let policy = policy(namespace);
    println!("\n$ kubectl apply -f - <<EOF\n{policy}EOF");
    println!("{}", product.kubectl_with(&["apply", "-f", "-"], &policy).await?);
    let scene = Scene::start(story).await?;
    product.agents_ready().await?;
    println!("agents are ready on every node ({:.0} s after the install began)", begun.elapsed().as_secs_f64());
    println!("{}", product.kubectl(&["get", "precursornodereports"]).await?);

    println!("\na load on nginx from another node, nothing wrong: about a minute until the rule may fire");
    scene.warm_up(story, &[SERVER]).await?;
    println!(
        "\nnow the link of nginx gets slowly narrower\n$ kubectl get precursoralerts --namespace {namespace} --watch"
    );
    let mut watch = watch(story, namespace)?;
    scene.narrow().await?;
    tokio::time::sleep(NARROW).await;
    println!("\nthe link gets its width back");
    scene.widen().await?;
    let over = ["wait", "precursoralerts", "--all", "--for", "condition=Firing=False", "--timeout=55s"];
    product.kubectl(&[&over[..], &["--namespace", namespace]].concat()).await?;
    // It ends with its parent at the latest.
    let _ = watch.kill().await;

    for words in [
        &["get", "precursoralerts", "-o", "wide", "--namespace", namespace][..],
        &["get", "precursorpolicies", "--namespace", namespace],
        &["get", "events.events.k8s.io", "--namespace", namespace, "--field-selector", "regarding.name=web"],
    ] {
        println!("\n$ kubectl {}", words.join(" "));
        println!("{}", product.kubectl(words).await?);
    }
    Ok(())
}

fn watch(story: &Story, namespace: &str) -> Result<Child, Error> {
    let words = ["get", "precursoralerts", "--namespace", namespace, "--watch"];
    Command::new("kubectl")
        .args(words)
        .env("KUBECONFIG", story.cluster().kubeconfig())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| Error::Command { command: format!("kubectl {}", words.join(" ")), got: error.to_string() })
}

fn policy(namespace: &str) -> String {
    format!(
        "apiVersion: netprecursor.io/v1alpha1\nkind: PrecursorPolicy\nmetadata: {{name: {SERVER}, namespace: {namespace}}}\n\
         spec:\n  target: {{podSelector: {{matchLabels: {{app: {SERVER}}}}}}}\n  rules:\n  - name: rtt\n    \
         signal: RttForecast\n    rttForecast: {{threshold: 200ms}}\n    holdFor: 2s\n    keepFiringFor: 5s\n"
    )
}
