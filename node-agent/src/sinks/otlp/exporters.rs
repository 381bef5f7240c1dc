//! The exporters, as the environment of the OpenTelemetry specification (`OTEL_*`) wants them.

use std::{env, fs, io, time::Duration};

use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use opentelemetry::KeyValue;
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_otlp::{
    ExporterBuildError, LogExporter, MetricExporter, RetryPolicy, WithHttpConfig as _, WithTonicConfig as _,
    tonic_types::transport::{Certificate, ClientTlsConfig},
};
use opentelemetry_sdk::{Resource, resource::EnvResourceDetector};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use thiserror::Error;

/// How often metrics are told, unless `OTEL_METRIC_EXPORT_INTERVAL` says otherwise: with a collector's own delay, what
/// ended is gone within the minute.
const INTERVAL: Duration = Duration::from_secs(30);

/// The longest time that one attempt may take, unless `OTEL_EXPORTER_OTLP_TIMEOUT` says otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why there is no telemetry.
#[derive(Debug, Error)]
pub enum OtlpError {
    /// A variable is not understood.
    #[error("got {name}={got}, expected {expected}")]
    Variable {
        /// The variable.
        name: String,
        /// Its value.
        got: String,
        /// What it may be.
        expected: &'static str,
    },
    /// The certificates cannot be read.
    #[error("cannot read certificates from {path}; expected the PEM file that OTEL_EXPORTER_OTLP_CERTIFICATE names")]
    Certificate {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No certificate is trusted.
    #[error(
        "no trusted certificates on this machine; name a PEM file in OTEL_EXPORTER_OTLP_CERTIFICATE or SSL_CERT_FILE"
    )]
    NoRoots,
    /// TLS is not to be had.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
    /// The exporter is not content.
    #[error(transparent)]
    Build(#[from] ExporterBuildError),
}

/// A signal of telemetry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    Metrics,
    Logs,
}

impl Signal {
    const fn word(self) -> &'static str {
        match self {
            Self::Metrics => "METRICS",
            Self::Logs => "LOGS",
        }
    }

    /// `OTEL_EXPORTER_OTLP_<signal>_<what>`, else `OTEL_EXPORTER_OTLP_<what>`, with the name that was found.
    fn variable(self, what: &str) -> Option<(String, String)> {
        let names = [format!("OTEL_EXPORTER_OTLP_{}_{what}", self.word()), format!("OTEL_EXPORTER_OTLP_{what}")];
        names.into_iter().find_map(|name| present(&name).map(|value| (name, value)))
    }

    /// Whether it is wanted: an endpoint is named, and nothing switches it off.
    pub(super) fn is_wanted(self) -> bool {
        let is_off = present("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
            || present(&format!("OTEL_{}_EXPORTER", self.word())).is_some_and(|value| value == "none");
        !is_off && self.endpoint().is_some()
    }

    /// Where it goes.
    pub(super) fn endpoint(self) -> Option<String> {
        self.variable("ENDPOINT").map(|(_, endpoint)| endpoint)
    }

    fn is_grpc(self) -> Result<bool, OtlpError> {
        match self.variable("PROTOCOL") {
            None => Ok(false),
            Some((_, value)) if value == "grpc" => Ok(true),
            Some((_, value)) if value == "http/protobuf" => Ok(false),
            Some((name, got)) => Err(OtlpError::Variable { name, got, expected: "`grpc` or `http/protobuf`" }),
        }
    }

    fn timeout(self) -> Result<Duration, OtlpError> {
        self.variable("TIMEOUT").map_or(Ok(TIMEOUT), |(name, got)| milliseconds(name, got))
    }

    /// Whom to trust over TLS, as PEM: none for what the machine trusts.
    fn certificate(self) -> Result<Option<Vec<u8>>, OtlpError> {
        let Some((_, path)) = self.variable("CERTIFICATE") else { return Ok(None) };
        fs::read(&path).map(Some).map_err(|source| OtlpError::Certificate { path, source })
    }

    fn is_https(self) -> bool {
        self.endpoint().is_some_and(|endpoint| endpoint.starts_with("https:"))
    }

    fn grpc_tls(self) -> Result<Option<ClientTlsConfig>, OtlpError> {
        if !self.is_https() {
            return Ok(None);
        }
        Ok(Some(match self.certificate()? {
            Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
            None => ClientTlsConfig::new().with_native_roots(),
        }))
    }

    fn http_client(self) -> Result<HyperClient<HttpsConnector<HttpConnector>>, OtlpError> {
        let config = rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()?;
        let config = match (self.is_https(), self.certificate()?) {
            (false, _) => config.with_root_certificates(RootCertStore::empty()),
            (true, None) => config.with_native_roots().map_err(|_| OtlpError::NoRoots)?,
            (true, Some(pem)) => config.with_root_certificates(roots(&pem)?),
        };
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(config.with_no_client_auth()).https_or_http().enable_http1();
        Ok(HyperClient::new(connector.build(), self.timeout()?, None))
    }
}

