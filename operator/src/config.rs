//! The operator's configuration: a file that the chart renders, and the downward API's facts of its own pod.

mod agent;
mod external_metrics;
mod receivers;

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
};

use ipnet::IpNet;
use netprecursor_core::policy::network;
use netprecursor_crds::{Duration, duration::Field};
use netprecursor_kit::networks::MAX_NETWORKS;
use netprecursor_settings::{
    Listen,
    log::{Filter, FilterError, VARIABLE},
};
use netprecursor_sinks::settings::{Settings as Receivers, SettingsError};
use serde::Deserialize;
use thiserror::Error;

pub use self::{
    agent::{Agent, Otlp, Profiles, Protocol},
    external_metrics::ExternalMetrics,
    receivers::{Alertmanager, Webhook},
};

const US_PER_SECOND: u64 = 1_000_000;

/// Why the operator cannot start with its configuration.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}; expected the file operator.yaml of the chart's ConfigMap")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The file is not understood.
    #[error("configuration file {path}: {message}; expected the fields of the chart's operator.yaml")]
    Parse {
        /// The file.
        path: String,
        /// What is wrong, with line and column.
        message: String,
    },
    /// A field that has a value of its type which makes no sense.
    #[error("configuration field {field}: {message}")]
    Field {
        /// The field.
        field: &'static str,
        /// Got and expected.
        message: String,
    },
    /// Receivers of alerts that cannot be meant.
    #[error("configuration file: {0}")]
    Receivers(#[from] SettingsError),
    /// A log filter that would not do what it seems to say.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// The downward API is not set up.
    #[error("environment variable {0}: got none, expected the pod's own value: set it by the downward API")]
    Environment(&'static str),
}

/// `operator.yaml`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Config {
    /// How this cluster is called in what agents send; empty when it has no name.
    #[serde(default)]
    pub cluster_name: String,
    /// Networks of the cluster's pods, Services and nodes, in CIDR notation; empty to find them out.
    #[serde(default)]
    pub cluster_networks: Vec<String>,
    /// Log filter.
    #[serde(default = "info")]
    pub log_level: String,
    /// ConfigMap that owns what the operator makes, so that it goes with the release.
    pub anchor: String,
    /// The Lease that leaders are elected by.
    pub lease_name: String,
    /// The agents.
    pub agent: Agent,
    /// How many alerts there may be.
    #[serde(default)]
    pub caps: Caps,
    /// How long a resolved alert is kept.
    #[serde(default = "an_hour")]
    pub alert_ttl: Duration,
    /// Replicas of Alertmanager, which are sent every alert.
    #[serde(default)]
    pub alertmanager: Alertmanager,
    /// A webhook that gets a message when an alert fires and when it resolves.
    #[serde(default)]
    pub webhook: Webhook,
    /// The template of links from an alert to a dashboard.
    pub dashboard_url: Option<String>,
    /// Address of health and metrics.
    #[serde(default = "all_addresses")]
    pub metrics_listen: Listen,
    /// Who may read metrics, the operator's and the agents'.
    #[serde(default)]
    pub metrics_authorization: Authorization,
    /// What is served to autoscalers; nothing without it.
    pub external_metrics: Option<ExternalMetrics>,
}

/// Who may read metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum Authorization {
    /// Whoever presents a token of a user that may `get` the non-resource URL `/metrics`.
    #[default]
    Required,
    /// Everybody.
    None,
}

/// How many alert objects there may be at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Caps {
    /// Of the pods of one node; the agent keeps to it.
    pub alerts_per_node: u32,
    /// In one namespace.
    pub alerts_per_namespace: u32,
    /// In the cluster.
    pub alerts_per_cluster: u32,
}

impl Default for Caps {
    fn default() -> Self {
        Self { alerts_per_node: 200, alerts_per_namespace: 1_000, alerts_per_cluster: 10_000 }
    }
}

