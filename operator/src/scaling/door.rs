//! What a connection is met with: the server's certificate, and whom to believe. Made anew when a file or the API server's
//! ConfigMap changes; until it can be made for the first time, nobody gets in, and afterwards the last one stays in force.

use std::{collections::BTreeMap, io, sync::Arc};

use netprecursor_sinks::http::File;
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject as _},
    },
    server::WebPkiClientVerifier,
};
use thiserror::Error;

use super::front_proxy::{FrontProxy, FrontProxyError};

/// HTTP/1.1 alone: a front proxy has a handful of requests a second.
const PROTOCOL: &[u8] = b"http/1.1";

/// The server's certificate and its key, as files that are replaced while the program runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The chain, in PEM.
    pub certificate: File,
    /// The private key, in PEM.
    pub key: File,
}

/// Why nobody can get in.
#[derive(Debug, Error)]
pub(super) enum DoorError {
    /// A file cannot be read.
    #[error("cannot read {file}: {source}; expected the {expected} that the chart's Secret holds")]
    Read {
        /// The setting with the file.
        file: String,
        /// What it should hold.
        expected: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A file holds something else.
    #[error("{file}: {source}; expected the {expected} in PEM")]
    Content {
        /// The setting with the file.
        file: String,
        /// What it should hold.
        expected: &'static str,
        /// What is wrong.
        source: pem::Error,
    },
    /// It is not known who the front proxy is.
    #[error(transparent)]
    FrontProxy(#[from] FrontProxyError),
    /// The parts do not go together.
    #[error("cannot serve TLS: {0}; expected a certificate with its key, and authorities of the front proxy")]
    Tls(String),
}

/// What a door is made of: other material makes another door.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Material {
    certificate: Vec<u8>,
    key: Vec<u8>,
    authentication: BTreeMap<String, String>,
}

/// A door that is open to those who say who they are.
#[derive(Debug)]
pub(super) struct Door {
    /// The server's side of TLS.
    pub(super) tls: Arc<ServerConfig>,
    /// Who may speak for others.
    pub(super) front_proxy: Arc<FrontProxy>,
}

const CERTIFICATE: &str = "certificate of the server";
const KEY: &str = "private key of the server";

impl Material {
    /// Reads the files; `authentication` is the data of the API server's ConfigMap.
    ///
    /// # Errors
    /// A file cannot be read.
    pub(super) fn read(files: &Files, authentication: BTreeMap<String, String>) -> Result<Self, DoorError> {
        let (certificate, key) = (read(&files.certificate, CERTIFICATE)?, read(&files.key, KEY)?);
        Ok(Self { certificate, key, authentication })
    }

    /// The door of this material. Clients without a certificate get through TLS, to be told what they lack; those that show one
    /// which the front proxy's authority has not signed do not.
    ///
    /// # Errors
    /// The material is something else, or does not go together.
    pub(super) fn door(&self, files: &Files) -> Result<Door, DoorError> {
        let content = |file: &File, expected| {
            let file = file.named();
            move |source| DoorError::Content { file, expected, source }
        };
        let front_proxy = FrontProxy::read(&self.authentication)?;
        let chain = CertificateDer::pem_slice_iter(&self.certificate).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(content(&files.certificate, CERTIFICATE))?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(content(&files.key, KEY))?;
        let mut roots = RootCertStore::empty();
        for authority in &front_proxy.authorities {
            roots.add(authority.clone()).map_err(tls)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()
            .map_err(tls)?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(tls)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .map_err(tls)?;
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok(Door { tls: Arc::new(config), front_proxy: Arc::new(front_proxy) })
    }
}

/// The last common name of a certificate's subject, as Go's TLS has it, which kube-apiserver is made with.
pub(super) fn common_name(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let name = certificate.subject().iter_common_name().last()?;
    name.as_str().ok().map(str::to_owned)
}

fn tls(error: impl std::fmt::Display) -> DoorError {
    DoorError::Tls(error.to_string())
}

fn read(file: &File, expected: &'static str) -> Result<Vec<u8>, DoorError> {
    file.read().map_err(|source| DoorError::Read { file: file.named(), expected, source })
}

#[cfg(test)]
pub(super) mod tests {
    use std::{fs, path::Path};

    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    use super::{super::front_proxy::tests::data, *};

    /// A certificate with its key, both in PEM.
    pub(in crate::scaling) fn signed(names: &[&str]) -> (String, String) {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name = DistinguishedName::new();
        for name in names {
            params.distinguished_name.push(DnType::CommonName, *name);
        }
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    pub(in crate::scaling) fn files(directory: &Path) -> Files {
        let file = |name: &str| File { setting: name.to_owned(), path: directory.join(name) };
        Files { certificate: file("tls.crt"), key: file("tls.key") }
    }

    fn door(certificate: &str, key: &str, authority: &str) -> Result<Door, String> {
        let directory = tempfile::tempdir().unwrap();
        let files = files(directory.path());
        fs::write(&files.certificate.path, certificate).unwrap();
        fs::write(&files.key.path, key).unwrap();
        let material = Material::read(&files, data(authority)).unwrap();
        material.door(&files).map_err(|error| error.to_string())
    }

    #[test]
    fn a_certificate_with_its_key_makes_a_door_and_others_say_what_is_wrong() {
        let ((own, key), (authority, other)) = (signed(&["server"]), signed(&["front-proxy-ca"]));
        let open = door(&own, &key, &authority).unwrap();
        assert_eq!(open.tls.alpn_protocols, [PROTOCOL.to_vec()]);
        for (certificate, key, authority, words) in [
            (&*own, &*other, &*authority, "cannot serve TLS"),
            (&*own, &*own, &*authority, "private key of the server in PEM"),
            ("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", &*key, &*authority, "tls.crt"),
            (&*own, &*key, "", "requestheader-client-ca-file"),
        ] {
            let refusal = door(certificate, key, authority).unwrap_err();
            assert!(refusal.contains(words) && refusal.contains("expected"), "{refusal}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let refusal = Material::read(&files(Path::new("/nowhere")), BTreeMap::new()).unwrap_err().to_string();
        assert!(refusal.contains("/nowhere/tls.crt") && refusal.contains("certificate of the server"), "{refusal}");
    }

    #[test]
    fn a_certificate_is_known_by_its_common_name() {
        let name = |pem: &str| common_name(&CertificateDer::from_pem_slice(pem.as_bytes()).unwrap());
        assert_eq!(name(&signed(&["front-proxy-client"]).0).as_deref(), Some("front-proxy-client"));
        assert_eq!(name(&signed(&[]).0), None);
        assert_eq!(common_name(&CertificateDer::from(b"torn".to_vec())), None);
    }
}
