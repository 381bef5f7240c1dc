//! The agent's configuration: flags, or a file with the flags' names; a flag wins over the file.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use netprecursor_core::policy::Policy;
use netprecursor_crds::{Fault, Refusal, duplicate, policies_from_yaml};
use netprecursor_settings::{
    Listen,
    log::{Filter, FilterError, VARIABLE},
    path::{Written, path},
};
use serde::Deserialize;
use thiserror::Error;

use crate::{cluster::thread::Location, targets::selector::Selector};

/// Why the agent cannot start with its configuration.
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
    /// In a cluster, the API server decides what to watch.
    #[error(
        "got --kubernetes together with {0}, expected one of them: in a cluster, policies and pods come from the API"
    )]
    TwoSources(&'static str),
    /// What only means something in a cluster.
    #[error(
        "got {0} without --kubernetes, expected both or neither: outside a cluster there are no alert objects to count"
    )]
    ClusterOnly(&'static str),
    /// An agent that may never publish.
    #[error(
        "got {0} 0, expected at least 1: use a policy's `mode: Shadow` for no alerts, or leave the flag out for its default"
    )]
    NoAlerts(&'static str),
    /// A name that says nothing.
    #[error("got an empty --cluster-name, expected a name such as `production-eu`: leave it out for none")]
    NoClusterName,
    /// Two listeners cannot share an address.
    #[error("got {0} for --listen and --probe-listen, expected two: give --probe-listen another port")]
    OneAddress(Listen),
    /// The state directory is something else.
    #[error(
        "got the state directory {0}, which is a file; expected a directory, or nothing yet: give --state-dir another path"
    )]
    StateIsFile(PathBuf),
    /// A filter that would not do what it seems to.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// The pod's environment does not name its place.
    #[error("got no environment variable {0}, expected it from the downward API (fieldRef) with --kubernetes")]
    NoLocation(&'static str),
}

/// A path as it is given.
fn given_path() -> impl clap::builder::TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().try_map(path)
}

/// The flags of `run` that say what to watch, and what for.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Given {
    /// Policy file (YAML, several documents allowed); repeatable. Without one, the agent measures only: it forecasts for
    /// the rules of policies
    #[arg(long, value_name = "FILE", value_parser = given_path())]
    policy: Vec<PathBuf>,
    /// What to watch: netns:NAME[,LABEL=VALUE…], NAME may be a glob; repeatable
    #[arg(long, value_name = "TARGET")]
    target: Vec<Selector>,
    /// File with the settings of `run` (YAML, the flags' names); flags win
    #[arg(long, value_name = "FILE", value_parser = given_path())]
    config: Option<PathBuf>,
}

/// The flags of `run`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Flags {
    #[command(flatten)]
    given: Given,
    /// Address, or the name of one, of the HTTP interface [default: 127.0.0.1:9470]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<Listen>,
    /// Where scores and calibration are kept across restarts [default: /var/lib/netprecursor]
    #[arg(long, value_name = "DIRECTORY", value_parser = given_path())]
    state_dir: Option<PathBuf>,
    /// Log filter: a level, or levels for modules too, as in info,kube=debug; RUST_LOG wins [default: info]
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
    probe_listen: Option<Listen>,
    /// What telemetry calls the cluster
    #[arg(long, value_name = "NAME")]
    cluster_name: Option<String>,
    /// Alert objects that this node may have at once; beyond that, alerts are counted only [default: 200]
    #[arg(long, value_name = "NUMBER")]
    max_alerts: Option<usize>,
    /// Alert objects that this node may have at once in one namespace [default: 50]
    #[arg(long, value_name = "NUMBER")]
    max_alerts_per_namespace: Option<usize>,
}

/// The configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct File {
    policy: Vec<Written>,
    target: Vec<Selector>,
    listen: Option<Listen>,
    #[serde(deserialize_with = "present")]
    state_dir: Option<Written>,
    log: Option<String>,
    log_json: bool,
    kubernetes: bool,
    probe_listen: Option<Listen>,
    cluster_name: Option<String>,
    max_alerts: Option<usize>,
    max_alerts_per_namespace: Option<usize>,
}

