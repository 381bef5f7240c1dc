//! The best and worst moments of a rule, each with the seconds around it. Memory is bounded: the last few minutes of each
//! target, and no more moments than a page shows.

use std::collections::VecDeque;

use netprecursor_core::{
    decide::Action,
    policy::{MAX_HOLD_TICKS, Rule},
    score::{IncidentEvent, Scorecard, Verdict},
    tick::{HORIZON, Tick},
    watch::Step,
};

/// Seconds shown on either side of a moment.
pub(super) const REACH: u64 = 60;

/// How many of the best moments a page shows, and of the worst.
pub(super) const SHOWN: usize = 5;

/// Seconds kept of a target: a warning is judged this long after it fired at the latest, and the seconds before it are
/// shown too.
const KEPT: usize = (2 * REACH + HORIZON) as usize + MAX_HOLD_TICKS as usize + 1;

/// One second of one target under one rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Second {
    pub(super) tick: Tick,
    pub(super) measured_us: Option<f32>,
    /// Of the ten seconds that follow, by quantile.
    pub(super) forecast_us: Option<[f32; 3]>,
    pub(super) chance: Option<f32>,
    pub(super) needed: f32,
}

/// What happened at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// An incident that a warning preceded.
    Warned {
        /// Seconds.
        lead: u64,
    },
    /// An incident without a warning.
    Missed,
    /// A warning without an incident.
    FalseAlarm,
}

/// An incident or a false alarm worth showing.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Moment {
    pub(super) kind: Kind,
    pub(super) recording: String,
    pub(super) target: String,
    /// The breach, or the warning of a false alarm.
    pub(super) at: Tick,
    /// Wall clock at `at`, 0 where the recording has none.
    pub(super) unix_ms: u64,
    /// The warning, if there was one.
    pub(super) warning: Option<Warning>,
    pub(super) threshold_us: u64,
    /// The highest RTT shown from `at` on.
    pub(super) worst_us: Option<f32>,
    pub(super) seconds: Vec<Second>,
}

/// A warning with its chance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Warning {
    pub(super) at: Tick,
    pub(super) chance: Option<f32>,
    unix_ms: u64,
}

/// The counts of a scorecard whose changes show what a tick brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) late: u64,
    pub(super) missed: u64,
    pub(super) gated: u64,
    pub(super) unconfirmed: u64,
    pub(super) unjudged: u64,
}

/// The last minutes of one target under one rule.
#[derive(Debug, Clone, Default)]
pub(super) struct Recent {
    seconds: VecDeque<Second>,
    /// Warnings without a verdict, in the order of the fold's judge.
    open: VecDeque<Warning>,
    /// Moments whose later seconds are still to come.
    waiting: VecDeque<(Kind, Tick, u64, Option<Warning>)>,
}

/// The best and worst moments of a rule, by rank.
#[derive(Debug, Clone, Default)]
pub(super) struct Gallery {
    warned: Vec<Moment>,
    missed: Vec<Moment>,
    false_alarms: Vec<Moment>,
}

/// Where seconds come from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) recording: &'a str,
    pub(super) target: &'a str,
    pub(super) rule: &'a Rule,
}

impl Counts {
    pub(super) const fn of(card: &Scorecard) -> Self {
        let Scorecard { late, missed, gated, unconfirmed, unjudged, .. } = *card;
        Self { late, missed, gated, unconfirmed, unjudged }
    }
}

