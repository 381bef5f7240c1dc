//! Which connections of a namespace lead out of it: the others are no network, and the `tcp` sensor does not measure them.

use std::{
    collections::HashSet,
    net::{IpAddr, SocketAddr},
};

/// The two ends of a connection, as one of its sockets names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ends {
    local: SocketAddr,
    remote: SocketAddr,
}

impl Ends {
    /// The ends with these addresses; v4-mapped IPv6 counts as IPv4.
    pub fn new(local: (IpAddr, u16), remote: (IpAddr, u16)) -> Self {
        let end = |(address, port): (IpAddr, u16)| SocketAddr::new(address.to_canonical(), port);
        Self { local: end(local), remote: end(remote) }
    }
}

/// The remote ends of a namespace's connections.
#[derive(Debug)]
pub struct Remotes(HashSet<SocketAddr>);

impl Remotes {
    /// Of these connections, which must be all of the namespace.
    pub fn of(all: impl Iterator<Item = Ends>) -> Self {
        Self(all.map(|ends| ends.remote).collect())
    }

    /// Whether the connection leads out of the namespace. Its local end is nobody else's remote end then: also where the
    /// firewall redirects a connection, the socket that it ends at names the end that it comes from.
    pub fn is_elsewhere(&self, ends: &Ends) -> bool {
        let Ends { local, remote } = ends;
        let is_by_address = local.ip() == remote.ip() || local.ip().is_loopback() || remote.ip().is_loopback();
        !is_by_address && !self.0.contains(local)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(local: &str, remote: &str) -> Ends {
        let end = |text: &str| {
            let end: SocketAddr = text.parse().unwrap();
            (end.ip(), end.port())
        };
        Ends::new(end(local), end(remote))
    }

    fn elsewhere(all: &[Ends]) -> Vec<bool> {
        let remotes = Remotes::of(all.iter().copied());
        all.iter().map(|ends| remotes.is_elsewhere(ends)).collect()
    }

    #[test]
    fn a_connection_to_another_host_leads_out() {
        assert_eq!(
            elsewhere(&[ends("10.0.0.1:80", "10.0.0.2:5000"), ends("[fd00::1]:80", "[fd00::2]:5000")]),
            [true, true]
        );
    }

    #[test]
    fn loopback_at_either_end_mapped_or_not_stays() {
        for (local, remote) in [
            ("127.0.0.6:5000", "10.0.0.1:80"),
            ("10.0.0.1:80", "127.0.0.6:5000"),
            ("[::1]:5000", "[fd00::1]:80"),
            ("[::ffff:127.0.0.1]:80", "[::ffff:10.0.0.1]:5000"),
            ("10.0.0.1:80", "[::ffff:10.0.0.1]:5000"),
        ] {
            assert_eq!(elsewhere(&[ends(local, remote)]), [false], "{local} {remote}");
        }
    }

    #[test]
    fn both_ends_of_a_connection_between_own_addresses_stay() {
        let all = [
            ends("10.0.0.1:5000", "10.0.0.9:80"),
            ends("[::ffff:10.0.0.9]:80", "[::ffff:10.0.0.1]:5000"),
            ends("10.0.0.1:5001", "10.0.0.9:80"),
        ];
        assert_eq!(
            elsewhere(&all),
            [false, false, true],
            "the last one's other end is not here: the address has moved"
        );
    }

    #[test]
    fn a_connection_that_the_firewall_redirects_to_a_sidecar_stays() {
        let all = [ends("10.0.0.1:5000", "192.0.2.7:443"), ends("127.0.0.1:15001", "10.0.0.1:5000")];
        assert_eq!(elsewhere(&all), [false, false]);
    }
}
