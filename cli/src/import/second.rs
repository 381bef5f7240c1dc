//! One second of a series, and how the probes in it become one.

use netprecursor_core::signal::{Signal, Signals};

use super::moment::Moment;

/// The signals that some source has. All others are absent.
const CARRIED: [Signal; 14] = [
    Signal::RttCount,
    Signal::RttMean,
    Signal::RttP50,
    Signal::RttP90,
    Signal::RttP99,
    Signal::RttMax,
    Signal::RttQuarter1,
    Signal::RttQuarter2,
    Signal::RttQuarter3,
    Signal::RttQuarter4,
    Signal::RttMin,
    Signal::RttJitter,
    Signal::Retransmits,
    Signal::Cwnd,
];

/// What was measured in a second; a third of the size of all signals, for there are millions of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Second {
    pub(super) tick: u64,
    values: [f32; CARRIED.len()],
}

impl Second {
    /// A second in which nothing was measured.
    pub(super) const fn silent(tick: u64) -> Self {
        Self { tick, values: [f32::NAN; CARRIED.len()] }
    }

    pub(super) fn set(&mut self, signal: Signal, value: f32) {
        if let Some(position) = CARRIED.iter().position(|carried| *carried == signal) {
            self.values[position] = value;
        }
    }

    pub(super) fn signals(&self) -> Signals {
        let mut signals = Signals::ABSENT;
        CARRIED.iter().zip(self.values).for_each(|(signal, value)| signals.set(*signal, value));
        signals
    }

    /// The largest round-trip time in µs.
    pub(super) fn max_us(&self) -> Option<f32> {
        self.signals().measured_rtt_us()
    }
}

/// What was measured in a second that is not over.
#[derive(Debug)]
pub(super) struct Probes {
    rtts_us: Vec<f32>,
    /// The largest of each quarter of the second; NaN for none.
    quarters_us: [f32; Signal::RTT_QUARTERS.len()],
    /// The quarter in which probes are added, and whether times have been finer than seconds.
    quarter: usize,
    is_fine: bool,
    retransmits: Option<f32>,
    cwnds: Vec<f32>,
}

impl Default for Probes {
    fn default() -> Self {
        let quarters_us = [f32::NAN; Signal::RTT_QUARTERS.len()];
        Self { rtts_us: Vec::new(), quarters_us, quarter: 0, is_fine: false, retransmits: None, cwnds: Vec::new() }
    }
}

impl Probes {
    /// What is added next was measured at this moment of the second.
    pub(super) const fn enter(&mut self, at: Moment) {
        self.quarter = at.quarter();
        self.is_fine |= !at.is_whole();
    }

    pub(super) const fn count(&self) -> usize {
        self.rtts_us.len()
    }

    pub(super) fn add_rtt(&mut self, us: f32) {
        self.rtts_us.push(us);
        let quarter = &mut self.quarters_us[self.quarter];
        *quarter = quarter.max(us);
    }

    pub(super) fn add_retransmits(&mut self, segments: f32) {
        *self.retransmits.get_or_insert_default() += segments;
    }

    pub(super) fn add_cwnd(&mut self, segments: f32) {
        self.cwnds.push(segments);
    }

    /// The second that they make; nothing is left in them. Quantiles are nearest ranks and the deviation is that of the
    /// whole, as the agent has them.
    pub(super) fn close(&mut self, tick: u64) -> Second {
        let mut second = Second::silent(tick);
        let rtts = &mut self.rtts_us;
        rtts.sort_unstable_by(f32::total_cmp);
        if let (Some(min), Some(max)) = (rtts.first(), rtts.last()) {
            let rank = |q: f64| rtts[((q * rtts.len() as f64).ceil() as usize).clamp(1, rtts.len()) - 1];
            let average = mean(rtts);
            let variance = rtts.iter().map(|us| (f64::from(*us) - average).powi(2)).sum::<f64>() / rtts.len() as f64;
            for (signal, value) in [
                (Signal::RttCount, rtts.len() as f32),
                (Signal::RttMean, average as f32),
                (Signal::RttP50, rank(0.5)),
                (Signal::RttP90, rank(0.9)),
                (Signal::RttP99, rank(0.99)),
                (Signal::RttMax, *max),
                (Signal::RttMin, *min),
                (Signal::RttJitter, variance.sqrt() as f32),
            ] {
                second.set(signal, value);
            }
            // Whole seconds say nothing of where in them a probe was.
            if self.is_fine {
                Signal::RTT_QUARTERS.into_iter().zip(self.quarters_us).for_each(|(of, us)| second.set(of, us));
            }
        }
        if !self.cwnds.is_empty() {
            second.set(Signal::Cwnd, mean(&self.cwnds) as f32);
        }
        second.set(Signal::Retransmits, self.retransmits.take().unwrap_or(f32::NAN));
        self.rtts_us.clear();
        self.cwnds.clear();
        (self.quarters_us, self.is_fine) = ([f32::NAN; Signal::RTT_QUARTERS.len()], false);
        second
    }
}

fn mean(values: &[f32]) -> f64 {
    values.iter().map(|value| f64::from(*value)).sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_of_a_second_become_its_maximum_mean_and_quantiles() {
        let mut probes = Probes::default();
        [300.0, 100.0, 200.0].into_iter().for_each(|us| probes.add_rtt(us));
        let signals = probes.close(7).signals();
        let of = |signal| signals.get(signal);
        assert_eq!((of(Signal::RttMax), of(Signal::RttMin), of(Signal::RttMean)), (300.0, 100.0, 200.0));
        assert_eq!((of(Signal::RttCount), of(Signal::RttP50), of(Signal::RttP90)), (3.0, 200.0, 300.0));
        assert!((of(Signal::RttJitter) - 81.65).abs() < 0.01);
        assert!(of(Signal::Cwnd).is_nan() && of(Signal::RttAllMax).is_nan() && of(Signal::RttFloor).is_nan());
        assert_eq!(probes.count(), 0);
    }

    #[test]
    fn probes_whose_times_are_finer_than_seconds_have_their_maxima_by_quarter() {
        let quarters = |milliseconds: &[u64]| {
            let mut probes = Probes::default();
            for (at, us) in milliseconds.iter().zip([300.0, 100.0, 200.0]) {
                probes.enter(Moment::from_seconds(7).plus_seconds(*at as f64 / 1e3).unwrap());
                probes.add_rtt(us);
            }
            let signals = probes.close(7).signals();
            Signal::RTT_QUARTERS.map(|of| signals.get(of)).map(|us| Some(us).filter(|us| !us.is_nan()))
        };
        assert_eq!(quarters(&[0, 100, 990]), [Some(300.0), None, None, Some(200.0)]);
        assert_eq!(quarters(&[250, 499, 500]), [None, Some(300.0), Some(200.0), None]);
        assert_eq!(quarters(&[0, 0, 0]), [None; 4]);
    }

    #[test]
    fn a_second_without_a_probe_is_silent() {
        let second = Probes::default().close(7);
        let bits = |signals: Signals| signals.as_slice().iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(second.signals()), bits(Signals::ABSENT));
        assert_eq!((second.max_us(), Second::silent(7).max_us()), (None, None));
    }

    #[test]
    fn retransmits_add_up_and_windows_average() {
        let mut probes = Probes::default();
        [1.0, 2.0].into_iter().for_each(|segments| probes.add_retransmits(segments));
        [10.0, 30.0].into_iter().for_each(|segments| probes.add_cwnd(segments));
        let signals = probes.close(1).signals();
        assert_eq!((signals.get(Signal::Retransmits), signals.get(Signal::Cwnd)), (3.0, 20.0));
    }
}
