//! What else is counted of a target: RTT above each connection's floor, or that of some peers, each in a slot of its own.

use aya_ebpf::{
    bindings::bpf_sock_ops,
    macros::map,
    maps::{Array, LpmTrie, lpm_trie::Key},
};
use netprecursor_agent_common::{
    MAX_SLOTS,
    tcp::Line,
    view::{MAX_PREFIXES, MAX_VIEWS, View},
};

use crate::{
    address::{self, Address},
    slots::BPF_F_MMAPABLE,
};

/// The views of each slot, in a row; written by the agent.
#[map]
static VIEWS: Array<u64> = Array::with_max_entries(MAX_SLOTS * MAX_VIEWS, BPF_F_MMAPABLE);

/// The peer sets that the addresses of a prefix are in; written by the agent. IPv4 is v4-mapped IPv6.
#[map]
static PEERS: LpmTrie<Address, u32> = LpmTrie::with_max_entries(MAX_PREFIXES, 0);

/// Entry 0: the version of `PEERS`. The agent raises it after each change.
#[map]
static PEERS_VERSION: Array<u32> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Bits of an address.
const ADDRESS_BITS: u32 = 128;

/// Calls `count` with the slot and measure of each view that the socket belongs to.
#[inline(always)]
pub(crate) fn each(ops: *mut bpf_sock_ops, slot: u32, line: &mut Line, mut count: impl FnMut(u32, bool)) {
    for index in 0..MAX_VIEWS {
        let Some(view) = VIEWS.get_ptr(slot.wrapping_mul(MAX_VIEWS).wrapping_add(index)) else { return };
        // SAFETY: points into the map; the agent writes whole words.
        let view = View(unsafe { core::ptr::read_volatile(view) });
        if !view.is_there() {
            return;
        }
        if view.peers() == 0 || peers(ops, line) & view.peers() != 0 {
            count(view.slot(), view.is_inflation());
        }
    }
}

/// The peer sets that the other end is in, looked up once per socket and version of the table.
#[inline(always)]
fn peers(ops: *mut bpf_sock_ops, line: &mut Line) -> u32 {
    let Some(version) = PEERS_VERSION.get_ptr(0) else { return 0 };
    // SAFETY: points into the map; the agent writes whole words.
    let version = unsafe { core::ptr::read_volatile(version) };
    if line.peers_version != version {
        let sets = PEERS.get(Key::new(ADDRESS_BITS, address::remote(ops)));
        line.peers = sets.copied().unwrap_or(0);
        line.peers_version = version;
    }
    line.peers
}
