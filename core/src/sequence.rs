//! What nets read: the last minute of a target second by second, [`STEPS`] × [`WIDTH`] numbers.
//!
//! A step depends on the signals of its second alone, so that training can stack what Rust computed per second. Nothing
//! is ever NaN: what was not measured is 0, and where that is ambiguous a channel of its own shows it. A second that lies
//! before the target was first seen looks like one in which nothing was measured: all zeros.

use std::{fmt::Write as _, sync::LazyLock};

use crate::{
    features::Scale,
    schema::version::{VERSION, digest},
    signal::{Signal, Signals},
    tick::HORIZON,
    window::{LENGTH, Window},
};

/// Seconds in a sequence, T.
pub const STEPS: usize = LENGTH;
/// Numbers per second, F.
pub const WIDTH: usize = CHANNELS.len();
/// Numbers in a sequence; its oldest second first.
pub const LEN: usize = STEPS * WIDTH;

/// Larger values (a terabyte in a second, eleven days in µs) are taken for it.
const CAP: f32 = 1e12;
/// The least that a part of a second's RTT can be of its maximum, in ln: beyond a millionth is noise of the clock.
const DEEPEST: f32 = -14.0;

/// What a channel is of the signals of a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// 1 where an RTT or a stall was measured.
    Measured,
    /// ln of the measured RTT in µs: what is forecast. 0 where there is none.
    MeasuredLn,
    /// ln of a signal over the measured RTT, 0 or less; 0 where either is missing.
    OfMeasured(Signal),
    /// A signal on its [`Scale`]; 0 where it is missing.
    Scaled(Signal),
    /// 1 where a signal is there and not 0.
    Happened(Signal),
}

/// One number of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Channel {
    /// Its name.
    pub name: &'static str,
    /// Whether only the RTT is needed to know it, as of series that others measured.
    pub is_rtt: bool,
    /// Whether its level distinguishes networks, so that only its course should be learned from.
    pub is_level: bool,
    /// What it is.
    pub doc: &'static str,
    source: Source,
}

const fn rtt(name: &'static str, source: Source, doc: &'static str) -> Channel {
    Channel { name, is_rtt: true, is_level: false, doc, source }
}

const fn event(name: &'static str, signal: Signal, doc: &'static str) -> Channel {
    Channel { name, is_rtt: false, is_level: false, doc, source: Source::Scaled(signal) }
}

const fn level(name: &'static str, signal: Signal, doc: &'static str) -> Channel {
    Channel { name, is_rtt: false, is_level: true, doc, source: Source::Scaled(signal) }
}

/// The channels of a step, in order.
pub const CHANNELS: &[Channel] = &[
    rtt("rtt_measured", Source::Measured, "1 where an RTT or a stall was measured in the second"),
    rtt("rtt_ln", Source::MeasuredLn, "ln of the measured RTT in µs, 0 where there is none"),
    rtt("rtt_mean_of_max", Source::OfMeasured(Signal::RttMean), "ln of the mean RTT over the measured RTT"),
    rtt("rtt_min_of_max", Source::OfMeasured(Signal::RttMin), "ln of the smallest RTT over the measured RTT"),
    Channel {
        name: "rtt_count",
        is_rtt: true,
        is_level: true,
        doc: "ln(1 + clean RTT samples)",
        source: Source::Scaled(Signal::RttCount),
    },
    rtt("stalled", Source::Happened(Signal::Stall), "1 while a connection waits whose retransmission timer fired"),
    event("retransmits", Signal::Retransmits, "ln(1 + segments sent again)"),
    event("rtos", Signal::Rtos, "ln(1 + retransmission timeouts)"),
    event("failed_connects", Signal::FailedConnects, "ln(1 + connection attempts that failed)"),
    event("qdisc_drops", Signal::QdiscDrops, "ln(1 + packets dropped by queues in sight)"),
    event("pressure_cpu", Signal::PressureCpu, "share of the second in which a task of the node waited for a CPU"),
    Channel {
        name: "traffic",
        is_rtt: false,
        is_level: false,
        doc: "1 where packets were sent: 0 throughout where only RTTs are known",
        source: Source::Happened(Signal::TxPackets),
    },
    level("standing_queue", Signal::StandingQueue, "ln(1 + bytes that stand in queues on the way)"),
    level("in_flight", Signal::InFlight, "ln(1 + bytes in flight)"),
    level("qdisc_backlog", Signal::QdiscBacklog, "ln(1 + bytes waiting in queues in sight)"),
    level("tx_bytes", Signal::TxBytes, "ln(1 + bytes sent)"),
    level("rx_bytes", Signal::RxBytes, "ln(1 + bytes received)"),
    level("opens", Signal::Opens, "ln(1 + connections established)"),
    level("established", Signal::Established, "ln(1 + connections held)"),
    level("run_queue_p99", Signal::RunQueueP99, "ln of the 99th percentile of the wait for a CPU in µs"),
];

/// Where the channel of the measured RTT's flag is; the RTT itself follows it. Nets find their baseline by these.
pub const MEASURED: usize = 0;

impl Source {
    fn value(self, signals: &Signals) -> f32 {
        let measured = || signals.measured_rtt_us().map(|us| us.clamp(1.0, CAP));
        match self {
            Self::Measured => f32::from(measured().is_some()),
            Self::MeasuredLn => measured().map_or(0.0, f32::ln),
            Self::OfMeasured(signal) => match (measured(), signals.get(signal)) {
                (Some(max), part) if !part.is_nan() => (part.max(1.0) / max).ln().clamp(DEEPEST, 0.0),
                _ => 0.0,
            },
            Self::Scaled(signal) => match (Scale::of(signal), signals.get(signal)) {
                (_, value) if value.is_nan() => 0.0,
                (Scale::Identity, value) => value.clamp(0.0, 1.0),
                (scale, value) => scale.apply(value.min(CAP)),
            },
            Self::Happened(signal) => f32::from(signals.get(signal) > 0.0),
        }
    }

