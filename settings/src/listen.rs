//! Where a program listens: an address or the name of one, and a port.

use std::{
    fmt, io,
    net::{Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs as _},
    str::FromStr,
};

use serde::Deserialize;
use thiserror::Error;

/// The port that advice names where none was given.
const PORT: u16 = 9470;

/// The most letters of a host's name.
const MAX_NAME: usize = 253;

/// `HOST:PORT`. A name is looked up when it is listened on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Listen {
    host: String,
    port: u16,
}

/// A text that names no address and port.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("got `{got}`, {why}; expected ADDRESS:PORT or NAME:PORT: write for example `{write}`")]
pub struct ListenError {
    got: String,
    why: &'static str,
    write: String,
}

/// Why nobody can listen there.
#[derive(Debug, Error)]
pub enum BindError {
    /// The name has no address.
    #[error(
        "cannot listen on {listen}: no address is known by the name `{host}`; expected an address of this machine: set {setting} to `127.0.0.1:{port}`, or `0.0.0.0:{port}` for all of them"
    )]
    Unknown {
        /// As given.
        listen: Listen,
        /// The name.
        host: String,
        /// The port.
        port: u16,
        /// The flag or field.
        setting: &'static str,
        /// What the resolver says.
        #[source]
        source: io::Error,
    },
    /// Somebody else does.
    #[error(
        "cannot listen on {listen}: another program does already; expected a free port: end the other program (`ss -ltnp` names it), or set {setting} to another, such as `{write}`"
    )]
    Taken {
        /// As given.
        listen: Listen,
        /// The flag or field.
        setting: &'static str,
        /// Another one.
        write: Listen,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
    /// An address of another machine.
    #[error(
        "cannot listen on {listen}: no interface of this machine has that address; expected one of its own: set {setting} to `127.0.0.1:{port}`, or `0.0.0.0:{port}` for all of them"
    )]
    Foreign {
        /// As given.
        listen: Listen,
        /// The port.
        port: u16,
        /// The flag or field.
        setting: &'static str,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
    /// A port of the system.
    #[error(
        "cannot listen on {listen}: ports below 1024 need CAP_NET_BIND_SERVICE; expected a higher one: set {setting} to `{write}`"
    )]
    Privileged {
        /// As given.
        listen: Listen,
        /// The flag or field.
        setting: &'static str,
        /// A higher one.
        write: Listen,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
    /// Anything else.
    #[error(
        "cannot listen on {listen}; expected a free address of this machine: set {setting} to another, such as `127.0.0.1:0` for any free port"
    )]
    Other {
        /// As given.
        listen: Listen,
        /// The flag or field.
        setting: &'static str,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
}

impl Listen {
    /// Listens, on the first of the name's addresses that this machine has, IPv4 before IPv6. `setting` is what is said to
    /// change when it cannot.
    ///
    /// # Errors
    /// The name has no address, or nobody may listen there.
    pub fn bind(&self, setting: &'static str) -> Result<TcpListener, BindError> {
        let listen = self.clone();
        let mut addresses: Vec<SocketAddr> = match (self.host.as_str(), self.port).to_socket_addrs() {
            Ok(addresses) => addresses.collect(),
            Err(source) => {
                return Err(BindError::Unknown { listen, host: self.host.clone(), port: self.port, setting, source });
            }
        };
        // Who is called by `127.0.0.1` elsewhere is to be found there.
        addresses.sort_by_key(SocketAddr::is_ipv6);
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in addresses {
            match TcpListener::bind(address) {
                Ok(listener) => return Ok(listener),
                // On another address of the name nobody would look for us.
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(self.refused(setting, error)),
                Err(error) => last = error,
            }
        }
        Err(self.refused(setting, last))
    }

    fn refused(&self, setting: &'static str, source: io::Error) -> BindError {
        let (listen, port) = (self.clone(), self.port);
        let with = |port| Self { host: self.host.clone(), port };
        match source.kind() {
            io::ErrorKind::AddrInUse => {
                BindError::Taken { listen, setting, write: with(port.checked_add(1).unwrap_or(PORT)), source }
            }
            io::ErrorKind::AddrNotAvailable => BindError::Foreign { listen, port, setting, source },
            io::ErrorKind::PermissionDenied if port < 1024 => {
                BindError::Privileged { listen, setting, write: with(PORT), source }
            }
            _ => BindError::Other { listen, setting, source },
        }
    }

    /// The port; 0 for any that is free.
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl From<SocketAddr> for Listen {
    fn from(address: SocketAddr) -> Self {
        Self { host: address.ip().to_string(), port: address.port() }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl TryFrom<String> for Listen {
    type Error = ListenError;

    fn try_from(text: String) -> Result<Self, ListenError> {
        text.parse()
    }
}

impl FromStr for Listen {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, ListenError> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(address.into());
        }
        let plain = || text.rsplit_once(':').filter(|(host, _)| is_name(host));
        match plain().and_then(|(host, port)| Some((host, decimal(port)?))) {
            Some((host, port)) => Ok(Self { host: host.to_owned(), port }),
            None => Err(refusal(text)),
        }
    }
}

/// Digits alone: `+80` is a number elsewhere.
fn decimal(text: &str) -> Option<u16> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The name of a host. What looks like an IPv4 address and is none is no name.
fn is_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let looks_like_v4 = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let is_v4 = text.parse::<std::net::Ipv4Addr>().is_ok();
    !text.is_empty() && text.len() <= MAX_NAME && text.bytes().all(inner) && (is_v4 || !looks_like_v4)
}

