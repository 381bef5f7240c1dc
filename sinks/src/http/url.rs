//! What any URL of a receiver has in common: how its authority is read, and how it is shown. Pure.

use http::{
    Uri,
    uri::{Authority, Parts, PathAndQuery, Scheme},
};

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

/// A text that is no URL, without what may be a password in it.
pub fn shown(text: &str) -> String {
    match (text.find("://"), text.rfind('@')) {
        (Some(scheme), Some(user)) if scheme < user => format!("{}://…{}", &text[..scheme], &text[user..]),
        (None, Some(user)) => format!("…{}", &text[user..]),
        _ => text.to_owned(),
    }
}

/// A URL whose path may be a secret, as those of chat services are: host and port alone.
pub fn host_only(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or_default();
    let authority = uri.authority().map_or("", Authority::as_str);
    format!("{scheme}://{authority}/…")
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
        let url = Url::parse("https://me:secret@c/x").unwrap();
        assert!(url.had_user);
        let uri = url.join(None).unwrap();
        assert_eq!((uri.to_string().as_str(), host_only(&uri).as_str()), ("https://c/x", "https://c/…"));
        assert_eq!(shown("ftp://me:secret@c/x"), "ftp://…@c/x");
        assert_eq!(shown("me:secret@c"), "…@c");
    }
}
