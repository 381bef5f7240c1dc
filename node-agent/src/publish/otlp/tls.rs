//! TLS as the variables want it: whom to trust, and what the client shows. Both protocols use the same.

use std::{fs, io};

use hyper_rustls::ConfigBuilderExt as _;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject as _},
    },
};
use thiserror::Error;

use super::options::{File, Security};

/// Why a connection cannot be secured as it was asked for.
#[derive(Debug, Error)]
pub(super) enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}, expected the PEM file that {variable} names: {source}")]
    Read {
        /// The file.
        path: String,
        /// The variable.
        variable: String,
        /// Why.
        source: io::Error,
    },
    /// It holds something else.
    #[error("{path}: {reason}; expected {expected} for {variable}")]
    Content {
        /// The file.
        path: String,
        /// The variable.
        variable: String,
        /// What is wrong.
        reason: String,
        /// What it should hold.
        expected: &'static str,
    },
    /// No certificate is trusted.
    #[error(
        "got no trusted certificates on this machine, expected some; name a PEM file in OTEL_EXPORTER_OTLP_CERTIFICATE or SSL_CERT_FILE"
    )]
    NoRoots,
    /// The certificate and the key of the client do not go together.
    #[error("{certificate} and {key}: {source}; expected the certificate and the private key of one client")]
    Identity {
        /// The certificate's variable with its file.
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

/// The client's side of TLS.
///
/// # Errors
/// A file cannot be read or holds something else.
pub(super) fn config(security: Option<&Security>) -> Result<ClientConfig, TlsError> {
    let config = ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()?;
    let Some(security) = security else {
        return Ok(config.with_root_certificates(RootCertStore::empty()).with_no_client_auth());
    };
    let config = match &security.authorities {
        None => config.with_native_roots().map_err(|_| TlsError::NoRoots)?,
        Some(file) => config.with_root_certificates(roots(file)?),
    };
    let Some((certificate, key)) = &security.identity else { return Ok(config.with_no_client_auth()) };
    let own = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|error| content(key, &error, KEY))?;
    config.with_client_auth_cert(certificates(certificate)?, own).map_err(|source| TlsError::Identity {
        certificate: named(certificate),
        key: named(key),
        source,
    })
}

fn roots(file: &File) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(file)? {
        store.add(certificate).map_err(|error| content(file, &error, CERTIFICATES))?;
    }
    Ok(store)
}

fn certificates(file: &File) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_slice_iter(&read(file)?).collect::<Result<Vec<_>, _>>();
    let found = read.map_err(|error| content(file, &error, CERTIFICATES))?;
    if found.is_empty() {
        return Err(content(file, &pem::Error::NoItemsFound, CERTIFICATES));
    }
    Ok(found)
}

fn read(file: &File) -> Result<Vec<u8>, TlsError> {
    fs::read(&file.path).map_err(|source| TlsError::Read {
        path: file.path.display().to_string(),
        variable: file.variable.clone(),
        source,
    })
}

fn content(file: &File, reason: &dyn std::error::Error, expected: &'static str) -> TlsError {
    let (path, variable) = (file.path.display().to_string(), file.variable.clone());
    TlsError::Content { path, variable, reason: reason.to_string(), expected }
}

fn named(file: &File) -> String {
    format!("{} ({})", file.variable, file.path.display())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file(variable: &str, text: &str) -> (File, tempfile::NamedTempFile) {
        let mut kept = tempfile::NamedTempFile::new().unwrap();
        kept.write_all(text.as_bytes()).unwrap();
        (File { variable: variable.to_owned(), path: kept.path().to_owned() }, kept)
    }

    fn refusal(security: Security) -> String {
        config(Some(&security)).unwrap_err().to_string()
    }

    #[test]
    fn a_file_that_is_missing_or_holds_something_else_is_named_with_its_variable() {
        let missing = File { variable: "CA".to_owned(), path: "/nowhere.pem".into() };
        let text = refusal(Security { authorities: Some(missing), ..Security::default() });
        assert!(text.contains("/nowhere.pem") && text.contains("CA") && text.contains("No such file"), "{text}");
        for wrong in ["", "not PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            let (authorities, _kept) = file("CA", wrong);
            let text = refusal(Security { authorities: Some(authorities), ..Security::default() });
            assert!(text.contains("expected one certificate or more") && text.contains("CA"), "{text}");
        }
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
        assert!(config(Some(&right)).is_ok());
        let (wrong, _kept) = identity(&other.signing_key.serialize_pem());
        let text = refusal(wrong);
        assert!(text.contains("CERTIFICATE (") && text.contains("KEY ("), "{text}");
        let (none, _kept) = identity(&one.cert.pem());
        assert!(refusal(none).contains("expected a private key"));
    }
}
