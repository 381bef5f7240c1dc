//! What the agent is told: flags, or a file with the flags' names; a flag wins over the file.

use std::{fs, io, net::SocketAddr, path::PathBuf};

use netprecursor_core::policy::Policy;
use netprecursor_crds::{Fault, Refusal, duplicate, policies_from_yaml};
use serde::Deserialize;
use thiserror::Error;

use crate::{cluster::thread::Location, targets::selector::Selector};

/// Why the agent cannot start with what it was told.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}; expected a {what}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The configuration file is not understood.
    #[error("configuration file {path}: {message}; expected YAML with the names of the flags of `run --help`")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        message: String,
    },
    /// A policy is not understood.
    #[error(transparent)]
    Policy(#[from] Refusal),
    /// Two files hold the same policy.
    #[error("{path}: {field}: {fault}")]
    Twice {
        /// The second file.
        path: PathBuf,
        /// The field that both have in common.
        field: &'static str,
        /// What is wrong.
        fault: Fault,
    },
    /// Nothing to watch.
    #[error(
        "no target: expected at least one --target netns:NAME (or `target:` in the configuration file), or --kubernetes"
    )]
    NoTarget,
    /// In a cluster the API server says what to watch.
    #[error(
        "got --kubernetes together with {0}, expected one of them: in a cluster, policies and pods come from the API"
    )]
    TwoSources(&'static str),
    /// The pod does not say where it is.
    #[error("got no environment variable {0}, expected it from the downward API (fieldRef) with --kubernetes")]
    NoLocation(&'static str),
}

/// The flags of `run`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Flags {
    /// Policy file (YAML, several documents allowed); repeatable. Without one, the agent measures and forecasts only
    #[arg(long, value_name = "FILE")]
    policy: Vec<PathBuf>,
    /// What to watch: netns:NAME[,LABEL=VALUE…], NAME may be a glob; repeatable
    #[arg(long, value_name = "TARGET")]
    target: Vec<Selector>,
    /// Address of the HTTP interface [default: 127.0.0.1:9470]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Where scores and calibration are kept across restarts [default: /var/lib/netprecursor]
    #[arg(long, value_name = "DIRECTORY")]
    state_dir: Option<PathBuf>,
    /// Log filter, as in RUST_LOG [default: info]
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
    /// Log as JSON, one object per line
    #[arg(long)]
    log_json: bool,
    /// Follow the API server: policies of the cluster, pods of this node. Needs NODE_NAME, POD_NAME and POD_NAMESPACE in
    /// the environment
    #[arg(long)]
    kubernetes: bool,
    /// Address of /healthz, /readyz and /metrics alone, for probes and scrapes from outside the pod
    #[arg(long, value_name = "ADDRESS:PORT")]
    probe_listen: Option<SocketAddr>,
    /// What telemetry calls the cluster
    #[arg(long, value_name = "NAME")]
    cluster_name: Option<String>,
    /// Alert objects that this node may have at once; beyond that, alerts are counted only [default: 200]
    #[arg(long, value_name = "NUMBER")]
    max_alerts: Option<usize>,
    /// Alert objects that this node may have at once in one namespace [default: 50]
    #[arg(long, value_name = "NUMBER")]
    max_alerts_per_namespace: Option<usize>,
    /// File with these settings (YAML, the flags' names); flags win
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// The configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct File {
    policy: Vec<PathBuf>,
    target: Vec<Selector>,
    listen: Option<SocketAddr>,
    state_dir: Option<PathBuf>,
    log: Option<String>,
    log_json: bool,
    kubernetes: bool,
    probe_listen: Option<SocketAddr>,
    cluster_name: Option<String>,
    max_alerts: Option<usize>,
    max_alerts_per_namespace: Option<usize>,
}

/// What only an agent in a cluster is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InCluster {
    /// Where it is.
    pub location: Location,
    /// Alert objects of this node at once.
    pub max_alerts: usize,
    /// Of these, in one namespace.
    pub max_alerts_per_namespace: usize,
}

/// The settings in force.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What to watch for.
    pub policies: Vec<Policy>,
    /// What to watch.
    pub targets: Vec<Selector>,
    /// The cluster that it is in, if so.
    pub cluster: Option<InCluster>,
    /// What telemetry calls the cluster.
    pub cluster_name: Option<String>,
    /// Address of the HTTP interface.
    pub listen: SocketAddr,
    /// Address of what probes ask, if it is another.
    pub probe_listen: Option<SocketAddr>,
    /// Where scores are kept.
    pub state_dir: PathBuf,
    /// Log filter.
    pub log: String,
    /// Whether to log as JSON.
    pub log_json: bool,
}

/// Loopback only: the interface has no authentication.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9470);
const STATE_DIR: &str = "/var/lib/netprecursor";
const MAX_ALERTS: usize = 200;
const MAX_ALERTS_PER_NAMESPACE: usize = 50;

impl Flags {
    /// Reads the files that the flags name.
    ///
    /// # Errors
    /// What is wrong with them; of a policy, everything that is.
    pub fn settle(self) -> Result<Settings, ConfigError> {
        self.settle_in(|name| std::env::var(name).ok())
    }

