//! The bottleneck: a token bucket whose queue is limited in bytes (tc-tbf(8)).

/// Frames of Ethernet size fit with their header.
const FRAME: f64 = 1514.0;
/// Tokens for this much time may be saved up: short against every queue of a scenario, long enough for the kernel's
/// timers at 40 Mbit/s.
const BURST_SECONDS: f64 = 0.001;

/// Parameters of a token bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bucket {
    rate_bps: f64,
    burst_bytes: f64,
    limit_bytes: f64,
}

impl Bucket {
    /// A bottleneck of `rate_mbit` whose queue holds `queue_ms` at that rate.
    pub(super) fn new(rate_mbit: f64, queue_ms: f64) -> Self {
        let rate_bps = rate_mbit * 1e6;
        let burst_bytes = (rate_bps / 8.0 * BURST_SECONDS).max(2.0 * FRAME).ceil();
        Self { rate_bps, burst_bytes, limit_bytes: (rate_bps / 8.0 * queue_ms / 1e3).max(4.0 * FRAME).ceil() }
    }

    /// The same queue, in bytes, with less of the rate.
    pub(super) fn with_capacity(self, share: f64) -> Self {
        Self { rate_bps: self.rate_bps * share, ..self }
    }

    /// As tc wants it.
    pub(super) fn arguments(&self) -> String {
        format!(
            "root tbf rate {:.0}bit burst {:.0} limit {:.0}",
            self.rate_bps,
            self.burst_bytes,
            self.limit_bytes + self.burst_bytes
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_holds_its_time_at_full_rate_and_stays_when_the_rate_falls() {
        let bucket = Bucket::new(8.0, 100.0);
        assert_eq!(bucket.limit_bytes, 100_000.0);
        assert_eq!(bucket.with_capacity(0.25).arguments(), "root tbf rate 2000000bit burst 3028 limit 103028");
    }
}
