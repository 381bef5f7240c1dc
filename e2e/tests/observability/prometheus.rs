//! A Prometheus that scrapes the programs' exposition every second, with the chart's rules.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
    thread,
    time::{Duration, Instant},
};

use netprecursor_testbed::{Daemon, Scratch, module};
use serde_json::Value;

use crate::{exposition, files};

/// Until it has scraped and evaluated often enough.
const LIMIT: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// It runs as long as the tests do.
pub(crate) struct Prometheus {
    daemon: Daemon,
    url: String,
    promtool: PathBuf,
    _scratch: Scratch,
}

/// A program of the module.
fn program(name: &str) -> PathBuf {
    module::PROMETHEUS.provide().unwrap().program(name).unwrap()
}

/// Has promtool look at a file, and shows what it complains of.
pub(crate) fn promtool(arguments: &[&str], file: &Path) {
    let output = Command::new(program("promtool")).args(arguments).arg(file).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "promtool {arguments:?} {}: {stdout}{stderr}", file.display());
}

impl Prometheus {
    /// One for all tests, which has data.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: LazyLock<Prometheus> = LazyLock::new(|| {
            let prometheus = Prometheus::start();
            // Rates need samples, the alert that is out needs an evaluation.
            let breach = r#"ALERTS{alertname="NetprecursorForecastBreach"}"#;
            prometheus
                .wait_for(&format!("count_over_time(netprecursor_ticks_total[1m]) > 5 and on (cluster) {breach}"));
            prometheus
        });
        &SHARED
    }

    fn start() -> Self {
        let scratch = Scratch::new().unwrap();
        let path = scratch.path().join("prometheus.yml");
        fs::write(&path, config(&exposition::serve().to_string(), &files().join("rules.yaml"))).unwrap();
        // Somebody else may take the port until Prometheus does: then it ends, and its log says why.
        let free = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        let mut command = Command::new(program("prometheus"));
        command
            .arg(format!("--config.file={}", path.display()))
            .arg(format!("--storage.tsdb.path={}", scratch.path().join("data").display()))
            .arg(format!("--web.listen-address={free}"));
        let daemon = Daemon::start(command, &scratch.path().join("log")).unwrap();
        Self { daemon, url: format!("http://{free}"), promtool: program("promtool"), _scratch: scratch }
    }

    /// What a query finds now.
    pub(crate) fn query(&self, expr: &str) -> Result<Vec<Value>, String> {
        let arguments = ["query", "instant", "-o", "json", "--", &self.url, expr];
        let output = Command::new(&self.promtool).args(arguments).output().unwrap();
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
        }
        serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
    }

    /// Refuses a query that finds nothing, or nothing but "not a number"; `place` is who asks.
    pub(crate) fn expect(&self, place: &str, expr: &str) -> Result<Vec<Value>, String> {
        let found = self.query(expr).map_err(|error| format!("{place}: {expr}: {error}"))?;
        let is_number = |sample: &Value| sample["value"][1] != "NaN";
        if found.iter().any(is_number) { Ok(found) } else { Err(format!("{place}: {expr}: found {found:?}")) }
    }

    fn wait_for(&self, expr: &str) {
        let begun = Instant::now();
        loop {
            self.daemon.check().unwrap();
            let found = self.query(expr);
            if found.as_ref().is_ok_and(|found| !found.is_empty()) {
                return;
            }
            assert!(begun.elapsed() < LIMIT, "{expr}: {found:?} for {LIMIT:?}; log: {}", self.daemon.log().display());
            thread::sleep(LOOK_EVERY);
        }
    }
}

/// As docs/monitoring.md has it, with labels that discovery in a cluster would add.
fn config(address: &str, rules: &Path) -> String {
    format!(
        "global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [{rules}]
scrape_configs:
- job_name: netprecursor-agent
  honor_labels: true
  metrics_path: /agent
  static_configs: [{{targets: ['{address}'], labels: {{cluster: east, node: node1}}}}]
- job_name: netprecursor-operator
  metrics_path: /operator
  static_configs: [{{targets: ['{address}'], labels: {{cluster: east}}}}]
",
        rules = rules.display()
    )
}