impl Recent {
    /// Takes in a step of the fold, with the scorecard's counts before and after it.
    pub(super) fn observe(
        &mut self,
        now: (Tick, u64),
        step: &Step,
        [before, after]: [Counts; 2],
        subject: &Subject<'_>,
        gallery: &mut Gallery,
    ) {
        let (now, unix_ms) = now;
        if self.seconds.len() == KEPT {
            self.seconds.pop_front();
        }
        self.seconds.push_back(Second {
            tick: now,
            measured_us: step.measured_us,
            forecast_us: step.forecast.map(|forecast| forecast.quantiles_us()),
            chance: step.chance,
            needed: step.needed,
        });
        match (step.incident, step.verdict) {
            (Some(IncidentEvent::Started), Some(Verdict::Confirmed { lead })) => {
                let first = self.open.front().copied();
                self.open.clear();
                self.waiting.push_back((Kind::Warned { lead }, now, unix_ms, first));
            }
            (Some(IncidentEvent::Started), _) if after.missed > before.missed => {
                self.waiting.push_back((Kind::Missed, now, unix_ms, None));
            }
            _ => {}
        }
        let (unconfirmed, unjudged) = (after.unconfirmed - before.unconfirmed, after.unjudged - before.unjudged);
        for _ in 0..unconfirmed + unjudged {
            let Some(warning) = self.open.pop_front() else { break };
            // If only some could be judged, the counts do not show which.
            if unjudged == 0 {
                self.waiting.push_back((Kind::FalseAlarm, warning.at, warning.unix_ms, Some(warning)));
            }
        }
        if matches!(step.action, Some(Action::Fire { .. })) && after.late == before.late {
            self.open.push_back(Warning { at: now, chance: step.chance, unix_ms });
        }
        // A false alarm is known only after its deadline, so it may be older than an incident that waits before it.
        while let Some(due) = self.waiting.iter().position(|(_, at, ..)| now.since(*at) >= REACH) {
            self.close(due, subject, gallery);
        }
    }

    /// Closes all moments: the recording has ended.
    pub(super) fn finish(mut self, subject: &Subject<'_>, gallery: &mut Gallery) {
        while !self.waiting.is_empty() {
            self.close(0, subject, gallery);
        }
    }

    fn close(&mut self, position: usize, subject: &Subject<'_>, gallery: &mut Gallery) {
        let Some((kind, at, unix_ms, warning)) = self.waiting.remove(position) else { return };
        let shown = |second: &&Second| second.tick.since(at) <= REACH && at.since(second.tick) <= REACH;
        let worst_us = self.seconds.iter().filter(shown).filter(|second| second.tick >= at);
        let worst_us = worst_us.filter_map(|second| second.measured_us).reduce(f32::max);
        gallery.offer(
            Moment {
                kind,
                recording: subject.recording.to_owned(),
                target: subject.target.to_owned(),
                at,
                unix_ms,
                warning,
                threshold_us: subject.rule.thresholds.breach_us(),
                worst_us,
                seconds: Vec::new(),
            },
            || self.seconds.iter().filter(shown).copied().collect(),
        );
    }
}

impl Moment {
    /// Higher ranks are shown first: warned incidents by lead, then by chance; missed ones by how far RTT rose over the
    /// threshold; false alarms by chance.
    fn rank(&self) -> (u64, f32) {
        let chance = self.warning.and_then(|warning| warning.chance).unwrap_or_default();
        match self.kind {
            Kind::Warned { lead } => (lead, chance),
            Kind::Missed => (0, self.worst_us.unwrap_or_default() / self.threshold_us as f32),
            Kind::FalseAlarm => (0, chance),
        }
    }

    /// Whether both show some of the same seconds.
    fn overlaps(&self, other: &Self) -> bool {
        (&self.recording, &self.target) == (&other.recording, &other.target)
            && self.at.since(other.at) <= REACH
            && other.at.since(self.at) <= REACH
    }
}

impl Gallery {
    /// Incidents with a warning, longest lead first.
    pub(super) fn best(&self) -> &[Moment] {
        &self.warned
    }

    /// Incidents without a warning and warnings without an incident, alternating, worst first.
    pub(super) fn worst(&self) -> Vec<&Moment> {
        let (mut missed, mut false_alarms) = (self.missed.iter(), self.false_alarms.iter());
        let turns = (0..SHOWN).flat_map(|_| [missed.next(), false_alarms.next()]);
        turns.flatten().take(SHOWN).collect()
    }

    fn offer(&mut self, mut moment: Moment, seconds: impl FnOnce() -> Vec<Second>) {
        let kept = match moment.kind {
            Kind::Warned { .. } => &mut self.warned,
            Kind::Missed => &mut self.missed,
            Kind::FalseAlarm => &mut self.false_alarms,
        };
        let rank = moment.rank();
        if let Some(same) = kept.iter().position(|known| known.overlaps(&moment)) {
            if kept[same].rank() >= rank {
                return;
            }
            kept.remove(same);
        }
        let place = kept.partition_point(|known| known.rank() >= rank);
        if place < SHOWN {
            moment.seconds = seconds();
            kept.insert(place, moment);
            kept.truncate(SHOWN);
        }
    }
}
