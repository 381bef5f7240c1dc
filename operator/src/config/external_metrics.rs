//! The part of the configuration that is about autoscalers.

use std::path::PathBuf;

use netprecursor_settings::Listen;
use netprecursor_sinks::http::File;
use serde::Deserialize;

use crate::scaling::Files;

/// Metrics for autoscalers, as an aggregated API.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ExternalMetrics {
    /// Its address.
    pub listen: Listen,
    /// The file with the server's certificate, in PEM.
    pub certificate_file: PathBuf,
    /// The file with its private key, in PEM.
    pub key_file: PathBuf,
}

impl ExternalMetrics {
    /// The certificate's files with their settings.
    pub fn files(&self) -> Files {
        let file = |setting: &str, path: &PathBuf| File { setting: setting.to_owned(), path: path.clone() };
        Files {
            certificate: file("externalMetrics.certificateFile", &self.certificate_file),
            key: file("externalMetrics.keyFile", &self.key_file),
        }
    }
}
