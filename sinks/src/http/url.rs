//! What any URL of a receiver has in common: how its authority is read, and how it is shown. Pure.

use std::cmp::Reverse;

use http::{
    Uri,
    uri::{Authority, Parts, PathAndQuery, Scheme},
};

/// Shorter parts of a URL are no secrets, and words that have them in them are left whole.
const SHORTEST_SECRET: usize = 4;

/// An `http` or `https` URL in parts, without the user's name that it may have.
#[derive(Debug)]
pub struct Url {
    parts: Parts,
    /// Whether a user's name was left out of it: it is sent nowhere.
    pub had_user: bool,
}

impl Url {
    /// What a text means; `None` when it cannot be dialled.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.parse::<Uri>().ok()?.into_parts();
        let is_known = |scheme: &Scheme| *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS;
        parts.scheme.as_ref().filter(|scheme| is_known(scheme))?;
        let authority = parts.authority.take()?;
        let (had_user, host) = match authority.as_str().rsplit_once('@') {
            Some((_, host)) => (true, host.parse::<Authority>().ok()?),
            None => (false, authority),
        };
        if host.host().is_empty() || !is_port_valid(&host) {
            return None;
        }
        parts.authority = Some(host);
        Some(Self { parts, had_user })
    }

    /// Where it leads, with `path`, if any, behind its own; its query stays.
    pub fn join(mut self, path: Option<&str>) -> Option<Uri> {
        let own = self.parts.path_and_query.as_ref();
        let (base, query) = (own.map_or("/", PathAndQuery::path), own.and_then(PathAndQuery::query));
        let path = match path {
            Some(path) => format!("{}/{path}", base.trim_end_matches('/')),
            None => base.to_owned(),
        };
        let whole = query.map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
        self.parts.path_and_query = Some(whole.parse().ok()?);
        Uri::from_parts(self.parts).ok()
    }
}

/// Whether a connection to it is secured.
pub fn is_https(uri: &Uri) -> bool {
    uri.scheme() == Some(&Scheme::HTTPS)
}

/// A port beyond 65535 would count as none, and the scheme's be dialled.
fn is_port_valid(authority: &Authority) -> bool {
    let after_host = authority.as_str().rsplit(']').next().unwrap_or_default();
    after_host.rsplit_once(':').is_none_or(|(_, port)| port.is_empty() || port.parse::<u16>().is_ok())
}

/// What of a receiver's URL may be shown, in the log, status and labels. A query is never: it may have a token in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visible {
    /// Its host and its path.
    Path,
    /// Its host alone: the path may be a secret, as those of chat services are.
    Host,
}

impl Visible {
    /// A URL as it is shown.
    pub fn url(self, uri: &Uri) -> String {
        let scheme = uri.scheme_str().unwrap_or_default();
        let authority = uri.authority().map_or("", Authority::as_str);
        let path = match self {
            Self::Path => uri.path(),
            Self::Host => "/…",
        };
        let query = if self == Self::Path && uri.query().is_some() { "?…" } else { "" };
        format!("{scheme}://{authority}{path}{query}")
    }

    /// Where an answer redirects to, as it is shown.
    pub fn location(self, location: &str) -> String {
        match Url::parse(location).and_then(|url| url.join(None)) {
            Some(uri) => self.url(&uri),
            None => shown(location),
        }
    }

    /// The words of whoever was sent to `uri`, without what of it may not be shown. An answer may repeat the URL, whole or in
    /// parts, and JSON may escape the slashes in it.
    pub fn words(self, words: &str, uri: &Uri) -> String {
        let query = uri.query().unwrap_or_default();
        let values = query.split('&').map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value));
        let mut secrets: Vec<&str> = values.chain([query]).collect();
        if self == Self::Host {
            secrets.extend(uri.path().split('/').chain([uri.path()]));
            secrets.extend(uri.path_and_query().map(PathAndQuery::as_str));
        }
        secrets.retain(|secret| secret.len() >= SHORTEST_SECRET);
        // What is a part of another goes after it.
        secrets.sort_by_key(|secret| Reverse(secret.len()));
        secrets.into_iter().fold(words.to_owned(), |words, secret| words.replace(secret, "…"))
    }
}

