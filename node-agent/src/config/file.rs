//! The files that flags name: the configuration, and policies.

use std::{fs, mem::take, path::PathBuf};

use netprecursor_core::policy::Policy;
use netprecursor_crds::{duplicate, policies_from_yaml};
use netprecursor_settings::{Listen, path::Written};
use serde::Deserialize;

use super::{ConfigError, receivers::ReceiverFlags};
use crate::targets::selector::Selector;

/// The configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct File {
    pub(super) policy: Vec<Written>,
    pub(super) target: Vec<Selector>,
    pub(super) listen: Option<Listen>,
    #[serde(deserialize_with = "present")]
    pub(super) state_dir: Option<Written>,
    pub(super) log: Option<String>,
    pub(super) log_json: bool,
    pub(super) kubernetes: bool,
    pub(super) probe_listen: Option<Listen>,
    pub(super) open_metrics: bool,
    pub(super) cluster_name: Option<String>,
    pub(super) max_alerts: Option<usize>,
    pub(super) max_alerts_per_namespace: Option<usize>,
    #[serde(deserialize_with = "present")]
    pub(super) share_file: Option<Written>,
    #[serde(deserialize_with = "present")]
    pub(super) networks_file: Option<Written>,
    pub(super) alertmanager: Vec<String>,
    pub(super) alertmanager_resend: Option<String>,
    pub(super) alertmanager_username: Option<String>,
    #[serde(deserialize_with = "present")]
    pub(super) alertmanager_password_file: Option<Written>,
    #[serde(deserialize_with = "present")]
    pub(super) alertmanager_token_file: Option<Written>,
    #[serde(deserialize_with = "present")]
    pub(super) alertmanager_ca_file: Option<Written>,
    #[serde(deserialize_with = "present")]
    pub(super) alertmanager_client_certificate_file: Option<Written>,
    #[serde(deserialize_with = "present")]
    pub(super) alertmanager_client_key_file: Option<Written>,
    pub(super) webhook: Option<String>,
    #[serde(deserialize_with = "present")]
    pub(super) webhook_url_file: Option<Written>,
    #[serde(deserialize_with = "present")]
    pub(super) webhook_secret_file: Option<Written>,
    pub(super) webhook_username: Option<String>,
    #[serde(deserialize_with = "present")]
    pub(super) webhook_password_file: Option<Written>,
    #[serde(deserialize_with = "present")]
    pub(super) webhook_token_file: Option<Written>,
    #[serde(deserialize_with = "present")]
    pub(super) webhook_ca_file: Option<Written>,
    #[serde(deserialize_with = "present")]
    pub(super) webhook_client_certificate_file: Option<Written>,
    #[serde(deserialize_with = "present")]
    pub(super) webhook_client_key_file: Option<Written>,
    pub(super) dashboard_url: Option<String>,
}

/// A path that is there: `~`, which means nothing in YAML, does not stand for the default.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Written>, D::Error> {
    Written::deserialize(deserializer).map(Some)
}

fn read(path: &PathBuf, what: &'static str) -> Result<String, ConfigError> {
    fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.clone(), what, source })
}

impl File {
    /// Takes out what it says of receivers.
    pub(super) fn take_receivers(&mut self) -> ReceiverFlags {
        let path = |written: &mut Option<Written>| written.take().map(|Written(path)| path);
        ReceiverFlags {
            alertmanager: take(&mut self.alertmanager),
            alertmanager_resend: take(&mut self.alertmanager_resend),
            alertmanager_username: take(&mut self.alertmanager_username),
            alertmanager_password_file: path(&mut self.alertmanager_password_file),
            alertmanager_token_file: path(&mut self.alertmanager_token_file),
            alertmanager_ca_file: path(&mut self.alertmanager_ca_file),
            alertmanager_client_certificate_file: path(&mut self.alertmanager_client_certificate_file),
            alertmanager_client_key_file: path(&mut self.alertmanager_client_key_file),
            webhook: take(&mut self.webhook),
            webhook_url_file: path(&mut self.webhook_url_file),
            webhook_secret_file: path(&mut self.webhook_secret_file),
            webhook_username: take(&mut self.webhook_username),
            webhook_password_file: path(&mut self.webhook_password_file),
            webhook_token_file: path(&mut self.webhook_token_file),
            webhook_ca_file: path(&mut self.webhook_ca_file),
            webhook_client_certificate_file: path(&mut self.webhook_client_certificate_file),
            webhook_client_key_file: path(&mut self.webhook_client_key_file),
            dashboard_url: take(&mut self.dashboard_url),
        }
    }

    pub(super) fn read(path: PathBuf) -> Result<Self, ConfigError> {
        let text = read(&path, "configuration file")?;
        // One line is what a log wants.
        let options = serde_saphyr::options! { with_snippet: false };
        serde_saphyr::from_str_with_options(&text, options)
            .map_err(|error| ConfigError::Parse { path, message: error.to_string() })
    }
}

pub(super) fn read_policies(paths: Vec<PathBuf>) -> Result<Vec<Policy>, ConfigError> {
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
