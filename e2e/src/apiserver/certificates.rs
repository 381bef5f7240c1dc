//! A certificate authority for one API server, and what it signs.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

use crate::Error;

/// The common name of the front proxy's certificate.
pub(super) const FRONT_PROXY: &str = "front-proxy-client";

/// Signs certificates into one directory.
#[derive(Debug)]
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: PathBuf,
    directory: PathBuf,
}

/// A certificate and its key, as files.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

/// What kube-apiserver shows to servers of further APIs, to which it passes requests on.
#[derive(Debug, Clone)]
pub(super) struct FrontProxy {
    pub(super) authority: PathBuf,
    pub(super) identity: Identity,
}

/// What signs tokens, and what checks them, as files.
#[derive(Debug, Clone)]
pub(super) struct TokenKeys {
    pub(super) private: PathBuf,
    pub(super) public: PathBuf,
}

impl Authority {
    /// A new authority, with its certificate as `ca.crt` in `directory`.
    pub(super) fn new(directory: &Path) -> Result<Self, Error> {
        Self::named("netprecursor test", "ca.crt", directory)
    }

    fn named(name: &str, file: &str, directory: &Path) -> Result<Self, Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        let path = directory.join(file);
        write(&path, &certificate.pem())?;
        Ok(Self { issuer: Issuer::new(params, key), certificate: path, directory: directory.to_path_buf() })
    }

    /// The authority's own certificate.
    pub(super) fn certificate(&self) -> PathBuf {
        self.certificate.clone()
    }

    /// A server's certificate for `names` (addresses among them).
    pub(super) fn server(&self, file: &str, names: &[&str]) -> Result<Identity, Error> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, file);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(file, params)
    }

    /// A client's certificate: Kubernetes takes the common name as the user and the organization as the group.
    pub(super) fn client(&self, file: &str, user: &str, group: Option<&str>) -> Result<Identity, Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, user);
        if let Some(group) = group {
            params.distinguished_name.push(DnType::OrganizationName, group);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(file, params)
    }

    /// A pair of keys that signs service accounts' tokens.
    pub(super) fn token_keys(&self) -> Result<TokenKeys, Error> {
        let keys = TokenKeys { private: self.directory.join("tokens.key"), public: self.directory.join("tokens.pub") };
        let pair = KeyPair::generate()?;
        write(&keys.private, &pair.serialize_pem())?;
        write(&keys.public, &pair.public_key_pem())?;
        Ok(keys)
    }

    /// The front proxy's certificate, of an authority of its own: whoever that one signs is believed about users.
    pub(super) fn front_proxy(directory: &Path) -> Result<FrontProxy, Error> {
        let authority = Self::named("front-proxy-ca", "front-proxy-ca.crt", directory)?;
        let identity = authority.client("front-proxy-client", FRONT_PROXY, None)?;
        Ok(FrontProxy { authority: authority.certificate(), identity })
    }

    fn sign(&self, file: &str, params: CertificateParams) -> Result<Identity, Error> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let path = |extension: &str| self.directory.join(file).with_extension(extension);
        let identity = Identity { certificate: path("crt"), key: path("key") };
        write(&identity.certificate, &certificate.pem())?;
        write(&identity.key, &key.serialize_pem())?;
        Ok(identity)
    }
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    let wrap = |reason: io::Error| Error::Testbed(netprecursor_testbed::TestbedError::file(path)(reason));
    fs::write(path, text).map_err(wrap)
}
