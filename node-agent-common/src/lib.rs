//! Plain data shared between the BPF programs and the agent, explicit to the byte.
//!
//! The layout is part of the contract: every struct is `repr(C)`, has no implicit padding and asserts its size and offsets. The
//! kernel only ever adds to counters; a tick is the difference of two readings, so that nothing has to be reset there.
//! Extremes cannot be subtracted: they live in two generations that the epoch alternates ([`tcp::Extremes`]).
#![no_std]

/// Asserts size, alignment and every offset of a struct: the kernel's side is compiled for another target.
macro_rules! layout {
    ($type:ty: $size:expr, $align:expr; $($field:ident $offset:expr),+) => {
        const _: () = assert!(size_of::<$type>() == $size && align_of::<$type>() == $align);
        $(const _: () = assert!(core::mem::offset_of!($type, $field) == $offset);)+
    };
}

pub mod epoch;
pub mod histogram;
pub mod identity;
pub mod names;
pub mod older;
pub mod sched;
pub mod tcp;
pub mod traffic;
pub mod view;

/// Targets that can be watched at once on one node, each further [`view::View`] of one included: the kubelet's default
/// limit is 110 pods.
pub const MAX_SLOTS: u32 = 256;

/// Callbacks counted outside any slot, by position in the per-CPU array `COUNTERS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Counter {
    /// RTT samples for which the kernel gave no measured value (before 6.10): the smoothed one stands in.
    SmoothedSample = 0,
    /// A socket's line was taken over by another socket: one sample each is not counted.
    LineTaken = 1,
    /// A task could not be remembered because the map was full.
    TaskLost = 2,
    /// Packets of targets that carry no socket or no known one, so that they are nobody's.
    PacketUnknown = 3,
    /// An address could not be noted for its namespace because the map was full: it is noted at a later event.
    ClaimLost = 4,
    /// A cgroup could not be noted for its namespace, likewise.
    MemberLost = 5,
}

impl Counter {
    /// All of them, in the order of the array.
    pub const ALL: [Self; 6] =
        [Self::SmoothedSample, Self::LineTaken, Self::TaskLost, Self::PacketUnknown, Self::ClaimLost, Self::MemberLost];

    /// Length of the array.
    pub const COUNT: u32 = Self::ALL.len() as u32;
}
