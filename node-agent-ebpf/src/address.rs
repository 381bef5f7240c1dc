//! Addresses of sockets as one kind: IPv4 as v4-mapped IPv6, in network byte order.

use aya_ebpf::bindings::{bpf_sock, bpf_sock_ops};

pub(crate) const AF_INET: u32 = 2;

/// `::ffff:0:0/96`, the third word in network byte order.
const V4_MAPPED: u32 = 0xffff_u32.to_be();
/// The last word of `::1` in network byte order.
const ONE: u32 = 1_u32.to_be();

pub(crate) type Address = [u32; 4];

/// An IPv4 address, mapped.
#[inline(always)]
pub(crate) const fn mapped(v4: u32) -> Address {
    [0, 0, V4_MAPPED, v4]
}

/// The IPv4 address that was mapped.
#[inline(always)]
pub(crate) const fn v4(address: Address) -> Option<u32> {
    let [first, second, third, fourth] = address;
    if first == 0 && second == 0 && third == V4_MAPPED { Some(fourth) } else { None }
}

/// Whether it is in 127.0.0.0/8, mapped or not, or `::1`.
#[inline(always)]
pub(crate) const fn is_loopback(address: Address) -> bool {
    match v4(address) {
        // The first byte in network byte order.
        Some(v4) => u32::from_be(v4) >> 24 == 127,
        None => address[0] == 0 && address[1] == 0 && address[2] == 0 && address[3] == ONE,
    }
}

/// A word of the context, read where it is: a copy of the whole array would be at no constant offset.
#[inline(always)]
fn word(at: *const u32) -> u32 {
    // SAFETY: `at` is a field of the running program's context.
    unsafe { core::ptr::read_volatile(at) }
}

/// Four words of the context.
#[inline(always)]
pub(crate) fn words(at: *const [u32; 4]) -> Address {
    let at: *const u32 = at.cast();
    // SAFETY: the array has four words.
    unsafe { [word(at), word(at.add(1)), word(at.add(2)), word(at.add(3))] }
}

/// The socket's own address.
#[inline(always)]
pub(crate) fn local(ops: *mut bpf_sock_ops) -> Address {
    // SAFETY: reads context fields. Kernels without IPv6 know no other field for IPv4.
    unsafe { if (*ops).family == AF_INET { mapped((*ops).local_ip4) } else { words(&raw const (*ops).local_ip6) } }
}

/// The address of the other end.
#[inline(always)]
pub(crate) fn remote(ops: *mut bpf_sock_ops) -> Address {
    // SAFETY: as above.
    unsafe { if (*ops).family == AF_INET { mapped((*ops).remote_ip4) } else { words(&raw const (*ops).remote_ip6) } }
}

/// The own address of a packet's socket, which is not null.
#[inline(always)]
pub(crate) fn local_of(sk: *const bpf_sock) -> Address {
    // SAFETY: reads fields of a socket that the verifier knows.
    unsafe { if (*sk).family == AF_INET { mapped((*sk).src_ip4) } else { words(&raw const (*sk).src_ip6) } }
}

/// The address of the other end of a packet's socket, which is not null.
#[inline(always)]
pub(crate) fn remote_of(sk: *const bpf_sock) -> Address {
    // SAFETY: reads fields of a socket that the verifier knows.
    unsafe { if (*sk).family == AF_INET { mapped((*sk).dst_ip4) } else { words(&raw const (*sk).dst_ip6) } }
}
