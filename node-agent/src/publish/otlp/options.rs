//! The options of one signal: whether it is exported, where to and how. Every value that is not used is
//! reported; one without which nothing can be sent as it was meant is an error of this signal alone.

use std::{path::PathBuf, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use netprecursor_sinks::http::{File, Security, url::shown};
use thiserror::Error;

use super::{
    endpoint::{Endpoint, Protocol},
    environment::{Environment, pairs},
};

/// The longest time that one attempt may take, unless `OTEL_EXPORTER_OTLP_TIMEOUT` says otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Headers that the protocol sets: another value would make a request that no collector reads.
const RESERVED: [HeaderName; 6] = [
    http::header::CONTENT_TYPE,
    http::header::CONTENT_ENCODING,
    http::header::CONTENT_LENGTH,
    http::header::TRANSFER_ENCODING,
    http::header::CONNECTION,
    http::header::TE,
];

/// Why a signal cannot be exported as its variables ask.
#[derive(Debug, Error)]
pub(super) enum OptionsError {
    /// The endpoint is none.
    #[error("got {name}={got}, expected {expected}")]
    Endpoint {
        /// The variable.
        name: String,
        /// Its value.
        got: String,
        /// What it may be.
        expected: &'static str,
    },
    /// Half a client's identity.
    #[error("got {got} without {missing}, expected both, each with the name of a PEM file, or neither")]
    HalfIdentity {
        /// The variable that is set.
        got: String,
        /// The one that is not.
        missing: String,
    },
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

    /// Relative to the endpoint of all signals.
    const fn path(self) -> &'static str {
        match self {
            Self::Metrics => "v1/metrics",
            Self::Logs => "v1/logs",
        }
    }

    /// The signal's own variable and the general one.
    fn names(self, what: &str) -> [String; 2] {
        [format!("OTEL_EXPORTER_OTLP_{}_{what}", self.word()), format!("OTEL_EXPORTER_OTLP_{what}")]
    }
}

/// How one signal is exported.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Options {
    pub(super) protocol: Protocol,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    /// `None`: no limit.
    pub(super) timeout: Option<Duration>,
    pub(super) is_gzip: bool,
    /// `None` for plain text.
    pub(super) security: Option<Security>,
}

impl Options {
    /// The options of a signal; `None` when it is not to be exported.
    pub(super) fn of(signal: Signal, environment: &mut Environment) -> Option<Result<Self, OptionsError>> {
        let selected = selected(signal, environment);
        let own = environment.first(&signal.names("ENDPOINT")[..1]).map(|found| (found, None));
        let general = environment.first(&signal.names("ENDPOINT")[1..]).map(|found| (found, Some(signal.path())));
        let named = own.or(general);
        match (selected, &named) {
            (Some(true), _) | (None, Some(_)) => Some(Self::new(signal, named, environment)),
            (Some(false), _) | (None, None) => None,
        }
    }

    fn new(
        signal: Signal,
        named: Option<((String, String), Option<&str>)>,
        environment: &mut Environment,
    ) -> Result<Self, OptionsError> {
        let protocols = [("http/protobuf", Protocol::HttpProtobuf), ("grpc", Protocol::Grpc)];
        let protocol = environment.choice(&signal.names("PROTOCOL"), &protocols).unwrap_or(Protocol::HttpProtobuf);
        let is_insecure = environment.boolean(&signal.names("INSECURE"));
        let ((name, got), path) = named.unwrap_or_else(|| {
            let name = signal.names("ENDPOINT")[1].clone();
            ((name, protocol.default_endpoint().to_owned()), Some(signal.path()))
        });
        let endpoint = Endpoint::new(protocol, &got, path, is_insecure);
        let security = security(signal, environment);
        let headers = headers(signal, environment);
        let is_gzip = environment.choice(&signal.names("COMPRESSION"), &[("gzip", true), ("none", false)]);
        let timeout = environment.timeout(&signal.names("TIMEOUT")).unwrap_or(Some(TIMEOUT));
        let endpoint = endpoint.ok_or_else(|| OptionsError::Endpoint {
            name: name.clone(),
            got: shown(&got),
            expected: protocol.expected(),
        })?;
        if endpoint.had_user {
            environment.note(format!(
                "the user name in {name} is not sent; name it in OTEL_EXPORTER_OTLP_HEADERS, as in authorization=Basic%20…"
            ));
        }
        if is_insecure && endpoint.is_https() {
            environment.note(format!("OTEL_EXPORTER_OTLP_INSECURE has no effect: {name} begins with https"));
        }
        let security = security?;
        if !endpoint.is_https() && security != Security::default() {
            environment.note(format!("certificates have no effect: {name} is no https endpoint"));
        }
        let security = endpoint.is_https().then_some(security);
        Ok(Self { protocol, uri: endpoint.uri, headers, timeout, is_gzip: is_gzip.unwrap_or_default(), security })
    }
}

