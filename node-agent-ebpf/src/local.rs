//! Connections whose ends are in one network namespace: no network to warn of.
//!
//! Loopback addresses and a socket that talks to its own address are told by the addresses. A namespace's other addresses,
//! and connections that its firewall redirects (every service mesh does), are told by where the SYN leaves: through the
//! loopback device. The connecting socket is marked then. The accepting one does not exist yet: the connecting end's
//! address and port wait for it.

use aya_ebpf::{
    bindings::{bpf_sock, bpf_sock_ops},
    helpers::generated::bpf_get_socket_cookie,
    macros::map,
    maps::LruHashMap,
    programs::SkBuffContext,
};
use netprecursor_agent_common::identity::{Endpoint, MAX_LOCAL_CONNECTS, Stamp};

use crate::{address, slots, tcp::TCP_SYN_SENT};

/// Ends that are connecting through a loopback device.
#[map]
static LOCAL_CONNECTS: LruHashMap<Endpoint, u8> = LruHashMap::with_max_entries(MAX_LOCAL_CONNECTS, 0);

/// include/net/flow.h: the loopback device of every namespace.
pub(crate) const LOOPBACK_IFINDEX: u32 = 1;

/// Whether the addresses alone say so.
#[inline(always)]
pub(crate) fn by_address(ops: *mut bpf_sock_ops) -> bool {
    let (local, remote) = (address::local(ops), address::remote(ops));
    address::is_loopback(local)
        || address::is_loopback(remote)
        || (local[3] == remote[3] && local[2] == remote[2] && local[1] == remote[1] && local[0] == remote[0])
}

/// Whether a packet on its way out stays in its namespace. What is connecting is noted, and the socket of a target marked.
#[inline(always)]
pub(crate) fn stays(ctx: &SkBuffContext, is_targets: bool) -> bool {
    let skb = ctx.skb.skb;
    // SAFETY: reads a context field.
    if unsafe { (*skb).ifindex } != LOOPBACK_IFINDEX {
        return false;
    }
    // SAFETY: reads a context field.
    let sk = unsafe { (*skb).__bindgen_anon_2.sk };
    // SAFETY: not null where it is read.
    if !sk.is_null() && unsafe { (*sk).state } == TCP_SYN_SENT {
        // A full table drops the connection that has been opening for longest.
        let _ = LOCAL_CONNECTS.insert(&source(sk), &0, 0);
    }
    if is_targets {
        // SAFETY: the pointer is the context of the running cgroup_skb program.
        let cookie = unsafe { bpf_get_socket_cookie(skb.cast()) };
        if let Some(line) = slots::line_of(cookie) {
            line.stamp = Stamp::LOCAL.0;
        }
    }
    true
}

/// Whether the other end of a socket that was just accepted connected through the loopback device.
#[inline(always)]
pub(crate) fn was_connecting(ops: *mut bpf_sock_ops) -> bool {
    // SAFETY: reads a context field: the port in network byte order, in the upper half of the word.
    let port = u32::from_be(unsafe { (*ops).remote_port });
    let end = Endpoint { address: address::remote(ops), port };
    // SAFETY: the value is not read.
    if unsafe { LOCAL_CONNECTS.get(&end) }.is_none() {
        return false;
    }
    // Another connection may have that end tomorrow.
    let _ = LOCAL_CONNECTS.remove(&end);
    true
}

#[inline(always)]
fn source(sk: *const bpf_sock) -> Endpoint {
    // SAFETY: the caller knows that it is not null.
    Endpoint { address: address::local_of(sk), port: unsafe { (*sk).src_port } }
}
