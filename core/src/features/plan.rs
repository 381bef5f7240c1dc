//! Which signals become features, and how: the table behind the first part of the vector.

use serde::Serialize;

use super::Group;
use crate::signal::Signal;

/// What is taken of one signal's last minute. Missing ticks are skipped; where a span holds none, the newest measured
/// value of the minute stands for it, and where the minute holds none, 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Transform {
    /// The newest value.
    Last,
    /// Mean of the last 4 ticks.
    Mean4,
    /// Maximum of the last 10 ticks.
    Max10,
    /// Least-squares slope over the last 5 ticks, per second, as a share of their mean: −2 to 2.
    Slope5,
    /// ln of the mean of the last 4 ticks over the mean of the last 60.
    Ratio60,
}

impl Transform {
    /// What it adds to the signal's name.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Last => "last",
            Self::Mean4 => "mean4",
            Self::Max10 => "max10",
            Self::Slope5 => "slope5",
            Self::Ratio60 => "ratio60",
        }
    }

    /// How its name begins in documentation.
    pub const fn doc(self) -> &'static str {
        match self {
            Self::Last => "Newest value",
            Self::Mean4 => "Mean of the last 4 s",
            Self::Max10 => "Maximum of the last 10 s",
            Self::Slope5 => "Slope over 5 s per second, as a share of the mean",
            Self::Ratio60 => "ln of the mean of the last 4 s over that of the last 60 s",
        }
    }
}

/// The scale of a feature, and so the way back to its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Scale {
    /// ln(x), x at least 1: times in µs.
    Ln,
    /// ln(1 + x): counts and sums.
    Ln1p,
    /// ln of a quotient; in natural units the quotient.
    LnRatio,
    /// x itself; of signals that are ratios, at most 1.
    Identity,
}

impl Scale {
    /// The scale of a signal's values by its unit.
    pub const fn of(signal: Signal) -> Self {
        match signal.unit().as_bytes() {
            [0xC2, 0xB5, b's'] => Self::Ln,
            b"ratio" => Self::Identity,
            _ => Self::Ln1p,
        }
    }

    /// Its name in the schema.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ln => "Ln",
            Self::Ln1p => "Ln1p",
            Self::LnRatio => "LnRatio",
            Self::Identity => "Identity",
        }
    }

    /// A value in natural units on this scale.
    pub fn apply(self, value: f32) -> f32 {
        match self {
            Self::Ln => value.max(1.0).ln(),
            // What `ln_1p` would gain near zero (1e-7) no model sees, and it takes twice as long.
            Self::Ln1p => (1.0 + value.max(0.0)).ln(),
            Self::LnRatio => value.max(f32::MIN_POSITIVE).ln(),
            Self::Identity => value,
        }
    }

    /// The value in natural units again.
    pub fn natural(self, scaled: f32) -> f32 {
        match self {
            Self::Ln | Self::LnRatio => scaled.exp(),
            Self::Ln1p => scaled.exp_m1(),
            Self::Identity => scaled,
        }
    }
}

/// One row of [`PLAN`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    /// What is read.
    pub(super) signal: Signal,
    /// The group of all its features.
    pub(super) group: Group,
    /// What is made of it, in this order.
    pub(super) transforms: &'static [Transform],
}

const fn row(signal: Signal, group: Group, transforms: &'static [Transform]) -> Row {
    Row { signal, group, transforms }
}

use Group::{Connections, Pressure, Queue, Rates, Retransmits, RttHistory, Scheduling};
use Transform::{Last, Max10, Mean4, Ratio60, Slope5};

/// The first part of the vector, in order. The measured maximum RTT itself is in [`super::Derived`].
pub(super) const PLAN: &[Row] = &[
    row(Signal::RttCount, RttHistory, &[Mean4, Ratio60]),
    row(Signal::RttMean, RttHistory, &[Mean4, Slope5, Ratio60]),
    row(Signal::RttP50, RttHistory, &[Mean4, Max10, Ratio60]),
    row(Signal::RttP90, RttHistory, &[Mean4]),
    row(Signal::RttP99, RttHistory, &[Mean4, Max10]),
    row(Signal::RttMin, RttHistory, &[Mean4, Ratio60]),
    row(Signal::RttJitter, RttHistory, &[Mean4, Max10, Ratio60]),
    row(Signal::RttAllCount, RttHistory, &[Mean4]),
    row(Signal::RttAllMean, RttHistory, &[Mean4]),
    row(Signal::RttAllMax, RttHistory, &[Max10]),
    row(Signal::HandshakeMean, RttHistory, &[Mean4, Ratio60]),
    row(Signal::HandshakeMax, RttHistory, &[Max10]),
    row(Signal::RttFloor, RttHistory, &[Mean4, Ratio60]),
    row(Signal::Stall, Retransmits, &[Last, Max10]),
    row(Signal::Retransmits, Retransmits, &[Last, Mean4, Max10, Ratio60]),
    row(Signal::Rtos, Retransmits, &[Mean4, Max10]),
    row(Signal::Lost, Retransmits, &[Mean4, Max10]),
    row(Signal::Cwnd, Queue, &[Mean4, Slope5, Ratio60]),
    row(Signal::InFlight, Queue, &[Mean4, Max10, Slope5, Ratio60]),
    row(Signal::StandingQueue, Queue, &[Last, Mean4, Max10, Slope5, Ratio60]),
    row(Signal::QdiscBacklog, Queue, &[Last, Mean4, Max10, Slope5, Ratio60]),
    row(Signal::QdiscDrops, Queue, &[Mean4, Max10]),
    row(Signal::DeliveryRate, Rates, &[Mean4, Max10, Slope5, Ratio60]),
    row(Signal::RxBytes, Rates, &[Last, Mean4, Max10, Slope5, Ratio60]),
    row(Signal::TxBytes, Rates, &[Last, Mean4, Max10, Slope5, Ratio60]),
    row(Signal::RxPackets, Rates, &[Mean4, Ratio60]),
    row(Signal::TxPackets, Rates, &[Mean4, Ratio60]),
    row(Signal::HandshakeCount, Connections, &[Mean4]),
    row(Signal::Opens, Connections, &[Last, Mean4, Max10, Slope5, Ratio60]),
    row(Signal::Closes, Connections, &[Mean4, Max10, Ratio60]),
    row(Signal::FailedConnects, Connections, &[Mean4, Max10]),
    row(Signal::Established, Connections, &[Last, Slope5, Ratio60]),
    row(Signal::RunQueueCount, Scheduling, &[Mean4, Ratio60]),
    row(Signal::RunQueueMean, Scheduling, &[Mean4, Max10, Ratio60]),
    row(Signal::RunQueueP99, Scheduling, &[Last, Mean4, Max10, Slope5, Ratio60]),
    row(Signal::PressureCpu, Pressure, &[Mean4, Max10, Slope5, Ratio60]),
    row(Signal::PressureMemory, Pressure, &[Mean4, Max10, Ratio60]),
    row(Signal::PressureIo, Pressure, &[Mean4, Max10, Ratio60]),
    row(Signal::SoftnetDropped, Pressure, &[Mean4, Max10]),
    row(Signal::SoftnetSqueezed, Pressure, &[Mean4, Max10]),
];

/// Features that [`PLAN`] makes.
pub(super) const PLANNED: usize = {
    let (mut count, mut i) = (0, 0);
    while i < PLAN.len() {
        count += PLAN[i].transforms.len();
        i += 1;
    }
    count
};