    /// As [`Flags::settle`], in another environment.
    fn settle_in(self, environment: impl Fn(&str) -> Option<String>) -> Result<Settings, ConfigError> {
        let file = self.config.map(read_file).transpose()?.unwrap_or_default();
        let or = |flags: Vec<_>, file: Vec<_>| if flags.is_empty() { file } else { flags };
        let targets = if self.target.is_empty() { file.target } else { self.target };
        let policies = or(self.policy, file.policy);
        let cluster = match (self.kubernetes || file.kubernetes, targets.is_empty(), policies.is_empty()) {
            (true, false, _) => return Err(ConfigError::TwoSources("--target")),
            (true, true, false) => return Err(ConfigError::TwoSources("--policy")),
            (false, true, _) => return Err(ConfigError::NoTarget),
            (false, false, _) => None,
            (true, true, true) => {
                let said =
                    |name| environment(name).filter(|value| !value.is_empty()).ok_or(ConfigError::NoLocation(name));
                Some(InCluster {
                    location: Location {
                        node: said("NODE_NAME")?,
                        pod: said("POD_NAME")?,
                        namespace: said("POD_NAMESPACE")?,
                    },
                    max_alerts: self.max_alerts.or(file.max_alerts).unwrap_or(MAX_ALERTS),
                    max_alerts_per_namespace: self
                        .max_alerts_per_namespace
                        .or(file.max_alerts_per_namespace)
                        .unwrap_or(MAX_ALERTS_PER_NAMESPACE),
                })
            }
        };
        Ok(Settings {
            policies: read_policies(policies)?,
            targets,
            cluster,
            cluster_name: self.cluster_name.or(file.cluster_name),
            listen: self.listen.or(file.listen).unwrap_or(LISTEN),
            probe_listen: self.probe_listen.or(file.probe_listen),
            state_dir: self.state_dir.or(file.state_dir).unwrap_or_else(|| PathBuf::from(STATE_DIR)),
            log: self.log.or(file.log).unwrap_or_else(|| "info".to_owned()),
            log_json: self.log_json || file.log_json,
        })
    }
}

fn read(path: &PathBuf, what: &'static str) -> Result<String, ConfigError> {
    fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.clone(), what, source })
}

fn read_file(path: PathBuf) -> Result<File, ConfigError> {
    let text = read(&path, "configuration file")?;
    serde_saphyr::from_str(&text).map_err(|error| ConfigError::Parse { path, message: error.to_string() })
}

fn read_policies(paths: Vec<PathBuf>) -> Result<Vec<Policy>, ConfigError> {
    let mut policies: Vec<Policy> = Vec::new();
    for path in paths {
        for policy in policies_from_yaml(&path.display().to_string(), &read(&path, "policy file")?)? {
            if let Some((field, fault)) = duplicate(&policies, &policy) {
                return Err(ConfigError::Twice { path, field, fault });
            }
            policies.push(policy);
        }
    }
    Ok(policies)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        flags: Flags,
    }

    fn flags(arguments: &[&str]) -> Flags {
        Cli::try_parse_from([&["agent"], arguments].concat()).unwrap().flags
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn a_flag_wins_over_the_file() {
        let file = file("target: ['netns:a*,app=x']\nlisten: 127.0.0.1:1\nlog: debug\n");
        let settings = flags(&["--config", file.path().to_str().unwrap(), "--listen", "127.0.0.1:2"]).settle().unwrap();
        assert_eq!(settings.listen.port(), 2);
        assert_eq!(settings.log, "debug");
        assert_eq!(settings.targets[0].to_string(), "netns:a*,app=x");
    }

    #[test]
    fn an_unknown_setting_is_named_with_its_line() {
        let file = file("target: ['netns:a']\nthreshold: 3\n");
        let error = flags(&["--config", file.path().to_str().unwrap()]).settle().unwrap_err().to_string();
        assert!(error.contains("threshold") && error.contains("line 2"), "{error}");
    }

    #[test]
    fn without_a_target_there_is_nothing_to_do() {
        assert!(matches!(flags(&[]).settle(), Err(ConfigError::NoTarget)));
    }

    #[test]
    fn in_a_cluster_the_api_says_what_to_watch_and_the_pod_where_it_is() {
        let environment = |name: &str| Some(format!("my-{}", name.to_lowercase()));
        let settings = flags(&["--kubernetes", "--max-alerts", "7"]).settle_in(environment).unwrap();
        let cluster = settings.cluster.unwrap();
        assert_eq!(
            (cluster.location.node.as_str(), cluster.location.namespace.as_str()),
            ("my-node_name", "my-pod_namespace")
        );
        assert_eq!((cluster.max_alerts, cluster.max_alerts_per_namespace), (7, MAX_ALERTS_PER_NAMESPACE));
        let error = flags(&["--kubernetes"]).settle_in(|_| None).unwrap_err();
        assert!(matches!(error, ConfigError::NoLocation("NODE_NAME")), "{error}");
        let error = flags(&["--kubernetes", "--target", "netns:a"]).settle_in(environment).unwrap_err();
        assert!(matches!(error, ConfigError::TwoSources("--target")), "{error}");
    }

    #[test]
    fn a_missing_policy_file_is_named() {
        let error = flags(&["--target", "netns:a", "--policy", "/nowhere.yaml"]).settle().unwrap_err().to_string();
        assert!(error.contains("/nowhere.yaml") && error.contains("policy file"), "{error}");
    }
}
