//! Largest and smallest values, which cannot be subtracted between ticks.

/// Takes a larger value in.
#[inline(always)]
pub(crate) fn raise(max: &mut u32, value: u32) {
    if value > *max {
        *max = value;
    }
}

/// Takes a smaller value in.
#[inline(always)]
pub(crate) fn lower(min: &mut u32, value: u32) {
    if value < *min {
        *min = value;
    }
}
