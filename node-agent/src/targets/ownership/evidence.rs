//! What a namespace's sockets say about its owner: by their addresses, by their cgroups.

use std::net::Ipv6Addr;

use super::{Known, Open, Ownership};

impl Ownership {
    /// Whether one of the claimed addresses is the node's and no pod's own.
    pub(super) fn is_host(&self, open: &Open) -> bool {
        open.claims.keys().any(|address| self.host_addresses.contains(address))
    }

    /// The pod that a socket's cgroup names, unless a socket's address contradicts it.
    pub(super) fn by_cgroup(&self, open: &Open) -> Option<String> {
        let named = |uid: &str, known: &Known| {
            open.members.contains(uid) || known.static_uid.as_ref().is_some_and(|uid| open.members.contains(uid))
        };
        let has_claimed = |known: &Known| open.claims.keys().any(|address| known.addresses.contains_key(address));
        let own = || self.pods.iter().filter(|(_, known)| !known.host_network);
        // A process of one pod may make sockets in the namespace of another (service meshes do): the address decides.
        if let Some((uid, _)) = own().find(|(uid, known)| named(uid, known) && has_claimed(known)) {
            return Some(uid.clone());
        }
        // The API learns a pod's address a second or two after its first connection. Until then the cgroup has to do,
        // unless the address is somebody else's.
        let is_somebodys = own().any(|(_, known)| has_claimed(known));
        let mut unaddressed = own().filter(|(uid, known)| known.addresses.is_empty() && named(uid, known));
        match (unaddressed.next(), unaddressed.next()) {
            (Some((uid, _)), None) if !is_somebodys && !open.claims.is_empty() => Some(uid.clone()),
            _ => None,
        }
    }

    /// The only pod that has an address since before the namespace's sockets were last seen with it, and that address.
    /// No other namespace of unknown owner may claim it, and no cgroup may have shown that another namespace is the pod's.
    pub(super) fn by_address(&self, namespace: u64, open: &Open) -> Option<(String, Ipv6Addr)> {
        let mut found = None;
        for (address, at_ns) in &open.claims {
            let has = |known: &Known| known.addresses.get(address).is_some_and(|since| at_ns >= since);
            for (uid, _) in self.pods.iter().filter(|(_, known)| !known.host_network && has(known)) {
                match &found {
                    Some((other, _)) if other != uid => return None,
                    _ => found = Some((uid.clone(), *address)),
                }
            }
        }
        let (uid, address) = found?;
        if self.bonds.values().any(|bond| bond.uid == uid && bond.by_address.is_none()) {
            return None;
        }
        let since = self.pods.get(&uid)?.addresses.get(&address)?;
        let is_claimed_twice = self
            .open
            .iter()
            .any(|(other, open)| *other != namespace && open.claims.get(&address).is_some_and(|at_ns| at_ns >= since));
        (!is_claimed_twice).then_some((uid, address))
    }
}
