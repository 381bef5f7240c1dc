//! Why an export failed, by the rules of OTLP: what both protocols' answers mean, and what to do about it.

use std::error::Error;

use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use netprecursor_sinks::http::failure::{self, Advice, with_words};
use prost::Message as _;
use tonic::{Code, Status};

pub(super) use netprecursor_sinks::http::Failure;

/// What names the authorities to trust.
pub(super) const AUTHORITIES: &str = "OTEL_EXPORTER_OTLP_CERTIFICATE";

/// What names certificate and key of the client.
pub(super) const IDENTITY: &str = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and …_CLIENT_KEY";

const ADVICE: Advice<'_> = Advice { authorities: AUTHORITIES, identity: IDENTITY, own: advice };

/// What servers send with an error, in both protocols: `google.rpc.Status`.
#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(string, tag = "2")]
    message: String,
}

/// The connection failed, before an answer or in the middle of it.
pub(super) fn transport(error: &(dyn Error + 'static)) -> Failure {
    Failure::transport(error, &ADVICE)
}

/// The server answered with an HTTP status that is no success.
pub(super) fn http(status: StatusCode, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Failure {
    let message = failure::text(headers, body)
        .unwrap_or_else(|| RpcStatus::decode(body).map(|status| status.message).unwrap_or_default());
    let is_transient = matches!(status.as_u16(), 429 | 502 | 503 | 504);
    Failure::http(status, headers, (message.as_str(), failure::location(headers)), is_transient, now)
}

/// The server answered with a gRPC status, or there was no answer.
pub(super) fn grpc(status: &Status) -> Failure {
    if let Some(source) = status.source() {
        return transport(source);
    }
    let is_transient = matches!(
        status.code(),
        Code::Cancelled
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss
    );
    let mut reason = with_words(format!("gRPC status {:?}", status.code()), status.message());
    // The library's words for an answer of an HTTP server that knows nothing of gRPC.
    if status.message().starts_with("grpc-status header missing") {
        reason += " (the server is not a gRPC server: expected OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf)";
    }
    Failure::refused(reason, is_transient)
}

/// What usually helps against a failure that comes of the wrong protocol.
fn advice(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let http = error.downcast_ref::<hyper::Error>()?;
    // A gRPC server speaks first: when that arrives before the request is sent, only the words say so.
    if http.is_parse() || http.to_string() == "received unexpected message from connection" {
        return Some(
            "the other end does not speak HTTP/1.1: expected OTEL_EXPORTER_OTLP_PROTOCOL=grpc for a gRPC port",
        );
    }
    let is_http2 = http.source().is_some_and(|source| source.is::<h2::Error>());
    is_http2.then_some("the other end does not speak gRPC: expected OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf")
}

#[cfg(test)]
mod tests {
    use std::io;

    use http::header;

    use super::*;

    fn answer(status: u16, headers: &[(header::HeaderName, &str)], body: &[u8]) -> Failure {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        http(StatusCode::from_u16(status).unwrap(), &headers, body, now)
    }

    #[test]
    fn a_status_has_the_servers_message_and_only_some_are_worth_another_attempt() {
        let text = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
        let failure = answer(401, &text, b"no token\n");
        assert_eq!((failure.reason.as_str(), failure.is_transient), ("HTTP status 401 Unauthorized: no token", false));
        let body = RpcStatus { message: "too many".to_owned() }.encode_to_vec();
        let failure = answer(429, &[(header::CONTENT_TYPE, "application/x-protobuf")], &body);
        assert_eq!(failure.reason, "HTTP status 429 Too Many Requests: too many");
        let transient: Vec<u16> = [400, 401, 404, 408, 429, 500, 501, 502, 503, 504]
            .into_iter()
            .filter(|s| answer(*s, &[], b"").is_transient)
            .collect();
        assert_eq!(transient, [429, 502, 503, 504]);
    }

    #[test]
    fn a_grpc_status_has_its_message() {
        let failure = grpc(&Status::unauthenticated("no token"));
        assert_eq!(failure.reason, "gRPC status Unauthenticated: no token");
        assert!(!failure.is_transient && grpc(&Status::unavailable("")).is_transient);
    }

    #[test]
    fn advice_names_the_variables() {
        let tls = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let failure = transport(&io::Error::other(io::Error::other(tls)));
        assert!(failure.reason.contains("UnknownIssuer") && failure.reason.contains(AUTHORITIES));
    }
}
