//! The feature vector: ordered numbers from a target's [`Window`], the same for training and for the agent.
//!
//! Every feature is finite for any input. It depends on the last minute, the last hour and the tick modulo ten (where
//! bins begin), on nothing else: not on how long the target has been seen. A value that cannot be computed is neutral
//! as its documentation says; `rtt_silence_s` and `rtt_missing_share10` show that RTT was not measured.

mod baseline;
mod cycles;
mod derived;
mod flow;
mod plan;
mod rtt;
mod summary;

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

pub use self::{
    baseline::Baseline,
    derived::Derived,
    plan::{Scale, Transform},
};
use self::{
    derived::Slots,
    plan::{PLAN, PLANNED},
    summary::Summary,
};
use crate::{signal::Signal, window::Window};

/// Length of the feature vector.
pub const COUNT: usize = PLANNED + Derived::ALL.len();

/// The feature to which residual models add their output.
pub const RESIDUAL_BASELINE: usize = PLANNED + Derived::MeasuredMax10 as usize;

/// A part of the picture: what causes are reported by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Group {
    /// RTT itself: level, spread, trend, onset.
    RttHistory,
    /// What comes back at equal intervals.
    Recurrence,
    /// Bytes that wait: in flight, standing, backlog.
    Queue,
    /// Bytes and packets that move.
    Rates,
    /// Segments sent again, timers that fired, stalls.
    Retransmits,
    /// Connections opened, closed, failed, held.
    Connections,
    /// Waiting for a CPU.
    Scheduling,
    /// CPU, memory, I/O and softirq pressure of the node.
    Pressure,
}

impl Group {
    /// Every group.
    pub const ALL: [Self; 8] = [
        Self::RttHistory,
        Self::Recurrence,
        Self::Queue,
        Self::Rates,
        Self::Retransmits,
        Self::Connections,
        Self::Scheduling,
        Self::Pressure,
    ];

    /// Name as in schema and API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RttHistory => "RttHistory",
            Self::Recurrence => "Recurrence",
            Self::Queue => "Queue",
            Self::Rates => "Rates",
            Self::Retransmits => "Retransmits",
            Self::Connections => "Connections",
            Self::Scheduling => "Scheduling",
            Self::Pressure => "Pressure",
        }
    }
}

/// What one position of the vector means.
#[derive(Debug, Clone, PartialEq)]
pub struct Feature {
    /// Unique name.
    pub name: String,
    /// The part of the picture it belongs to.
    pub group: Group,
    /// Unit of its natural value ([`Scale::natural`]).
    pub unit: &'static str,
    /// Scale of the value in the vector.
    pub scale: Scale,
    /// What it is, for schema and documentation.
    pub doc: String,
    /// The signal and what is taken of it; `None` for a formula of its own.
    pub source: Option<(Signal, Transform)>,
}

static FEATURES: LazyLock<Vec<Feature>> = LazyLock::new(|| {
    let planned = PLAN.iter().flat_map(|row| {
        row.transforms.iter().map(|transform| {
            let (scale, unit) = match transform {
                Transform::Slope5 => (Scale::Identity, "1/s"),
                Transform::Ratio60 => (Scale::LnRatio, "×"),
                Transform::Last | Transform::Mean4 | Transform::Max10 => (Scale::of(row.signal), row.signal.unit()),
            };
            Feature {
                name: format!("{}_{}", row.signal.name(), transform.suffix()),
                group: row.group,
                unit,
                scale,
                doc: format!("{}: {}", transform.doc(), row.signal.doc().trim()),
                source: Some((row.signal, *transform)),
            }
        })
    });
    let derived = Derived::ALL.iter().map(|derived| Feature {
        name: derived.name().to_owned(),
        group: derived.group(),
        unit: derived.unit(),
        scale: derived.scale(),
        doc: derived.doc().trim().to_owned(),
        source: None,
    });
    planned.chain(derived).collect()
});

/// Every feature, in the order of the vector: [`COUNT`] of them.
pub fn all() -> &'static [Feature] {
    &FEATURES
}

/// Name of the feature at `index`; "" beyond [`COUNT`].
pub fn name(index: usize) -> &'static str {
    FEATURES.get(index).map_or("", |feature| &feature.name)
}

/// Group of the feature at `index`; `None` beyond [`COUNT`].
pub fn group(index: usize) -> Option<Group> {
    FEATURES.get(index).map(|feature| feature.group)
}

/// Position of a feature.
pub fn index(name: &str) -> Option<usize> {
    FEATURES.iter().position(|feature| feature.name == name)
}

/// Position of a feature with a formula of its own.
pub const fn position(derived: Derived) -> usize {
    PLANNED + derived as usize
}

/// Computes the vector. No allocation; every value is finite.
pub fn extract(window: &Window, out: &mut [f32; COUNT]) {
    let summary = Summary::of(window);
    let (planned, derived) = out.split_at_mut(PLANNED);
    let sources = PLAN.iter().flat_map(|row| row.transforms.iter().map(|transform| (row.signal, *transform)));
    for (slot, (signal, transform)) in planned.iter_mut().zip(sources) {
        *slot = summary.value(signal, transform);
    }
    derived.fill(0.0);
    let mut slots = Slots(derived);
    let max10 = rtt::extract(window, &mut slots);
    flow::extract(window, &summary, &mut slots);
    cycles::extract(window, &summary, max10, &mut slots);
}

/// `features` with those of one group as they were at `baseline`: how much of a forecast the group explains.
pub fn ablate(features: &[f32; COUNT], baseline: &[f32; COUNT], group: Group, out: &mut [f32; COUNT]) {
    for (i, feature) in FEATURES.iter().enumerate() {
        out[i] = if feature.group == group { baseline[i] } else { features[i] };
    }
}

#[cfg(test)]
fn derived_of(window: &Window) -> impl Fn(Derived) -> f32 + use<> {
    let mut out = [f32::NAN; COUNT];
    extract(window, &mut out);
    move |derived| out[PLANNED + derived as usize]
}

#[cfg(test)]
mod tests;
