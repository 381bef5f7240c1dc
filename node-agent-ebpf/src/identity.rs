//! What tells user space whose a namespace is: the addresses and cgroups of the sockets of namespaces that have no slot.
//!
//! Nothing here names a pod. User space takes the notes out several times a second; what finds no room is counted and
//! noted again at the next event.

use aya_ebpf::{bindings::bpf_sock_ops, helpers::generated::bpf_ktime_get_ns, macros::map, maps::HashMap};
use netprecursor_agent_common::{
    Counter,
    identity::{Claim, MAX_CLAIMS, Member},
};

use crate::{
    address::{self, Address},
    slots,
};

/// Addresses by namespace.
#[map]
static CLAIMS: HashMap<Claim, u64> = HashMap::with_max_entries(MAX_CLAIMS, 0);

/// Cgroups by namespace.
#[map]
static MEMBERS: HashMap<Member, u64> = HashMap::with_max_entries(MAX_CLAIMS, 0);

/// The socket's address, if it can tell one namespace from another: neither unspecified nor loopback nor link-local,
/// which every namespace may have.
#[inline(always)]
fn telling_address(ops: *mut bpf_sock_ops) -> Option<Address> {
    let address = address::local(ops);
    if address::is_loopback(address) {
        return None;
    }
    let tells = match address::v4(address) {
        // 169.254.0.0/16 (RFC 3927).
        Some(v4) => v4 != 0 && u32::from_be(v4) >> 16 != 0xa9fe,
        // fe80::/10 (RFC 4291).
        None => address != [0; 4] && u32::from_be(address[0]) >> 22 != 0xfe80_u32 >> 6,
    };
    tells.then_some(address)
}

/// Notes that a socket of `namespace` has its address.
#[inline(always)]
pub(crate) fn claim(ops: *mut bpf_sock_ops, namespace: u64) {
    let Some(address) = telling_address(ops) else { return };
    note(&CLAIMS, &Claim { namespace, address }, Counter::ClaimLost);
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
