//! The networks of the cluster's pods, Services and nodes. The operator finds them out and deals them to the agents, which
//! read them from a file. Pure.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::json;
use thiserror::Error;

/// Most networks that are dealt: half of those that the agents' table of peers has room for beside the rules' own. Each node
/// that comes or goes is written to all agents.
pub const MAX_NETWORKS: usize = 1_000;

/// Longest text, in bytes: that many networks of IPv6, and a reason.
pub const MAX_TEXT: usize = 64 << 10;

/// Where the networks come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// The chart's value `clusterNetworks`.
    Given,
    /// Nodes and ServiceCIDRs.
    Nodes,
    /// All addresses for private networks, because neither was enough.
    PrivateRanges,
}

/// The networks of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Networks {
    /// Where they come from.
    pub from: Origin,
    /// Why they do not come from nodes and ServiceCIDRs.
    pub reason: Option<String>,
    /// The networks, without bits behind the prefix.
    pub networks: Vec<IpNet>,
}

/// Why a text names no networks.
#[derive(Debug, Error)]
pub enum NetworksError {
    /// It is no JSON, or has other fields.
    #[error("got {text:?}, expected JSON like {{\"from\":\"Nodes\",\"networks\":[\"10.0.0.0/8\"]}}")]
    Unreadable {
        /// Its beginning.
        text: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// It is too long.
    #[error("got {0} bytes, expected at most {MAX_TEXT}")]
    TooLong(usize),
    /// It names none, or too many.
    #[error("got {0} networks, expected 1 to {MAX_NETWORKS}")]
    Number(usize),
    /// One is none.
    #[error("got {0:?}, expected a network in CIDR notation, such as 10.0.0.0/8")]
    Malformed(String),
}

/// The text as it is read.
#[derive(Deserialize)]
struct Text {
    from: Origin,
    reason: Option<String>,
    networks: Vec<String>,
}

impl Networks {
    /// The networks that a text names.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn read(text: &str) -> Result<Self, NetworksError> {
        if text.len() > MAX_TEXT {
            return Err(NetworksError::TooLong(text.len()));
        }
        let Text { from, reason, networks } =
            serde_json::from_str(text).map_err(|source| NetworksError::Unreadable { text: beginning(text), source })?;
        if !(1..=MAX_NETWORKS).contains(&networks.len()) {
            return Err(NetworksError::Number(networks.len()));
        }
        let network = |text: &String| {
            let net = text.parse::<IpNet>().ok().filter(|net| net.trunc() == *net);
            net.ok_or_else(|| NetworksError::Malformed(beginning(text)))
        };
        Ok(Self { from, reason, networks: networks.iter().map(network).collect::<Result<_, _>>()? })
    }

    /// The text that [`Self::read`] reads.
    pub fn text(&self) -> String {
        let networks: Vec<String> = self.networks.iter().map(ToString::to_string).collect();
        let mut text = json!({"from": self.from, "networks": networks});
        if let Some(reason) = &self.reason {
            text["reason"] = reason.as_str().into();
        }
        text.to_string()
    }
}

fn beginning(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(from: Origin, reason: Option<&str>, networks: &[&str]) -> Networks {
        let networks = networks.iter().map(|text| text.parse().unwrap()).collect();
        Networks { from, reason: reason.map(str::to_owned), networks }
    }

    #[test]
    fn networks_are_read_as_they_were_written() {
        for networks in [
            networks(Origin::Given, None, &["10.0.0.0/8"]),
            networks(Origin::Nodes, None, &["10.244.0.0/16", "192.0.2.1/32", "fd00::/48"]),
            networks(Origin::PrivateRanges, Some("node \"a\" has no podCIDR"), &["10.0.0.0/8", "fc00::/7"]),
        ] {
            assert_eq!(Networks::read(&networks.text()).unwrap(), networks, "{}", networks.text());
        }
        let text = networks(Origin::Nodes, None, &["10.0.0.0/8"]).text();
        assert_eq!(text, r#"{"from":"Nodes","networks":["10.0.0.0/8"]}"#);
    }

    #[test]
    fn as_many_networks_as_there_may_be_fit_into_the_text() {
        let longest = |number: usize| format!("2001:db8:ffff:ffff:ffff:ffff:ffff:{:x}/128", 0xf000 + number);
        let many: Vec<String> = (0..MAX_NETWORKS).map(longest).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let all = networks(Origin::PrivateRanges, Some(&"x".repeat(1_000)), &many);
        assert_eq!(Networks::read(&all.text()).unwrap(), all);
    }

    #[test]
    fn what_names_no_networks_is_refused_with_what_was_got_and_expected() {
        let named = |network: &str| format!(r#"{{"from":"Nodes","networks":[{network}]}}"#);
        let many = vec![r#""10.0.0.0/8""#; MAX_NETWORKS + 1].join(",");
        for (text, words) in [
            (String::new(), "got \"\", expected JSON"),
            (r#"{"from":"Heaven","networks":["10.0.0.0/8"]}"#.to_owned(), "expected JSON"),
            (r#"{"from":"Nodes"}"#.to_owned(), "expected JSON"),
            (named(""), "got 0 networks, expected 1 to 1000"),
            (named(&many), "got 1001 networks"),
            (named(r#""10.0.0.0""#), "got \"10.0.0.0\", expected a network"),
            (named(r#""10.0.0.1/8""#), "got \"10.0.0.1/8\", expected a network"),
            (named(r#""10.0.0.0/33""#), "expected a network"),
            ("x".repeat(MAX_TEXT + 1), "got 65537 bytes, expected at most 65536"),
        ] {
            let error = Networks::read(&text).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
