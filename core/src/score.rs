//! Who was right: warnings against incidents, both labelled by what was measured afterwards.
//!
//! An *incident* is a maximal run of measured breaches, where breaches at most [`MERGE_TICKS`] apart belong together.
//! A warning is *confirmed* when an incident starts after it and no later than its deadline, which is the horizon
//! plus the delay of the rule's hold. An incident is *warned of* when it starts while such a warning is open.

mod card;
mod incident;

use serde::{Deserialize, Serialize};

use crate::tick::{HORIZON, Tick};

use card::bump;
pub use card::{LEAD_BUCKETS, Scorecard};
pub use incident::{Incident, IncidentEvent, Incidents, MERGE_TICKS};

/// Warnings that can be open at once for one target and rule; the oldest is judged early beyond that.
const OPEN: usize = 8;

/// How an alert turned out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict")]
pub enum Verdict {
    /// An incident followed in time.
    Confirmed {
        /// From the first open warning to the incident, in seconds; at least 1.
        lead: u64,
    },
    /// The incident was there before the alert.
    Late,
    /// No incident followed in time.
    Unconfirmed,
    /// Nothing was measured until the deadline, or not all of it was watched: neither right nor wrong.
    Unjudged,
}

/// Scores the alerts of one target and rule. Holds the warnings whose deadline has not passed.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judge {
    incidents: Incidents,
    open: [Option<Warning>; OPEN],
    last: Option<Tick>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Warning {
    since: Tick,
    deadline: Tick,
    measured: bool,
    /// Whether ticks were left out since: an incident may have come in them.
    unwatched: bool,
}

/// What a tick means for the score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Judgement {
    /// The verdict on the oldest warning that got one.
    pub verdict: Option<Verdict>,
    /// An incident that started or ended.
    pub incident: Option<IncidentEvent>,
    /// Warnings found unconfirmed.
    pub unconfirmed: u32,
}

/// What the judge has to know of the state before this tick's decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing could fire.
    Gated,
    /// No alert was out.
    Quiet,
    /// An alert was out.
    Firing,
}

impl Judge {
    /// Takes in what was measured, before the decision of the same tick: a warning cannot be confirmed by its own
    /// tick. `breached` is `None` when nothing was measured. Ticks may be left out: a warning that they hide the outcome of
    /// stays unjudged.
    pub fn observe(
        &mut self,
        now: Tick,
        breached: Option<bool>,
        standing: Standing,
        card: &mut Scorecard,
    ) -> Judgement {
        bump(&mut card.target_seconds);
        let mut judgement = Judgement::default();
        if self.last.is_some_and(|last| now > last.plus(1)) {
            for warning in self.open.iter_mut().flatten() {
                warning.unwatched = true;
            }
            // Their incident may have begun in time or too late.
            self.close(|warning| warning.deadline < now, &mut judgement, card);
        }
        self.last = Some(now);
        judgement.incident = self.incidents.observe(now, breached);
        if judgement.incident == Some(IncidentEvent::Started) {
            judgement.verdict = self.confirm(now, standing, card).or(judgement.verdict);
        }
        for warning in self.open.iter_mut().flatten() {
            warning.measured |= breached.is_some() && now > warning.since;
        }
        self.close(|warning| warning.deadline <= now, &mut judgement, card);
        judgement
    }

    /// Takes in an alert. The verdict is there at once when the incident is.
    pub fn fired(&mut self, now: Tick, hold_delay: u64, card: &mut Scorecard) -> Judgement {
        bump(&mut card.alerts);
        let mut judgement = Judgement::default();
        if self.incidents.current().is_some() {
            bump(&mut card.late);
            judgement.verdict = Some(Verdict::Late);
            return judgement;
        }
        if self.open.iter().all(Option::is_some)
            && let Some(oldest) = self.oldest().and_then(Option::take)
        {
            judgement.close(oldest, card);
        }
        if let Some(free) = self.open.iter_mut().find(|slot| slot.is_none()) {
            let deadline = now.plus(HORIZON + hold_delay);
            *free = Some(Warning { since: now, deadline, measured: false, unwatched: false });
        }
        judgement
    }

    /// The ongoing incident.
    pub const fn incident(&self) -> Option<Incident> {
        self.incidents.current()
    }

    /// Whether a warning waits for its verdict.
    pub fn is_open(&self) -> bool {
        self.open.iter().any(Option::is_some)
    }

    fn close(&mut self, is_due: impl Fn(&Warning) -> bool, judgement: &mut Judgement, card: &mut Scorecard) {
        for slot in &mut self.open {
            if let Some(warning) = slot.take_if(|warning| is_due(warning)) {
                judgement.close(warning, card);
            }
        }
    }

    fn confirm(&mut self, now: Tick, standing: Standing, card: &mut Scorecard) -> Option<Verdict> {
        bump(&mut card.incidents);
        let Some(first) = self.open.iter().flatten().map(|warning| warning.since).min() else {
            match standing {
                Standing::Gated => bump(&mut card.gated),
                Standing::Quiet => bump(&mut card.missed),
                Standing::Firing => bump(&mut card.ongoing),
            }
            return None;
        };
        let lead = now.since(first);
        card.warned(lead);
        let confirmed = self.open.iter_mut().filter_map(Option::take).count() as u64;
        card.confirmed = card.confirmed.saturating_add(confirmed);
        Some(Verdict::Confirmed { lead })
    }

    fn oldest(&mut self) -> Option<&mut Option<Warning>> {
        self.open.iter_mut().min_by_key(|slot| slot.map(|warning| warning.since))
    }
}