fn roots(pem: &[u8]) -> Result<RootCertStore, OtlpError> {
    let mut store = RootCertStore::empty();
    let unreadable = |reason: String| OtlpError::Certificate {
        path: "OTEL_EXPORTER_OTLP_CERTIFICATE".to_owned(),
        source: io::Error::new(io::ErrorKind::InvalidData, reason),
    };
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
        store.add(certificate).map_err(|error| unreadable(error.to_string()))?;
    }
    if store.is_empty() { Err(unreadable("no certificate in it".to_owned())) } else { Ok(store) }
}

/// An empty variable counts as none, as the specification wants.
fn present(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn milliseconds(name: String, got: String) -> Result<Duration, OtlpError> {
    match got.parse() {
        Ok(ms @ 1..) => Ok(Duration::from_millis(ms)),
        _ => Err(OtlpError::Variable { name, got, expected: "a number of milliseconds, at least 1" }),
    }
}

/// How often metrics are told.
pub(super) fn interval() -> Result<Duration, OtlpError> {
    let name = "OTEL_METRIC_EXPORT_INTERVAL";
    present(name).map_or(Ok(INTERVAL), |got| milliseconds(name.to_owned(), got))
}

/// The exporter of metrics.
pub(super) fn metrics() -> Result<MetricExporter, OtlpError> {
    let signal = Signal::Metrics;
    let exporter = if signal.is_grpc()? {
        // When to try again is decided here, with what is so then: an old value is of no use.
        let builder = MetricExporter::builder().with_tonic().with_retry_policy(RetryPolicy::disabled());
        match signal.grpc_tls()? {
            Some(tls) => builder.with_tls_config(tls).build()?,
            None => builder.build()?,
        }
    } else {
        let builder = MetricExporter::builder().with_http().with_retry_policy(RetryPolicy::disabled());
        builder.with_http_client(signal.http_client()?).build()?
    };
    Ok(exporter)
}

/// The exporter of log records.
pub(super) fn logs() -> Result<LogExporter, OtlpError> {
    let signal = Signal::Logs;
    let exporter = if signal.is_grpc()? {
        let builder = LogExporter::builder().with_tonic().with_retry_policy(RetryPolicy::disabled());
        match signal.grpc_tls()? {
            Some(tls) => builder.with_tls_config(tls).build()?,
            None => builder.build()?,
        }
    } else {
        let builder = LogExporter::builder().with_http().with_retry_policy(RetryPolicy::disabled());
        builder.with_http_client(signal.http_client()?).build()?
    };
    Ok(exporter)
}

/// Who tells: this agent, where the environment does not say otherwise.
pub(super) fn resource(node: &str, cluster: Option<&str>) -> Resource {
    let mut own = vec![
        KeyValue::new("service.name", "netprecursor-agent"),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", node.to_owned()),
    ];
    let known = [
        ("k8s.node.name", present("NODE_NAME")),
        ("k8s.pod.name", present("POD_NAME")),
        ("k8s.cluster.name", cluster.map(str::to_owned)),
    ];
    own.extend(known.into_iter().filter_map(|(key, value)| value.map(|value| KeyValue::new(key, value))));
    let resource = Resource::builder_empty().with_attributes(own).with_detector(Box::new(EnvResourceDetector::new()));
    match present("OTEL_SERVICE_NAME") {
        Some(name) => resource.with_service_name(name).build(),
        None => resource.build(),
    }
}
