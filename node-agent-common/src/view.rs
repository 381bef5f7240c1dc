//! Views: what else is counted of a target beside the RTT of all its connections. A rule may mean the RTT above each
//! connection's floor, or some peers only: each such view of a target is counted in a slot of its own.
//!
//! Peers are classed by their address, once per socket: an LPM trie holds for each prefix the *peer sets* that it is in, one
//! bit per set, and a socket's [`Line`](crate::tcp::Line) remembers what it found.

/// Views of one target beside all its connections' RTT.
pub const MAX_VIEWS: u32 = 3;

/// Peer sets at once: bits of a word.
pub const MAX_PEER_SETS: u32 = 32;

/// Prefixes in the table of peers: those of all peer sets, and as many of the cluster.
pub const MAX_PREFIXES: u32 = 4096;

/// Where a view is counted and what of, in one word that the kernel reads whole; zero: there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(transparent)]
pub struct View(pub u64);

impl View {
    const IS_THERE: u64 = 1 << 63;
    const INFLATION: u64 = 1 << 62;

    /// A view that is counted in `slot`: the connections whose peers are in the set `peers`, or all.
    pub const fn new(slot: u32, peers: Option<u32>, is_inflation: bool) -> Self {
        let peers = match peers {
            Some(set) => 1 << (set % MAX_PEER_SETS),
            None => 0,
        };
        let inflation = if is_inflation { Self::INFLATION } else { 0 };
        Self(Self::IS_THERE | inflation | ((slot & 0xffff) as u64) << 32 | peers)
    }

    /// Whether there is one.
    #[inline(always)]
    pub const fn is_there(self) -> bool {
        self.0 != 0
    }

    /// Whether RTT is counted above each connection's floor.
    #[inline(always)]
    pub const fn is_inflation(self) -> bool {
        self.0 & Self::INFLATION != 0
    }

    /// Where it is counted.
    #[inline(always)]
    pub const fn slot(self) -> u32 {
        (self.0 >> 32) as u32 & 0xffff
    }

    /// The peer set that it is of, as its bit; zero: all peers.
    #[inline(always)]
    pub const fn peers(self) -> u32 {
        self.0 as u32
    }
}

const _: () = assert!(crate::MAX_SLOTS <= 0xffff);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_its_slot_its_peers_and_its_measure() {
        for (slot, peers, is_inflation) in [(0, None, false), (255, Some(0), true), (7, Some(31), false)] {
            let view = View::new(slot, peers, is_inflation);
            let mask = peers.map_or(0, |set| 1 << set);
            assert_eq!((view.slot(), view.peers(), view.is_inflation()), (slot, mask, is_inflation));
            assert!(view.is_there());
        }
        assert!(!View::default().is_there());
    }
}
