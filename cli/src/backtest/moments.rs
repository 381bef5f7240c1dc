//! The best and the worst of a rule, each with the seconds around it. What is kept is bounded: the last few minutes of each
//! target, and no more moments than a page shows.

use std::collections::VecDeque;

use netprecursor_core::{
    decide::Action,
    policy::{MAX_HOLD_TICKS, Rule},
    score::{IncidentEvent, Scorecard, Verdict},
    tick::{HORIZON, Tick},
    watch::Step,
};

/// Seconds that are shown on either side of a moment.
pub(super) const REACH: u64 = 60;

/// How many are shown of the best, and of the worst.
pub(super) const SHOWN: usize = 5;

/// A warning is judged this long after it fired at the latest, and the seconds before it are wanted then.
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

/// What happened.
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

/// Something worth to be drawn.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Moment {
    pub(super) kind: Kind,
    pub(super) recording: String,
    pub(super) target: String,
    /// The breach, or the warning of a false alarm.
    pub(super) at: Tick,
    /// Of the same, where the recording has the time.
    pub(super) unix_ms: u64,
    /// The warning, with the chance that was said with it.
    pub(super) warning: Option<Warning>,
    pub(super) threshold_us: u64,
    /// The highest RTT from then on that is shown.
    pub(super) worst_us: Option<f32>,
    pub(super) seconds: Vec<Second>,
}

/// A warning that was given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Warning {
    pub(super) at: Tick,
    pub(super) chance: Option<f32>,
    unix_ms: u64,
}

/// The counts of a scorecard from whose changes follows what a tick brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    late: u64,
    missed: u64,
    unconfirmed: u64,
    unjudged: u64,
}

/// The last minutes of one target under one rule.
#[derive(Debug, Clone, Default)]
pub(super) struct Recent {
    seconds: VecDeque<Second>,
    /// Warnings without a verdict, as the judge of the fold has them.
    open: VecDeque<Warning>,
    /// What happened, until the seconds after it are there.
    waiting: VecDeque<(Kind, Tick, u64, Option<Warning>)>,
}

/// The best and worst of a rule, best first and worst first.
#[derive(Debug, Clone, Default)]
pub(super) struct Gallery {
    warned: Vec<Moment>,
    missed: Vec<Moment>,
    false_alarms: Vec<Moment>,
}

/// Whose seconds they are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner<'a> {
    pub(super) recording: &'a str,
    pub(super) target: &'a str,
    pub(super) rule: &'a Rule,
}

impl Counts {
    pub(super) const fn of(card: &Scorecard) -> Self {
        let Scorecard { late, missed, unconfirmed, unjudged, .. } = *card;
        Self { late, missed, unconfirmed, unjudged }
    }
}

impl Recent {
    /// Takes in what the fold made of a tick, with the counts before and after it.
    pub(super) fn observe(
        &mut self,
        now: (Tick, u64),
        step: &Step,
        [before, after]: [Counts; 2],
        owner: &Owner<'_>,
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
            // Where some could be judged and some not, it is not known which.
            if unjudged == 0 {
                self.waiting.push_back((Kind::FalseAlarm, warning.at, warning.unix_ms, Some(warning)));
            }
        }
        if matches!(step.action, Some(Action::Fire { .. })) && after.late == before.late {
            self.open.push_back(Warning { at: now, chance: step.chance, unix_ms });
        }
        // A false alarm is known after its deadline, and may then be older than an incident that waits before it.
        while let Some(due) = self.waiting.iter().position(|(_, at, ..)| now.since(*at) >= REACH) {
            self.close(due, owner, gallery);
        }
    }

    /// Takes in that nothing follows.
    pub(super) fn finish(mut self, owner: &Owner<'_>, gallery: &mut Gallery) {
        while !self.waiting.is_empty() {
            self.close(0, owner, gallery);
        }
    }

    fn close(&mut self, position: usize, owner: &Owner<'_>, gallery: &mut Gallery) {
        let Some((kind, at, unix_ms, warning)) = self.waiting.remove(position) else { return };
        let shown = |second: &&Second| second.tick.since(at) <= REACH && at.since(second.tick) <= REACH;
        let worst_us = self.seconds.iter().filter(shown).filter(|second| second.tick >= at);
        let worst_us = worst_us.filter_map(|second| second.measured_us).reduce(f32::max);
        gallery.offer(
            Moment {
                kind,
                recording: owner.recording.to_owned(),
                target: owner.target.to_owned(),
                at,
                unix_ms,
                warning,
                threshold_us: owner.rule.thresholds.breach_us(),
                worst_us,
                seconds: Vec::new(),
            },
            || self.seconds.iter().filter(shown).copied().collect(),
        );
    }
}

impl Moment {
    /// Higher is shown first: leads in seconds and among the same the surer; misses by how far RTT rose over the threshold;
    /// false alarms by how sure they were.
    fn rank(&self) -> (u64, f32) {
        let chance = self.warning.and_then(|warning| warning.chance).unwrap_or_default();
        match self.kind {
            Kind::Warned { lead } => (lead, chance),
            Kind::Missed => (0, self.worst_us.unwrap_or_default() / self.threshold_us as f32),
            Kind::FalseAlarm => (0, chance),
        }
    }

    /// Whether both would show the same seconds.
    fn overlaps(&self, other: &Self) -> bool {
        (&self.recording, &self.target) == (&other.recording, &other.target)
            && self.at.since(other.at) <= REACH
            && other.at.since(self.at) <= REACH
    }
}

impl Gallery {
    /// The incidents that were warned of longest before.
    pub(super) fn best(&self) -> &[Moment] {
        &self.warned
    }

    /// Incidents without a warning and warnings without an incident in turn, worst first.
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
