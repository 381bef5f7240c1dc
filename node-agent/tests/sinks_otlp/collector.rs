//! A collector of the test's own, over gRPC and over HTTP, in plain text and over TLS.

use std::{
    io::Read as _,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    routing::post,
    serve::Listener,
};
use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::{
            ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
            logs_service_server::{LogsService, LogsServiceServer},
        },
        metrics::v1::{
            ExportMetricsServiceRequest, ExportMetricsServiceResponse,
            metrics_service_server::{MetricsService, MetricsServiceServer},
        },
    },
    common::v1::{KeyValue, any_value::Value},
    logs::v1::LogRecord,
    metrics::v1::{Metric, NumberDataPoint, metric::Data, number_data_point},
};
use prost::Message as _;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tonic::{
    codec::CompressionEncoding,
    metadata::MetadataMap,
    transport::{Certificate, Identity, Server, ServerTlsConfig},
};

/// What a collector was sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Received(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
pub(crate) struct Inner {
    pub(crate) metrics: Vec<ExportMetricsServiceRequest>,
    pub(crate) logs: Vec<ExportLogsServiceRequest>,
    pub(crate) tokens: Vec<String>,
    pub(crate) encodings: Vec<String>,
    /// Refuses as many requests as that, as one that is busy, before it takes any.
    pub(crate) refusing: u32,
    /// Refuses everything for want of a token.
    pub(crate) is_forbidding: bool,
    /// Takes records, but rejects as many.
    pub(crate) rejecting: i64,
}

/// What a request is answered with.
enum Answer {
    Taken,
    Busy,
    Forbidden,
}

impl Received {
    pub(crate) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, header: impl Fn(&str) -> Option<String>, encoding: &str) -> Answer {
        let mut inner = self.inner();
        inner.tokens.push(header("x-token").unwrap_or_else(|| "none".to_owned()));
        inner.encodings.push(header(encoding).unwrap_or_else(|| "none".to_owned()));
        let is_busy = inner.refusing > 0;
        inner.refusing = inner.refusing.saturating_sub(1);
        match (inner.is_forbidding, is_busy) {
            (true, _) => Answer::Forbidden,
            (false, true) => Answer::Busy,
            (false, false) => Answer::Taken,
        }
    }

    fn answer_grpc(&self, metadata: &MetadataMap) -> Result<(), tonic::Status> {
        let header = |name: &str| metadata.get(name)?.to_str().ok().map(str::to_owned);
        match self.answer(header, "grpc-encoding") {
            Answer::Taken => Ok(()),
            Answer::Busy => Err(tonic::Status::unavailable("busy")),
            Answer::Forbidden => Err(tonic::Status::unauthenticated("no token")),
        }
    }

    /// The body, or what it is refused with.
    fn answer_http(&self, headers: &HeaderMap, body: Bytes) -> Result<Bytes, Box<Response>> {
        assert_eq!(headers["content-type"], "application/x-protobuf");
        let header = |name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);
        match self.answer(header, "content-encoding") {
            Answer::Busy => Err(Box::new((StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "2")]).into_response())),
            Answer::Forbidden => Err(Box::new((StatusCode::UNAUTHORIZED, "no token").into_response())),
            Answer::Taken if headers.contains_key("content-encoding") => {
                let mut plain = Vec::new();
                flate2::read::GzDecoder::new(&*body).read_to_end(&mut plain).unwrap();
                Ok(plain.into())
            }
            Answer::Taken => Ok(body),
        }
    }

    fn take_logs(&self, request: ExportLogsServiceRequest) -> ExportLogsServiceResponse {
        let mut inner = self.inner();
        inner.logs.push(request);
        let partial = ExportLogsPartialSuccess {
            rejected_log_records: inner.rejecting,
            error_message: if inner.rejecting > 0 { "too old".to_owned() } else { String::new() },
        };
        ExportLogsServiceResponse { partial_success: Some(partial) }
    }

    /// The newest points of a metric, with its unit and whether it is a monotonic sum.
    pub(crate) fn points(&self, name: &str) -> Option<(String, bool, Vec<NumberDataPoint>)> {
        let inner = self.inner();
        let metric: &Metric = inner
            .metrics
            .last()?
            .resource_metrics
            .iter()
            .flat_map(|resource| &resource.scope_metrics)
            .flat_map(|scope| &scope.metrics)
            .find(|metric| metric.name == name)?;
        Some(match metric.data.clone()? {
            Data::Gauge(gauge) => (metric.unit.clone(), false, gauge.data_points),
            Data::Sum(sum) => (metric.unit.clone(), sum.is_monotonic, sum.data_points),
            other => panic!("{name} is {other:?}"),
        })
    }

    /// The newest value of the series with these attributes.
    pub(crate) fn value(&self, name: &str, attributes: &[(&str, &str)]) -> Option<f64> {
        let (_, _, points) = self.points(name)?;
        let is_it = |point: &&NumberDataPoint| {
            attributes.iter().all(|(key, value)| text(&point.attributes, key).as_deref() == Some(*value))
        };
        match points.iter().find(is_it)?.value? {
            number_data_point::Value::AsDouble(value) => Some(value),
            number_data_point::Value::AsInt(value) => Some(value as f64),
        }
    }

    pub(crate) fn records(&self) -> Vec<LogRecord> {
        let inner = self.inner();
        let resources = inner.logs.iter().flat_map(|request| &request.resource_logs);
        resources.flat_map(|resource| &resource.scope_logs).flat_map(|scope| scope.log_records.clone()).collect()
    }

    pub(crate) fn resource(&self, key: &str) -> Option<String> {
        text(&self.inner().metrics.last()?.resource_metrics.first()?.resource.as_ref()?.attributes, key)
    }
}

