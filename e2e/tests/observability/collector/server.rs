//! The real Collector, with the configuration of docs/telemetry.md.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use netprecursor_testbed::{Daemon, Scratch, module, tail};
use serde_json::Value;

use super::{
    certificates::Certificates,
    written::{inside, messages},
};
use crate::free;

/// Until something is there.
const LIMIT: Duration = Duration::from_secs(30);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Where the document has the Collector write to.
const DIRECTORY: &str = "/var/lib/otelcol";
/// What the document has it listen on.
const GRPC: &str = "'0.0.0.0:4317'";
const HTTP: &str = "'0.0.0.0:4318'";

/// A Collector that writes what it receives into files.
pub(crate) struct Collector {
    grpc: SocketAddr,
    http: SocketAddr,
    daemon: Daemon,
    scratch: Scratch,
}

impl Collector {
    /// One that is ready.
    pub(crate) fn start() -> Self {
        Self::with(None)
    }

    /// One that takes what comes over HTTP from clients with a certificate alone.
    pub(crate) fn asking(certificates: &Certificates) -> Self {
        Self::with(Some(certificates))
    }

    fn with(certificates: Option<&Certificates>) -> Self {
        let scratch = Scratch::new().unwrap();
        let [grpc, http] = free();
        fs::write(scratch.path().join("config.yaml"), config(grpc, http, scratch.path(), certificates)).unwrap();
        let daemon = run(scratch.path());
        let collector = Self { grpc, http, daemon, scratch };
        collector.wait_until_ready();
        collector
    }

    /// Ends it without warning.
    pub(crate) fn kill(&self) {
        self.daemon.kill();
    }

    /// Runs it again, with the files that it has.
    pub(crate) fn restart(&mut self) {
        self.daemon = run(self.scratch.path());
        self.wait_until_ready();
    }

    fn wait_until_ready(&self) {
        self.wait_for("its port", || {
            self.daemon.check().unwrap();
            TcpStream::connect(self.http).ok()
        });
    }

    /// Where it takes messages in plain text.
    pub(crate) fn endpoint(&self, protocol: &str) -> String {
        format!("http://{}", if protocol == "grpc" { self.grpc } else { self.http })
    }

    pub(crate) fn http(&self) -> SocketAddr {
        self.http
    }

    fn file(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// Messages with log records.
    pub(crate) fn logs(&self) -> Vec<Value> {
        messages(&self.file("logs.json"))
    }

    /// Messages with metrics.
    pub(crate) fn metrics(&self) -> Vec<Value> {
        messages(&self.file("metrics.json"))
    }

    /// All records so far, in the order in which they came.
    pub(crate) fn records(&self) -> Vec<Value> {
        self.logs().iter().flat_map(|message| inside(message, &["resourceLogs", "scopeLogs", "logRecords"])).collect()
    }

    /// A metric as it came first.
    pub(crate) fn metric(&self, name: &str) -> Option<Value> {
        let metrics = self.metrics();
        let mut all =
            metrics.iter().flat_map(|message| inside(message, &["resourceMetrics", "scopeMetrics", "metrics"]));
        all.find(|metric| metric["name"] == name)
    }

    /// Waits until `look` finds something.
    pub(crate) fn wait_for<T>(&self, what: &str, look: impl Fn() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = look() {
                return found;
            }
            let log = self.daemon.log();
            assert!(begun.elapsed() < LIMIT, "waited {LIMIT:?} in vain for {what}\n{}", tail(log));
            thread::sleep(LOOK_EVERY);
        }
    }
}

fn run(directory: &Path) -> Daemon {
    let mut command = Command::new(module::OTELCOL.provide().unwrap().program("otelcol").unwrap());
    command.arg(format!("--config={}", directory.join("config.yaml").display()));
    Daemon::start(command, &directory.join("log")).unwrap()
}

/// The document's configuration, on other ports and with other files; it asks for `certificates` over HTTP if there are any.
fn config(grpc: SocketAddr, http: SocketAddr, directory: &Path, certificates: Option<&Certificates>) -> String {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/telemetry.md")).unwrap();
    let blocks = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let configs: Vec<&str> = blocks.filter(|block| block.starts_with("receivers:")).collect();
    assert_eq!(configs.len(), 1, "{configs:?}");
    let tls = certificates.map_or_else(String::new, |certificates| {
        let [ca, certificate, key] = ["ca.crt", "server.crt", "server.key"].map(|file| certificates.path(file));
        format!(", tls: {{cert_file: '{certificate}', key_file: '{key}', client_ca_file: '{ca}'}}")
    });
    // Its own metrics would all be on one port.
    let [silent, service] = ["service:\n  telemetry: {metrics: {level: none}}\n", "service:\n"];
    let replaced = [
        (GRPC, format!("'{grpc}'")),
        (HTTP, format!("'{http}'{tls}")),
        (DIRECTORY, directory.display().to_string()),
        (service, silent.to_owned()),
    ];
    replaced.into_iter().fold(configs[0].to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "expected {from} in {text}");
        text.replace(from, &to)
    })
}
