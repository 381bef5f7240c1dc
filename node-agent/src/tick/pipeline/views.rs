//! What the rules of a target mean by RTT: where that is counted, and what of it is in sight.

use netprecursor_agent_common::{MAX_SLOTS, view::MAX_VIEWS};
use netprecursor_core::{
    policy::{Measure, Peers, View},
    signal::Signals,
    source::Source,
    tick::Tick,
};

use super::Pipeline;
use crate::{
    sensors::{suite::Suite, views::Tap},
    tick::{
        target::Target,
        viewed::{Counted, Viewed},
    },
};

/// Reads what the kernel counted of a target in the tick that ended with `epoch`, and takes it into each of its views.
pub(super) fn measure(suite: &mut Suite, target: &mut Target, now: Tick, epoch: u32) {
    let mut plain = Signals::ABSENT;
    let seen = suite.read(target.place, epoch, &mut plain);
    target.coverage = seen.coverage;
    for Counted { tap, source, signals, .. } in &mut target.counted {
        let Some(tap) = tap else { continue };
        let low_us;
        (*signals, low_us) = suite.read_tap(*tap, epoch, &plain);
        source.second(now, signals, low_us);
    }
    // Last: the others are read beside what was counted, not beside what was inferred from it.
    target.source.second(now, &mut plain, seen.low_us);
    for viewed in &mut target.views {
        let is_it = |counted: &&Counted| counted.is(viewed.view.measure, &viewed.view.peers);
        let signals = target.counted.iter().find(is_it).map_or(&plain, |counted| &counted.signals);
        viewed.is_troubled = false;
        viewed.take_in(now, signals);
    }
}

impl Pipeline {
    /// Gives a target the views that its rules need, and each rule its own. What is in sight of a view stays as long as a
    /// rule needs it.
    pub(super) fn align_views(&mut self, position: usize, now: Tick) {
        let target = &self.targets[position];
        let view_of = |id: super::RuleId| self.policies[id.policy].rules[id.rule].rule.view.clone();
        let wanted: Vec<View> = target.watches.iter().map(|watched| view_of(watched.rule)).collect();
        let target = &mut self.targets[position];
        target.views.retain(|viewed| viewed.view == View::default() || wanted.contains(&viewed.view));
        for (watched, view) in target.watches.iter_mut().zip(&wanted) {
            let known = target.views.iter().position(|viewed| viewed.view == *view);
            watched.view = known.unwrap_or_else(|| {
                target.views.push(Viewed::new(view.clone()));
                target.views.len() - 1
            });
        }
        self.align_counted(position, now);
    }

    /// Has the kernel count what the views of a target need beside the RTT of all connections.
    fn align_counted(&mut self, position: usize, now: Tick) {
        let target = &self.targets[position];
        let mut needed: Vec<(Measure, Peers)> = Vec::new();
        for viewed in target.views.iter().filter(|viewed| !viewed.view.is_plain()) {
            let key = (viewed.view.measure, viewed.view.peers.clone());
            if !needed.contains(&key) {
                needed.push(key);
            }
        }
        // What could not be counted is tried again.
        let is_needed = |counted: &Counted| {
            counted.tap.is_some() && needed.iter().any(|(measure, peers)| counted.is(*measure, peers))
        };
        if target.counted.len() == needed.len() && target.counted.iter().all(is_needed) {
            return;
        }
        let (mut kept, dropped): (Vec<Counted>, Vec<Counted>) =
            std::mem::take(&mut self.targets[position].counted).into_iter().partition(is_needed);
        let mut missing = None;
        for (measure, peers) in needed {
            if !kept.iter().any(|counted| counted.is(measure, &peers)) {
                let others = kept.iter().filter(|counted| counted.tap.is_some()).count();
                let tapped = self.tap(others, measure, &peers, now).inspect_err(|reason| {
                    self.counters.views_uncounted += 1;
                    let target = &self.targets[position].about.name;
                    tracing::warn!(target, ?measure, %peers, reason, "a rule has no RTT: what it means is not counted");
                });
                let (tap, reason) = tapped.map_or_else(|reason| (None, Some(reason)), |tap| (Some(tap), None));
                missing = missing.or(reason);
                kept.push(Counted { measure, peers, tap, source: Source::default(), signals: Signals::ABSENT });
            }
        }
        let taps: Vec<Tap> = kept.iter().filter_map(|counted| counted.tap).collect();
        let target = &mut self.targets[position];
        target.counted = kept;
        self.suite.set_taps(target.place, &taps, missing);
        self.free(&dropped, now);
    }

    /// Where the kernel can count it, for a target that has `others` already; or why it cannot.
    fn tap(&mut self, others: usize, measure: Measure, peers: &Peers, now: Tick) -> Result<Tap, String> {
        if others >= MAX_VIEWS as usize {
            Err(format!("got more than {MAX_VIEWS} different measures and peers for one target, expected fewer"))
        } else if let Some(slot) = self.slots.take(now.0) {
            self.suite.tap(slot, measure, peers).inspect_err(|_| self.slots.give_back(slot, now.0))
        } else {
            Err(format!("each of the {MAX_SLOTS} slots is taken"))
        }
    }

    /// Has the kernel count a target that is gone nowhere else.
    pub(super) fn drop_views(&mut self, target: &Target, now: Tick) {
        self.suite.set_taps(target.place, &[], None);
        self.free(&target.counted, now);
    }

    fn free(&mut self, counted: &[Counted], now: Tick) {
        for counted in counted {
            if let Some(tap) = counted.tap {
                self.suite.untap(&counted.peers);
                self.slots.give_back(tap.slot, now.0);
            }
        }
    }
}
