//! Whose connections a rule means, by the address of the other end.

use std::{fmt, net::IpAddr, str::FromStr, sync::Arc};

use ipnet::IpNet;
use thiserror::Error;

/// Networks that a rule may name, and as many exceptions.
pub const MAX_NETWORKS: usize = 32;

/// The connections that count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Peers {
    /// All of them.
    #[default]
    All,
    /// Those with pods, Services and nodes of the cluster.
    Cluster,
    /// All others.
    External,
    /// Those with these networks.
    Networks(Arc<Networks>),
}

/// Networks, without some that lie in them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Networks {
    cidrs: Vec<IpNet>,
    except: Vec<IpNet>,
}

/// Why a text or a list is no network of peers.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PeersError {
    /// No CIDR at all.
    #[error("got `{got}`, expected a network in CIDR notation: write for example `10.0.0.0/8` or `2001:db8::/32`")]
    Malformed {
        /// As written.
        got: String,
    },
    /// An address inside a network.
    #[error(
        "got `{got}`, which is an address in a network, expected a network: write `{network}`, or `{host}` for the one address"
    )]
    HostBits {
        /// As written.
        got: String,
        /// The network that it is in.
        network: IpNet,
        /// The address by itself.
        host: IpNet,
    },
    /// IPv4 in IPv6 notation.
    #[error("got `{got}`, which is IPv4 in the notation of IPv6, expected IPv4: write for example `10.0.0.0/8`")]
    Mapped {
        /// As written.
        got: String,
    },
    /// Nothing to be among.
    #[error("got no networks, expected at least one: write for example `cidrs: [10.0.0.0/8]`, or `scope: All`")]
    Empty,
    /// More than a rule may have.
    #[error("got {got} networks, expected at most {MAX_NETWORKS}: name larger ones, or split the rule")]
    TooMany {
        /// How many there are.
        got: usize,
    },
    /// An exception from nothing.
    #[error(
        "got exception `{got}`, expected a network inside one of `cidrs`: remove it, or add the network it is an exception from"
    )]
    Outside {
        /// The exception.
        got: IpNet,
    },
}

/// A network in CIDR notation, without host bits.
///
/// # Errors
/// Anything else.
pub fn network(text: &str) -> Result<IpNet, PeersError> {
    let got = || text.chars().take(80).collect::<String>();
    let net = IpNet::from_str(text).map_err(|_| PeersError::Malformed { got: got() })?;
    if net.trunc() != net {
        return Err(PeersError::HostBits { got: got(), network: net.trunc(), host: IpNet::from(net.addr()) });
    }
    match net.addr() {
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => Err(PeersError::Mapped { got: got() }),
        _ => Ok(net),
    }
}

impl Networks {
    /// The networks `cidrs` without the parts `except`. Either may overlap; order does not matter.
    ///
    /// # Errors
    /// None or too many, or an exception that lies in none of them.
    pub fn new(mut cidrs: Vec<IpNet>, mut except: Vec<IpNet>) -> Result<Self, PeersError> {
        let got = cidrs.len().max(except.len());
        if cidrs.is_empty() {
            return Err(PeersError::Empty);
        }
        if got > MAX_NETWORKS {
            return Err(PeersError::TooMany { got });
        }
        if let Some(outside) = except.iter().find(|except| !cidrs.iter().any(|cidr| cidr.contains(*except))) {
            return Err(PeersError::Outside { got: *outside });
        }
        for list in [&mut cidrs, &mut except] {
            list.sort_unstable();
            list.dedup();
        }
        Ok(Self { cidrs, except })
    }

    /// Where a peer is among them.
    pub fn cidrs(&self) -> &[IpNet] {
        &self.cidrs
    }

    /// Where it is not.
    pub fn except(&self) -> &[IpNet] {
        &self.except
    }

    /// Whether all of `net` is among them. `net` must not contain any of theirs but itself.
    pub fn contains(&self, net: &IpNet) -> bool {
        let is_in = |list: &[IpNet]| list.iter().any(|cidr| cidr.contains(net));
        is_in(&self.cidrs) && !is_in(&self.except)
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |nets: &[IpNet]| nets.iter().map(IpNet::to_string).collect::<Vec<_>>().join(", ");
        f.write_str(&list(&self.cidrs))?;
        if self.except.is_empty() { Ok(()) } else { write!(f, " except {}", list(&self.except)) }
    }
}

impl fmt::Display for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all peers"),
            Self::Cluster => f.write_str("peers in the cluster"),
            Self::External => f.write_str("external peers"),
            Self::Networks(networks) => networks.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nets(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|text| network(text).unwrap()).collect()
    }

    #[test]
    fn a_network_is_written_without_host_bits_and_advice_that_is_followed_is_accepted() {
        for (text, advice) in [("10.1.2.3/8", "10.0.0.0/8"), ("2001:db8::1/32", "2001:db8::/32")] {
            let error = network(text).unwrap_err();
            assert!(error.to_string().contains(advice), "{error}");
            let PeersError::HostBits { network: larger, host, .. } = error else { panic!("{error}") };
            network(&larger.to_string()).unwrap();
            network(&host.to_string()).unwrap();
        }
        for text in ["", "10.0.0.0", "10.0.0.0/33", "10.0/8", "a/8", "::/129", "10.0.0.0/8 ", "0x0a.0.0.0/8"] {
            assert!(matches!(network(text), Err(PeersError::Malformed { .. })), "{text}");
        }
        assert!(matches!(network("::ffff:10.0.0.0/104"), Err(PeersError::Mapped { .. })));
    }

    #[test]
    fn an_exception_lies_in_one_of_the_networks() {
        let (all, inside) = (nets(&["10.0.0.0/8", "10.0.0.0/16"]), nets(&["10.0.1.0/24", "10.0.0.0/8"]));
        let networks = Networks::new(all.clone(), inside[..1].to_vec()).unwrap();
        let is_in = |text| networks.contains(&network(text).unwrap());
        assert!(is_in("10.0.0.0/16") && is_in("10.9.9.9/32"));
        assert!(!is_in("10.0.1.0/24") && !is_in("10.0.1.7/32") && !is_in("11.0.0.0/8") && !is_in("::/0"));
        assert!(Networks::new(all, inside).is_ok(), "an exception from all of a network");
        let outside = Networks::new(nets(&["10.0.0.0/8"]), nets(&["10.0.0.0/7"]));
        assert!(matches!(outside, Err(PeersError::Outside { .. })));
        assert_eq!(Networks::new(Vec::new(), Vec::new()), Err(PeersError::Empty));
        let many = (0..=MAX_NETWORKS).map(|third| network(&format!("10.0.{third}.0/24")).unwrap()).collect();
        assert!(matches!(Networks::new(many, Vec::new()), Err(PeersError::TooMany { got: 33 })));
    }

    #[test]
    fn the_order_in_which_networks_are_written_means_nothing() {
        let one = Networks::new(nets(&["10.0.0.0/8", "::/0"]), nets(&["10.1.0.0/16"]));
        assert_eq!(one, Networks::new(nets(&["::/0", "10.0.0.0/8", "::/0"]), nets(&["10.1.0.0/16"])));
    }
}
