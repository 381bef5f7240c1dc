//! Why an export failed, with what to do about it, and whether another attempt makes sense.

use std::{error::Error, io, time::Duration};

use http::{HeaderMap, StatusCode, header};
use jiff::{Timestamp, fmt::rfc2822};
use prost::Message as _;
use tonic::{Code, Status};

use crate::error::chain;

/// Characters of a server's own words that are passed on.
const MAX_WORDS: usize = 200;

/// An attempt that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// Why, and what may be done about it.
    pub(super) reason: String,
    /// Whether the same message may be taken later.
    pub(super) is_transient: bool,
    /// Whether the other end closed the connection before it answered.
    is_closed: bool,
    /// How long the server asks to wait.
    pub(super) retry_after: Option<Duration>,
}

/// What servers send with an error, in both protocols: `google.rpc.Status`.
#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(string, tag = "2")]
    message: String,
}

impl Failure {
    /// Of this agent: another attempt fails the same way.
    pub(super) fn own(error: &dyn Error) -> Self {
        Self { reason: chain(error), is_transient: false, is_closed: false, retry_after: None }
    }

    /// Nothing came back in time.
    pub(super) fn timed_out(limit: Duration) -> Self {
        let reason = format!("no answer within {} ms", limit.as_millis());
        Self { reason, is_transient: true, is_closed: false, retry_after: None }
    }

    /// The same, unless the other end closed a secured connection before it answered. A server that wants a certificate
    /// does so after the handshake, and its reason is lost with the connection.
    pub(super) fn of_stranger(self) -> Self {
        if !self.is_closed {
            return self;
        }
        let advice = "a server that requires a client certificate does this: set PEM files in \
                      OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and …_CLIENT_KEY";
        Self { reason: format!("{} ({advice})", self.reason), ..self }
    }

