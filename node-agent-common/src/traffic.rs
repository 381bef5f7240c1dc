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

layout!(TrafficSlot: 32, 8; rx_bytes 0, tx_bytes 8, rx_packets 16, tx_packets 24);
