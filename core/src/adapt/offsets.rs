//! By how much each expert is off, tracked in place: the quantile tracker of [`crate::calibrate`], one per expert.

/// ln(µs) by which a miss moves an offset.
const GAIN: f64 = 0.005;

/// The furthest an offset moves, in ln(µs): a factor of e³. An expert that is further off is no expert.
pub(super) const MAX_OFFSET: f64 = 3.0;

/// The offsets of `N` experts for one quantile.
#[derive(Debug, Clone, PartialEq)]
pub struct Offsets<const N: usize> {
    /// ln(µs).
    pub(super) ln: [f64; N],
    /// Of the tick that is open: misses less those that were to be expected, and labels.
    open: [(f64, u32); N],
}

impl<const N: usize> Default for Offsets<N> {
    fn default() -> Self {
        Self { ln: [0.0; N], open: [(0.0, 0); N] }
    }
}

impl<const N: usize> Offsets<N> {
    /// What the experts forecast (ln µs), corrected.
    pub fn apply(&self, experts: &[f32; N]) -> [f32; N] {
        std::array::from_fn(|expert| experts[expert] + self.ln[expert] as f32)
    }

    /// Takes in what the experts forecast and what came (ln µs); it takes effect with [`Self::close`].
    pub fn learn(&mut self, quantile: f64, experts: &[f32; N], came: f32) {
        for ((forecast, ln), (sum, labels)) in experts.iter().zip(self.ln).zip(&mut self.open) {
            let forecast = f64::from(*forecast) + ln;
            if forecast.is_finite() {
                let missed = if f64::from(came) > forecast { 1.0 } else { 0.0 };
                *sum += missed - (1.0 - quantile);
                *labels += 1;
            }
        }
    }

    /// Ends a tick.
    pub fn close(&mut self) {
        for (offset, (sum, labels)) in self.ln.iter_mut().zip(&mut self.open) {
            if *labels > 0 {
                *offset = (*offset + GAIN * *sum / f64::from(*labels)).clamp(-MAX_OFFSET, MAX_OFFSET);
                (*sum, *labels) = (0.0, 0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expert_that_is_off_comes_to_hold_as_often_as_it_should() {
        let mut offsets = Offsets::<2>::default();
        let mut held = 0;
        for tick in 0..20_000_u32 {
            let came = (tick as f32 * 0.618_034).fract();
            if tick >= 10_000 {
                held += u32::from(came <= offsets.apply(&[0.2, 0.0])[0]);
            }
            offsets.learn(0.9, &[0.2, f32::NAN], came);
            offsets.close();
        }
        assert!((f64::from(held) / 10_000.0 - 0.9).abs() < 0.01, "{held}");
        assert_eq!(offsets.ln[1], 0.0, "who is asleep does not move");
    }

    #[test]
    fn an_offset_is_bounded() {
        let mut offsets = Offsets::<1>::default();
        for _ in 0..100_000 {
            offsets.learn(0.99, &[0.0], 1e30);
            offsets.close();
        }
        assert_eq!(offsets.ln, [MAX_OFFSET]);
    }
}
