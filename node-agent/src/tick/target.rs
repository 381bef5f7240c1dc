//! A watched target: where it is counted, what it looked like, and where each rule stands with it.

use netprecursor_core::{
    features::{Baseline, COUNT},
    gate::Start,
    policy::Labels,
    signal::Signals,
    tick::Tick,
    watch::Watch,
    window::Window,
};

use super::history::History;
use crate::sensors::{sockets::Coverage, suite::Place};

/// Position of a rule: its policy's, and its own in the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleId {
    /// Position of the policy.
    pub policy: usize,
    /// Position of the rule in it.
    pub rule: usize,
}

/// One target.
#[derive(Debug)]
pub struct Target {
    /// Its namespace's name.
    pub name: String,
    /// Never reused, unlike the name: the namespace's cookie is in it.
    pub uid: String,
    /// Inode of the namespace: another one under the same name is another target.
    pub inode: u64,
    /// What policies select by.
    pub labels: Labels,
    /// Where the kernel counts it.
    pub place: Place,
    /// Its last minute and hour.
    pub window: Window,
    /// How its features looked before.
    pub baseline: Baseline,
    /// Its features of this tick.
    pub features: Box<[f32; COUNT]>,
    /// Its signals of this tick.
    pub signals: Signals,
    /// Its sockets, as last surveyed.
    pub coverage: Option<Coverage>,
    /// What the dashboard draws.
    pub history: History,
    /// Where each rule that selects it stands.
    pub watches: Vec<(RuleId, Watch)>,
    /// Since when it is watched.
    pub since: Tick,
}

impl Target {
    /// A target that comes under watch at `now`.
    pub fn new(
        name: String,
        inode: u64,
        labels: Labels,
        place: Place,
        rules: &[RuleId],
        start: Start,
        now: Tick,
    ) -> Self {
        Self {
            uid: format!("netns:{name}:{}", place.cookie),
            name,
            inode,
            labels,
            place,
            window: Window::new(),
            baseline: Baseline::new(),
            features: Box::new([0.0; COUNT]),
            signals: Signals::ABSENT,
            coverage: None,
            history: History::default(),
            watches: rules.iter().map(|rule| (*rule, Watch::new(start, now))).collect(),
            since: now,
        }
    }

    /// Whether an alert of any rule is out.
    pub fn is_firing(&self) -> bool {
        self.watches.iter().any(|(_, watch)| watch.state().firing().is_some())
    }
}
