//! The exporter of a signal: one client for both protocols, one attempt at a time. The caller decides when to try
//! again, with the values of that time.

use std::io::{self, Write as _};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, HeaderValue, Request, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use jiff::Timestamp;
use netprecursor_sinks::http::tls::{self, Material, TlsError};
use opentelemetry_proto::tonic::collector::{
    logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse},
    metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse},
};
use prost::Message;
use std::time::Duration;
use tonic::{body::Body, client::Grpc, codec::CompressionEncoding, metadata::MetadataMap};
use tonic_prost::ProstCodec;

use super::{
    endpoint::Protocol,
    failure::{self, Failure},
    options::Options,
};

/// The largest answer that is read, as the specification has it.
const MAX_ANSWER: usize = 4 << 20;

/// A connection that carries several requests is asked this often whether it is still there, while one waits.
const ALIVE: Duration = Duration::from_secs(5);

/// What is exported, and how it is called.
pub(super) trait Service: Message + Default + Send + Sync + 'static {
    /// What comes back.
    type Answer: Message + Default + Send + Sync + 'static;

    /// The gRPC method.
    const METHOD: &'static str;

    /// How many items of the message the collector did not take, and why.
    fn rejected(answer: Self::Answer) -> Rejected;
}

/// What a collector rejected of a message that it took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rejected {
    pub(super) items: u64,
    pub(super) message: String,
}

impl Service for ExportMetricsServiceRequest {
    type Answer = ExportMetricsServiceResponse;
    const METHOD: &'static str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

    fn rejected(answer: Self::Answer) -> Rejected {
        let partial = answer.partial_success.unwrap_or_default();
        Rejected { items: partial.rejected_data_points.unsigned_abs(), message: partial.error_message }
    }
}

impl Service for ExportLogsServiceRequest {
    type Answer = ExportLogsServiceResponse;
    const METHOD: &'static str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

    fn rejected(answer: Self::Answer) -> Rejected {
        let partial = answer.partial_success.unwrap_or_default();
        Rejected { items: partial.rejected_log_records.unsigned_abs(), message: partial.error_message }
    }
}

/// Sends messages of one signal.
#[derive(Debug)]
pub(super) struct Exporter {
    client: Client<HttpsConnector<HttpConnector>, Body>,
    options: Options,
}

impl Exporter {
    /// To be called where Tokio runs.
    ///
    /// # Errors
    /// A certificate or key is missing or wrong.
    pub(super) fn new(mut options: Options) -> Result<Self, TlsError> {
        let tls = match &options.security {
            Some(security) => Material::read(security)?.config(failure::AUTHORITIES)?,
            None => tls::plain()?,
        };
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
        let connector = match options.protocol {
            Protocol::Grpc => connector.enable_http2().build(),
            Protocol::HttpProtobuf => connector.enable_http1().build(),
        };
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .http2_only(options.protocol == Protocol::Grpc)
            .http2_keep_alive_interval(ALIVE)
            .http2_keep_alive_timeout(ALIVE)
            .build(connector);
        let agent =
            HeaderValue::from_static(concat!("netprecursor-agent/", env!("CARGO_PKG_VERSION"), " (OTLP; rust)"));
        options.headers.entry(header::USER_AGENT).or_insert(agent);
        Ok(Self { client, options })
    }

    /// Sends a message. Returns what the collector rejected of it.
    ///
    /// # Errors
    /// It was not taken.
    pub(super) async fn send<S: Service>(&self, message: S) -> Result<Rejected, Failure> {
        let attempt = async {
            match self.options.protocol {
                Protocol::Grpc => self.grpc(message).await,
                Protocol::HttpProtobuf => self.http(message).await,
            }
        };
        let answer = match self.options.timeout {
            None => attempt.await,
            Some(limit) => {
                tokio::time::timeout(limit, attempt).await.unwrap_or_else(|_| Err(Failure::timed_out(limit)))
            }
        };
        let is_stranger = self.options.security.as_ref().is_some_and(|security| security.identity.is_none());
        answer.map(S::rejected).map_err(|why| if is_stranger { why.of_stranger(failure::IDENTITY) } else { why })
    }

    async fn grpc<S: Service>(&self, message: S) -> Result<S::Answer, Failure> {
        let mut client = Grpc::with_origin(self.client.clone(), self.options.uri.clone());
        if self.options.is_gzip {
            client = client.send_compressed(CompressionEncoding::Gzip).accept_compressed(CompressionEncoding::Gzip);
        }
        let metadata = MetadataMap::from_headers(self.options.headers.clone());
        let request = tonic::Request::from_parts(metadata, tonic::Extensions::default(), message);
        let method = http::uri::PathAndQuery::from_static(S::METHOD);
        client.ready().await.map_err(|error| failure::transport(&error))?;
        let answer = client.unary(request, method, ProstCodec::default()).await;
        answer.map(tonic::Response::into_inner).map_err(|status| failure::grpc(&status))
    }

    async fn http<S: Service>(&self, message: S) -> Result<S::Answer, Failure> {
        let mut headers = self.options.headers.clone();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        let mut body = message.encode_to_vec();
        if self.options.is_gzip {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            body = gzip(&body).map_err(|error| Failure::own(&error))?;
        }
        let (status, headers, body) = self.post(headers, body.into()).await?;
        if !status.is_success() {
            return Err(failure::http(status, &headers, &body, Timestamp::now()));
        }
        // What is no answer of a collector rejects nothing of the message.
        Ok(S::Answer::decode(body).unwrap_or_default())
    }

    async fn post(&self, headers: HeaderMap, body: Bytes) -> Result<(http::StatusCode, HeaderMap, Bytes), Failure> {
        let mut request =
            Request::post(&self.options.uri).body(Body::new(Full::new(body))).map_err(|error| Failure::own(&error))?;
        *request.headers_mut() = headers;
        let response = self.client.request(request).await.map_err(|error| failure::transport(&error))?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| failure::transport(&*error))?;
        Ok((parts.status, parts.headers, body.to_bytes()))
    }
}

fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    encoder.finish()
}