pub(crate) fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::DoubleValue(number) => Some(number.to_string()),
        Value::IntValue(number) => Some(number.to_string()),
        other => Some(format!("{other:?}")),
    }
}

#[tonic::async_trait]
impl MetricsService for Received {
    async fn export(
        &self,
        request: tonic::Request<ExportMetricsServiceRequest>,
    ) -> Result<tonic::Response<ExportMetricsServiceResponse>, tonic::Status> {
        self.answer_grpc(request.metadata())?;
        self.inner().metrics.push(request.into_inner());
        Ok(tonic::Response::new(ExportMetricsServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Received {
    async fn export(
        &self,
        request: tonic::Request<ExportLogsServiceRequest>,
    ) -> Result<tonic::Response<ExportLogsServiceResponse>, tonic::Status> {
        self.answer_grpc(request.metadata())?;
        Ok(tonic::Response::new(self.take_logs(request.into_inner())))
    }
}

/// An authority with a server's and a client's certificate, as files.
pub(crate) struct Certificates {
    directory: tempfile::TempDir,
}

impl Certificates {
    /// A server called `localhost`.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |file: &str| directory.path().join(file);
        let mut params = CertificateParams::default();
        // Its own name: of two authorities of one name, the wrong one is recognised by the signature alone.
        let name = directory.path().display().to_string();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        std::fs::write(path("ca.crt"), params.self_signed(&key).unwrap().pem()).unwrap();
        let issuer = Issuer::new(params, key);
        for (file, name) in [("server", "localhost"), ("client", "agent")] {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new([name.to_owned()]).unwrap();
            let certificate = params.signed_by(&key, &issuer).unwrap();
            std::fs::write(path(&format!("{file}.crt")), certificate.pem()).unwrap();
            std::fs::write(path(&format!("{file}.key")), key.serialize_pem()).unwrap();
        }
        Self { directory }
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    pub(crate) fn named(&self, file: &str) -> String {
        self.path(file).to_str().unwrap().to_owned()
    }

    fn pem(&self, file: &str) -> Vec<u8> {
        std::fs::read(self.path(file)).unwrap()
    }

    fn for_grpc(&self, is_mutual: bool) -> ServerTlsConfig {
        let config =
            ServerTlsConfig::new().identity(Identity::from_pem(self.pem("server.crt"), self.pem("server.key")));
        if is_mutual { config.client_ca_root(Certificate::from_pem(self.pem("ca.crt"))) } else { config }
    }

    fn for_http(&self, is_mutual: bool) -> TlsAcceptor {
        let certificate = |file| CertificateDer::from_pem_slice(&self.pem(file)).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider));
        let config = config.with_safe_default_protocol_versions().unwrap();
        let config = if is_mutual {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(certificate("ca.crt")).unwrap();
            let roots = Arc::new(roots);
            let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(roots, provider);
            config.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            config.with_no_client_auth()
        };
        let key = PrivateKeyDer::from_pem_slice(&self.pem("server.key")).unwrap();
        TlsAcceptor::from(Arc::new(config.with_single_cert(vec![certificate("server.crt")], key).unwrap()))
    }
}

/// How a collector's port is secured.
pub(crate) enum Port<'a> {
    Plain,
    Secured(&'a Certificates),
    /// Clients show certificates.
    Mutual(&'a Certificates),
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Serves `protocol`; the address.
pub(crate) async fn serve(protocol: &str, received: Received, port: Port<'_>) -> SocketAddr {
    if protocol == "grpc" { grpc(received, port).await } else { http(received, port).await }
}

async fn grpc(received: Received, port: Port<'_>) -> SocketAddr {
    let (listener, address) = listen().await;
    let mut server = Server::builder();
    server = match port {
        Port::Plain => server,
        Port::Secured(certificates) => server.tls_config(certificates.for_grpc(false)).unwrap(),
        Port::Mutual(certificates) => server.tls_config(certificates.for_grpc(true)).unwrap(),
    };
    let server = server
        .add_service(MetricsServiceServer::new(received.clone()).accept_compressed(CompressionEncoding::Gzip))
        .add_service(LogsServiceServer::new(received).accept_compressed(CompressionEncoding::Gzip));
    tokio::spawn(server.serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener)));
    address
}

async fn http(received: Received, port: Port<'_>) -> SocketAddr {
    let (listener, address) = listen().await;
    let (metrics, logs) = (received.clone(), received);
    let take_metrics = move |headers: HeaderMap, body: Bytes| async move {
        let body = match metrics.answer_http(&headers, body) {
            Ok(body) => body,
            Err(refusal) => return *refusal,
        };
        metrics.inner().metrics.push(ExportMetricsServiceRequest::decode(body).unwrap());
        ExportMetricsServiceResponse::default().encode_to_vec().into_response()
    };
    let take_logs = move |headers: HeaderMap, body: Bytes| async move {
        let body = match logs.answer_http(&headers, body) {
            Ok(body) => body,
            Err(refusal) => return *refusal,
        };
        logs.take_logs(ExportLogsServiceRequest::decode(body).unwrap()).encode_to_vec().into_response()
    };
    let router = Router::new().route("/v1/metrics", post(take_metrics)).route("/v1/logs", post(take_logs));
    match port {
        Port::Plain => drop(tokio::spawn(async move { axum::serve(listener, router).await })),
        Port::Secured(certificates) => {
            let listener = Secured(listener, certificates.for_http(false));
            drop(tokio::spawn(async move { axum::serve(listener, router).await }));
        }
        Port::Mutual(certificates) => {
            let listener = Secured(listener, certificates.for_http(true));
            drop(tokio::spawn(async move { axum::serve(listener, router).await }));
        }
    }
    address
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
