//! TLS as settings want it: whom to trust, and what the client shows.

use std::{env, io};

use hyper_rustls::ConfigBuilderExt as _;
use rustls::{
    ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier,
    client::WantsClientCert,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject as _},
    },
};
use thiserror::Error;

use super::file::File;

/// How a connection is secured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Security {
    /// Whom to trust. Without it those whom the machine trusts, or Mozilla where it has no authorities, as in an image.
    pub authorities: Option<File>,
    /// What the client shows: certificate and key.
    pub identity: Option<(File, File)>,
}

/// What the files of a [`Security`] hold: other content makes another configuration.
#[derive(Clone, PartialEq, Eq)]
pub struct Material {
    authorities: Option<Content>,
    identity: Option<(Content, Content)>,
}

#[derive(Clone, PartialEq, Eq)]
struct Content {
    file: File,
    bytes: Vec<u8>,
}

/// Why a connection cannot be secured as it was asked for.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}, expected the PEM file that {setting} names: {source}")]
    Read {
        /// The file.
        path: String,
        /// The setting.
        setting: String,
        /// Why.
        source: io::Error,
    },
    /// It holds something else.
    #[error("{path}: {reason}; expected {expected} for {setting}")]
    Content {
        /// The file.
        path: String,
        /// The setting.
        setting: String,
        /// What is wrong.
        reason: String,
        /// What it should hold.
        expected: &'static str,
    },
    /// The environment names whom to trust, and there is nobody.
    #[error(
        "got no certificates where SSL_CERT_FILE and SSL_CERT_DIR point, expected some; or name a PEM file in {setting}"
    )]
    NoRoots {
        /// The setting that names others.
        setting: String,
    },
    /// The certificate and the key of the client do not go together.
    #[error("{certificate} and {key}: {source}; expected the certificate and the private key of one client")]
    Identity {
        /// The certificate's setting with its file.
        certificate: String,
        /// The key's.
        key: String,
        /// Why.
        source: rustls::Error,
    },
    /// TLS is not to be had.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

const CERTIFICATES: &str = "one certificate or more in PEM (BEGIN CERTIFICATE)";
const KEY: &str = "a private key in PEM without a passphrase (BEGIN PRIVATE KEY)";

impl Material {
    /// Reads the files.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn read(security: &Security) -> Result<Self, TlsError> {
        let authorities = security.authorities.as_ref().map(Content::read).transpose()?;
        let identity = match &security.identity {
            Some((certificate, key)) => Some((Content::read(certificate)?, Content::read(key)?)),
            None => None,
        };
        Ok(Self { authorities, identity })
    }

    /// The client's side of TLS; `authorities` is the setting that names whom to trust.
    ///
    /// # Errors
    /// A file holds something else.
    pub fn config(&self, authorities: &str) -> Result<ClientConfig, TlsError> {
        let config = builder()?;
        let config = match &self.authorities {
            None => trusting(config, authorities)?,
            Some(content) => config.with_root_certificates(roots(content)?),
        };
        let Some((certificate, key)) = &self.identity else { return Ok(config.with_no_client_auth()) };
        let own = PrivateKeyDer::from_pem_slice(&key.bytes).map_err(|error| key.wrong(&error, KEY))?;
        config.with_client_auth_cert(certificates(certificate)?, own).map_err(|source| TlsError::Identity {
            certificate: certificate.file.named(),
            key: key.file.named(),
            source,
        })
    }
}

