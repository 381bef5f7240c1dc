//! Log-linear histogram: eight buckets per power of two, so that a bucket's middle is at most 5.9 % off.

/// Buckets; a power of two, because kernel 6.1's verifier accepts a mask as bound of an index but not a remainder.
pub const BUCKETS: usize = 256;

/// Buckets per power of two, as a power of two.
const SUB_BITS: u32 = 3;

/// Position of the highest set bit, by halving: BPF has no instruction for it.
#[inline(always)]
const fn log2(value: u32) -> u32 {
    let mut rest = value;
    let mut log = 0;
    if rest >= 1 << 16 {
        rest >>= 16;
        log += 16;
    }
    if rest >= 1 << 8 {
        rest >>= 8;
        log += 8;
    }
    if rest >= 1 << 4 {
        rest >>= 4;
        log += 4;
    }
    if rest >= 1 << 2 {
        rest >>= 2;
        log += 2;
    }
    if rest >= 1 << 1 {
        log += 1;
    }
    log
}

/// The bucket that counts `value`.
#[inline(always)]
pub const fn bucket(value: u32) -> usize {
    if value < 1 << SUB_BITS {
        return value as usize;
    }
    let log = log2(value);
    let sub = (value >> (log - SUB_BITS)) & ((1 << SUB_BITS) - 1);
    ((((log - SUB_BITS + 1) << SUB_BITS) + sub) as usize) & (BUCKETS - 1)
}

/// The value that stands for a bucket: the harmonic mean of its bounds, which makes the relative error the same at
/// both ends.
pub fn value(bucket: usize) -> f32 {
    let sub = 1usize << SUB_BITS;
    if bucket < sub {
        return bucket as f32;
    }
    let log = (bucket >> SUB_BITS) as i32 + SUB_BITS as i32 - 1;
    let width = exp2(log - SUB_BITS as i32);
    let low = exp2(log) + (bucket & (sub - 1)) as f32 * width;
    // Integers from `low` up to, not including, `low + width`.
    let high = low + width - 1.0;
    2.0 * low * high / (low + high)
}

/// 2 to the power of `log`, 0 ≤ log < 63.
fn exp2(log: i32) -> f32 {
    (1u64 << log.clamp(0, 62)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_grow_with_the_value_and_never_leave_the_array() {
        let mut last = 0;
        let mut value = 0u32;
        while value < u32::MAX - value / 7 - 1 {
            let index = bucket(value);
            assert!(index >= last && index < BUCKETS, "{value} is in bucket {index} after {last}");
            last = index;
            value += 1 + value / 7;
        }
        assert!(bucket(u32::MAX) < BUCKETS);
    }

    #[test]
    fn a_bucket_stands_for_its_values_within_six_percent() {
        let mut v = 1u32;
        while v < 60_000_000 {
            let error = (value(bucket(v)) - v as f32).abs() / v as f32;
            assert!(error <= 0.06, "{v} is shown as {}, {:.1} % off", value(bucket(v)), error * 100.0);
            v += 1 + v / 1000;
        }
    }
}
