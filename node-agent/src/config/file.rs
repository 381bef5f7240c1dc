//! The files that flags name: the configuration, and policies.

use std::{fs, path::PathBuf};

use netprecursor_core::policy::Policy;
use netprecursor_crds::{duplicate, policies_from_yaml};
use netprecursor_settings::{Listen, path::Written};
use serde::Deserialize;

use super::ConfigError;
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
}

/// A path that is there: `~`, which means nothing in YAML, does not stand for the default.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Written>, D::Error> {
    Written::deserialize(deserializer).map(Some)
}

fn read(path: &PathBuf, what: &'static str) -> Result<String, ConfigError> {
    fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.clone(), what, source })
}

impl File {
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
