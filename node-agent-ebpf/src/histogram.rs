//! Counting into a histogram in a way that the verifier can follow.

use netprecursor_agent_common::histogram::{BUCKETS, bucket};

/// Adds one sample.
#[inline(always)]
pub(crate) fn count(histogram: &mut [u32; BUCKETS], value: u32) {
    let at = masked(bucket(value) as u64);
    // SAFETY: `masked` keeps the index inside the array.
    let count = unsafe { histogram.get_unchecked_mut(at as usize) };
    *count = count.wrapping_add(1);
}

/// The compiler proves that a bucket is inside the array and drops the mask, by a proof that the verifier cannot
/// repeat; an instruction that it does not look into stays.
#[inline(always)]
fn masked(index: u64) -> u64 {
    const { assert!(BUCKETS == 256) };
    let mut index = index;
    // SAFETY: changes one register.
    unsafe { core::arch::asm!("{0} &= 255", inout(reg) index, options(pure, nomem, nostack)) };
    index
}
