//! The dashboard over the whole cluster, with a user's kubeconfig: what it shows of each node is live.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use kube::{Api, api::PostParams};
use netprecursor_crds::policy::PrecursorPolicy;
use netprecursor_e2e::{
    Error,
    cluster::{Story, story},
    product::Product,
};
use netprecursor_testbed::Daemon;
use serde_json::{Value, json};

use crate::shared::request;

/// Agents start, watches settle, streams open, and the pods have traffic.
const LIMIT: Duration = Duration::from_secs(180);
/// Between two looks at a page, which itself has a new second each second.
const AGAIN: Duration = Duration::from_millis(500);
/// As the program says where it is.
const ADDRESS: &str = " on http://";

/// The program of this build, as the plugin that kubectl would find.
fn plugin(directory: &Path) -> Result<PathBuf, Error> {
    let test = env::current_exe().unwrap();
    // Tests are in `deps` beside it.
    let program = test.parent().and_then(Path::parent).unwrap().join("netprecursor");
    if !program.is_file() {
        let (command, got) = ("cargo build -p netprecursor-cli".to_owned(), format!("no {}", program.display()));
        return Err(Error::Command { command, got });
    }
    let link = directory.join("kubectl-netprecursor");
    std::os::unix::fs::symlink(program, &link).unwrap();
    Ok(link)
}

/// Waits for something that `look` finds.
async fn wait_until<T>(what: &str, mut look: impl AsyncFnMut() -> Result<T, String>) -> Result<T, Error> {
    let begun = Instant::now();
    loop {
        match look().await {
            Ok(found) => return Ok(found),
            Err(last) if begun.elapsed() > LIMIT => {
                return Err(Error::Timeout { what: what.to_owned(), waited: LIMIT, last });
            }
            Err(_) => tokio::time::sleep(AGAIN).await,
        }
    }
}

/// A document of the dashboard, as far as it answers.
async fn read(url: &str, what: &str) -> Result<Value, String> {
    let url = format!("{url}api/v1/{what}");
    let read = move || -> Result<Value, String> {
        let config = ureq::Agent::config_builder().proxy(None).timeout_global(Some(Duration::from_secs(10))).build();
        let mut answer = ureq::Agent::new_with_config(config).get(&url).call().map_err(|error| error.to_string())?;
        let text = answer.body_mut().read_to_string().map_err(|error| error.to_string())?;
        serde_json::from_str(&text).map_err(|error| error.to_string())
    };
    tokio::task::spawn_blocking(read).await.unwrap()
}

/// Nodes of which a target is measured now.
fn live_nodes(overview: &Value) -> BTreeSet<String> {
    let measured = overview["latest"]["measuredUs"].as_array().into_iter().flatten();
    let targets = overview["targets"].as_array().into_iter().flatten();
    let live = targets.zip(measured).filter(|(_, measured)| measured.is_number());
    live.filter_map(|(target, _)| target["node"].as_str().map(str::to_owned)).collect()
}

/// A policy over every pod of the story.
async fn watch_all(story: &Story) -> Result<(), Error> {
    let policy = json!({
        "apiVersion": "netprecursor.io/v1alpha1", "kind": "PrecursorPolicy", "metadata": {"name": "all"},
        "spec": {
            "target": {"podSelector": {}},
            "rules": [{"name": "rtt", "signal": "RttForecast", "rttForecast": {"threshold": "200ms"}}],
        },
    });
    let policies: Api<PrecursorPolicy> = story.api();
    let policy = serde_json::from_value(policy).unwrap();
    policies.create(&PostParams::default(), &policy).await.map_err(request("creating policy all")).map(drop)
}

#[tokio::test]
#[ignore = "nightly: three minutes; E2E_STORIES=nightly make e2e"]
async fn the_dashboard_of_a_cluster_shows_a_live_target_of_each_node() {
    story("dashboard", async |story| {
        let product = Product::new(story.cluster());
        product.install(&[]).await?;
        watch_all(story).await?;
        let workers = story.cluster().workers().await?;
        for (number, node) in workers.iter().enumerate() {
            let server = story.server(&format!("web-{number}"), Some(node)).await?;
            // From the next node, so that packets cross between nodes.
            let from = &workers[(number + 1) % workers.len()];
            story.load(&format!("load-{number}"), Some(from), &server.url(), 4).await?;
        }
        product.agents_ready().await?;

        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let mut command = Command::new(plugin(directory.path())?);
        command.args(["dashboard", "--listen", "127.0.0.1:0"]).env("KUBECONFIG", story.cluster().kubeconfig());
        let dashboard = Daemon::start(command, &log)?;
        let url = wait_until("the dashboard to listen", async || {
            let text = fs::read_to_string(&log).unwrap_or_default();
            let (_, rest) = text.split_once(ADDRESS).ok_or_else(|| text.clone())?;
            let (address, _) = rest.split_once(',').ok_or_else(|| text.clone())?;
            Ok::<_, String>(format!("http://{address}"))
        })
        .await?;

        let wanted: BTreeSet<String> = workers.iter().cloned().collect();
        let overview = wait_until("a live target of each node", async || {
            let overview = read(&url, "overview").await?;
            if live_nodes(&overview).is_superset(&wanted) { Ok(overview) } else { Err(overview.to_string()) }
        })
        .await?;
        dashboard.check()?;
        assert_eq!(overview["source"]["state"], "Live", "{overview:#}");

        wait_until("each node's agent to have reported", async || {
            let nodes = read(&url, "nodes").await?;
            let is_well = |line: &&Value| line["standing"] == "Ready" && line["stream"]["state"] == "Live";
            let well = nodes["nodes"].as_array().into_iter().flatten().filter(is_well);
            let names: BTreeSet<&str> = well.filter_map(|line| line["name"].as_str()).collect();
            if wanted.iter().all(|node| names.contains(node.as_str())) { Ok(()) } else { Err(nodes.to_string()) }
        })
        .await?;
        let policies = read(&url, "policies").await.unwrap();
        let names: Vec<_> = policies["policies"].as_array().unwrap().iter().map(|policy| &policy["policy"]).collect();
        assert!(names.contains(&&json!("all")), "{policies:#}");
        Ok::<_, Error>(())
    })
    .await;
}
