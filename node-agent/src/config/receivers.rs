//! Settings of the receivers that an agent on a single host sends alerts to: flags, variables of the environment, or the file.

use std::{path::PathBuf, time::Duration};

use netprecursor_crds::duration::{self, Field};
use netprecursor_sinks::settings::{Given, GivenAccess, GivenAlertmanager, GivenWebhook, Settings, Style, is_resend};

use super::{ConfigError, given_path};

/// An interval that is advised.
const EXAMPLE_US: u64 = 60_000_000;

/// The flags of receivers. In a cluster the operator sends.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Receivers of alerts")]
pub(super) struct ReceiverFlags {
    /// URL of a replica of Alertmanager; repeatable: every replica is sent every alert
    #[arg(long, value_name = "URL", env = "NETPRECURSOR_ALERTMANAGER", value_delimiter = ',')]
    pub(super) alertmanager: Vec<String>,
    /// How often a firing alert is sent again: 5s to 1h [default: 1m]
    #[arg(long, value_name = "DURATION", env = "NETPRECURSOR_ALERTMANAGER_RESEND")]
    pub(super) alertmanager_resend: Option<String>,
    /// User's name for Alertmanager
    #[arg(long, value_name = "NAME", env = "NETPRECURSOR_ALERTMANAGER_USERNAME")]
    pub(super) alertmanager_username: Option<String>,
    /// File with the user's password; this and all other files of receivers are read anew when they change
    #[arg(long, value_name = "FILE", env = "NETPRECURSOR_ALERTMANAGER_PASSWORD_FILE", value_parser = given_path())]
    pub(super) alertmanager_password_file: Option<PathBuf>,
    /// File with a bearer token for Alertmanager
    #[arg(long, value_name = "FILE", env = "NETPRECURSOR_ALERTMANAGER_TOKEN_FILE", value_parser = given_path())]
    pub(super) alertmanager_token_file: Option<PathBuf>,
    /// PEM file with the certificate authorities to trust with Alertmanager [default: those of the machine]
    #[arg(long, value_name = "FILE", env = "NETPRECURSOR_ALERTMANAGER_CA_FILE", value_parser = given_path())]
    pub(super) alertmanager_ca_file: Option<PathBuf>,
    /// PEM file with the certificate that the agent shows to Alertmanager
    #[arg(
        long,
        value_name = "FILE",
        env = "NETPRECURSOR_ALERTMANAGER_CLIENT_CERTIFICATE_FILE",
        value_parser = given_path()
    )]
    pub(super) alertmanager_client_certificate_file: Option<PathBuf>,
    /// PEM file with its private key
    #[arg(long, value_name = "FILE", env = "NETPRECURSOR_ALERTMANAGER_CLIENT_KEY_FILE", value_parser = given_path())]
    pub(super) alertmanager_client_key_file: Option<PathBuf>,
    /// URL that is posted each alert that fires or resolves, as JSON
    #[arg(long, value_name = "URL", env = "NETPRECURSOR_WEBHOOK", hide_env_values = true)]
    pub(super) webhook: Option<String>,
    /// File with that URL, where it is a secret as those of chat services are
    #[arg(long, value_name = "FILE", env = "NETPRECURSOR_WEBHOOK_URL_FILE", value_parser = given_path())]
    pub(super) webhook_url_file: Option<PathBuf>,
    /// File with the secrets (whsec_…, one a line) that messages to the webhook are signed with
    #[arg(long, value_name = "FILE", env = "NETPRECURSOR_WEBHOOK_SECRET_FILE", value_parser = given_path())]
    pub(super) webhook_secret_file: Option<PathBuf>,
    /// User's name for the webhook
    #[arg(long, value_name = "NAME", env = "NETPRECURSOR_WEBHOOK_USERNAME")]
    pub(super) webhook_username: Option<String>,
    /// File with the user's password
    #[arg(long, value_name = "FILE", env = "NETPRECURSOR_WEBHOOK_PASSWORD_FILE", value_parser = given_path())]
    pub(super) webhook_password_file: Option<PathBuf>,
    /// File with a bearer token for the webhook
    #[arg(long, value_name = "FILE", env = "NETPRECURSOR_WEBHOOK_TOKEN_FILE", value_parser = given_path())]
    pub(super) webhook_token_file: Option<PathBuf>,
    /// PEM file with the certificate authorities to trust with the webhook [default: those of the machine]
    #[arg(long, value_name = "FILE", env = "NETPRECURSOR_WEBHOOK_CA_FILE", value_parser = given_path())]
    pub(super) webhook_ca_file: Option<PathBuf>,
    /// PEM file with the certificate that the agent shows to the webhook
    #[arg(
        long,
        value_name = "FILE",
        env = "NETPRECURSOR_WEBHOOK_CLIENT_CERTIFICATE_FILE",
        value_parser = given_path()
    )]
    pub(super) webhook_client_certificate_file: Option<PathBuf>,
    /// PEM file with its private key
    #[arg(long, value_name = "FILE", env = "NETPRECURSOR_WEBHOOK_CLIENT_KEY_FILE", value_parser = given_path())]
    pub(super) webhook_client_key_file: Option<PathBuf>,
    /// Link of an alert to a dashboard: a URL with {namespace}, {workload}, {pod}, {target}, {node}, {policy}, {rule}, {severity},
    /// {cluster}, {from} and {to} in it
    #[arg(long, value_name = "URL", env = "NETPRECURSOR_DASHBOARD_URL")]
    pub(super) dashboard_url: Option<String>,
}

