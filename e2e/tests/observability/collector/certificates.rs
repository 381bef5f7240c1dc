//! Certificates of a Collector and of who sends to it.

use std::{fs, path::PathBuf};

use netprecursor_testbed::Scratch;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// An authority and what it signed, as files.
pub(crate) struct Certificates(Scratch);

impl Certificates {
    /// Of a server called `localhost`, and of a client.
    pub(crate) fn new() -> Self {
        let own = Self(Scratch::new().unwrap());
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "netprecursor test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        fs::write(own.file("ca.crt"), params.self_signed(&key).unwrap().pem()).unwrap();
        let issuer = Issuer::new(params, key);
        for (file, name) in [("server", "localhost"), ("client", "agent")] {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new([name.to_owned()]).unwrap();
            let certificate = params.signed_by(&key, &issuer).unwrap();
            fs::write(own.file(&format!("{file}.crt")), certificate.pem()).unwrap();
            fs::write(own.file(&format!("{file}.key")), key.serialize_pem()).unwrap();
        }
        own
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Where one of the files is.
    pub(crate) fn path(&self, name: &str) -> String {
        self.file(name).display().to_string()
    }
}