/// A path that is there: `~`, which means nothing in YAML, does not stand for the default.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Written>, D::Error> {
    Written::deserialize(deserializer).map(Some)
}

/// The configuration of an agent in a cluster only.
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
    pub listen: Listen,
    /// Address of what probes ask, if it is another.
    pub probe_listen: Option<Listen>,
    /// Where scores are kept.
    pub state_dir: PathBuf,
    /// Log filter.
    pub log: Filter,
    /// Whether to log as JSON.
    pub log_json: bool,
}

/// Loopback only: the interface has no authentication.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9470);
const STATE_DIR: &str = "/var/lib/netprecursor";
const MAX_ALERTS: usize = 200;
const MAX_ALERTS_PER_NAMESPACE: usize = 50;

impl Given {
    /// Reads the files that the flags name.
    ///
    /// # Errors
    /// What is wrong with them; of a policy, everything that is.
    pub fn settle(self) -> Result<(Vec<Selector>, Vec<Policy>), ConfigError> {
        let (targets, policies, _) = self.with_file()?;
        Ok((targets, read_policies(policies)?))
    }

    /// Targets, policy files, and the rest of the configuration file.
    fn with_file(self) -> Result<(Vec<Selector>, Vec<PathBuf>, File), ConfigError> {
        let mut file = self.config.map(read_file).transpose()?.unwrap_or_default();
        let targets = Some(self.target).filter(|targets| !targets.is_empty());
        let policies = Some(self.policy).filter(|policies| !policies.is_empty());
        let targets = targets.unwrap_or_else(|| std::mem::take(&mut file.target));
        let policies = policies.unwrap_or_else(|| file.policy.drain(..).map(|Written(path)| path).collect());
        Ok((targets, policies, file))
    }
}

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
        let (targets, policies, file) = self.given.with_file()?;
        let caps = [
            ("--max-alerts", self.max_alerts.or(file.max_alerts)),
            ("--max-alerts-per-namespace", self.max_alerts_per_namespace.or(file.max_alerts_per_namespace)),
        ];
        if let Some((flag, _)) = caps.iter().find(|(_, cap)| *cap == Some(0)) {
            return Err(ConfigError::NoAlerts(flag));
        }
        let cluster = match (self.kubernetes || file.kubernetes, targets.is_empty(), policies.is_empty()) {
            (true, false, _) => return Err(ConfigError::TwoSources("--target")),
            (true, true, false) => return Err(ConfigError::TwoSources("--policy")),
            (false, true, _) => return Err(ConfigError::NoTarget),
            (false, false, _) => match caps.iter().find(|(_, cap)| cap.is_some()) {
                Some((flag, _)) => return Err(ConfigError::ClusterOnly(flag)),
                None => None,
            },
            (true, true, true) => {
                let required =
                    |name| environment(name).filter(|value| !value.is_empty()).ok_or(ConfigError::NoLocation(name));
                Some(InCluster {
                    location: Location {
                        node: required("NODE_NAME")?,
                        pod: required("POD_NAME")?,
                        namespace: required("POD_NAMESPACE")?,
                    },
                    max_alerts: caps[0].1.unwrap_or(MAX_ALERTS),
                    max_alerts_per_namespace: caps[1].1.unwrap_or(MAX_ALERTS_PER_NAMESPACE),
                })
            }
        };
        let cluster_name = self.cluster_name.or(file.cluster_name);
        if cluster_name.as_ref().is_some_and(|name| name.trim().is_empty()) {
            return Err(ConfigError::NoClusterName);
        }
        let listen = self.listen.or(file.listen).unwrap_or_else(|| LISTEN.into());
        let probe_listen = self.probe_listen.or(file.probe_listen);
        if listen.port() != 0 && probe_listen.as_ref() == Some(&listen) {
            return Err(ConfigError::OneAddress(listen));
        }
        let state_dir = self.state_dir.or(file.state_dir.map(|Written(path)| path));
        let log = self.log.or(file.log).unwrap_or_else(|| "info".to_owned());
        Ok(Settings {
            policies: read_policies(policies)?,
            targets,
            cluster,
            cluster_name,
            listen,
            probe_listen,
            state_dir: directory(state_dir.unwrap_or_else(|| PathBuf::from(STATE_DIR)))?,
            log: Filter::in_force(environment(VARIABLE), "--log", &log)?,
            log_json: self.log_json || file.log_json,
        })
    }
}

