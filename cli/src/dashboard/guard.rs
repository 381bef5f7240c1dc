//! Who is answered. Without a token: requests that name this machine, because a page elsewhere can have its own name resolve
//! to 127.0.0.1 and would then read what is served here (DNS rebinding). Which port they name does not matter: a tunnel may
//! begin at another one, and a rebound name is wrong at any. With a token: whoever has it, by whatever name, because a proxy
//! passes on the one that it was asked by. A cookie belongs to the name that it was set under, so rebinding does not bring it
//! along.

use std::net::SocketAddr;

use axum::http::{HeaderMap, HeaderValue, header};
use netprecursor_settings::Listen;

use super::token::Token;

/// Cookies that are looked at.
const MOST_COOKIES: usize = 50;

/// Decides by a request's headers.
#[derive(Clone)]
pub(super) struct Guard {
    /// Hosts that a request may name, without ports; empty for any.
    hosts: Vec<String>,
    token: Option<Token>,
    cookie: String,
}

/// Why a request is not answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It names another host.
    Host(String),
    /// It has no token, or another one.
    Token(&'static str),
}

impl Guard {
    /// For a listener at `address`, which was asked for as `listen`.
    pub(super) fn of(address: SocketAddr, listen: &Listen, token: Option<Token>) -> Self {
        let hosts = if token.is_some() {
            Vec::new()
        } else {
            let mut hosts = Vec::from(["localhost", "127.0.0.1", "[::1]"].map(str::to_owned));
            let listen = listen.to_string().to_ascii_lowercase();
            hosts.extend([address.to_string().as_str(), listen.as_str()].map(|named| without_port(named).to_owned()));
            hosts
        };
        // Cookies do not tell ports apart, and another dashboard may have another token.
        Self { hosts, token, cookie: format!("netprecursor-{}", address.port()) }
    }

    /// Checks what a request names as its host.
    pub(super) fn check_host(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let mut named = headers.get_all(header::HOST).iter();
        let host = match (named.next(), named.next()) {
            (Some(host), None) => host.to_str().unwrap_or_default().to_ascii_lowercase(),
            (None, _) => String::new(),
            (Some(_), Some(_)) => "several".to_owned(),
        };
        if self.hosts.is_empty() || self.hosts.iter().any(|known| known == without_port(&host)) {
            return Ok(());
        }
        let shown: String = host.chars().take(80).collect();
        let expected = self.hosts.first().map_or("", String::as_str);
        Err(Refusal::Host(format!("got host {shown:?}, expected one of this machine, such as {expected}")))
    }

    /// Checks what a request presents: a bearer token, or the cookie that it was exchanged for.
    pub(super) fn check_token(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(token) = &self.token else { return Ok(()) };
        if let Some(bearer) = bearer(headers) {
            return if token.is(bearer) {
                Ok(())
            } else {
                Err(Refusal::Token("got another token than that of --token-file"))
            };
        }
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies
            .flat_map(|value| value.split(';'))
            .take(MOST_COOKIES)
            .filter_map(|pair| pair.trim().split_once('='));
        if pairs.any(|(name, value)| name == self.cookie && token.is_cookie(value)) {
            return Ok(());
        }
        Err(Refusal::Token(
            "got no token, expected that of --token-file as a bearer token or by signing in on the page",
        ))
    }

    /// The header that keeps a browser signed in; none without a token, or one that could not be a header's value.
    pub(super) fn session(&self) -> Option<HeaderValue> {
        let token = self.token.as_ref()?;
        let cookie = format!("{}={}; HttpOnly; SameSite=Strict; Path=/", self.cookie, token.cookie());
        HeaderValue::from_str(&cookie).ok()
    }
}

