//! What a page shows beyond the lines of the result: sums over all recordings, other confidences, best and worst. Only kept
//! when a page is asked for.

use netprecursor_core::{policy::Rule, tick::Tick, watch::Step};

use super::{
    chances::Chances,
    moments::{Counts, Gallery, Owner, Recent},
    pinball::Tally,
    sweep::{Sweep, Swept},
};

/// Of one rule.
#[derive(Debug, Clone)]
pub(super) struct Drawn {
    pub(super) tally: Tally,
    pub(super) chances: Chances,
    pub(super) sweep: Sweep,
    pub(super) gallery: Gallery,
}

/// Of one target under one rule.
#[derive(Debug, Clone)]
pub(super) struct Followed {
    swept: Swept,
    recent: Recent,
}

impl Drawn {
    pub(super) fn of(rule: &Rule) -> Self {
        Self {
            tally: Tally::default(),
            chances: Chances::default(),
            sweep: Sweep::of(rule),
            gallery: Gallery::default(),
        }
    }

    /// A target that begins.
    pub(super) fn follow(&self) -> Followed {
        Followed { swept: self.sweep.target(), recent: Recent::default() }
    }

    /// Takes in what the fold made of a tick, with the scorecard's counts before and after it.
    pub(super) fn step(
        &mut self,
        (now, unix_ms): (Tick, u64),
        step: &Step,
        counts: [Counts; 2],
        owner: &Owner<'_>,
        followed: &mut Followed,
    ) {
        self.sweep.step(now, step, owner.rule, &mut followed.swept);
        followed.recent.observe((now, unix_ms), step, counts, owner, &mut self.gallery);
    }

    /// Takes in that a target's recording ends.
    pub(super) fn finish(&mut self, followed: Followed, owner: &Owner<'_>) {
        followed.recent.finish(owner, &mut self.gallery);
    }

    /// Takes in the sums of a recording.
    pub(super) fn add(&mut self, tally: &Tally, chances: &Chances) {
        self.tally.merge(tally);
        self.chances.merge(chances);
    }
}