/// Whether the signal is switched on or off by the list of its exporters; `None` when that says nothing.
fn selected(signal: Signal, environment: &mut Environment) -> Option<bool> {
    let name = format!("OTEL_{}_EXPORTER", signal.word());
    let list = environment.text(&name)?;
    let mut selected = None;
    for got in list.split(',').map(str::trim).filter(|got| !got.is_empty()) {
        let is_on = match got.to_ascii_lowercase().as_str() {
            "otlp" => true,
            "none" => false,
            // Always there, at `/metrics`.
            "prometheus" if signal == Signal::Metrics => false,
            _ => {
                let own =
                    if signal == Signal::Metrics { "otlp, prometheus (at /metrics) or none" } else { "otlp or none" };
                environment.note(format!("got {name}={got}, expected {own}; it is ignored"));
                continue;
            }
        };
        selected = Some(is_on || selected == Some(true));
    }
    selected
}

fn security(signal: Signal, environment: &mut Environment) -> Result<Security, OptionsError> {
    let mut file = |what| {
        let found = environment.first(&signal.names(what));
        found.map(|(setting, path)| File { setting, path: PathBuf::from(path) })
    };
    let (authorities, certificate, key) = (file("CERTIFICATE"), file("CLIENT_CERTIFICATE"), file("CLIENT_KEY"));
    let identity = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (Some(File { setting: got, .. }), None) => {
            let missing = got.replace("CLIENT_CERTIFICATE", "CLIENT_KEY");
            return Err(OptionsError::HalfIdentity { got, missing });
        }
        (None, Some(File { setting: got, .. })) => {
            let missing = got.replace("CLIENT_KEY", "CLIENT_CERTIFICATE");
            return Err(OptionsError::HalfIdentity { got, missing });
        }
    };
    Ok(Security { authorities, identity })
}

