//! What to send next, by the queue, the budget, the report and the server's own limits, in one place. No input or output but
//! the queue's disk; time and chance are parameters.

use std::time::Duration;

use fastrand::Rng;
use netprecursor_kit::{Backoff, Budget, Share};

use super::schedule::{Change, Due, Schedule};
use crate::publish::queue::{Op, Outcome, Pick, Purse, Queue, disk::Disk};

/// What to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    /// About an alert.
    Alert(Op),
    /// The node report's object, without which there is no status to write.
    ReportObject,
    /// The node report.
    Report,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Turn {
    /// Send this. Its cost is taken off the budget.
    Send(Message),
    /// Wait until this time, or until something happens.
    Wait(Option<Duration>),
}

/// Everything that decides what is sent when.
#[derive(Debug)]
pub(super) struct Turns<D> {
    /// What is to be published of alerts.
    pub(super) queue: Queue<D>,
    budget: Budget,
    server: Backoff,
    schedule: Schedule,
    /// The report alone, when it is refused.
    report: Backoff,
    /// Assumed until the server answers otherwise: after a restart it is there.
    has_report_object: bool,
    rng: Rng,
}

impl<D: Disk> Turns<D> {
    /// A full budget and nothing written yet.
    pub(super) fn new(queue: Queue<D>, budget: Budget, rng: Rng) -> Self {
        Self {
            queue,
            budget,
            server: Backoff::default(),
            schedule: Schedule::default(),
            report: Backoff::default(),
            has_report_object: true,
            rng,
        }
    }

    /// What to do at `now` (since any one moment; `unix` is the time of day). `report` is what has changed in
    /// the node report; `None` while there is none to write.
    pub(super) fn next(&mut self, now: Duration, unix: u64, report: Option<Change>) -> Turn {
        if let Some(until) = self.server.waits(now) {
            return Turn::Wait(Some(until));
        }
        let purse = Purse { tokens: self.budget.at(now, &mut self.rng), burst: self.budget.burst() };
        let due = report.map(|change| match (self.schedule.due(now, change), self.report.waits(now)) {
            (Due::Now, Some(until)) => Due::At(until),
            (due, _) => due,
        });
        let message = if self.has_report_object { Message::Report } else { Message::ReportObject };
        // Before alerts: it is rare, and its readers would take the agent for dead or its counts for true.
        if due == Some(Due::Now) {
            return self.send(now, message);
        }
        let mut wake = match due {
            Some(Due::At(at)) => Some(at),
            _ => None,
        };
        let soonest = |wake: Option<Duration>, at: Option<Duration>| match (wake, at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        match self.queue.pick(now, unix, purse) {
            Pick::Do(op) => return self.send(now, Message::Alert(op)),
            Pick::Afford(_) => wake = soonest(wake, self.budget.next()),
            Pick::Until(until) => wake = soonest(wake, Some(until)),
            Pick::Nothing => {}
        }
        Turn::Wait(wake)
    }

    /// From `now` on this may be written.
    pub(super) fn deal(&mut self, share: Share, now: Duration) {
        self.budget.deal(share.burst(), share.refill(), now, &mut self.rng);
    }

    fn send(&mut self, now: Duration, message: Message) -> Turn {
        if self.budget.take(now, &mut self.rng) { Turn::Send(message) } else { Turn::Wait(self.budget.next()) }
    }

    /// Takes in the outcome of a message.
    pub(super) fn settle(&mut self, message: &Message, outcome: &Outcome, now: Duration) {
        match outcome {
            Outcome::Down { wait, .. } => {
                self.server.fail(now, *wait, &mut self.rng);
            }
            _ => self.server.succeed(),
        }
        match (message, outcome) {
            (Message::Alert(op), _) => self.queue.settle(op, outcome, now, &mut self.rng),
            (Message::Report, Outcome::Done { .. }) => {
                self.schedule.written(now, &mut self.rng);
                self.report.succeed();
            }
            (Message::ReportObject, Outcome::Done { .. }) => self.has_report_object = true,
            (Message::Report, Outcome::Missing) => self.has_report_object = false,
            (Message::Report | Message::ReportObject, _) => {
                self.report.fail(now, None, &mut self.rng);
            }
        }
    }

    /// Whether the server cannot be reached at present.
    pub(super) const fn failures(&self) -> u32 {
        self.server.failures()
    }
}
