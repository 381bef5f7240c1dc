//! What the HTML page shows beyond the result lines: sums over all recordings, other confidences, and the best and worst
//! moments. Kept only when a page is requested.

use netprecursor_core::{policy::Rule, tick::Tick, watch::Step};

use super::{
    chances::Chances,
    moments::{Counts, Gallery, Recent, Subject},
    pinball::Tally,
    sweep::{Sweep, TargetSweep},
};

/// One rule, over all recordings.
#[derive(Debug, Clone)]
pub(super) struct PageData {
    pub(super) tally: Tally,
    pub(super) chances: Chances,
    pub(super) sweep: Sweep,
    pub(super) gallery: Gallery,
}

/// One target under one rule.
#[derive(Debug, Clone)]
pub(super) struct TargetPageData {
    sweep: TargetSweep,
    recent: Recent,
}

impl PageData {
    pub(super) fn new(rule: &Rule) -> Self {
        Self {
            tally: Tally::default(),
            chances: Chances::default(),
            sweep: Sweep::of(rule),
            gallery: Gallery::default(),
        }
    }

    /// The data of a new target.
    pub(super) fn target(&self) -> TargetPageData {
        TargetPageData { sweep: self.sweep.target(), recent: Recent::default() }
    }

    /// Takes in a step of the fold, with the scorecard's counts before and after it.
    pub(super) fn step(
        &mut self,
        (now, unix_ms): (Tick, u64),
        step: &Step,
        counts: [Counts; 2],
        subject: &Subject<'_>,
        target: &mut TargetPageData,
    ) {
        self.sweep.step(now, step, subject.rule, &mut target.sweep);
        target.recent.observe((now, unix_ms), step, counts, subject, &mut self.gallery);
    }

    /// Closes a target whose recording has ended.
    pub(super) fn finish(&mut self, target: TargetPageData, subject: &Subject<'_>) {
        target.recent.finish(subject, &mut self.gallery);
    }

    /// Adds the sums of one recording.
    pub(super) fn add(&mut self, tally: &Tally, chances: &Chances) {
        self.tally.merge(tally);
        self.chances.merge(chances);
    }
}
