//! What the `traffic` sensor counts per target and CPU.

/// Bytes and packets; they only grow (and wrap).
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct TrafficSlot {
    /// Bytes received, IP headers included.
    pub rx_bytes: u64,
    /// Bytes sent, IP headers included.
    pub tx_bytes: u64,
    /// Packets received; a segment that the kernel merged counts as the packets it was made of.
    pub rx_packets: u64,
    /// Packets sent, likewise.
    pub tx_packets: u64,
}

const _: () = assert!(size_of::<TrafficSlot>() == 32);