impl ReceiverFlags {
    /// The receivers; what no flag says, `file` may.
    ///
    /// # Errors
    /// What cannot be meant.
    pub(super) fn settle(self, file: Self) -> Result<Settings, ConfigError> {
        let all = self.or(file);
        let resend = all.alertmanager_resend.as_deref().map(interval).transpose()?;
        let given = Given {
            alertmanager: GivenAlertmanager {
                urls: all.alertmanager,
                resend,
                access: GivenAccess {
                    username: all.alertmanager_username,
                    password_file: all.alertmanager_password_file,
                    token_file: all.alertmanager_token_file,
                    ca_file: all.alertmanager_ca_file,
                    client_certificate_file: all.alertmanager_client_certificate_file,
                    client_key_file: all.alertmanager_client_key_file,
                },
            },
            webhook: GivenWebhook {
                url: all.webhook,
                url_file: all.webhook_url_file,
                secret_file: all.webhook_secret_file,
                access: GivenAccess {
                    username: all.webhook_username,
                    password_file: all.webhook_password_file,
                    token_file: all.webhook_token_file,
                    ca_file: all.webhook_ca_file,
                    client_certificate_file: all.webhook_client_certificate_file,
                    client_key_file: all.webhook_client_key_file,
                },
            },
            dashboard_url: all.dashboard_url,
        };
        Ok(Settings::new(given, Style::Flags)?)
    }

    fn or(self, file: Self) -> Self {
        let alertmanager = if self.alertmanager.is_empty() { file.alertmanager } else { self.alertmanager };
        Self {
            alertmanager,
            alertmanager_resend: self.alertmanager_resend.or(file.alertmanager_resend),
            alertmanager_username: self.alertmanager_username.or(file.alertmanager_username),
            alertmanager_password_file: self.alertmanager_password_file.or(file.alertmanager_password_file),
            alertmanager_token_file: self.alertmanager_token_file.or(file.alertmanager_token_file),
            alertmanager_ca_file: self.alertmanager_ca_file.or(file.alertmanager_ca_file),
            alertmanager_client_certificate_file: self
                .alertmanager_client_certificate_file
                .or(file.alertmanager_client_certificate_file),
            alertmanager_client_key_file: self.alertmanager_client_key_file.or(file.alertmanager_client_key_file),
            webhook: self.webhook.or(file.webhook),
            webhook_url_file: self.webhook_url_file.or(file.webhook_url_file),
            webhook_secret_file: self.webhook_secret_file.or(file.webhook_secret_file),
            webhook_username: self.webhook_username.or(file.webhook_username),
            webhook_password_file: self.webhook_password_file.or(file.webhook_password_file),
            webhook_token_file: self.webhook_token_file.or(file.webhook_token_file),
            webhook_ca_file: self.webhook_ca_file.or(file.webhook_ca_file),
            webhook_client_certificate_file: self
                .webhook_client_certificate_file
                .or(file.webhook_client_certificate_file),
            webhook_client_key_file: self.webhook_client_key_file.or(file.webhook_client_key_file),
            dashboard_url: self.dashboard_url.or(file.dashboard_url),
        }
    }
}

fn interval(text: &str) -> Result<Duration, ConfigError> {
    let takes = |us: u64| is_resend(Duration::from_micros(us));
    let us = duration::Duration::new(text).us_in(Field { takes: &takes, example_us: EXAMPLE_US });
    us.map(Duration::from_micros).map_err(|error| ConfigError::Interval("--alertmanager-resend", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags() -> ReceiverFlags {
        ReceiverFlags::default()
    }

    fn refusal(flags: ReceiverFlags) -> String {
        flags.settle(ReceiverFlags::default()).unwrap_err().to_string()
    }

    #[test]
    fn a_flag_wins_over_the_file_for_each_setting() {
        let own = ReceiverFlags { alertmanager: vec!["https://own".to_owned()], ..flags() };
        let file = ReceiverFlags {
            alertmanager: vec!["https://file".to_owned()],
            webhook: Some("https://hook".to_owned()),
            ..flags()
        };
        let both = own.clone().or(file);
        assert_eq!((both.alertmanager, both.webhook.as_deref()), (own.alertmanager, Some("https://hook")));
        assert!(flags().settle(flags()).unwrap().is_empty());
    }

    #[test]
    fn an_interval_has_a_unit_and_is_within_reason() {
        let with = |text: &str| {
            let (alertmanager, alertmanager_resend) = (vec!["https://a".to_owned()], Some(text.to_owned()));
            ReceiverFlags { alertmanager, alertmanager_resend, ..flags() }
        };
        for text in ["5", "soon", "1s"] {
            let error = refusal(with(text));
            assert!(error.contains("--alertmanager-resend") && error.contains("expected"), "{error}");
        }
        assert!(with("30s").settle(flags()).is_ok());
    }

    #[test]
    fn a_wrong_setting_is_named_as_its_flag() {
        let error = refusal(ReceiverFlags { webhook_username: Some("me".to_owned()), ..flags() });
        assert!(error.contains("got --webhook-username without --webhook,"), "{error}");
    }
}