    /// The connection failed, before an answer or in the middle of it.
    pub(super) fn transport(error: &(dyn Error + 'static)) -> Self {
        let words = chain(error);
        // HTTP/2 keeps only the words of an error of the connection below it.
        let is_wanted = || words.ends_with("received fatal alert: CertificateRequired");
        let advice = advice(error).or_else(|| is_wanted().then_some(CLIENT_CERTIFICATE));
        let advice = advice.map(|advice| format!(" ({advice})")).unwrap_or_default();
        let reason = format!("{words}{advice}");
        Self { reason, is_transient: true, is_closed: is_closed(error), retry_after: None }
    }

    /// The server answered with an HTTP status that is no success.
    pub(super) fn http(status: StatusCode, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Self {
        let mut reason = format!("HTTP status {status}");
        if let Some(location) = headers.get(header::LOCATION).and_then(|value| value.to_str().ok()) {
            reason = format!("{reason}, redirected to {location}; expected that URL as the endpoint");
        }
        let is_text = headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|kind| kind.starts_with("text/plain") || kind.starts_with("application/json"));
        let message = if is_text {
            String::from_utf8_lossy(body).into_owned()
        } else {
            RpcStatus::decode(body).map(|status| status.message).unwrap_or_default()
        };
        Self {
            reason: with_words(reason, &message),
            is_transient: matches!(status.as_u16(), 429 | 502 | 503 | 504),
            is_closed: false,
            retry_after: headers.get(header::RETRY_AFTER).and_then(|value| asked(value.to_str().ok()?, now)),
        }
    }

    /// The server answered with a gRPC status, or there was no answer.
    pub(super) fn grpc(status: &Status) -> Self {
        if let Some(source) = status.source() {
            return Self::transport(source);
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
        Self { reason, is_transient, is_closed: false, retry_after: None }
    }
}

fn with_words(reason: String, message: &str) -> String {
    let message: String =
        message.trim().chars().take(MAX_WORDS).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if message.is_empty() { reason } else { format!("{reason}: {message}") }
}

/// `Retry-After` in seconds, or as a date.
fn asked(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    let seconds = text.parse().ok().map(Duration::from_secs);
    seconds.or_else(|| rfc2822::parse(text).ok().and_then(|date| (date.timestamp() - now).try_into().ok()))
}

fn is_closed(error: &(dyn Error + 'static)) -> bool {
    let http = error.downcast_ref::<hyper::Error>();
    http.is_some_and(|http| http.is_canceled() || http.is_closed() || http.is_incomplete_message())
        || error.source().is_some_and(is_closed)
}

const CLIENT_CERTIFICATE: &str =
    "the server requires a client certificate: set PEM files in OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and …_CLIENT_KEY";

/// What usually helps against a failure that names the fault only in its own terms.
fn advice(error: &(dyn Error + 'static)) -> Option<&'static str> {
    use rustls::{AlertDescription, CertificateError, Error as Tls, InvalidMessage};

    if let Some(tls) = error.downcast_ref::<Tls>() {
        return match tls {
            // A bad signature: the authority that is trusted has the issuer's name and another key.
            Tls::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
                Some("the issuer is unknown: set the PEM file of its certificate in OTEL_EXPORTER_OTLP_CERTIFICATE")
            }
            Tls::InvalidMessage(InvalidMessage::InvalidContentType) => {
                Some("the other end does not speak TLS: expected an http:// endpoint")
            }
            Tls::AlertReceived(AlertDescription::CertificateRequired | AlertDescription::BadCertificate) => {
                Some(CLIENT_CERTIFICATE)
            }
            _ => None,
        };
    }
    if let Some(http) = error.downcast_ref::<hyper::Error>() {
        // A gRPC server speaks first: when that arrives before the request is sent, only the words say so.
        if http.is_parse() || http.to_string() == "received unexpected message from connection" {
            return Some(
                "the other end does not speak HTTP/1.1: expected OTEL_EXPORTER_OTLP_PROTOCOL=grpc for a gRPC port",
            );
        }
        if http.source().is_some_and(|source| source.is::<h2::Error>()) {
            return Some("the other end does not speak gRPC: expected OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf");
        }
    }
    // An I/O error hides what it wraps from `source`.
    let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    wrapped.and_then(|wrapped| advice(wrapped)).or_else(|| advice(error.source()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(status: u16, headers: &[(header::HeaderName, &str)], body: &[u8]) -> Failure {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        Failure::http(StatusCode::from_u16(status).unwrap(), &headers, body, now)
    }

    #[test]
    fn a_status_has_the_servers_message_and_only_some_are_worth_another_attempt() {
        let text = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
        let failure = http(401, &text, b"no token\n");
        assert_eq!((failure.reason.as_str(), failure.is_transient), ("HTTP status 401 Unauthorized: no token", false));
        let body = RpcStatus { message: "too many".to_owned() }.encode_to_vec();
        let failure = http(429, &[(header::CONTENT_TYPE, "application/x-protobuf")], &body);
        assert_eq!(failure.reason, "HTTP status 429 Too Many Requests: too many");
        let transient: Vec<u16> = [400, 401, 404, 408, 429, 500, 501, 502, 503, 504]
            .into_iter()
            .filter(|s| http(*s, &[], b"").is_transient)
            .collect();
        assert_eq!(transient, [429, 502, 503, 504]);
        let failure = http(301, &[(header::LOCATION, "https://c/v1/logs")], b"");
        assert!(failure.reason.contains("https://c/v1/logs"), "{}", failure.reason);
        assert!(http(500, &text, &[b'x'; 9000]).reason.len() < 300);
    }

    #[test]
    fn a_server_may_ask_to_wait_in_seconds_or_until_a_date() {
        let waits = |text| http(503, &[(header::RETRY_AFTER, text)], b"").retry_after;
        assert_eq!(waits("7"), Some(Duration::from_secs(7)));
        assert_eq!(waits("Thu, 01 Jan 2026 00:00:09 GMT"), Some(Duration::from_secs(9)));
        assert_eq!(waits("Wed, 31 Dec 2025 00:00:00 GMT"), None);
        assert_eq!(waits("soon"), None);
    }

    #[test]
    fn a_grpc_status_has_its_message() {
        let failure = Failure::grpc(&Status::unauthenticated("no token"));
        assert_eq!(failure.reason, "gRPC status Unauthenticated: no token");
        assert!(!failure.is_transient && Failure::grpc(&Status::unavailable("")).is_transient);
    }

    #[test]
    fn advice_is_found_behind_errors_that_wrap_others() {
        let tls = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let failure = Failure::transport(&io::Error::other(io::Error::other(tls)));
        assert!(failure.reason.contains("UnknownIssuer") && failure.reason.contains("OTEL_EXPORTER_OTLP_CERTIFICATE"));
        let refused = Failure::transport(&io::Error::from(io::ErrorKind::ConnectionRefused));
        assert_eq!((refused.reason.as_str(), refused.is_transient), ("connection refused", true));
    }
}