/// A text that is no URL, as it is shown: what may be its host, for the rest may be a password, a path or a query.
pub fn shown(text: &str) -> String {
    let is_scheme = |scheme: &str| scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let (scheme, rest) = match text.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), text),
    };
    let end = rest.find(|c: char| "/\\?#".contains(c) || c.is_whitespace()).unwrap_or(rest.len());
    let (host, tail) = rest.split_at(end);
    let host = match host.rsplit_once('@') {
        // The slash may be one in a password, and what is before it the beginning of that.
        _ if tail.contains('@') => "…".to_owned(),
        Some((_, host)) => format!("…@{host}"),
        None => host.to_owned(),
    };
    let tail = if tail.is_empty() { "" } else { "/…" };
    format!("{scheme}{host}{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(text: &str, path: Option<&str>) -> Option<String> {
        Some(Url::parse(text)?.join(path)?.to_string())
    }

    #[test]
    fn a_path_is_added_behind_the_urls_own() {
        for (text, path, expected) in [
            ("http://c:9093", Some("api/v2/alerts"), "http://c:9093/api/v2/alerts"),
            ("http://c:9093/", Some("api/v2/alerts"), "http://c:9093/api/v2/alerts"),
            ("https://c/am/", Some("api/v2/alerts"), "https://c/am/api/v2/alerts"),
            ("https://c/am?tenant=1", Some("api/v2/alerts"), "https://c/am/api/v2/alerts?tenant=1"),
            ("https://c/hook?x=1", None, "https://c/hook?x=1"),
            ("http://c", None, "http://c/"),
        ] {
            assert_eq!(joined(text, path).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_dialled_is_no_url() {
        for text in ["c:9093", "ftp://c", "http://", "http://c:99999", "http://c:port", "http://[::1", "a b", ""] {
            assert_eq!(joined(text, None), None, "{text}");
        }
    }

    #[test]
    fn secrets_are_neither_kept_nor_shown() {
        let url = Url::parse("https://me:secret@c/x?token=abc").unwrap();
        assert!(url.had_user);
        let uri = url.join(None).unwrap();
        assert_eq!(uri, "https://c/x?token=abc");
        assert_eq!(Visible::Path.url(&uri), "https://c/x?…");
        assert_eq!(Visible::Host.url(&uri), "https://c/…");
    }

    #[test]
    fn what_is_no_url_is_shown_up_to_its_host() {
        for (text, expected) in [
            ("c:9093", "c:9093"),
            ("hooks.example/T0/B0/secret", "hooks.example/…"),
            ("https:/hooks.example/secret", "https:/…"),
            ("https:\\\\hooks.example\\secret", "https:/…"),
            ("hooks.example/secret?to=https://c", "hooks.example/…"),
            ("hooks.example secret", "hooks.example/…"),
            ("c?token=secret", "c/…"),
            ("ftp://me:secret@c/x", "ftp://…@c/…"),
            ("ftp://me:sec/ret@c/x", "ftp://…/…"),
            ("me:secret@c", "…@c"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn a_redirect_is_shown_as_far_as_the_url_is() {
        for (location, path, host) in [
            ("https://me:pw@c/login/secret?to=x", "https://c/login/secret?…", "https://c/…"),
            ("/login?to=secret", "/…", "/…"),
        ] {
            assert_eq!(Visible::Path.location(location), path);
            assert_eq!(Visible::Host.location(location), host);
        }
    }

    #[test]
    fn words_that_repeat_the_url_lose_what_may_not_be_shown() {
        let uri: Uri = "https://c/hooks/T0/secret?key=hush".parse().unwrap();
        for (words, host, path) in [
            ("no /hooks/T0/secret?key=hush here", "no … here", "no /hooks/T0/secret?… here"),
            (r#"{"path": "\/hooks\/T0\/secret"}"#, r#"{"path": "\/…\/T0\/…"}"#, r#"{"path": "\/hooks\/T0\/secret"}"#),
            ("hush is wrong", "… is wrong", "… is wrong"),
            ("no T0", "no T0", "no T0"),
        ] {
            assert_eq!(Visible::Host.words(words, &uri), host);
            assert_eq!(Visible::Path.words(words, &uri), path);
        }
        let bare = "https://c".parse().unwrap();
        assert_eq!(Visible::Host.words("a / b", &bare), "a / b");
    }
}
