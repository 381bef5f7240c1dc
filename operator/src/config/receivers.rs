//! The part of the configuration that is about receivers of alerts.

use std::path::PathBuf;

use netprecursor_crds::{Duration, duration::Field};
use netprecursor_sinks::settings::{Given, GivenAccess, GivenAlertmanager, GivenWebhook, Settings, Style, is_resend};
use serde::Deserialize;

use super::ConfigError;

/// An interval that is advised, µs.
const EXAMPLE_US: u64 = 60_000_000;

/// Alertmanager.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Alertmanager {
    /// The replicas' URLs; none for no Alertmanager.
    pub urls: Vec<String>,
    /// How often a firing alert is sent again.
    pub resend_interval: Option<Duration>,
    /// Who we are to them, and whom to trust.
    pub access: GivenAccess,
}

/// A webhook.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Webhook {
    /// Its URL.
    pub url: Option<String>,
    /// The file with its URL.
    pub url_file: Option<PathBuf>,
    /// The file with the secrets that messages are signed with.
    pub secret_file: Option<PathBuf>,
    /// Who we are to it, and whom to trust.
    pub access: GivenAccess,
}

/// The receivers that are meant.
///
/// # Errors
/// What cannot be meant.
pub(super) fn receivers(
    alertmanager: &Alertmanager,
    webhook: &Webhook,
    dashboard_url: Option<&str>,
) -> Result<Settings, ConfigError> {
    let takes = |us: u64| is_resend(std::time::Duration::from_micros(us));
    let interval = |duration: &Duration| {
        let us = duration.us_in(Field { takes: &takes, example_us: EXAMPLE_US });
        us.map(std::time::Duration::from_micros)
    };
    let resend = alertmanager.resend_interval.as_ref().map(interval).transpose();
    let resend = resend
        .map_err(|error| ConfigError::Field { field: "alertmanager.resendInterval", message: error.to_string() })?;
    let (alertmanager, webhook) = (alertmanager.clone(), webhook.clone());
    let given = Given {
        alertmanager: GivenAlertmanager { urls: alertmanager.urls, resend, access: alertmanager.access },
        webhook: GivenWebhook {
            url: webhook.url,
            url_file: webhook.url_file,
            secret_file: webhook.secret_file,
            access: webhook.access,
        },
        dashboard_url: dashboard_url.map(str::to_owned),
    };
    Ok(Settings::new(given, Style::Fields)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(alertmanager: &str) -> Result<Settings, String> {
        let alertmanager: Alertmanager = serde_saphyr::from_str(alertmanager).map_err(|error| error.to_string())?;
        receivers(&alertmanager, &Webhook::default(), None).map_err(|error| error.to_string())
    }

    #[test]
    fn what_the_chart_renders_is_understood() {
        let rendered = "urls: ['https://am-0:9093', 'https://am-1:9093']\nresendInterval: 30s\naccess:\n  username: me\n  \
            passwordFile: /p\n  caFile: /ca\n";
        assert!(!meant(rendered).unwrap().is_empty());
        assert!(meant("{}").unwrap().is_empty());
    }

    #[test]
    fn what_cannot_be_meant_is_reported_with_its_field() {
        for (text, field) in [
            ("urls: ['am:9093']", "alertmanager.urls"),
            ("urls: ['http://am']\nresendInterval: 30", "alertmanager.resendInterval"),
            ("urls: ['http://am']\nresendInterval: 1s", "alertmanager.resendInterval"),
            ("urls: ['http://am']\naccess: {username: me}", "alertmanager.access.passwordFile"),
            ("access: {tokenFile: /t}", "alertmanager.urls"),
            ("colour: red", "colour"),
        ] {
            let error = meant(text).unwrap_err();
            assert!(error.contains(field) && error.contains("expected"), "{text}: {error}");
        }
    }
}