/// The client's side of TLS where nothing is secured.
///
/// # Errors
/// TLS is not to be had.
pub fn plain() -> Result<ClientConfig, TlsError> {
    Ok(builder()?.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, TlsError> {
    let builder = ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into());
    Ok(builder.with_safe_default_protocol_versions()?)
}

/// The variables by which OpenSSL, and so everybody, is told whom to trust.
const NAMED_BY: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

fn trusting(
    config: ConfigBuilder<ClientConfig, WantsVerifier>,
    setting: &str,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, TlsError> {
    let native = config.clone().with_native_roots().ok();
    let is_named = NAMED_BY.iter().any(|name| env::var_os(name).is_some());
    choose(native, is_named, || config.with_webpki_roots())
        .ok_or_else(|| TlsError::NoRoots { setting: setting.to_owned() })
}

/// The machine's authorities, or the `bundled` ones where there are none and nobody has asked for others: who names some by the
/// environment must hear that they are missing.
fn choose<T>(native: Option<T>, is_named: bool, bundled: impl FnOnce() -> T) -> Option<T> {
    native.or_else(|| (!is_named).then(bundled))
}

fn roots(content: &Content) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(content)? {
        store.add(certificate).map_err(|error| content.wrong(&error, CERTIFICATES))?;
    }
    Ok(store)
}

fn certificates(content: &Content) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_slice_iter(&content.bytes).collect::<Result<Vec<_>, _>>();
    let found = read.map_err(|error| content.wrong(&error, CERTIFICATES))?;
    if found.is_empty() {
        return Err(content.wrong(&pem::Error::NoItemsFound, CERTIFICATES));
    }
    Ok(found)
}

impl Content {
    fn read(file: &File) -> Result<Self, TlsError> {
        match file.read() {
            Ok(bytes) => Ok(Self { file: file.clone(), bytes }),
            Err(source) => {
                Err(TlsError::Read { path: file.path.display().to_string(), setting: file.setting.clone(), source })
            }
        }
    }

    fn wrong(&self, reason: &dyn std::error::Error, expected: &'static str) -> TlsError {
        let (path, setting) = (self.file.path.display().to_string(), self.file.setting.clone());
        TlsError::Content { path, setting, reason: reason.to_string(), expected }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file(setting: &str, text: &str) -> (File, tempfile::NamedTempFile) {
        let mut kept = tempfile::NamedTempFile::new().unwrap();
        kept.write_all(text.as_bytes()).unwrap();
        (File { setting: setting.to_owned(), path: kept.path().to_owned() }, kept)
    }

    fn config(security: &Security) -> Result<ClientConfig, TlsError> {
        Material::read(security)?.config("CA")
    }

    fn refusal(security: &Security) -> String {
        config(security).unwrap_err().to_string()
    }

    #[test]
    fn a_file_that_is_missing_or_holds_something_else_is_named_with_its_setting() {
        let missing = File { setting: "CA".to_owned(), path: "/nowhere.pem".into() };
        let text = refusal(&Security { authorities: Some(missing), ..Security::default() });
        assert!(text.contains("/nowhere.pem") && text.contains("CA") && text.contains("No such file"), "{text}");
        for wrong in ["", "not PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            let (authorities, _kept) = file("CA", wrong);
            let text = refusal(&Security { authorities: Some(authorities), ..Security::default() });
            assert!(text.contains("expected one certificate or more") && text.contains("CA"), "{text}");
        }
    }

    #[test]
    fn an_image_without_authorities_trusts_those_of_mozilla_unless_the_environment_names_others() {
        let bundled = || "bundled";
        assert_eq!(choose(Some("native"), false, bundled), Some("native"));
        assert_eq!(choose(None, false, bundled), Some("bundled"));
        assert_eq!(choose(None, true, bundled), None);
    }

    #[test]
    fn a_certificate_with_the_key_of_another_is_refused() {
        let signed = || rcgen::generate_simple_self_signed(["client".to_owned()]).unwrap();
        let (one, other) = (signed(), signed());
        let (authorities, _ca) = file("CA", &one.cert.pem());
        let (certificate, _certificate) = file("CERTIFICATE", &one.cert.pem());
        let identity = |key: &str| {
            let (key, kept) = file("KEY", key);
            let security =
                Security { authorities: Some(authorities.clone()), identity: Some((certificate.clone(), key)) };
            (security, kept)
        };
        let (right, _kept) = identity(&one.signing_key.serialize_pem());
        assert!(config(&right).is_ok());
        let (wrong, _kept) = identity(&other.signing_key.serialize_pem());
        let text = refusal(&wrong);
        assert!(text.contains("CERTIFICATE (") && text.contains("KEY ("), "{text}");
        let (none, _kept) = identity(&one.cert.pem());
        assert!(refusal(&none).contains("expected a private key"));
    }
}