/// What is no directory now never becomes one; what is not there yet is made.
fn directory(path: PathBuf) -> Result<PathBuf, ConfigError> {
    match path.ancestors().find(|part| part.exists()) {
        Some(part) if !part.is_dir() => Err(ConfigError::StateIsFile(part.to_owned())),
        _ => Ok(path),
    }
}

fn read(path: &PathBuf, what: &'static str) -> Result<String, ConfigError> {
    fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.clone(), what, source })
}

fn read_file(path: PathBuf) -> Result<File, ConfigError> {
    let text = read(&path, "configuration file")?;
    // One line is what a log wants.
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(&text, options)
        .map_err(|error| ConfigError::Parse { path, message: error.to_string() })
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
        assert_eq!(settings.log, Filter::parse("--log", "debug").unwrap());
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
        let environment = |name: &str| (name != VARIABLE).then(|| format!("my-{}", name.to_lowercase()));
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

    /// The error of clap or the settings for arguments.
    fn refusal(arguments: &[&str]) -> String {
        match Cli::try_parse_from([&["agent"], arguments].concat()) {
            Err(error) => error.to_string(),
            Ok(cli) => {
                cli.flags.settle_in(|name| (name != VARIABLE).then(|| "here".to_owned())).unwrap_err().to_string()
            }
        }
    }

    #[test]
    fn a_wrong_configuration_is_answered_with_what_to_write() {
        let taken = file("");
        let path = taken.path().to_str().unwrap();
        let below = format!("{path}/state");
        let target = ["--target", "netns:a"];
        let table: [(&[&str], &str); 18] = [
            (&["--listen", "localhost"], "write for example `localhost:9470`"),
            (&["--listen", "9470"], "write for example `127.0.0.1:9470`"),
            (&["--listen", ""], "which is empty"),
            (&["--listen", "127.0.0.1:70000"], "write for example `127.0.0.1:9470`"),
            (&["--listen", "localhost:1", "--probe-listen", "localhost:1"], "give --probe-listen another port"),
            (&["--state-dir", "~/x"], "write for example `"),
            (&["--state-dir", ""], "got an empty path"),
            (&["--state-dir", path], "which is a file"),
            (&["--state-dir", &below], "which is a file"),
            (&["--policy", "~/p.yaml"], "in which only a shell replaces `~`"),
            (&["--config", "~/c.yaml"], "in which only a shell replaces `~`"),
            (&["--policy", "/"], "expected a policy file"),
            (&["--log", ""], "got an empty log filter"),
            (&["--log", "warning"], "write for example `warn`"),
            (&["--max-alerts", "0"], "expected at least 1"),
            (&["--max-alerts", "7"], "got --max-alerts without --kubernetes"),
            (&["--max-alerts", "-1"], "unexpected argument"),
            (&["--cluster-name", " "], "leave it out for none"),
        ];
        for (arguments, words) in table {
            let error = refusal(&[&target, arguments].concat());
            assert!(error.contains(words), "{arguments:?}: {error}");
        }
    }

    #[test]
    fn a_host_may_be_called_by_its_name() {
        let settings = flags(&["--target", "netns:a", "--listen", "localhost:9470"]).settle().unwrap();
        assert_eq!(settings.listen.to_string(), "localhost:9470");
    }

    #[test]
    fn nothing_in_the_file_is_no_directory() {
        for line in
            ["state-dir: ~", "state-dir: ~/x", "state-dir: ''", "policy: [~]", "policy: ['~/p.yaml']", "log: loud"]
        {
            let file = file(&format!("target: ['netns:a']\n{line}\n"));
            let error = refusal(&["--config", file.path().to_str().unwrap()]);
            assert!(error.contains("expected"), "{line}: {error}");
        }
    }

    #[test]
    fn a_missing_policy_file_is_named() {
        let error = flags(&["--target", "netns:a", "--policy", "/nowhere.yaml"]).settle().unwrap_err().to_string();
        assert!(error.contains("/nowhere.yaml") && error.contains("policy file"), "{error}");
    }
}