impl Judgement {
    fn close(&mut self, warning: Warning, card: &mut Scorecard) {
        let verdict = if warning.measured && !warning.unwatched { Verdict::Unconfirmed } else { Verdict::Unjudged };
        match verdict {
            Verdict::Unconfirmed => {
                bump(&mut card.unconfirmed);
                self.unconfirmed += 1;
            }
            _ => bump(&mut card.unjudged),
        }
        self.verdict = self.verdict.or(Some(verdict));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is measured per tick: `-` calm, `X` breach, space nothing; an alert fires where `fires` has `F`.
    fn scored(measured: &str, fires: &str, hold_delay: u64) -> Scorecard {
        let (mut judge, mut card) = (Judge::default(), Scorecard::default());
        let mut standing = Standing::Quiet;
        for (tick, (measured, fire)) in measured.chars().zip(fires.chars().chain(std::iter::repeat(' '))).enumerate() {
            let breached = (measured != ' ').then_some(measured == 'X');
            judge.observe(Tick(tick as u64), breached, standing, &mut card);
            match fire {
                'F' => {
                    judge.fired(Tick(tick as u64), hold_delay, &mut card);
                    standing = Standing::Firing;
                }
                'R' => standing = Standing::Quiet,
                'G' => standing = Standing::Gated,
                _ => {}
            }
        }
        card
    }

    fn counts(card: &Scorecard) -> [u64; 8] {
        let Scorecard { confirmed, late, unconfirmed, unjudged, warned, missed, ongoing, gated, .. } = *card;
        [confirmed, late, unconfirmed, unjudged, warned, missed, ongoing, gated]
    }

    #[test]
    fn verdicts_follow_from_what_was_measured() {
        #[rustfmt::skip]
        let table: [(&str, &str, &str, u64, [u64; 8]); 14] = [
            ("nothing happens", "--------------", "", 0, [0; 8]),
            ("a warning comes true", "----X---------", "F", 0, [1, 0, 0, 0, 1, 0, 0, 0]),
            ("on the last tick", "----------X---", "F", 0, [1, 0, 0, 0, 1, 0, 0, 0]),
            ("one tick too late", "-----------X--", "F R", 0, [0, 0, 1, 0, 0, 1, 0, 0]),
            ("the hold extends it", "-----------X--", "F", 1, [1, 0, 0, 0, 1, 0, 0, 0]),
            ("a false alarm", "--------------", "F", 0, [0, 0, 1, 0, 0, 0, 0, 0]),
            ("an incident without alert", "----X---------", "", 0, [0, 0, 0, 0, 0, 1, 0, 0]),
            ("an alert with the incident", "----X---------", "    F", 0, [0, 1, 0, 0, 0, 1, 0, 0]),
            ("nothing measured", "-             ", "F", 0, [0, 0, 0, 1, 0, 0, 0, 0]),
            ("a gated incident", "----X---------", "G", 0, [0, 0, 0, 0, 0, 0, 0, 1]),
            ("an old alert still out", "--------------X--", "F", 0, [0, 0, 1, 0, 0, 0, 1, 0]),
            ("two warnings, one incident", "-----X--------", "F R F", 0, [2, 0, 0, 0, 1, 0, 0, 0]),
            ("breaches ten ticks apart are one", "----X---------X---", "F", 0, [1, 0, 0, 0, 1, 0, 0, 0]),
            ("eleven ticks apart two", "----X----------X--", "F R", 0, [1, 0, 0, 0, 1, 1, 0, 0]),
        ];
        for (name, measured, fires, hold_delay, expected) in table {
            assert_eq!(counts(&scored(measured, fires, hold_delay)), expected, "{name}");
        }
    }

    /// As [`scored`], with ticks left out where `measured` has `.`.
    #[test]
    fn a_warning_is_not_called_false_when_its_incident_may_have_come_unwatched() {
        #[rustfmt::skip]
        let table: [(&str, &str, [u64; 8]); 5] = [
            ("the deadline passes unwatched", "----......................--", [0, 0, 0, 1, 0, 0, 0, 0]),
            ("… and ends in a breach", "----......................X-", [0, 0, 0, 1, 0, 1, 0, 0]),
            ("a hole before the deadline", "----...-------------------", [0, 0, 0, 1, 0, 0, 0, 0]),
            ("a hole before the incident", "----...-X-----------------", [1, 0, 0, 0, 1, 0, 0, 0]),
            ("a hole after the verdict", "------------....----", [0, 0, 1, 0, 0, 0, 0, 0]),
        ];
        for (name, measured, expected) in table {
            let (mut judge, mut card) = (Judge::default(), Scorecard::default());
            for (tick, measured) in measured.chars().enumerate().filter(|(_, measured)| *measured != '.') {
                judge.observe(Tick(tick as u64), Some(measured == 'X'), Standing::Quiet, &mut card);
                if tick == 0 {
                    judge.fired(Tick(0), 0, &mut card);
                }
            }
            assert_eq!(counts(&card), expected, "{name}");
        }
    }

    #[test]
    fn lead_counts_from_the_first_open_warning() {
        let card = scored("-------X------", " F R F R", 0);
        assert_eq!((card.median_lead(), card.warned), (Some(6), 1));
    }

    #[test]
    fn more_open_warnings_than_there_is_room_for_are_judged_early_and_never_lost() {
        let card = scored(&"-".repeat(120), &"FR".repeat(15), 60);
        assert_eq!((card.alerts, card.unconfirmed), (15, 15));
    }
}
