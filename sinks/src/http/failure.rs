//! Why an attempt to send failed, with what to do about it, and whether another attempt makes sense.

use std::{error::Error, io, time::Duration};

use http::{HeaderMap, StatusCode, header};
use jiff::{Timestamp, fmt::rfc2822};
use netprecursor_kit::failure::chain;

/// Characters of a server's own words that are passed on.
const MAX_WORDS: usize = 200;

/// An attempt that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Why, and what may be done about it.
    pub reason: String,
    /// Whether the same message may be taken later.
    pub is_transient: bool,
    /// Whether the other end closed the connection before it answered.
    is_closed: bool,
    /// How long the server asks to wait.
    pub retry_after: Option<Duration>,
}

/// What advice needs to know of the settings of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Advice<'a> {
    /// What names the authorities to trust.
    pub authorities: &'a str,
    /// What names certificate and key of the client.
    pub identity: &'a str,
    /// What usually helps against this one error, not against what it wraps, where the protocol has more to say.
    pub own: fn(&(dyn Error + 'static)) -> Option<&'static str>,
}

impl Failure {
    /// An answer that is no success, in words.
    pub const fn refused(reason: String, is_transient: bool) -> Self {
        Self { reason, is_transient, is_closed: false, retry_after: None }
    }

    /// Of this program: another attempt fails the same way.
    pub fn own(error: &dyn Error) -> Self {
        Self::refused(chain(error), false)
    }

    /// Nothing came back in time.
    pub fn timed_out(limit: Duration) -> Self {
        Self::refused(format!("no answer within {} ms", limit.as_millis()), true)
    }

    /// The same, unless the other end closed a secured connection before it answered. A server that wants a certificate
    /// does so after the handshake, and its reason is lost with the connection.
    pub fn of_stranger(self, identity: &str) -> Self {
        if !self.is_closed {
            return self;
        }
        let advice = format!("a server that requires a client certificate does this: set PEM files in {identity}");
        Self { reason: format!("{} ({advice})", self.reason), ..self }
    }

    /// The connection failed, before an answer or in the middle of it.
    pub fn transport(error: &(dyn Error + 'static), advice: &Advice<'_>) -> Self {
        let words = chain(error);
        // HTTP/2 keeps only the words of an error of the connection below it.
        let is_wanted = || words.ends_with("received fatal alert: CertificateRequired");
        let advised = advised(error, advice).or_else(|| is_wanted().then(|| wanted(advice)));
        let advised = advised.map(|advised| format!(" ({advised})")).unwrap_or_default();
        let reason = format!("{words}{advised}");
        Self { reason, is_transient: true, is_closed: is_closed(error), retry_after: None }
    }

    /// The server answered with an HTTP status that is no success, `message` in its own words, and perhaps a location to turn
    /// to.
    pub fn http(
        status: StatusCode,
        headers: &HeaderMap,
        (message, location): (&str, Option<&str>),
        is_transient: bool,
        now: Timestamp,
    ) -> Self {
        let mut reason = format!("HTTP status {status}");
        if let Some(location) = location {
            let location: String = location.chars().take(MAX_WORDS).collect();
            reason = format!("{reason}, redirected to {location}; expected that URL as the endpoint");
        }
        Self {
            reason: with_words(reason, message),
            is_transient,
            is_closed: false,
            retry_after: headers.get(header::RETRY_AFTER).and_then(|value| asked(value.to_str().ok()?, now)),
        }
    }
}

/// Where an answer redirects to.
pub fn location(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::LOCATION)?.to_str().ok()
}

/// An answer's body, where it is text; `None` for anything else.
pub fn text(headers: &HeaderMap, body: &[u8]) -> Option<String> {
    let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let is_text = kind.starts_with("text/plain") || kind.starts_with("application/json");
    is_text.then(|| String::from_utf8_lossy(body).into_owned())
}

/// A reason with the server's own words behind it, cut and on one line.
pub fn with_words(reason: String, message: &str) -> String {
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

fn wanted(advice: &Advice<'_>) -> String {
    format!("the server requires a client certificate: set PEM files in {}", advice.identity)
}

/// What usually helps against a failure that names the fault only in its own terms.
fn advised(error: &(dyn Error + 'static), advice: &Advice<'_>) -> Option<String> {
    use rustls::{AlertDescription, CertificateError, Error as Tls, InvalidMessage};

    if let Some(own) = (advice.own)(error) {
        return Some(own.to_owned());
    }
    if let Some(tls) = error.downcast_ref::<Tls>() {
        return match tls {
            // A bad signature: the authority that is trusted has the issuer's name and another key.
            Tls::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
                Some(format!("the issuer is unknown: set the PEM file of its certificate in {}", advice.authorities))
            }
            Tls::InvalidMessage(InvalidMessage::InvalidContentType) => {
                Some("the other end does not speak TLS: expected an http:// endpoint".to_owned())
            }
            Tls::AlertReceived(AlertDescription::CertificateRequired | AlertDescription::BadCertificate) => {
                Some(wanted(advice))
            }
            _ => None,
        };
    }
    if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse) {
        return Some("the other end does not speak HTTP/1.1: expected an https:// endpoint for a TLS port".to_owned());
    }
    // An I/O error hides what it wraps from `source`.
    let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    wrapped.and_then(|wrapped| advised(wrapped, advice)).or_else(|| advised(error.source()?, advice))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADVICE: Advice<'_> =
        Advice { authorities: "--ca-file", identity: "--client-certificate and --client-key", own: |_| None };

    fn http(status: u16, headers: &[(header::HeaderName, &str)], message: &str) -> Failure {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let said = (message, location(&headers));
        Failure::http(StatusCode::from_u16(status).unwrap(), &headers, said, false, now)
    }

    #[test]
    fn a_status_has_the_servers_message_cut_and_on_one_line() {
        assert_eq!(http(401, &[], "no token\n").reason, "HTTP status 401 Unauthorized: no token");
        assert_eq!(http(500, &[], "a\r\nb").reason, "HTTP status 500 Internal Server Error: a  b");
        assert!(http(500, &[], &"x".repeat(9000)).reason.len() < 300);
        let failure = http(301, &[(header::LOCATION, "https://c/v1/logs")], "");
        assert!(failure.reason.contains("https://c/v1/logs"), "{}", failure.reason);
    }

    #[test]
    fn only_text_is_passed_on() {
        let of = |kind: &str| {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, kind.parse().unwrap())]);
            text(&headers, b"words")
        };
        assert_eq!(of("text/plain; charset=utf-8").as_deref(), Some("words"));
        assert_eq!(of("application/json").as_deref(), Some("words"));
        assert_eq!((of("text/html"), text(&HeaderMap::new(), b"words")), (None, None));
    }

    #[test]
    fn a_server_may_ask_to_wait_in_seconds_or_until_a_date() {
        let waits = |text| http(503, &[(header::RETRY_AFTER, text)], "").retry_after;
        assert_eq!(waits("7"), Some(Duration::from_secs(7)));
        assert_eq!(waits("Thu, 01 Jan 2026 00:00:09 GMT"), Some(Duration::from_secs(9)));
        assert_eq!(waits("Wed, 31 Dec 2025 00:00:00 GMT"), None);
        assert_eq!(waits("soon"), None);
    }

    #[test]
    fn advice_is_found_behind_errors_that_wrap_others() {
        let tls = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let failure = Failure::transport(&io::Error::other(io::Error::other(tls)), &ADVICE);
        assert!(failure.reason.contains("UnknownIssuer") && failure.reason.contains("--ca-file"));
        let refused = Failure::transport(&io::Error::from(io::ErrorKind::ConnectionRefused), &ADVICE);
        assert_eq!((refused.reason.as_str(), refused.is_transient), ("connection refused", true));
    }

    #[test]
    fn a_protocol_may_know_more() {
        let own = |error: &(dyn Error + 'static)| error.is::<io::Error>().then_some("try another port");
        let failure = Failure::transport(&io::Error::other("odd"), &Advice { own, ..ADVICE });
        assert_eq!(failure.reason, "odd (try another port)");
    }
}
