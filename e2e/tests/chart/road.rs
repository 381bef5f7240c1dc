//! The commands of the documents before a real API server that has no nodes. What needs pods, or is built for it, waits for a
//! story on a cluster, where all of them are typed.

use std::{env, fs, time::Duration};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use netprecursor_e2e::{Version, apiserver::ApiServer, road};
use netprecursor_testbed::Module;

use crate::helm::{Helm, checkout};

const LIMIT: Duration = Duration::from_secs(300);

/// How commands begin that need more than an API server.
const NEEDS_MORE: [&str; 8] = [
    "cargo ",
    "ln ",
    "export ",
    "sleep ",
    "kubectl wait ",
    "kubectl rollout status ",
    "kubectl exec ",
    "kubectl netprecursor ",
];

/// Stands for Helm's `--wait`, which waits for pods that cannot come.
const DEFINED: &str = "kubectl wait --for=condition=Established crd --all --timeout=60s";

/// The commands that an API server is enough for.
fn steps(document: &str) -> Vec<road::Step> {
    let mut steps = road::steps(document);
    steps.retain(|step| !NEEDS_MORE.iter().any(|start| step.command.starts_with(start)));
    assert!(steps.len() >= 5, "only {steps:?}");
    for step in &mut steps {
        // The hook's Job would wait for a node.
        if step.command.starts_with("helm uninstall ") {
            step.command.push_str(" --no-hooks");
        }
        if let Some(install) = step.command.strip_suffix(" --wait") {
            step.command = format!("{install} && {DEFINED}");
        }
    }
    steps
}

async fn walk(document: &str) -> ApiServer {
    let server = ApiServer::builder(Version::DEFAULT).controller_manager().start().await.unwrap();
    let (helm, home) = (Helm::current(), tempfile::tempdir().unwrap());
    let kubectl = Module::kubernetes(Version::DEFAULT).provide().unwrap().program("kubectl").unwrap();
    let others = env::var_os("PATH").unwrap();
    let directories = [helm.directory().to_owned(), kubectl.parent().unwrap().to_owned()];
    let path = env::join_paths(directories.into_iter().chain(env::split_paths(&others))).unwrap();
    let environment = [
        ("KUBECONFIG", server.kubeconfig().into()),
        ("PATH", path),
        ("HELM_CACHE_HOME", home.path().join("cache").into()),
        ("HELM_CONFIG_HOME", home.path().join("config").into()),
        ("HELM_DATA_HOME", home.path().join("data").into()),
    ];
    road::walk(&environment, &steps(document), LIMIT).await.unwrap();
    server
}

#[tokio::test]
async fn the_readme_applies_what_is_there_where_it_may() {
    let readme = fs::read_to_string(checkout().join("README.md")).unwrap();
    walk(road::section(&readme, "## On Kubernetes").unwrap()).await;
}

#[tokio::test]
async fn the_guide_installs_upgrades_and_removes_everything() {
    let server = walk(&fs::read_to_string(checkout().join("docs/install.md")).unwrap()).await;
    let definitions: Api<CustomResourceDefinition> = Api::all(server.client().await.unwrap());
    let left = definitions.list(&Default::default()).await.unwrap().items;
    assert!(left.is_empty(), "{left:?}");
}
