//! Who a network namespace belongs to, as far as the kernel sees it: the addresses and the cgroups of its sockets. And the
//! slots that user space gives out once it knows.

/// A socket of this namespace has this address. The key of the map `CLAIMS`; its value is when that was seen last, ns on
/// the monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C)]
pub struct Claim {
    /// Cookie of the namespace.
    pub namespace: u64,
    /// The address in network byte order; IPv4 as v4-mapped IPv6.
    pub address: [u32; 4],
}

/// A socket of this namespace was made by a process of this cgroup. The key of the map `MEMBERS`; its value is when that
/// was seen last, ns on the monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C)]
pub struct Member {
    /// Cookie of the namespace.
    pub namespace: u64,
    /// The cgroup: the inode of its directory in the cgroup2 hierarchy.
    pub cgroup: u64,
}

/// One end of a TCP connection. The key of the map `LOCAL_CONNECTS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Endpoint {
    /// The address in network byte order; IPv4 as v4-mapped IPv6.
    pub address: [u32; 4],
    /// The port in host byte order.
    pub port: u32,
}

/// Connections being opened inside a namespace that are remembered at once, the latest ones.
pub const MAX_LOCAL_CONNECTS: u32 = 1024;

/// Claims (and members) that wait for user space, which takes them out several times a second.
pub const MAX_CLAIMS: u32 = 1024;

/// Namespaces with a slot at once: a pod whose sandbox was made anew has more than one.
pub const MAX_NAMESPACES: u32 = 1024;

/// Cgroups of targets in the node's own namespace at once.
pub const MAX_CGROUPS: u32 = 4096;

/// A slot together with how often it was given out, so that what still carries the old number counts nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Stamp(pub u32);

impl Stamp {
    /// Stands for the node's own namespace, whose sockets belong to targets by their cgroup.
    pub const BY_CGROUP: Self = Self(u32::MAX);

    /// Stands for a namespace whose owner is known and not watched: nothing of it is counted or noted.
    pub const UNWATCHED: Self = Self(u32::MAX - 1);

    /// Stands for a socket whose other end is in the same namespace: no network to measure.
    pub const LOCAL: Self = Self(u32::MAX - 2);

    /// The slot in its `generation`, of which 16 bits count.
    #[inline(always)]
    pub const fn new(slot: u32, generation: u32) -> Self {
        Self(slot & 0xffff | generation << 16)
    }

    /// The slot.
    #[inline(always)]
    pub const fn slot(self) -> u32 {
        self.0 & 0xffff
    }

    /// Its generation.
    #[inline(always)]
    pub const fn generation(self) -> u32 {
        self.0 >> 16
    }
}

layout!(Claim: 24, 8; namespace 0, address 8);
layout!(Member: 16, 8; namespace 0, cgroup 8);
layout!(Endpoint: 20, 4; address 0, port 16);
const _: () = assert!(crate::MAX_SLOTS < Stamp::LOCAL.slot());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_its_slot_and_its_generation() {
        let stamp = Stamp::new(255, 0x1_0007);
        assert_eq!((stamp.slot(), stamp.generation()), (255, 7));
        assert_ne!(Stamp::new(255, 8), stamp);
    }
}
