//! Settings of receivers, as flags of an agent and as fields of the operator's configuration give them. Parsed, so that what
//! cannot be meant has no form; every error names the setting as it was given.

mod access;
mod error;

use std::{collections::HashMap, path::PathBuf, time::Duration};

use self::access::{access, first_given, note};
pub use self::{access::GivenAccess, error::SettingsError};
use crate::{
    alertmanager,
    http::{
        Access, Address, File,
        url::{self, Url},
    },
    link::Link,
};

/// Replicas of Alertmanager.
pub const MAX_REPLICAS: usize = 8;

/// Between two times that a firing alert is sent, unless it is set.
pub const RESEND: Duration = Duration::from_secs(60);

/// What the interval may be: sooner is a load, later an alert that nobody would miss for hours.
const RESEND_LIMITS: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(3600)];

/// How settings are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// `--alertmanager-token-file`.
    Flags,
    /// `alertmanager.access.tokenFile`.
    Fields,
}

/// Alertmanager, as given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GivenAlertmanager {
    /// The replicas' URLs; none for no Alertmanager.
    pub urls: Vec<String>,
    /// Between two times that a firing alert is sent.
    pub resend: Option<Duration>,
    /// Who we are to them.
    pub access: GivenAccess,
}

/// A webhook, as given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GivenWebhook {
    /// Its URL.
    pub url: Option<String>,
    /// The file with its URL.
    pub url_file: Option<PathBuf>,
    /// The file with the secrets that messages are signed with.
    pub secret_file: Option<PathBuf>,
    /// Who we are to it.
    pub access: GivenAccess,
}

/// All that is given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Given {
    /// Alertmanager.
    pub alertmanager: GivenAlertmanager,
    /// A webhook.
    pub webhook: GivenWebhook,
    /// The template of links to a dashboard.
    pub dashboard_url: Option<String>,
}

/// Receivers as they are meant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    pub(crate) alertmanager: Vec<Replica>,
    pub(crate) resend: Duration,
    pub(crate) webhook: Option<Webhook>,
    pub(crate) link: Option<Link>,
    /// Settings that are not safe, in words.
    pub(crate) notices: Vec<String>,
}

/// A replica of Alertmanager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Replica {
    pub(crate) address: Address,
    pub(crate) shown: String,
    pub(crate) access: Access,
}

/// A webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Webhook {
    pub(crate) address: Address,
    pub(crate) shown: String,
    pub(crate) secret: Option<File>,
    pub(crate) access: Access,
}

/// The names of one receiver's settings.
#[derive(Debug, Clone, Copy)]
struct Names {
    style: Style,
    receiver: &'static str,
}

impl Names {
    /// The name of a setting; `what` is empty for the flag that is called like the receiver.
    fn of(self, group: &str, what: &str) -> String {
        let Self { style, receiver } = self;
        match (style, what) {
            (Style::Flags, "url" | "urls") => format!("--{receiver}"),
            (Style::Flags, _) => format!("--{receiver}-{what}"),
            (Style::Fields, _) if group.is_empty() => format!("{receiver}.{}", camel(what)),
            (Style::Fields, _) => format!("{receiver}.{group}.{}", camel(what)),
        }
    }

    fn access(self, what: &str) -> String {
        self.of("access", what)
    }
}

/// `token-file` as `tokenFile`.
fn camel(name: &str) -> String {
    let mut words = name.split('-');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |all, word| {
        let mut letters = word.chars();
        let capital = letters.next().map(|letter| letter.to_ascii_uppercase());
        all + &capital.into_iter().chain(letters).collect::<String>()
    })
}

impl Settings {
    /// Receivers as `given`; errors call settings in this style.
    ///
    /// # Errors
    /// What cannot be meant.
    pub fn new(given: Given, style: Style) -> Result<Self, SettingsError> {
        let Given { alertmanager, webhook, dashboard_url } = given;
        let mut notices = Vec::new();
        let resend = resend(&alertmanager, style)?;
        let alertmanager = replicas(alertmanager, style, &mut notices)?;
        let webhook = webhook_of(webhook, style, &mut notices)?;
        let name = match style {
            Style::Flags => "--dashboard-url",
            Style::Fields => "dashboardUrl",
        };
        let link = dashboard_url.as_deref().map(Link::new).transpose();
        let link = link.map_err(|error| SettingsError::Link { name: name.to_owned(), error })?;
        if link.is_some() && alertmanager.is_empty() && webhook.is_none() {
            let missing = Names { style, receiver: alertmanager::NAME }.of("", "urls");
            return Err(SettingsError::NoReceiver { got: name.to_owned(), missing });
        }
        Ok(Self { alertmanager, resend, webhook, link, notices })
    }

