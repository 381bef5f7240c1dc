//! Who we are to a receiver, and whom we trust: credentials and certificates from files, read anew when they change.

use std::{fs, net::SocketAddr, path::PathBuf, sync::Arc};

use axum::serve::Listener;
use netprecursor_sinks::settings::{Given, GivenAccess};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::fixture::{Server, alertmanager, firing, limits, start, until};

/// An authority with a server's and a client's certificate, as files.
struct Certificates(tempfile::TempDir);

impl Certificates {
    /// A server called `localhost`.
    fn new() -> Self {
        let kept = Self(tempfile::tempdir().unwrap());
        let mut params = CertificateParams::default();
        // Its own name: of two authorities of one name, the wrong one is recognised by the signature alone.
        let name = kept.0.path().display().to_string();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        fs::write(kept.path("ca.crt"), params.self_signed(&key).unwrap().pem()).unwrap();
        let issuer = Issuer::new(params, key);
        for (file, name) in [("server", "localhost"), ("client", "agent")] {
            let key = KeyPair::generate().unwrap();
            let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
            fs::write(kept.path(&format!("{file}.crt")), certificate.pem()).unwrap();
            fs::write(kept.path(&format!("{file}.key")), key.serialize_pem()).unwrap();
        }
        kept
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    /// Wants a client's certificate.
    fn acceptor(&self) -> TlsAcceptor {
        let certificate = |file| CertificateDer::from_pem_file(self.path(file)).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider));
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate("ca.crt")).unwrap();
        let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let config = config.with_safe_default_protocol_versions().unwrap();
        let config = config.with_client_cert_verifier(verifier.build().unwrap());
        let key = PrivateKeyDer::from_pem_file(self.path("server.key")).unwrap();
        TlsAcceptor::from(Arc::new(config.with_single_cert(vec![certificate("server.crt")], key).unwrap()))
    }
}

struct Secured(TcpListener, TlsAcceptor);

impl Listener for Secured {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (stream, address) = Listener::accept(&mut self.0).await;
            if let Ok(secured) = self.1.accept(stream).await {
                return (secured, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

async fn secured(certificates: &Certificates) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server::at(listener.local_addr().unwrap());
    let (listener, router) = (Secured(listener, certificates.acceptor()), server.router());
    tokio::spawn(async move { axum::serve(listener, router).await });
    server
}

fn with(url: &str, access: GivenAccess) -> Given {
    let mut given = alertmanager(&[url]);
    given.alertmanager.access = access;
    given
}

#[tokio::test]
async fn credentials_are_those_that_the_file_holds_now() {
    let server = Server::start().await;
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    let access = GivenAccess { token_file: Some(token.clone()), ..GivenAccess::default() };
    let running = start(with(&server.url(""), access), limits());
    running.put(firing("a"));
    until("the failure", || running.health()[0].failures > 0).await;
    let error = running.health()[0].error.clone().unwrap();
    assert!(error.contains("--alertmanager-token-file (") && error.contains("a bearer token"), "{error}");
    assert_eq!(server.count(), 0);
    fs::write(&token, "one\n").unwrap();
    until("the alert", || server.count() == 1).await;
    fs::write(&token, "two\n").unwrap();
    running.put(firing("b"));
    until("the other alert", || server.count() == 2).await;
    let sent: Vec<_> =
        server.requests().iter().map(|request| request.header("authorization").unwrap().to_owned()).collect();
    assert_eq!(sent, ["Bearer one", "Bearer two"]);
}

#[tokio::test]
async fn a_user_logs_in_with_name_and_password() {
    let server = Server::start().await;
    let directory = tempfile::tempdir().unwrap();
    let password = directory.path().join("password");
    fs::write(&password, "open sesame").unwrap();
    let access =
        GivenAccess { username: Some("Aladdin".to_owned()), password_file: Some(password), ..GivenAccess::default() };
    let running = start(with(&server.url(""), access), limits());
    running.put(firing("a"));
    until("the alert", || server.count() == 1).await;
    assert_eq!(server.requests()[0].header("authorization"), Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
    let notices = &running.health()[0].notices;
    assert!(notices[0].contains("whoever reads the traffic"), "{notices:?}");
}

#[tokio::test]
async fn a_receiver_is_trusted_by_its_authority_and_knows_us_by_our_certificate() {
    let certificates = Certificates::new();
    let server = secured(&certificates).await;
    let url = format!("https://localhost:{}", server.port());
    let authority = GivenAccess { ca_file: Some(certificates.path("ca.crt")), ..GivenAccess::default() };
    let stranger = start(with(&url, authority.clone()), limits());
    stranger.put(firing("a"));
    until("the failure", || stranger.health()[0].failures > 0).await;
    let error = stranger.health()[0].error.clone().unwrap();
    assert!(error.contains("--alertmanager-client-certificate-file"), "{error}");
    assert_eq!(server.count(), 0);
    let access = GivenAccess {
        client_certificate_file: Some(certificates.path("client.crt")),
        client_key_file: Some(certificates.path("client.key")),
        ..authority
    };
    let known = start(with(&url, access), limits());
    known.put(firing("a"));
    until("the alert", || server.count() == 1).await;
}

#[tokio::test]
async fn another_authority_is_trusted_as_soon_as_the_file_names_it() {
    let (right, wrong) = (Certificates::new(), Certificates::new());
    let server = secured(&right).await;
    let directory = tempfile::tempdir().unwrap();
    let authority = directory.path().join("ca.crt");
    fs::copy(wrong.path("ca.crt"), &authority).unwrap();
    let access = GivenAccess {
        ca_file: Some(authority.clone()),
        client_certificate_file: Some(right.path("client.crt")),
        client_key_file: Some(right.path("client.key")),
        ..GivenAccess::default()
    };
    let running = start(with(&format!("https://localhost:{}", server.port()), access), limits());
    running.put(firing("a"));
    until("the failure", || running.health()[0].failures > 0).await;
    let error = running.health()[0].error.clone().unwrap();
    assert!(error.contains("--alertmanager-ca-file"), "{error}");
    fs::copy(right.path("ca.crt"), &authority).unwrap();
    until("the alert", || server.count() == 1).await;
}