/// Why a text is refused, with the nearest one that is not.
fn refusal(text: &str) -> ListenError {
    let fault = |why, host: &str, port: u16| ListenError {
        got: text.chars().take(80).collect(),
        why,
        write: Listen { host: host.to_owned(), port }.to_string(),
    };
    let bare = text.split_once("://").map_or(text, |(_, rest)| rest);
    let bare = bare.split('/').next().unwrap_or_default().trim();
    if bare.len() != text.len() {
        let nearest = bare.parse().unwrap_or(Listen { host: "127.0.0.1".to_owned(), port: PORT });
        return fault("which has more than an address and a port", &nearest.host, nearest.port);
    }
    if text.is_empty() {
        return fault("which is empty", "127.0.0.1", PORT);
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return fault("which is a port without an address", "127.0.0.1", decimal(text).unwrap_or(PORT));
    }
    // `::1:9470` is an address as a whole; with a port that is one, it hardly means to be.
    let split = text.rsplit_once(':').and_then(|(host, port)| Some((host.parse::<Ipv6Addr>().ok()?, decimal(port)?)));
    if let Some((host, port)) = split.filter(|(_, port)| *port >= 80) {
        return fault("which has no [ ] around its IPv6 address", &host.to_string(), port);
    }
    if let Ok(address) = text.trim_matches(['[', ']']).parse::<Ipv6Addr>() {
        return fault("which has no port behind [ ] around its IPv6 address", &address.to_string(), PORT);
    }
    if is_name(text) {
        return fault("which has no port", text, PORT);
    }
    let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
    match (host, decimal(port)) {
        ("" | "*", Some(port)) => fault("which names no address; 0.0.0.0 means all of them", "0.0.0.0", port),
        (host, None) if is_name(host) => fault("whose port is none between 0 and 65535", host, PORT),
        (_, port) => fault("which is no address and no name", "127.0.0.1", port.unwrap_or(PORT)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_names_are_taken() {
        for good in ["127.0.0.1:9470", "[::1]:9470", "0.0.0.0:0", "localhost:9470", "node-1.example.com:80"] {
            assert_eq!(good.parse::<Listen>().map(|listen| listen.to_string()), Ok(good.to_owned()));
        }
    }

    #[test]
    fn what_a_refusal_says_to_write_is_taken() {
        let table = [
            ("", "127.0.0.1:9470"),
            ("9470", "127.0.0.1:9470"),
            (":8080", "0.0.0.0:8080"),
            ("*:8080", "0.0.0.0:8080"),
            ("127.0.0.1", "127.0.0.1:9470"),
            ("localhost", "localhost:9470"),
            ("localhost:", "localhost:9470"),
            ("localhost:http", "localhost:9470"),
            ("localhost:99999", "localhost:9470"),
            ("localhost:-1", "localhost:9470"),
            ("localhost:+80", "localhost:9470"),
            ("::1", "[::1]:9470"),
            ("::1:8080", "[::1]:8080"),
            ("[::1]", "[::1]:9470"),
            ("fe80::1%eth0:80", "127.0.0.1:80"),
            ("http://localhost:9470/", "localhost:9470"),
            ("https://x", "127.0.0.1:9470"),
            ("127.0.0.1:9470 ", "127.0.0.1:9470"),
            ("127.0.0.256:9470", "127.0.0.1:9470"),
            ("ü:80", "127.0.0.1:80"),
            ("a b:80", "127.0.0.1:80"),
        ];
        for (text, write) in table {
            let error = text.parse::<Listen>().unwrap_err();
            assert_eq!(error.write, write, "{error}");
            assert!(
                write.parse::<Listen>().is_ok() && error.to_string().contains(&format!("write for example `{write}`"))
            );
        }
    }

    #[test]
    fn a_name_is_looked_up_and_any_free_port_found() {
        let listener = "localhost:0".parse::<Listen>().unwrap().bind("--listen").unwrap();
        assert!(listener.local_addr().unwrap().ip().is_loopback() && listener.local_addr().unwrap().port() > 0);
    }

    #[test]
    fn why_nobody_can_listen_is_said_with_what_to_set() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let table = [
            (Listen::from(taken.local_addr().unwrap()), "another program does already"),
            ("192.0.2.1:80".parse().unwrap(), "no interface of this machine has that address"),
            ("no-such-host.invalid:80".parse().unwrap(), "no address is known by the name `no-such-host.invalid`"),
        ];
        for (listen, why) in table {
            let error = listen.bind("--listen").unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("set --listen to "), "{error}");
            let (_, advice) = error.split_once("--listen").unwrap();
            let write = advice.split('`').nth(1).unwrap();
            assert!(write.parse::<Listen>().is_ok(), "{error}");
        }
    }
}
