//! What the rules of a target mean by RTT: where that is counted, and what of it is in sight.

use std::sync::Arc;

use netprecursor_agent_common::view::MAX_VIEWS;
use netprecursor_core::{
    policy::{Measure, Peers, View},
    signal::Signals,
    tick::Tick,
};

use super::{Pipeline, RuleId};
use crate::{
    desired::ClusterNetworks,
    sensors::{suite::Suite, views::Tap},
    targets::registry::MAX_SPARE,
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
        let others;
        (*signals, others) = suite.read_tap(*tap, epoch, &plain);
        source.second(now, signals, &others);
    }
    // Last: the others are read beside what was counted, not beside what was inferred from it.
    target.source.second(now, &mut plain, &seen.others);
    for viewed in &mut target.views {
        let counted = target.counted.iter().find(|counted| counted.is_of(&viewed.view));
        let counted = counted.map(|counted| (&counted.signals, &counted.source));
        let (signals, source) = counted.unwrap_or((&plain, &target.source));
        viewed.from = source.from();
        viewed.is_troubled = false;
        viewed.take_in(now, signals);
    }
}

impl Pipeline {
    /// Classes peers by these networks of the cluster from now on. Rules that could not be counted without them are taken up
    /// when their targets' views are aligned next.
    pub(super) fn know_networks(&mut self, networks: &Arc<ClusterNetworks>) {
        if self.networks != *networks {
            self.networks = Arc::clone(networks);
            self.suite.know_networks(Arc::clone(networks));
        }
    }

    /// Gives a target the views that its rules need, and each rule its own; none where what it means is not counted. What is in
    /// sight of a view stays as long as a rule needs it. There are as many views as statistics of what is counted, at most.
    pub(super) fn align_views(&mut self, position: usize, now: Tick) {
        let view_of = |id: RuleId| self.policies[id.policy].rules[id.rule].rule.view.clone();
        let wanted: Vec<View> = self.targets[position].watches.iter().map(|watched| view_of(watched.rule)).collect();
        self.align_counted(position, &wanted, now);
        let Target { views, counted, watches, .. } = &mut self.targets[position];
        let is_counted = |view: &View| view.is_plain() || counted.iter().any(|counted| counted.is_of(view));
        views.retain(|viewed| {
            viewed.view == View::default() || wanted.contains(&viewed.view) && is_counted(&viewed.view)
        });
        for (watched, view) in watches.iter_mut().zip(wanted) {
            let known = views.iter().position(|viewed| viewed.view == view);
            watched.view = known.or_else(|| {
                is_counted(&view).then(|| {
                    views.push(Viewed::new(view));
                    views.len() - 1
                })
            });
        }
    }

    /// Has the kernel count what the `wanted` views of a target need beside the RTT of all connections.
    fn align_counted(&mut self, position: usize, wanted: &[View], now: Tick) {
        let mut needed: Vec<(Measure, &Peers)> = Vec::new();
        for view in wanted.iter().filter(|view| !view.is_plain()) {
            if !needed.contains(&(view.measure, &view.peers)) {
                needed.push((view.measure, &view.peers));
            }
        }
        let counted = &self.targets[position].counted;
        let is_needed = |counted: &Counted| needed.iter().any(|(measure, peers)| counted.is(*measure, peers));
        if counted.len() == needed.len() && counted.iter().all(is_needed) {
            return;
        }
        let counted = std::mem::take(&mut self.targets[position].counted);
        let (mut kept, dropped): (Vec<Counted>, Vec<Counted>) = counted.into_iter().partition(is_needed);
        let mut missing = None;
        for (measure, peers) in needed {
            if kept.iter().any(|counted| counted.is(measure, peers)) {
                continue;
            }
            match self.tap(kept.len(), measure, peers, now) {
                Ok(tap) => kept.push(Counted::new(measure, peers.clone(), tap)),
                Err(reason) => missing = missing.or(Some(format!("{measure:?} with {peers}: {reason}"))),
            }
        }
        let target = &mut self.targets[position];
        let taps: Vec<Tap> = kept.iter().map(|counted| counted.tap).collect();
        target.counted = kept;
        if self.suite.set_taps(target.place, &taps, missing.as_deref()) {
            self.counters.views_uncounted += 1;
            let target = &target.about.name;
            tracing::warn!(target, reason = missing, "a rule has no RTT: what it means is not counted");
        }
        self.free(&dropped, now);
    }

    /// Where the kernel can count it, for a target that has `others` already; or why it cannot.
    fn tap(&mut self, others: usize, measure: Measure, peers: &Peers, now: Tick) -> Result<Tap, String> {
        if others >= MAX_VIEWS as usize {
            Err(format!("got more than {MAX_VIEWS} different measures and peers for one target, expected fewer"))
        } else if let Some(slot) = self.slots.take_spare(now.0) {
            self.suite.tap(slot, measure, peers).inspect_err(|_| self.slots.give_spare_back(slot, now.0, false))
        } else {
            Err(format!("each of the {MAX_SPARE} slots for further views is taken"))
        }
    }

    /// Frees the further slots of a target that is gone.
    pub(super) fn drop_views(&mut self, target: &Target, now: Tick) {
        self.suite.set_taps(target.place, &[], None);
        self.free(&target.counted, now);
    }

    fn free(&mut self, counted: &[Counted], now: Tick) {
        for Counted { tap, peers, .. } in counted {
            self.suite.untap(peers);
            self.slots.give_spare_back(tap.slot, now.0, true);
        }
    }
}
