//! What tells user space whose a namespace is: the addresses and cgroups of the sockets of namespaces that have no slot.
//!
//! Nothing here names a pod. User space takes the notes out several times a second; what finds no room is counted and
//! noted again at the next event.

use aya_ebpf::{
    bindings::bpf_sock_ops,
    helpers::generated::{bpf_ktime_get_ns, bpf_tcp_sock},
    macros::map,
    maps::HashMap,
    programs::SkBuffContext,
};
use netprecursor_agent_common::{
    Counter,
    identity::{Claim, MAX_CLAIMS, Member},
};

use crate::{
    address::{self, Address},
    local::LOOPBACK_IFINDEX,
    slots,
    tcp::TCP_ESTABLISHED,
};

/// Addresses by namespace.
#[map]
static CLAIMS: HashMap<Claim, u64> = HashMap::with_max_entries(MAX_CLAIMS, 0);

/// Cgroups by namespace.
#[map]
static MEMBERS: HashMap<Member, u64> = HashMap::with_max_entries(MAX_CLAIMS, 0);

/// Whether an address can tell one namespace from another: it is neither unspecified nor loopback nor link-local, which every
/// namespace may have.
#[inline(always)]
fn tells(address: Address) -> bool {
    if address::is_loopback(address) {
        return false;
    }
    match address::v4(address) {
        // 169.254.0.0/16 (RFC 3927).
        Some(v4) => v4 != 0 && u32::from_be(v4) >> 16 != 0xa9fe,
        // fe80::/10 (RFC 4291).
        None => address != [0; 4] && u32::from_be(address[0]) >> 22 != 0xfe80_u32 >> 6,
    }
}

/// Notes that a socket of `namespace` has its address.
#[inline(always)]
pub(crate) fn claim(ops: *mut bpf_sock_ops, namespace: u64) {
    claim_address(address::local(ops), namespace);
}

/// Notes the same of a packet's socket whose connection proves it: of one that is older than the programs no callback comes,
/// and a pod may have no other.
#[inline(always)]
pub(crate) fn claim_by_packet(ctx: &SkBuffContext, namespace: u64) {
    // SAFETY: reads context fields.
    let (sk, device) = unsafe { ((*ctx.skb.skb).__bindgen_anon_2.sk, (*ctx.skb.skb).ifindex) };
    if sk.is_null() || device == LOOPBACK_IFINDEX {
        return;
    }
    // SAFETY: not null. Of other protocols a socket is as good as established once it names its peer.
    if unsafe { bpf_tcp_sock(sk) }.is_null() || unsafe { (*sk).state } != TCP_ESTABLISHED {
        return;
    }
    let (local, remote) = (address::local_of(sk), address::remote_of(sk));
    // Who talks to itself was answered by nobody else.
    if local[3] != remote[3] || local[2] != remote[2] || local[1] != remote[1] || local[0] != remote[0] {
        claim_address(local, namespace);
    }
}

#[inline(always)]
fn claim_address(address: Address, namespace: u64) {
    if tells(address) {
        note(&CLAIMS, &Claim { namespace, address }, Counter::ClaimLost);
    }
}

/// Notes that a socket of `namespace` belongs to `cgroup`.
#[inline(always)]
pub(crate) fn member(namespace: u64, cgroup: u64) {
    if cgroup != 0 {
        note(&MEMBERS, &Member { namespace, cgroup }, Counter::MemberLost);
    }
}

#[inline(always)]
fn note<K>(map: &HashMap<K, u64>, key: &K, lost: Counter) {
    // SAFETY: the helper has no preconditions.
    let now = unsafe { bpf_ktime_get_ns() };
    if let Some(last) = map.get_ptr_mut(key) {
        // SAFETY: points into the map; a whole word.
        unsafe { *last = now };
    } else if map.insert(key, &now, 0).is_err() {
        slots::count(lost);
    }
}