/// `HOST` of `HOST:PORT`. What is behind the last colon and is no port belongs to the host, as in `[::1]`.
fn without_port(named: &str) -> &str {
    match named.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => host,
        _ => named,
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef";

    fn guard(address: &str, listen: &str, token: Option<&str>) -> Guard {
        Guard::of(address.parse().unwrap(), &listen.parse().unwrap(), token.and_then(Token::of))
    }

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn names_of_this_machine_are_answered_and_rebound_ones_are_not() {
        let guard = guard("127.0.0.1:9471", "localhost:9471", None);
        for host in ["127.0.0.1:9471", "localhost:9471", "LOCALHOST:9471", "[::1]:9471"] {
            assert_eq!(guard.check_host(&headers(&[(header::HOST, host)])), Ok(()), "{host}");
        }
        for host in [
            "evil.example:9471",
            "evil.example",
            "localhost:9471.evil.example",
            "127.0.0.1.evil.example:9471",
            "localhost:evil.example",
            "localhost:99999",
            ":9471",
            "",
        ] {
            assert!(matches!(guard.check_host(&headers(&[(header::HOST, host)])), Err(Refusal::Host(_))), "{host}");
        }
    }

    #[test]
    fn no_host_and_two_hosts_are_refused() {
        let guard = guard("127.0.0.1:9471", "127.0.0.1:9471", None);
        assert!(guard.check_host(&headers(&[])).is_err());
        let two = headers(&[(header::HOST, "127.0.0.1:9471"), (header::HOST, "127.0.0.1:9471")]);
        assert!(guard.check_host(&two).is_err());
    }

    #[test]
    fn a_tunnel_may_begin_at_another_port_and_that_of_the_scheme_may_be_left_out() {
        let guard = guard("127.0.0.1:9471", "127.0.0.1:9471", None);
        for host in ["127.0.0.1:9472", "localhost:9472", "127.0.0.1", "[::1]"] {
            assert_eq!(guard.check_host(&headers(&[(header::HOST, host)])), Ok(()), "{host}");
        }
    }

    #[test]
    fn beyond_this_machine_any_name_is_answered_that_has_the_token() {
        let guard = guard("192.0.2.7:9471", "0.0.0.0:9471", Some(SECRET));
        assert_eq!(guard.check_host(&headers(&[(header::HOST, "node1.example:9471")])), Ok(()));
        assert_eq!(guard.check_token(&headers(&[(header::AUTHORIZATION, "Bearer 0123456789abcdef")])), Ok(()));
        for value in ["Bearer 0123456789abcdeX", "Bearer", "Basic 0123456789abcdef", ""] {
            assert!(guard.check_token(&headers(&[(header::AUTHORIZATION, value)])).is_err(), "{value}");
        }
    }

    #[test]
    fn a_cookie_of_this_port_stands_for_the_token() {
        let guard = guard("192.0.2.7:9471", "0.0.0.0:9471", Some(SECRET));
        let session = guard.session().unwrap();
        let (pair, attributes) = session.to_str().unwrap().split_once(';').unwrap();
        assert!(attributes.contains("HttpOnly") && attributes.contains("SameSite=Strict") && !pair.contains(SECRET));
        assert_eq!(guard.check_token(&headers(&[(header::COOKIE, &format!("other=1; {pair}"))])), Ok(()));
        let elsewhere = pair.replace("9471", "9472");
        assert!(guard.check_token(&headers(&[(header::COOKIE, &elsewhere)])).is_err());
    }

    #[test]
    fn without_a_token_nothing_has_to_be_presented() {
        let guard = guard("127.0.0.1:9471", "127.0.0.1:9471", None);
        assert_eq!((guard.check_token(&headers(&[])), guard.session()), (Ok(()), None));
    }

    #[test]
    fn behind_a_proxy_on_this_machine_any_name_is_answered_that_has_the_token() {
        let guard = guard("127.0.0.1:9471", "127.0.0.1:9471", Some(SECRET));
        assert_eq!(guard.check_host(&headers(&[(header::HOST, "dashboard.example")])), Ok(()));
        assert!(guard.check_token(&headers(&[])).is_err());
    }
}