    /// Whether there is a receiver.
    pub fn is_empty(&self) -> bool {
        self.alertmanager.is_empty() && self.webhook.is_none()
    }
}

/// Whether an alert may be sent so often.
pub fn is_resend(interval: Duration) -> bool {
    let [min, max] = RESEND_LIMITS;
    (min..=max).contains(&interval)
}

fn resend(given: &GivenAlertmanager, style: Style) -> Result<Duration, SettingsError> {
    match given.resend {
        None => Ok(RESEND),
        Some(got) if !is_resend(got) => {
            let what = if style == Style::Flags { "resend" } else { "resend-interval" };
            Err(SettingsError::Resend { name: Names { style, receiver: alertmanager::NAME }.of("", what), got })
        }
        Some(got) => Ok(got),
    }
}

fn replicas(given: GivenAlertmanager, style: Style, notices: &mut Vec<String>) -> Result<Vec<Replica>, SettingsError> {
    const EXAMPLE: &str = "http://alertmanager.monitoring:9093";
    let names = Names { style, receiver: alertmanager::NAME };
    let name = names.of("", "urls");
    let got = given.urls.len();
    if got > MAX_REPLICAS {
        return Err(SettingsError::Replicas { name, got });
    }
    if got == 0 {
        let others =
            given.resend.map(|_| names.of("", if style == Style::Flags { "resend" } else { "resend-interval" }));
        return match others.or_else(|| first_given(&given.access, names)) {
            Some(got) => Err(SettingsError::NoReceiver { got, missing: name }),
            None => Ok(Vec::new()),
        };
    }
    let access = access(given.access, names)?;
    let mut replicas: Vec<Replica> = Vec::new();
    for text in given.urls {
        let uri = dialled(&text, &name, names, EXAMPLE, Some(alertmanager::PATH))?;
        let shown = alertmanager::VISIBLE.url(&uri);
        note(&uri, &access, &name, notices);
        let address = Address::Fixed(uri);
        if replicas.iter().any(|known| known.address == address) {
            return Err(SettingsError::Twice { name, got: shown });
        }
        replicas.push(Replica { address, shown, access: access.clone() });
    }
    number(&mut replicas);
    Ok(replicas)
}

/// Tells apart what differs only in what is not shown: no two replicas may have the same labels.
fn number(replicas: &mut [Replica]) {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for replica in replicas {
        let count = seen.entry(replica.shown.clone()).or_default();
        *count += 1;
        if *count > 1 {
            replica.shown = format!("{} #{count}", replica.shown);
        }
    }
}

fn webhook_of(given: GivenWebhook, style: Style, notices: &mut Vec<String>) -> Result<Option<Webhook>, SettingsError> {
    const EXAMPLE: &str = "https://chat.example/hooks/…";
    let names = Names { style, receiver: crate::webhook::NAME };
    let name = names.of("", "url");
    let file = |what: &str, path: PathBuf| File { setting: names.of("", what), path };
    let (address, shown) = match (given.url, given.url_file) {
        (Some(_), Some(_)) => return Err(SettingsError::Both(name, names.of("", "url-file"))),
        (Some(text), None) => {
            let uri = dialled(&text, &name, names, EXAMPLE, None)?;
            let shown = crate::webhook::VISIBLE.url(&uri);
            (Address::Fixed(uri), shown)
        }
        (None, Some(path)) => {
            let shown = format!("the URL in {}", path.display());
            (Address::InFile(file("url-file", path)), shown)
        }
        (None, None) => {
            let others = given.secret_file.map(|_| names.of("", "secret-file"));
            return match others.or_else(|| first_given(&given.access, names)) {
                Some(got) => Err(SettingsError::NoReceiver { got, missing: name }),
                None => Ok(None),
            };
        }
    };
    let access = access(given.access, names)?;
    if let Address::Fixed(uri) = &address {
        note(uri, &access, &name, notices);
    }
    let secret = given.secret_file.map(|path| file("secret-file", path));
    Ok(Some(Webhook { address, shown, secret, access }))
}

fn dialled(
    text: &str,
    name: &str,
    names: Names,
    example: &'static str,
    path: Option<&str>,
) -> Result<http::Uri, SettingsError> {
    let wrong = || SettingsError::Url { name: name.to_owned(), got: url::shown(text), example };
    let parsed = Url::parse(text).ok_or_else(wrong)?;
    if parsed.had_user {
        let (username, password) = (names.access("username"), names.access("password-file"));
        return Err(SettingsError::User { name: name.to_owned(), username, password });
    }
    parsed.join(path).ok_or_else(wrong)
}

#[cfg(test)]
mod tests;
