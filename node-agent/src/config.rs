//! The agent's configuration: flags, or a file with the flags' names; a flag wins over the file.

mod file;
mod receivers;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use netprecursor_core::policy::Policy;
use netprecursor_crds::{Fault, Refusal, duration::DurationError};
use netprecursor_settings::{
    Listen,
    log::{Filter, FilterError, VARIABLE},
    path::{Written, path},
};
use netprecursor_sinks::settings::{Settings as Receivers, SettingsError};
use thiserror::Error;

use self::{
    file::{File, read_policies},
    receivers::ReceiverFlags,
};
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
        "got {0} without --kubernetes, expected both or neither: outside a cluster there are no alert objects and no tokens"
    )]
    ClusterOnly(&'static str),
    /// What only means something outside a cluster.
    #[error(
        "got a receiver of alerts together with --kubernetes, expected one of them: in a cluster the operator sends alerts; set \
         `alertmanager` and `webhook` in the values of its chart"
    )]
    HostOnly,
    /// Receivers that cannot be meant.
    #[error(transparent)]
    Receivers(#[from] SettingsError),
    /// No duration.
    #[error("{0}: {1}")]
    Interval(&'static str, DurationError),
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
    /// Address of /healthz, /readyz and /metrics alone, for probes and scrapes from outside the pod. In a cluster, /metrics
    /// there needs a bearer token of a user that may `get` the non-resource URL /metrics
    #[arg(long, value_name = "ADDRESS:PORT")]
    probe_listen: Option<Listen>,
    /// Have /metrics of --probe-listen answer without a token
    #[arg(long)]
    open_metrics: bool,
    /// What telemetry calls the cluster
    #[arg(long, value_name = "NAME")]
    cluster_name: Option<String>,
    /// Alert objects that this node may have at once; beyond that, alerts are counted only [default: 200]
    #[arg(long, value_name = "NUMBER")]
    max_alerts: Option<usize>,
    /// Alert objects that this node may have at once in one namespace [default: 50]
    #[arg(long, value_name = "NUMBER")]
    max_alerts_per_namespace: Option<usize>,
    /// File with what this agent may write to the API server, which the operator deals [default: one write each 20 s]
    #[arg(long, value_name = "FILE", value_parser = given_path())]
    share_file: Option<PathBuf>,
    /// File with the networks of the cluster's pods, Services and nodes, which the operator deals: for rules about peers in
    /// the cluster or outside of it
    #[arg(long, value_name = "FILE", value_parser = given_path())]
    networks_file: Option<PathBuf>,
    #[command(flatten)]
    receivers: ReceiverFlags,
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
    /// Where its share of the writes to the API server is, if it is dealt one.
    pub share_file: Option<PathBuf>,
    /// Where the networks of the cluster are named, if it is dealt them.
    pub networks_file: Option<PathBuf>,
    /// Whether everybody who reaches the agent may read its metrics.
    pub open_metrics: bool,
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
    /// Who is sent alerts, outside a cluster.
    pub receivers: Receivers,
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
        let mut file = self.config.map(File::read).transpose()?.unwrap_or_default();
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
        let (targets, policies, mut file) = self.given.with_file()?;
        let receivers = self.receivers.settle(file.take_receivers())?;
        let caps = [
            ("--max-alerts", self.max_alerts.or(file.max_alerts)),
            ("--max-alerts-per-namespace", self.max_alerts_per_namespace.or(file.max_alerts_per_namespace)),
        ];
        if let Some((flag, _)) = caps.iter().find(|(_, cap)| *cap == Some(0)) {
            return Err(ConfigError::NoAlerts(flag));
        }
        let share_file = self.share_file.or(file.share_file.map(|Written(path)| path));
        let networks_file = self.networks_file.or(file.networks_file.map(|Written(path)| path));
        let only_in_cluster = caps.iter().filter(|(_, cap)| cap.is_some()).map(|(flag, _)| *flag);
        let only_in_cluster = only_in_cluster.chain(share_file.is_some().then_some("--share-file"));
        let only_in_cluster = only_in_cluster.chain(networks_file.is_some().then_some("--networks-file"));
        let open_metrics = self.open_metrics || file.open_metrics;
        let mut only_in_cluster = only_in_cluster.chain(open_metrics.then_some("--open-metrics"));
        let cluster = match (self.kubernetes || file.kubernetes, targets.is_empty(), policies.is_empty()) {
            (true, false, _) => return Err(ConfigError::TwoSources("--target")),
            (true, true, false) => return Err(ConfigError::TwoSources("--policy")),
            (false, true, _) => return Err(ConfigError::NoTarget),
            (false, false, _) => match only_in_cluster.next() {
                Some(flag) => return Err(ConfigError::ClusterOnly(flag)),
                None => None,
            },
            (true, true, true) => Some(InCluster {
                location: location(&environment)?,
                max_alerts: caps[0].1.unwrap_or(MAX_ALERTS),
                max_alerts_per_namespace: caps[1].1.unwrap_or(MAX_ALERTS_PER_NAMESPACE),
                share_file,
                networks_file,
                open_metrics,
            }),
        };
        if cluster.is_some() && !receivers.is_empty() {
            return Err(ConfigError::HostOnly);
        }
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
            receivers,
            listen,
            probe_listen,
            state_dir: directory(state_dir.unwrap_or_else(|| PathBuf::from(STATE_DIR)))?,
            log: Filter::in_force(environment(VARIABLE), "--log", &log)?,
            log_json: self.log_json || file.log_json,
        })
    }
}

/// Where the agent is, as its pod says.
fn location(environment: impl Fn(&str) -> Option<String>) -> Result<Location, ConfigError> {
    let required = |name| environment(name).filter(|value| !value.is_empty()).ok_or(ConfigError::NoLocation(name));
    Ok(Location { node: required("NODE_NAME")?, pod: required("POD_NAME")?, namespace: required("POD_NAMESPACE")? })
}

/// What is no directory now never becomes one; what is not there yet is made.
fn directory(path: PathBuf) -> Result<PathBuf, ConfigError> {
    match path.ancestors().find(|part| part.exists()) {
        Some(part) if !part.is_dir() => Err(ConfigError::StateIsFile(part.to_owned())),
        _ => Ok(path),
    }
}

#[cfg(test)]
mod tests;