/// The settings in force: the file, and what the operator is in the cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The file.
    pub config: Config,
    /// Where the operator and all that it makes live.
    pub namespace: String,
    /// The operator's own pod: who it is in an election.
    pub pod_name: String,
    /// [`Config::alert_ttl`] in seconds.
    pub alert_ttl_seconds: i64,
    /// [`Config::cluster_networks`], parsed.
    pub cluster_networks: Vec<IpNet>,
    /// Who is sent alerts: [`Config::alertmanager`] and [`Config::webhook`].
    pub receivers: Receivers,
    /// `RUST_LOG`, or else [`Config::log_level`].
    pub log: Filter,
}

impl Settings {
    /// Settings of a file's text.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(config: Config, namespace: String, pod_name: String) -> Result<Self, ConfigError> {
        let alert_ttl_seconds =
            alert_ttl(&config.alert_ttl).map_err(|message| ConfigError::Field { field: "alertTtl", message })?;
        // Agents would start with it, and end at once.
        Filter::parse("agent.logLevel", &config.agent.log_level)?;
        let log = Filter::parse("logLevel", &config.log_level)?;
        if !config.agent.state_dir.starts_with('/') {
            let message = format!(
                "got `{}`, expected the whole path of a directory on the nodes: write for example `{}`",
                config.agent.state_dir,
                agent::state_dir()
            );
            return Err(ConfigError::Field { field: "agent.stateDir", message });
        }
        let cluster_networks = cluster_networks(&config.cluster_networks)
            .map_err(|message| ConfigError::Field { field: "clusterNetworks", message })?;
        for (field, cap) in [
            ("caps.alertsPerNode", config.caps.alerts_per_node),
            ("caps.alertsPerNamespace", config.caps.alerts_per_namespace),
            ("caps.alertsPerCluster", config.caps.alerts_per_cluster),
        ] {
            if cap == 0 {
                let message = "got 0, expected at least 1: use a policy's `mode: Shadow` for no alerts".to_owned();
                return Err(ConfigError::Field { field, message });
            }
        }
        let receivers = receivers::receivers(&config.alertmanager, &config.webhook, config.dashboard_url.as_deref())?;
        Ok(Self { config, namespace, pod_name, alert_ttl_seconds, cluster_networks, receivers, log })
    }

    /// Settings of a file and of the environment that the chart gives.
    ///
    /// # Errors
    /// What is wrong with either.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let shown = || path.display().to_string();
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Read { path: shown(), source })?;
        let config = parse(&text).map_err(|message| ConfigError::Parse { path: shown(), message })?;
        let variable = |name: &'static str| {
            std::env::var(name).ok().filter(|value| !value.is_empty()).ok_or(ConfigError::Environment(name))
        };
        let mut settings = Self::new(config, variable("POD_NAMESPACE")?, variable("POD_NAME")?)?;
        settings.log = Filter::in_force(std::env::var(VARIABLE).ok(), "logLevel", &settings.config.log_level)?;
        Ok(settings)
    }
}

/// The configuration in a text.
///
/// # Errors
/// What the reader of YAML says.
pub fn parse(text: &str) -> Result<Config, String> {
    // One line is what a log wants.
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())
}

/// How long a resolved alert is kept, in seconds.
fn alert_ttl(duration: &Duration) -> Result<i64, String> {
    let takes = |us: u64| us >= US_PER_SECOND;
    let us = duration.us_in(Field { takes: &takes, example_us: 3_600 * US_PER_SECOND });
    match us.map_err(|error| error.to_string())? {
        us if takes(us) => Ok(i64::try_from(us / US_PER_SECOND).unwrap_or(i64::MAX)),
        _ => Err(format!(
            "got `{duration}`, expected at least 1s, or resolved alerts are never seen: write for example `1h`"
        )),
    }
}

fn cluster_networks(texts: &[String]) -> Result<Vec<IpNet>, String> {
    let got = texts.len();
    if got > MAX_NETWORKS {
        return Err(format!("got {got} networks, expected at most {MAX_NETWORKS}: name larger ones"));
    }
    texts.iter().map(|text| network(text).map_err(|error| error.to_string())).collect()
}

