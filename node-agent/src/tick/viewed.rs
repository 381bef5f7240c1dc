//! A target as rules see it: its RTT, or what else they mean by that, with all that forecasts are made of.

use netprecursor_core::{
    features::{self, Baseline, COUNT},
    policy::{Measure, Peers, View},
    signal::Signals,
    source::{RttFrom, Source},
    tick::Tick,
    window::Window,
};

use crate::sensors::views::Tap;

/// A further slot in which the kernel counts a target, for one measure and set of peers. Views that differ in their statistic
/// alone share one.
#[derive(Debug)]
pub struct Counted {
    /// What is measured.
    pub measure: Measure,
    /// Of whose connections.
    pub peers: Peers,
    /// Where.
    pub tap: Tap,
    /// Where its RTT comes from.
    pub source: Source,
    /// What it counted in this tick.
    pub signals: Signals,
}

impl Counted {
    /// Nothing counted yet.
    pub fn new(measure: Measure, peers: Peers, tap: Tap) -> Self {
        Self { measure, peers, tap, source: Source::of(measure), signals: Signals::ABSENT }
    }

    /// Whether it is counted for this view.
    pub fn is_of(&self, view: &View) -> bool {
        self.is(view.measure, &view.peers)
    }

    /// Whether this is what it counts.
    pub fn is(&self, measure: Measure, peers: &Peers) -> bool {
        self.measure == measure && self.peers == *peers
    }
}

/// A target in one view.
#[derive(Debug)]
pub struct Viewed {
    /// The view.
    pub view: View,
    /// Its last minute and hour.
    pub window: Window,
    /// How its features looked before.
    pub baseline: Baseline,
    /// Its features of this tick.
    pub features: Box<[f32; COUNT]>,
    /// Its signals of this tick.
    pub signals: Signals,
    /// Where their RTT comes from.
    pub from: RttFrom,
    /// Its row among all that is forecast in this tick.
    pub row: usize,
    /// Whether some rule saw it in breach, or likely to be, in this tick.
    pub is_troubled: bool,
}

impl Viewed {
    /// A view that begins with nothing in sight.
    pub fn new(view: View) -> Self {
        Self {
            view,
            window: Window::new(),
            baseline: Baseline::new(),
            features: Box::new([0.0; COUNT]),
            signals: Signals::ABSENT,
            from: RttFrom::default(),
            row: 0,
            is_troubled: false,
        }
    }

    /// Takes in what was counted in the tick `now`. `false`: the clock ran backwards, and the tick is left out.
    pub fn take_in(&mut self, now: Tick, counted: &Signals) -> bool {
        self.signals = self.view.statistic.of(counted);
        if let Err(error) = self.window.push(now, &self.signals) {
            tracing::error!(%error, "a tick was not taken");
            return false;
        }
        features::extract(&self.window, &mut self.features);
        true
    }
}
