//! Features that take more than one signal or more than one transform: the table behind the second part of the vector.

use super::{Group, plan::Scale};

macro_rules! derived {
    ($($(#[doc = $doc:literal])+ $variant:ident, $name:literal, $group:ident, $unit:literal, $scale:ident;)+) => {
        /// A feature of its own formula. The discriminant is its position after the features of single signals.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(usize)]
        pub enum Derived { $($(#[doc = $doc])+ $variant),+ }

        impl Derived {
            /// Every one, in the order of the vector.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// Name; ends in the scale or unit where there is one.
            pub const fn name(self) -> &'static str { match self { $(Self::$variant => $name),+ } }
            /// The part of the picture it belongs to.
            pub const fn group(self) -> Group { match self { $(Self::$variant => Group::$group),+ } }
            /// Unit of its natural value.
            pub const fn unit(self) -> &'static str { match self { $(Self::$variant => $unit),+ } }
            /// Scale of the feature.
            pub const fn scale(self) -> Scale { match self { $(Self::$variant => Scale::$scale),+ } }
            /// One or two sentences: what it is, and what stands for it when it cannot be computed.
            pub const fn doc(self) -> &'static str { match self { $(Self::$variant => concat!($($doc),+)),+ } }
        }
    };
}

derived! {
    // The measured RTT of a tick is the maximum clean RTT, or the time of a stall. All of these are 0 (1 µs, which no
    // network has) when the minute measured none; where only the named span measured none, the newest one is the fallback.
    /// Newest measured RTT.
    MeasuredLast, "rtt_measured_last_ln", RttHistory, "µs", Ln;
    /// Maximum measured RTT of the last 10 s: the baseline that residual models add back.
    MeasuredMax10, "rtt_measured_max10_ln", RttHistory, "µs", Ln;
    /// Maximum measured RTT of the last 30 s.
    MeasuredMax30, "rtt_measured_max30_ln", RttHistory, "µs", Ln;
    /// Maximum measured RTT of the last 60 s.
    MeasuredMax60, "rtt_measured_max60_ln", RttHistory, "µs", Ln;
    /// Minimum over the last 60 s of the measured RTT.
    MeasuredMin60, "rtt_measured_min60_ln", RttHistory, "µs", Ln;
    /// Mean of ln measured RTT over the last 10 s.
    MeasuredMean10, "rtt_measured_mean10_ln", RttHistory, "µs", Ln;
    /// Lower quartile of the measured RTT over 60 s: calm, as long as a quarter of the minute was.
    MeasuredQ25, "rtt_measured_q25_ln", RttHistory, "µs", Ln;
    /// Median of the measured RTT over 60 s.
    MeasuredQ50, "rtt_measured_q50_ln", RttHistory, "µs", Ln;
    /// 90th percentile of the measured RTT over 60 s.
    MeasuredQ90, "rtt_measured_q90_ln", RttHistory, "µs", Ln;
    /// Exponentially weighted mean of ln measured RTT, weight 0.3, begun at the mean of the window.
    EwmaFast, "rtt_measured_ewma_fast_ln", RttHistory, "µs", Ln;
    /// Exponentially weighted mean of ln measured RTT, weight 0.1, begun at the mean of the window.
    EwmaSlow, "rtt_measured_ewma_slow_ln", RttHistory, "µs", Ln;
    /// Exponentially weighted distance of ln measured RTT from its slow mean, weight 0.1.
    EwmaDeviation, "rtt_measured_deviation", RttHistory, "×", LnRatio;
    /// Standard deviation of ln measured RTT over 10 s.
    Spread10, "rtt_measured_spread10", RttHistory, "×", LnRatio;
    /// Standard deviation of ln measured RTT over 60 s.
    Spread60, "rtt_measured_spread60", RttHistory, "×", LnRatio;
    /// Least-squares slope of ln measured RTT over 5 s, per second; 0 with fewer than two values.
    Slope5, "rtt_measured_slope5", RttHistory, "×/s", LnRatio;
    /// Least-squares slope of ln measured RTT over 15 s, per second; 0 with fewer than two values.
    Slope15, "rtt_measured_slope15", RttHistory, "×/s", LnRatio;
    /// Least-squares slope of ln measured RTT over 40 s, per second; 0 with fewer than two values.
    Slope40, "rtt_measured_slope40", RttHistory, "×/s", LnRatio;
    /// Newest measured RTT over the maximum of 10 s.
    LastOverMax10, "rtt_last_over_max10", RttHistory, "×", LnRatio;
    /// Mean of 10 s over their maximum.
    Mean10OverMax10, "rtt_mean10_over_max10", RttHistory, "×", LnRatio;
    /// Median of 60 s over the maximum of 10 s.
    Q50OverMax10, "rtt_q50_over_max10", RttHistory, "×", LnRatio;
    /// 90th percentile of 60 s over the maximum of 10 s.
    Q90OverMax10, "rtt_q90_over_max10", RttHistory, "×", LnRatio;
    /// Maximum of 30 s over that of 10 s.
    Max30OverMax10, "rtt_max30_over_max10", RttHistory, "×", LnRatio;
    /// Maximum of 60 s over that of 10 s.
    Max60OverMax10, "rtt_max60_over_max10", RttHistory, "×", LnRatio;
    /// Maximum of the 10 s before the last 10 s over that of the last 10 s; 0 when they measured none.
    PreviousMax10OverMax10, "rtt_previous_max10_over_max10", RttHistory, "×", LnRatio;
    /// Mean of the ten-second maxima of the last 5 minutes over the maximum of 10 s; 0 when none is remembered.
    TypicalOverMax10, "rtt_typical_over_max10", RttHistory, "×", LnRatio;
    /// Highest RTT of the last 5 minutes over the maximum of 10 s; 0 when none is remembered.
    Max300OverMax10, "rtt_max300_over_max10", RttHistory, "×", LnRatio;
    /// Seconds since the maximum of 10 s, 0 to 9.
    Max10Age, "rtt_max10_age_s", RttHistory, "s", Identity;
    /// Mean of the last 5 s over that of 20 to 60 s ago; 0 when either measured none.
    Shift, "rtt_shift", RttHistory, "×", LnRatio;
    /// The same in standard deviations (plus 0.05) of 20 to 60 s ago, −20 to 20.
    ShiftDeviations, "rtt_shift_deviations", RttHistory, "σ", Identity;
    /// Seconds for which the measured RTT has been above twice its lower quartile, 0 to 60: how old the onset is.
    HighFor, "rtt_high_for_s", RttHistory, "s", Identity;
    /// Seconds since the measured RTT was above twice its lower quartile, 0 to 60; 60 when it was not.
    HighAge, "rtt_high_age_s", RttHistory, "s", Identity;
    /// Times in 60 s that the measured RTT rose above twice its lower quartile.
    Rises, "rtt_rises60", RttHistory, "1", Identity;
    /// Share of the measured seconds of 60 in which the RTT was above twice its lower quartile.
    HighShare, "rtt_high_share60", RttHistory, "ratio", Identity;
    /// Seconds since an RTT was measured, 0 to 60: the indicator of what is missing.
    Silence, "rtt_silence_s", RttHistory, "s", Identity;
    /// Share of the last 10 s in which no RTT was measured.
    MissingShare, "rtt_missing_share10", RttHistory, "ratio", Identity;
    // How the clean RTT moved within the newest seconds, by the maxima of quarter seconds; all are 0 where there are too few.
    /// Least-squares slope of the ln maxima of the last 8 quarter seconds, per second; 0 with fewer than three.
    QuarterSlope, "rtt_quarter_slope2", RttHistory, "×/s", LnRatio;
    /// Newest quarter second with a sample, of the last 4, over the maximum of 10 s.
    LastQuarterOverMax10, "rtt_last_quarter_over_max10", RttHistory, "×", LnRatio;
    /// The two halves of the newest second: maximum of the later over that of the earlier.
    HalfOverHalf, "rtt_later_half_over_earlier", RttHistory, "×", LnRatio;
    /// Maximum over median of the clean RTT within a tick, each as mean of 4 s.
    TailInTick, "rtt_tail_in_tick", RttHistory, "×", LnRatio;
    /// Median clean RTT (mean of 4 s) over the newest floor; 0 when the floor is not known.
    OverFloor, "rtt_over_floor", Queue, "×", LnRatio;
    /// Standing queue over delivery rate × floor, means of 4 s; 0 when one was not measured.
    StandingOverBdp, "standing_queue_over_bdp", Queue, "×", Ln1p;
    /// Bytes in flight over delivery rate × floor, means of 4 s; 0 when one was not measured.
    InFlightOverBdp, "in_flight_over_bdp", Queue, "×", Ln1p;
    /// Time that the visible backlog takes to drain at the highest sent rate of the minute (at least a packet per
    /// second); 0 without backlog.
    Drain, "backlog_drain_ln", Queue, "µs", Ln;
    /// Sent bytes, mean of 4 s over maximum of 60 s: 1 on a plateau.
    TxPlateau, "tx_over_max60", Rates, "×", LnRatio;
    /// Received bytes, mean of 4 s over maximum of 60 s.
    RxPlateau, "rx_over_max60", Rates, "×", LnRatio;
    /// Delivery rate, mean of 4 s over maximum of 60 s.
    DeliveryPlateau, "delivery_over_max60", Rates, "×", LnRatio;
    /// Seconds until the sent rate reaches the maximum of 60 s at its present slope, 0 to 60; 60 when it does not rise.
    TxSaturation, "tx_saturation_s", Rates, "s", Identity;
    /// Sent over received bytes, means of 4 s.
    TxOverRx, "tx_over_rx", Rates, "×", LnRatio;
    /// Bytes per sent packet, mean of 4 s; 0 when none was sent.
    TxPacketSize, "tx_packet_bytes", Rates, "bytes", Ln1p;
    /// Segments sent again per thousand packets sent, 4 s.
    RetransmitShare4, "retransmit_permille4", Retransmits, "‰", Ln1p;
    /// Segments sent again per thousand packets sent, 60 s.
    RetransmitShare60, "retransmit_permille60", Retransmits, "‰", Ln1p;
    /// Seconds since a segment was sent again or a retransmission timer fired, 0 to 60; 60 when none.
    RetransmitAge, "retransmit_age_s", Retransmits, "s", Identity;
    /// Connections opened over closed in 10 s.
    OpensOverCloses, "opens_over_closes10", Connections, "×", LnRatio;
    /// Share of the connection attempts of 10 s that failed; 0 without any.
    FailedShare, "failed_connect_share10", Connections, "ratio", Identity;
    // Recurrence: the period found by autocorrelation, its strength, when the next peak is due and what one period ago
    // was in the place of the coming 10 s. Nothing recurs: 0, 0, 60 and 0.
    /// Period of the measured RTT over the last minute.
    MinuteRttPeriod, "rtt_minute_period_s", Recurrence, "s", Ln1p;
    /// How strongly the measured RTT recurs over the last minute.
    MinuteRttStrength, "rtt_minute_strength", Recurrence, "ratio", Identity;
    /// Seconds to the next peak of the measured RTT by the last minute.
    MinuteRttUntilPeak, "rtt_minute_until_peak_s", Recurrence, "s", Identity;
    /// Maximum RTT one period before the coming 10 s over the maximum of the last 10 s, by the last minute.
    MinuteRttExpected, "rtt_minute_expected_over_max10", Recurrence, "×", LnRatio;
    /// Period of the sent bytes over the last minute.
    MinuteTxPeriod, "tx_minute_period_s", Recurrence, "s", Ln1p;
    /// How strongly the sent bytes recur over the last minute.
    MinuteTxStrength, "tx_minute_strength", Recurrence, "ratio", Identity;
    /// Seconds to the next peak of the sent bytes by the last minute.
    MinuteTxUntilPeak, "tx_minute_until_peak_s", Recurrence, "s", Identity;
    /// Highest sent bytes one period before the coming 10 s over the mean of 4 s, by the last minute.
    MinuteTxExpected, "tx_minute_expected_over_mean4", Recurrence, "×", LnRatio;
    /// Period of the maximum RTT over the last hour.
    HourRttPeriod, "rtt_hour_period_s", Recurrence, "s", Ln1p;
    /// How strongly the maximum RTT recurs over the last hour.
    HourRttStrength, "rtt_hour_strength", Recurrence, "ratio", Identity;
    /// Seconds to the next peak of the maximum RTT by the last hour, 0 to 60.
    HourRttUntilPeak, "rtt_hour_until_peak_s", Recurrence, "s", Identity;
    /// Maximum RTT one period before the coming 10 s over the maximum of the last 10 s, by the last hour.
    HourRttExpected, "rtt_hour_expected_over_max10", Recurrence, "×", LnRatio;
    /// Period of the sent bytes over the last hour.
    HourTxPeriod, "tx_hour_period_s", Recurrence, "s", Ln1p;
    /// How strongly the sent bytes recur over the last hour.
    HourTxStrength, "tx_hour_strength", Recurrence, "ratio", Identity;
    /// Seconds to the next peak of the sent bytes by the last hour, 0 to 60.
    HourTxUntilPeak, "tx_hour_until_peak_s", Recurrence, "s", Identity;
    /// Sent bytes per second one period before the coming 10 s over the mean of 60 s, by the last hour.
    HourTxExpected, "tx_hour_expected_over_mean60", Recurrence, "×", LnRatio;
    /// How strongly the opened connections recur over the last hour.
    HourOpensStrength, "opens_hour_strength", Recurrence, "ratio", Identity;
    /// Seconds to the next peak of the opened connections by the last hour, 0 to 60.
    HourOpensUntilPeak, "opens_hour_until_peak_s", Recurrence, "s", Identity;
    /// Opened connections per second one period before the coming 10 s over the mean of 60 s, by the last hour.
    HourOpensExpected, "opens_hour_expected_over_mean60", Recurrence, "×", LnRatio;
}

/// The second part of the vector, written by name.
pub(super) struct Slots<'a>(pub(super) &'a mut [f32]);

impl Slots<'_> {
    /// Writes one feature; a value that is not finite becomes 0, the neutral of every scale used here.
    pub(super) fn set(&mut self, feature: Derived, value: f32) {
        if let Some(slot) = self.0.get_mut(feature as usize) {
            *slot = if value.is_finite() { value } else { 0.0 };
        }
    }
}
