//! A BPF array mapped into this process: reading a target costs 0.04 µs instead of 0.6 by system call.

use std::{
    io,
    marker::PhantomData,
    os::fd::{AsFd, AsRawFd},
    ptr::{self, NonNull},
};

use aya::{
    Ebpf,
    maps::{Map, MapError},
};
use thiserror::Error;

/// Why a map could not be mapped.
#[derive(Debug, Error)]
pub enum MappedError {
    /// The object has no such map, or it is not an array.
    #[error("the BPF object has no array map {0}; the agent and its BPF object are from different builds")]
    Missing(&'static str),
    /// The map's description could not be read.
    #[error("cannot read the description of map {name}")]
    Info {
        /// The map.
        name: &'static str,
        /// Why.
        #[source]
        source: MapError,
    },
    /// The kernel's layout of an element is not ours.
    #[error(
        "map {name} has elements of {got} bytes, expected {expected}; the agent and its BPF object are from different builds"
    )]
    Layout {
        /// The map.
        name: &'static str,
        /// Element size in the kernel.
        got: u32,
        /// Element size here.
        expected: usize,
    },
    /// The mapping was refused.
    #[error("cannot map {name} into memory (needs kernel 5.5 or later)")]
    Refused {
        /// The map.
        name: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Plain data that the kernel may write at any time: every bit pattern is a value.
///
/// # Safety
/// `repr(C)`, integers only, no references.
pub unsafe trait Plain: Copy {}

// SAFETY: `repr(C)` structs of integers, explicit to the byte.
unsafe impl Plain for netprecursor_agent_common::tcp::TcpSlot {}
// SAFETY: as above.
unsafe impl Plain for netprecursor_agent_common::tcp::Line {}
// SAFETY: as above.
unsafe impl Plain for netprecursor_agent_common::older::OlderSlot {}
// SAFETY: as above.
unsafe impl Plain for netprecursor_agent_common::older::OlderLine {}
// SAFETY: as above.
unsafe impl Plain for netprecursor_agent_common::traffic::TrafficSlot {}
// SAFETY: as above.
unsafe impl Plain for netprecursor_agent_common::sched::SchedSlot {}
// SAFETY: an integer.
unsafe impl Plain for u32 {}
// SAFETY: an integer in a transparent struct.
unsafe impl Plain for netprecursor_agent_common::view::View {}
// SAFETY: an integer in a transparent struct.
unsafe impl Plain for netprecursor_agent_common::epoch::Epoch {}

/// Plain data of one machine word, which the kernel reads whole or not at all.
pub trait Word: Plain {}

impl Word for u32 {}
impl Word for netprecursor_agent_common::view::View {}
impl Word for netprecursor_agent_common::epoch::Epoch {}

/// An array map in memory, shared with the kernel.
#[derive(Debug)]
pub struct Mapped<T> {
    base: NonNull<u8>,
    bytes: usize,
    stride: usize,
    len: usize,
    // Keeps the map alive.
    _map: Map,
    _element: PhantomData<T>,
}

// SAFETY: the mapping belongs to the process, not to a thread; elements are plain data.
unsafe impl<T: Plain> Send for Mapped<T> {}
// SAFETY: as above; writes are single words.
unsafe impl<T: Plain> Sync for Mapped<T> {}

impl<T: Plain> Mapped<T> {
    /// Takes the array `name` out of `bpf` and maps it.
    ///
    /// # Errors
    /// The object has no such array, its elements are of another size, or the kernel refused.
    pub fn take(bpf: &mut Ebpf, name: &'static str) -> Result<Self, MappedError> {
        let map = bpf.take_map(name).ok_or(MappedError::Missing(name))?;
        let Map::Array(data) = &map else { return Err(MappedError::Missing(name)) };
        let info = data.info().map_err(|source| MappedError::Info { name, source })?;
        if info.value_size() as usize != size_of::<T>() {
            return Err(MappedError::Layout { name, got: info.value_size(), expected: size_of::<T>() });
        }
        let len = info.max_entries() as usize;
        // kernel/bpf/arraymap.c: elements are rounded up to eight bytes.
        let stride = size_of::<T>().next_multiple_of(8);
        let bytes = stride * len;
        let fd = data.fd().as_fd().as_raw_fd();
        // SAFETY: a fresh shared mapping of a map that lives as long as `self`.
        let base =
            unsafe { libc::mmap(ptr::null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED, fd, 0) };
        let refused = || MappedError::Refused { name, source: io::Error::last_os_error() };
        if base == libc::MAP_FAILED {
            return Err(refused());
        }
        let base = NonNull::new(base.cast()).ok_or_else(refused)?;
        Ok(Self { base, bytes, stride, len, _map: map, _element: PhantomData })
    }

    fn at(&self, index: usize) -> Option<NonNull<T>> {
        // SAFETY: `index < len`, so the element lies inside the mapping; the base is page-aligned, the stride a
        // multiple of eight.
        (index < self.len).then(|| unsafe { self.base.add(index * self.stride).cast() })
    }

    /// A copy of an element. The kernel may be writing: each word is whole, the words need not be of one moment.
    pub fn read(&self, index: usize) -> Option<T> {
        // SAFETY: inside the mapping, aligned, plain data.
        self.at(index).map(|element| unsafe { ptr::read_volatile(element.as_ptr()) })
    }
}

impl<T: Word> Mapped<T> {
    /// Writes a word.
    pub fn write(&self, index: usize, value: T) {
        if let Some(element) = self.at(index) {
            // SAFETY: inside the mapping, aligned; the kernel reads whole words.
            unsafe { ptr::write_volatile(element.as_ptr(), value) };
        }
    }
}

impl<T> Drop for Mapped<T> {
    fn drop(&mut self) {
        // SAFETY: maps exactly what `new` mapped.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.bytes) };
    }
}
