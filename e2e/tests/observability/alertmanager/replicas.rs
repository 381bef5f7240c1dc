//! Two replicas of the real Alertmanager, clustered, with the route that docs/alerting.md prints.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use netprecursor_testbed::{Daemon, Scratch, module, tail};
use serde::{Deserialize, de::DeserializeOwned};

use crate::free;

/// Until a replica is as it should be.
const LIMIT: Duration = Duration::from_secs(30);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// For one answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// How long the second replica leaves it to the first to notify, by the document.
const PEER_TIMEOUT: &str = "--cluster.peer-timeout=2s";
/// In place of the document's minute, for which no test waits; longer than [`PEER_TIMEOUT`], so that what the second replica
/// notifies of, and should not, comes before the group's next notification.
const GROUP_INTERVAL: &str = "3s";

/// An alert as a replica lists it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Listed {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct Status {
    cluster: ClusterStatus,
}

#[derive(Debug, Deserialize)]
struct ClusterStatus {
    status: String,
    #[serde(default)]
    peers: Vec<serde_json::Value>,
}

/// A replica.
pub(crate) struct Replica {
    url: String,
    arguments: Vec<String>,
    log: PathBuf,
    daemon: Daemon,
}

/// Both.
pub(crate) struct Replicas {
    /// The first is the one that notifies, by its name.
    pub(crate) all: [Replica; 2],
    _scratch: Scratch,
}

impl Replicas {
    /// Ready ones, that notify whoever listens at `on_call`.
    pub(crate) fn start(on_call: &str) -> Self {
        let scratch = Scratch::new().unwrap();
        let path = scratch.path().join("alertmanager.yml");
        fs::write(&path, config(on_call)).unwrap();
        let [web, other_web, gossip, other_gossip] = free();
        let all = [("first", web, gossip, other_gossip), ("second", other_web, other_gossip, gossip)]
            .map(|(name, web, own, other)| Replica::start(scratch.path(), &path, name, web, own, other));
        all.iter().for_each(Replica::wait_until_ready);
        Self { all, _scratch: scratch }
    }

    pub(crate) fn urls(&self) -> Vec<String> {
        self.all.iter().map(|replica| replica.url.clone()).collect()
    }
}

impl Replica {
    fn start(scratch: &Path, config: &Path, name: &str, web: SocketAddr, own: SocketAddr, other: SocketAddr) -> Self {
        let arguments = vec![
            format!("--config.file={}", config.display()),
            format!("--storage.path={}", scratch.join(name).display()),
            format!("--web.listen-address={web}"),
            format!("--cluster.listen-address={own}"),
            format!("--cluster.peer={other}"),
            format!("--cluster.peer-name={name}"),
            PEER_TIMEOUT.to_owned(),
            // It waits for ten of these, three times over, until it takes the cluster to be complete.
            "--cluster.gossip-interval=50ms".to_owned(),
        ];
        let log = scratch.join(format!("{name}.log"));
        let daemon = run(&arguments, &log);
        Self { url: format!("http://{web}"), arguments, log, daemon }
    }

    /// Ends it without warning.
    pub(crate) fn kill(&self) {
        self.daemon.kill();
    }

    /// Runs it again, with what it had on its disk.
    pub(crate) fn restart(&mut self) {
        self.daemon = run(&self.arguments, &self.log);
    }

    /// Waits until it knows the other one, and notifies.
    pub(crate) fn wait_until_ready(&self) {
        self.wait("the cluster", "status", |status: &Status| {
            status.cluster.status == "ready" && status.cluster.peers.len() == 2
        });
    }

    /// Waits until what it lists as firing is as it should be, and returns it.
    pub(crate) fn wait_for(&self, what: &str, is_so: impl Fn(&[Listed]) -> bool) -> Vec<Listed> {
        self.wait(what, "alerts", |listed: &Vec<Listed>| is_so(listed))
    }

    fn wait<T: DeserializeOwned + Debug>(&self, what: &str, path: &str, is_so: impl Fn(&T) -> bool) -> T {
        let begun = Instant::now();
        loop {
            self.daemon.check().unwrap();
            let got: Result<T, String> = self.get(path);
            if let Ok(answer) = &got
                && is_so(answer)
            {
                return got.unwrap();
            }
            let is_late = begun.elapsed() >= LIMIT;
            assert!(!is_late, "waited {LIMIT:?} in vain for {what}; {path}: {got:#?}\n{}", tail(&self.log));
            thread::sleep(LOOK_EVERY);
        }
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, String> {
        let config = ureq::Agent::config_builder().proxy(None).timeout_global(Some(ANSWER_LIMIT)).build();
        let asked = ureq::Agent::new_with_config(config).get(format!("{}/api/v2/{path}", self.url)).call();
        let text =
            asked.and_then(|mut answer| answer.body_mut().read_to_string()).map_err(|error| error.to_string())?;
        serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))
    }
}

fn run(arguments: &[String], log: &Path) -> Daemon {
    let mut command = Command::new(module::ALERTMANAGER.provide().unwrap().program("alertmanager").unwrap());
    command.args(arguments);
    Daemon::start(command, log).unwrap()
}

/// The document's route, with receivers.
fn config(on_call: &str) -> String {
    let route = route();
    let hurried = route.replace("group_interval: 1m", &format!("group_interval: {GROUP_INTERVAL}"));
    assert_ne!(hurried, route, "expected an interval of one minute");
    format!(
        "{hurried}receivers:
- name: default
- name: on-call
  webhook_configs: [{{url: '{on_call}'}}]
"
    )
}

/// The route of docs/alerting.md.
fn route() -> String {
    let page = super::page("docs/alerting.md");
    assert!(page.contains(&format!("`{PEER_TIMEOUT}`")), "expected {PEER_TIMEOUT}");
    let blocks = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let routes: Vec<&str> = blocks.filter(|block| block.starts_with("route:")).collect();
    assert_eq!(routes.len(), 1, "{routes:?}");
    routes[0].to_owned()
}