    /// What the hash covers.
    fn canonical(self) -> (&'static str, &'static str) {
        match self {
            Self::Measured => ("measured", "flag"),
            Self::MeasuredLn => ("measured", "ln"),
            Self::OfMeasured(signal) => (signal.name(), "of measured"),
            Self::Scaled(signal) => (signal.name(), Scale::of(signal).name()),
            Self::Happened(signal) => (signal.name(), "flag"),
        }
    }
}

/// Writes the numbers of one second.
pub fn step(signals: &Signals, out: &mut [f32; WIDTH]) {
    for (slot, channel) in out.iter_mut().zip(CHANNELS) {
        *slot = channel.source.value(signals);
    }
}

/// Appends the sequence of a window, [`LEN`] numbers; seconds that it has not seen are zeros, in front.
pub fn append(window: &Window, rows: &mut Vec<f32>) {
    rows.resize(rows.len() + (STEPS - window.len().min(STEPS)) * WIDTH, 0.0);
    let mut numbers = [0.0; WIDTH];
    for signals in window.iter() {
        step(signals, &mut numbers);
        rows.extend_from_slice(&numbers);
    }
}

/// SHA-256, in lower-case hex, of what a net depends on: version, horizon, steps, and per channel its name, signal and
/// scale, in order.
pub fn hash() -> &'static str {
    static HASH: LazyLock<String> = LazyLock::new(|| digest(&canonical()));
    &HASH
}

fn canonical() -> String {
    let head = format!("sequence {VERSION}\nhorizon {HORIZON}\nsteps {STEPS}\n");
    CHANNELS.iter().fold(head, |mut text, channel| {
        let (signal, how) = channel.source.canonical();
        // Writing to a string cannot fail.
        let _infallible = writeln!(text, "{} {signal} {how}", channel.name);
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tick::Tick;

    fn at(name: &str) -> usize {
        CHANNELS.iter().position(|channel| channel.name == name).unwrap()
    }

    fn sequence(window: &Window) -> Vec<f32> {
        let mut rows = Vec::new();
        append(window, &mut rows);
        rows
    }

    #[test]
    fn a_second_in_which_nothing_was_measured_is_all_zeros() {
        let mut numbers = [1.0; WIDTH];
        step(&Signals::ABSENT, &mut numbers);
        assert_eq!(numbers, [0.0; WIDTH]);
    }

    #[test]
    fn whatever_is_measured_every_number_is_finite() {
        for value in [0.0, 1e-30, 0.5, 1e30, f32::MAX, f32::NAN, -1e30] {
            let mut numbers = [f32::NAN; WIDTH];
            step(&Signals::from_values(&[value; Signal::COUNT]), &mut numbers);
            assert!(numbers.iter().all(|number| number.is_finite()), "{value}: {numbers:?}");
        }
    }

    #[test]
    fn the_level_of_the_path_is_in_one_channel_and_the_rest_is_relative_to_it() {
        let mut signals = Signals::ABSENT;
        signals.set(Signal::RttMax, 8_000.0);
        signals.set(Signal::RttMean, 4_000.0);
        let mut numbers = [0.0; WIDTH];
        step(&signals, &mut numbers);
        assert_eq!((numbers[MEASURED], numbers[MEASURED + 1]), (1.0, 8_000_f32.ln()));
        assert_eq!(numbers[at("rtt_mean_of_max")], 0.5_f32.ln());
        assert_eq!(numbers[at("rtt_min_of_max")], 0.0, "it was not measured");
        assert_eq!((numbers[at("stalled")], numbers[at("traffic")]), (0.0, 0.0));
    }

    #[test]
    fn what_a_short_window_has_not_seen_is_zeros_in_front() {
        let mut window = Window::new();
        assert_eq!(sequence(&window), vec![0.0; LEN]);
        let mut signals = Signals::ABSENT;
        signals.set(Signal::RttMax, 1_000.0);
        for tick in [1, 2, 5] {
            window.push(Tick(tick), &signals).unwrap();
        }
        let rows = sequence(&window);
        assert_eq!(rows.len(), LEN);
        let measured: Vec<f32> = rows.chunks(WIDTH).map(|step| step[MEASURED]).collect();
        assert!(measured[..STEPS - 5].iter().all(|flag| *flag == 0.0));
        assert_eq!(measured[STEPS - 5..], [1.0, 1.0, 0.0, 0.0, 1.0]);
    }

    #[test]
    fn sequences_of_several_targets_stand_one_after_the_other() {
        let (mut one, mut rows) = (Window::new(), Vec::new());
        one.push(Tick(1), &Signals::from_values(&[7.0; Signal::COUNT])).unwrap();
        append(&Window::new(), &mut rows);
        append(&one, &mut rows);
        assert_eq!(rows[LEN..], sequence(&one));
        // The buffer is kept from tick to tick.
        let capacity = rows.capacity();
        rows.clear();
        append(&one, &mut rows);
        append(&one, &mut rows);
        assert_eq!(rows.capacity(), capacity);
    }

    #[test]
    fn the_hash_covers_every_channel_and_names_are_unique() {
        assert_eq!(canonical().lines().count(), 3 + WIDTH);
        assert_ne!(hash(), crate::schema::hash());
        let mut names: Vec<_> = CHANNELS.iter().map(|channel| channel.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), WIDTH);
        assert_eq!(CHANNELS[MEASURED].name, "rtt_measured");
        assert_eq!(CHANNELS[MEASURED + 1].name, "rtt_ln");
    }
}
