//! Who we are to a receiver, and whom to trust: as given, and as it is meant.

use std::path::PathBuf;

use serde::Deserialize;

use super::{Names, SettingsError};
use crate::http::{Access, File, Login, Security, url};

/// Bytes of a user's name.
pub(super) const MAX_USERNAME: usize = 256;

/// Who we are to a receiver, and whom to trust, as given.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct GivenAccess {
    /// A user's name.
    pub username: Option<String>,
    /// The file with its password.
    pub password_file: Option<PathBuf>,
    /// The file with a bearer token.
    pub token_file: Option<PathBuf>,
    /// The PEM file with the authorities to trust.
    pub ca_file: Option<PathBuf>,
    /// The PEM file with the client's certificate.
    pub client_certificate_file: Option<PathBuf>,
    /// The PEM file with its key.
    pub client_key_file: Option<PathBuf>,
}

/// The access that is meant.
///
/// # Errors
/// What contradicts itself.
pub(super) fn access(given: GivenAccess, names: Names) -> Result<Access, SettingsError> {
    let GivenAccess { username, password_file, token_file, ca_file, client_certificate_file, client_key_file } = given;
    let half = |got, missing| SettingsError::Half { got: names.access(got), missing: names.access(missing) };
    let file = |what, path| File { setting: names.access(what), path };
    let login = match (username, password_file, token_file) {
        (None, None, None) => Login::None,
        (None, None, Some(token)) => Login::Bearer(file("token-file", token)),
        (Some(username), Some(password), None) => {
            if username.is_empty() || username.len() > MAX_USERNAME || username.contains(':') {
                return Err(SettingsError::Username(names.access("username")));
            }
            Login::Basic { username, password: file("password-file", password) }
        }
        (Some(_), None, None) => return Err(half("username", "password-file")),
        (None, Some(_), None) => return Err(half("password-file", "username")),
        (Some(_), _, Some(_)) => return Err(SettingsError::Both(names.access("username"), names.access("token-file"))),
        (None, Some(_), Some(_)) => {
            return Err(SettingsError::Both(names.access("password-file"), names.access("token-file")));
        }
    };
    let identity = match (client_certificate_file, client_key_file) {
        (None, None) => None,
        (Some(certificate), Some(key)) => {
            Some((file("client-certificate-file", certificate), file("client-key-file", key)))
        }
        (Some(_), None) => return Err(half("client-certificate-file", "client-key-file")),
        (None, Some(_)) => return Err(half("client-key-file", "client-certificate-file")),
    };
    let security = Security { authorities: ca_file.map(|path| file("ca-file", path)), identity };
    let identity_setting =
        format!("{} and {}", names.access("client-certificate-file"), names.access("client-key-file"));
    Ok(Access { login, security, authorities_setting: names.access("ca-file"), identity_setting })
}

/// The first setting of an access that is given.
pub(super) fn first_given(given: &GivenAccess, names: Names) -> Option<String> {
    let all = [
        ("username", given.username.is_some()),
        ("password-file", given.password_file.is_some()),
        ("token-file", given.token_file.is_some()),
        ("ca-file", given.ca_file.is_some()),
        ("client-certificate-file", given.client_certificate_file.is_some()),
        ("client-key-file", given.client_key_file.is_some()),
    ];
    all.iter().find(|(_, is_given)| *is_given).map(|(what, _)| names.access(what))
}

/// Says what is lost where nothing is secured.
pub(super) fn note(uri: &http::Uri, access: &Access, name: &str, notices: &mut Vec<String>) {
    if url::is_https(uri) {
        return;
    }
    let mut add = |notice: String| {
        if !notices.contains(&notice) {
            notices.push(notice);
        }
    };
    if access.login != Login::None {
        add(format!("whoever reads the traffic has the password or token: {name} is no https URL"));
    }
    if access.security != Security::default() {
        add(format!("certificates have no effect: {name} is no https URL"));
    }
}