/// Values may be secrets: notices name keys and positions alone.
fn headers(signal: Signal, environment: &mut Environment) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let Some((variable, text)) = environment.first(&signal.names("HEADERS")) else { return headers };
    for pair in pairs(&text) {
        let pair = match pair {
            Ok(pair) => pair,
            Err(position) => {
                environment.note(format!("entry {position} of {variable} is left out: expected key=value"));
                continue;
            }
        };
        if !pair.is_decoded {
            environment.note(format!(
                "the value of {} in {variable} is sent as it is: expected it percent-encoded (% as %25)",
                pair.key
            ));
        }
        match (HeaderName::try_from(&pair.key), HeaderValue::from_str(&pair.value)) {
            (Ok(name), Ok(_)) if RESERVED.contains(&name) => {
                environment.note(format!("{name} in {variable} is left out: the protocol sets it"));
            }
            (Ok(name), Ok(mut value)) => {
                value.set_sensitive(true);
                headers.insert(name, value);
            }
            _ => environment.note(format!(
                "{:?} in {variable} is left out: expected a name of letters, digits and -, and a value of printable ASCII",
                pair.key
            )),
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::{super::environment::tests::environment, *};

    fn read(variables: &[(&str, &str)]) -> (Option<Result<Options, OptionsError>>, Vec<String>) {
        let mut environment = environment(variables);
        let options = Options::of(Signal::Logs, &mut environment);
        (options, environment.into_notices())
    }

    fn options(variables: &[(&str, &str)]) -> (Options, Vec<String>) {
        let (options, notices) = read(variables);
        (options.unwrap().unwrap(), notices)
    }

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c:1");

    #[test]
    fn without_an_endpoint_nothing_is_exported_unless_it_is_asked_for() {
        assert!(read(&[]).0.is_none());
        let (options, _) = options(&[("OTEL_LOGS_EXPORTER", "OTLP")]);
        assert_eq!(options.uri, "http://localhost:4318/v1/logs");
        assert_eq!(options.timeout, Some(TIMEOUT));
    }

    #[test]
    fn exporters_are_switched_by_words_of_any_case() {
        for (value, is_on, notices) in [
            ("None", false, 0),
            ("none", false, 0),
            ("OTLP", true, 0),
            ("console,otlp", true, 1),
            ("console", true, 1),
            ("none,otlp", true, 0),
        ] {
            let (options, notes) = read(&[ENDPOINT, ("OTEL_LOGS_EXPORTER", value)]);
            assert_eq!((options.is_some(), notes.len()), (is_on, notices), "{value}: {notes:?}");
        }
        let mut environment = environment(&[ENDPOINT, ("OTEL_METRICS_EXPORTER", "prometheus")]);
        assert!(Options::of(Signal::Metrics, &mut environment).is_none());
    }

    #[test]
    fn a_signals_own_variable_wins_over_the_general_one() {
        let (options, notices) = options(&[
            ENDPOINT,
            ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://own/x"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "HTTP/Protobuf"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1"),
            ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "0"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "none"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=1"),
            ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "b=2"),
        ]);
        assert_eq!((options.protocol, options.uri), (Protocol::HttpProtobuf, Uri::from_static("http://own/x")));
        assert_eq!((options.timeout, options.is_gzip, options.security), (None, false, None));
        assert!(options.headers.contains_key("b") && !options.headers.contains_key("a"));
        assert_eq!(notices, <[String; 0]>::default());
    }

    #[test]
    fn an_unknown_word_is_reported_and_the_default_used() {
        for (name, got) in [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "tcp"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
        ] {
            let (options, notices) = options(&[ENDPOINT, (name, got)]);
            assert_eq!((options.protocol, options.is_gzip), (Protocol::HttpProtobuf, false));
            assert!(notices[0].starts_with(&format!("got {name}={got}, expected ")), "{notices:?}");
        }
        let (options, notices) = options(&[ENDPOINT, ("OTEL_EXPORTER_OTLP_PROTOCOL", "GRPC")]);
        assert_eq!((options.protocol, notices.len()), (Protocol::Grpc, 0));
    }

    #[test]
    fn headers_are_decoded_and_what_is_left_out_is_named_without_its_value() {
        let (options, notices) = options(&[
            ENDPOINT,
            (
                "OTEL_EXPORTER_OTLP_HEADERS",
                "Authorization=Bearer%20secret, secret,bad name=secret,c=%0Asecret,content-type=secret,d=100%secret",
            ),
        ]);
        assert_eq!(options.headers["authorization"], "Bearer secret");
        assert_eq!(options.headers["d"], "100%secret");
        assert_eq!(options.headers.len(), 2);
        assert_eq!(notices.len(), 5, "{notices:?}");
        assert!(!notices.iter().any(|notice| notice.contains("secret")), "{notices:?}");
    }

    #[test]
    fn an_endpoint_that_is_none_names_the_variable_and_what_it_may_be() {
        let (options, _) = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318")]);
        assert_eq!(
            options.unwrap().unwrap_err().to_string(),
            "got OTEL_EXPORTER_OTLP_ENDPOINT=collector:4318, expected a URL with its scheme, such as \
             http://collector:4318, https://… for TLS"
        );
    }

    #[test]
    fn certificates_are_of_use_with_https_alone() {
        let files = [
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca"),
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/all"),
            ("OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE", "/own"),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/key"),
        ];
        let (secured, notices) = options(&[&[ENDPOINT], files.as_slice()].concat());
        let security = secured.security.unwrap();
        assert_eq!(security.authorities.unwrap().path.to_str(), Some("/ca"));
        assert_eq!(security.identity.unwrap().0.path.to_str(), Some("/own"));
        assert_eq!(notices, <[String; 0]>::default());
        let (plain, notices) = options(&[&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:1")], files.as_slice()].concat());
        assert_eq!((plain.security, notices.len()), (None, 1));
    }

    #[test]
    fn half_an_identity_is_refused_by_name() {
        let (options, _) = read(&[ENDPOINT, ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/c")]);
        let error = options.unwrap().unwrap_err().to_string();
        assert!(error.starts_with("got OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE without OTEL_EXPORTER_OTLP_CLIENT_KEY"));
    }
}
