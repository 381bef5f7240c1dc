//! What else is counted of a target: RTT above each connection's floor, or that of some peers, each in a slot of its own.

use aya_ebpf::{
    macros::map,
    maps::{Array, LpmTrie, lpm_trie::Key},
};
use netprecursor_agent_common::{
    MAX_SLOTS,
    view::{MAX_PREFIXES, MAX_VIEWS, View},
};

use crate::{address::Address, slots::BPF_F_MMAPABLE};

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

/// Which peer sets a socket's other end is in, as its line remembers it.
pub(crate) struct Class<'a> {
    pub(crate) peers: &'a mut u32,
    /// The version of the table by which they were looked up.
    pub(crate) version: &'a mut u32,
}

/// Calls `count` with the slot and measure of each view that the socket with this other end belongs to.
#[inline(always)]
pub(crate) fn each(slot: u32, mut class: Class<'_>, remote: impl Fn() -> Address, mut count: impl FnMut(u32, bool)) {
    for index in 0..MAX_VIEWS {
        let Some(view) = VIEWS.get_ptr(slot.wrapping_mul(MAX_VIEWS).wrapping_add(index)) else { return };
        // SAFETY: points into the map; the agent writes whole words.
        let view = View(unsafe { core::ptr::read_volatile(view) });
        if !view.is_there() {
            return;
        }
        if view.peers() == 0 || class.of(&remote) & view.peers() != 0 {
            count(view.slot(), view.is_inflation());
        }
    }
}

impl Class<'_> {
    /// The peer sets, looked up once per socket and version of the table.
    #[inline(always)]
    fn of(&mut self, remote: &impl Fn() -> Address) -> u32 {
        let Some(version) = PEERS_VERSION.get_ptr(0) else { return 0 };
        // SAFETY: points into the map; the agent writes whole words.
        let version = unsafe { core::ptr::read_volatile(version) };
        if *self.version != version {
            let sets = PEERS.get(Key::new(ADDRESS_BITS, remote()));
            *self.peers = sets.copied().unwrap_or(0);
            *self.version = version;
        }
        *self.peers
    }
}