fn info() -> String {
    "info".to_owned()
}

fn an_hour() -> Duration {
    Duration::new("1h")
}

fn all_addresses() -> Listen {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8080).into()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const SMALLEST: &str = "
anchor: netprecursor-anchor
leaseName: netprecursor-operator
agent:
  name: netprecursor-agent
  serviceAccountName: netprecursor-agent
  image: netprecursor/agent:0.1.0
";

    /// Settings as the chart renders them by default.
    pub(crate) fn settings() -> Settings {
        let config = parse(SMALLEST).unwrap();
        Settings::new(config, "netprecursor-system".to_owned(), "operator-0".to_owned()).unwrap()
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let settings = settings();
        assert_eq!(settings.alert_ttl_seconds, 3_600);
        assert_eq!(settings.config.agent.linger_after_last_policy_seconds, 300);
        assert_eq!(settings.config.metrics_listen.port(), 8080);
    }

    #[test]
    fn a_field_that_is_unknown_is_refused_by_name() {
        for text in [format!("{SMALLEST}colour: red\n"), format!("{SMALLEST}  colour: red\n")] {
            assert!(parse(&text).unwrap_err().contains("colour"));
        }
    }

    #[test]
    fn kubernetes_own_parts_pass_as_written() {
        let text = format!("{SMALLEST}  resources: {{limits: {{cpu: 1, memory: 64Mi}}}}\n");
        let config = parse(&text).unwrap();
        assert_eq!(config.agent.resources["limits"], serde_json::json!({"cpu": 1, "memory": "64Mi"}));
    }

    #[test]
    fn values_that_make_no_sense_are_reported_with_their_field() {
        let table = [
            ("alertTtl: 5", "alertTtl"),
            ("caps: {alertsPerNode: 0}", "caps.alertsPerNode"),
            ("logLevel: warning", "logLevel"),
            ("logLevel: ''", "logLevel"),
            ("  logLevel: loud", "agent.logLevel"),
            ("  stateDir: ~/state", "agent.stateDir"),
            ("  stateDir: state", "agent.stateDir"),
            ("clusterNetworks: [10.0.0.1/8]", "clusterNetworks"),
            ("clusterNetworks: [everywhere]", "clusterNetworks"),
        ];
        for (line, field) in table {
            let error = refusal(line);
            assert!(error.contains(field) && error.contains("expected"), "{error}");
        }
    }

    /// The error for one more line.
    fn refusal(line: &str) -> String {
        let config = parse(&format!("{SMALLEST}{line}\n")).unwrap();
        Settings::new(config, "n".to_owned(), "p".to_owned()).unwrap_err().to_string()
    }

    #[test]
    fn what_is_advised_is_taken() {
        let table = [
            ("alertTtl: {}", &["5", "0.5", "0s", "999ms", "1.5h", "soon"][..]),
            ("logLevel: {}", &["warning", "loud", "kube=loud"][..]),
            ("  stateDir: {}", &["~/x", "x"][..]),
        ];
        for (field, wrong) in table {
            for value in wrong {
                let error = refusal(&field.replace("{}", value));
                let (_, advice) = error.split_once("write for example ").unwrap();
                let advice = advice.split(" (units").next().unwrap();
                for write in advice.split('`').skip(1).step_by(2) {
                    let config = parse(&format!("{SMALLEST}{}\n", field.replace("{}", write))).unwrap();
                    let settings = Settings::new(config, "n".to_owned(), "p".to_owned());
                    assert!(settings.is_ok(), "{field} {value}: {error}: {settings:?}");
                }
            }
        }
    }

    #[test]
    fn a_wrong_address_is_reported_with_what_to_write() {
        let error = parse(&format!("{SMALLEST}metricsListen: ':8080'\n")).unwrap_err();
        assert!(error.contains("write for example `0.0.0.0:8080`"), "{error}");
        assert!(parse(&format!("{SMALLEST}metricsListen: localhost:8080\n")).is_ok());
    }
}
