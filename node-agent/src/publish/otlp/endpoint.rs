//! Where a signal is sent: the URL that its variables mean, by the specification's rules for each protocol. Pure.

use http::Uri;
use netprecursor_sinks::http::url::{self, Url};

/// How messages travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Grpc,
    HttpProtobuf,
}

impl Protocol {
    /// Where a collector listens by default.
    pub(super) const fn default_endpoint(self) -> &'static str {
        match self {
            Self::Grpc => "http://localhost:4317",
            Self::HttpProtobuf => "http://localhost:4318",
        }
    }

    /// What an endpoint has to look like.
    pub(super) const fn expected(self) -> &'static str {
        match self {
            Self::Grpc => "a host with a port, such as http://collector:4317, https://… for TLS",
            Self::HttpProtobuf => "a URL with its scheme, such as http://collector:4318, https://… for TLS",
        }
    }
}

/// What a variable's text means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// With `http` or `https` as its scheme.
    pub(super) uri: Uri,
    /// Whether a user's name was left out of it: it is sent nowhere.
    pub(super) had_user: bool,
}

impl Endpoint {
    /// The endpoint of `text`. `path` is the signal's own, relative to `text`; none when `text` is to be taken as it is.
    /// `is_insecure` is for what comes without a scheme.
    pub(super) fn new(protocol: Protocol, text: &str, path: Option<&str>, is_insecure: bool) -> Option<Self> {
        let schemed = match (protocol, has_scheme(text)) {
            (_, true) => text.to_owned(),
            // Other targets of gRPC's libraries: not understood, rather than taken for a host of that name.
            (Protocol::Grpc, false) if text.starts_with("unix:") || text.starts_with("dns:") => return None,
            (Protocol::Grpc, false) => format!("{}://{text}", if is_insecure { "http" } else { "https" }),
            (Protocol::HttpProtobuf, false) => return None,
        };
        let url = Url::parse(&schemed)?;
        let had_user = url.had_user;
        let uri = url.join(path.filter(|_| protocol == Protocol::HttpProtobuf))?;
        Some(Self { uri, had_user })
    }

    /// Whether it is secured.
    pub(super) fn is_https(&self) -> bool {
        url::is_https(&self.uri)
    }
}

/// `collector:4317/a://b` has none.
fn has_scheme(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| !scheme.contains(['/', '?', '#']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grpc(text: &str, is_insecure: bool) -> Option<String> {
        Endpoint::new(Protocol::Grpc, text, None, is_insecure).map(|endpoint| endpoint.uri.to_string())
    }

    fn http(text: &str, path: Option<&str>) -> Option<String> {
        Endpoint::new(Protocol::HttpProtobuf, text, path, false).map(|endpoint| endpoint.uri.to_string())
    }

    #[test]
    fn grpc_without_a_scheme_is_secured_unless_set_otherwise() {
        assert_eq!(grpc("collector:4317", false).as_deref(), Some("https://collector:4317/"));
        assert_eq!(grpc("collector:4317", true).as_deref(), Some("http://collector:4317/"));
        assert_eq!(grpc("[::1]:4317", false).as_deref(), Some("https://[::1]:4317/"));
        // A scheme wins.
        assert_eq!(grpc("http://collector:4317", false).as_deref(), Some("http://collector:4317/"));
        assert_eq!(grpc("https://collector:4317", true).as_deref(), Some("https://collector:4317/"));
    }

    #[test]
    fn a_scheme_may_be_in_capitals() {
        for text in ["HTTPS://collector:4317", "Https://collector:4317"] {
            let endpoint = Endpoint::new(Protocol::Grpc, text, None, false).unwrap();
            assert!(endpoint.is_https(), "{text}");
        }
        assert_eq!(http("HTTP://c:4318", Some("v1/logs")).as_deref(), Some("http://c:4318/v1/logs"));
    }

    #[test]
    fn a_signals_path_is_added_to_the_general_endpoint_alone() {
        for (text, path, expected) in [
            ("http://c:4318", Some("v1/metrics"), "http://c:4318/v1/metrics"),
            ("http://c:4318/", Some("v1/metrics"), "http://c:4318/v1/metrics"),
            ("https://c/otlp/", Some("v1/logs"), "https://c/otlp/v1/logs"),
            ("https://c/otlp", Some("v1/logs"), "https://c/otlp/v1/logs"),
            ("https://c/otlp?key=1", Some("v1/logs"), "https://c/otlp/v1/logs?key=1"),
            ("http://c:4318", None, "http://c:4318/"),
            ("https://c/v1/metrics/", None, "https://c/v1/metrics/"),
        ] {
            assert_eq!(http(text, path).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_dialled_is_no_endpoint() {
        for text in ["collector:4318", "ftp://c", "http://", "http://c:99999", "http://c:port", "http://[::1", "a b"] {
            assert_eq!(http(text, Some("v1/logs")), None, "{text}");
        }
        for text in ["unix:///run/otel.sock", "dns:///c:4317", "c:99999", "grpc://c:4317", ""] {
            assert_eq!(grpc(text, true), None, "{text}");
        }
    }

    #[test]
    fn a_users_name_is_not_kept() {
        let endpoint = Endpoint::new(Protocol::HttpProtobuf, "https://me:secret@c/x", None, false).unwrap();
        assert_eq!((endpoint.uri.to_string().as_str(), endpoint.had_user), ("https://c/x", true));
    }
}
