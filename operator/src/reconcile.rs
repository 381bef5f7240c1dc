//! One round: make of what was seen what is known, plan, and do what is planned. Whoever calls decides what was seen
//! ([`crate::observe::watch`]), what time it is and who leads.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::Client;

use crate::{
    apply::{ApplyError, apply},
    config::Settings,
    election::Leadership,
    metrics::{Kind, Metrics, Outcome},
    models::{self, Checker},
    observe::Observed,
    plan::{Plan, Write, plan},
};

/// Models looked at in one round: a look takes seconds, and everything else waits for it.
const LOOKS: usize = 4;

/// Writes of one round: what happens meanwhile is taken in before the next one.
const WRITES: usize = 200;

/// After a failure that passes by itself.
const RETRY: Duration = Duration::from_secs(2);

/// After an object was not what was seen: the watch is about to say what it is.
const SETTLE: Duration = Duration::from_millis(500);

/// What a round needs.
#[derive(Clone)]
pub struct Context {
    /// For requests, within their budget.
    pub client: Client,
    /// The settings.
    pub settings: Arc<Settings>,
    /// Whether to write.
    pub leadership: Leadership,
    /// What time it is.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// What models are checked by.
    pub checker: Checker,
    /// What is counted.
    pub metrics: Metrics,
}

/// What came of a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// Writes done.
    pub written: usize,
    /// Writes that were not done, or may not have been.
    pub failed: usize,
    /// When the next round is due at the latest.
    pub again: Duration,
}

/// One round.
pub async fn reconcile_once(context: &Context, observed: &mut Observed) -> Round {
    let now = || (context.clock)();
    observed.settle(&context.settings, now());
    let mut plan = plan(observed, &context.settings, now());
    if !plan.looks.is_empty() {
        look(context, observed, &plan).await;
        plan = self::plan(observed, &context.settings, now());
        if !plan.looks.is_empty() {
            plan.again = SETTLE;
        }
    }
    let mut round = Round { written: 0, failed: 0, again: plan.again };
    plan.writes.retain(|write| !observed.refused.contains_key(&write.id()));
    if shorten(&mut plan.writes) {
        round.again = Duration::ZERO;
    }
    for write in plan.writes {
        let id = write.id();
        let kind = kind(&write);
        let shard = if let Write::KeepScores { shard, .. } = &write { Some(*shard) } else { None };
        let done = match context.leadership.left() {
            Some(left) => apply(&context.client, &context.settings, write, left).await,
            None => Err(ApplyError::NotLeading),
        };
        context.metrics.written(kind, outcome(&done));
        match done {
            Ok(change) => {
                change(observed);
                observed.kept.extend(shard.map(|shard| (shard, now())));
                round.written += 1;
                if kind == Kind::Agents {
                    observed.agents_refused = None;
                }
                tracing::debug!(write = id, "written");
            }
            Err(error) => {
                round.failed += 1;
                tracing::warn!(write = id, %error, "not written");
                if !go_on(&error, &mut round) {
                    break;
                }
                if let ApplyError::Refused(message) = error {
                    if kind == Kind::Agents {
                        observed.agents_refused = Some(message);
                    }
                    observed.refused.insert(id, now());
                }
            }
        }
    }
    round
}

/// Leaves what one round does, and says whether that is less than all. Alerts that have to go are many after a storm and
/// hurt nobody meanwhile: while anything else is to be done, they get half of the round.
fn shorten(writes: &mut Vec<Write>) -> bool {
    if writes.len() <= WRITES {
        return false;
    }
    let goes = |write: &Write| matches!(write, Write::DeleteAlert { .. });
    let others = writes.iter().filter(|write| !goes(write)).count();
    let mut room = WRITES.saturating_sub(others).max(WRITES / 2);
    writes.retain(|write| {
        if !goes(write) {
            return true;
        }
        let stays = room > 0;
        room = room.saturating_sub(1);
        stays
    });
    writes.truncate(WRITES);
    true
}

/// Whether to try the other writes, and when to plan again.
fn go_on(error: &ApplyError, round: &mut Round) -> bool {
    match error {
        ApplyError::Refused(_) => true,
        ApplyError::Outdated(_) => {
            round.again = round.again.min(SETTLE);
            true
        }
        // The others would fare the same.
        ApplyError::Unavailable { retry_after, .. } => {
            round.again = retry_after.unwrap_or(RETRY);
            false
        }
        ApplyError::TimedOut(_) | ApplyError::NotLeading => {
            round.again = RETRY;
            false
        }
    }
}

async fn look(context: &Context, observed: &mut Observed, plan: &Plan) {
    for (source, generation) in plan.looks.iter().take(LOOKS) {
        let now = (context.clock)();
        let looked = models::look(&context.client, &context.checker, source, *generation, now).await;
        let trouble = looked.outcome.as_ref().err();
        context.metrics.looked(trouble.map(|trouble| trouble.reason().row().name));
        // A model that is waited for is news once.
        let before = observed.models.get(source).and_then(|looked| looked.outcome.as_ref().err());
        if let Some(trouble) = trouble.filter(|trouble| before != Some(trouble)) {
            tracing::info!(%source, reason = trouble.reason().row().name, %trouble, "a model cannot be used");
        }
        observed.models.insert(source.clone(), looked);
    }
}

/// What is written, for metrics.
const fn kind(write: &Write) -> Kind {
    match write {
        Write::PublishModel { .. } | Write::DeleteModel { .. } => Kind::Model,
        Write::DealShare { .. } => Kind::Share,
        Write::ApplyAgents { .. } | Write::DeleteAgents { .. } => Kind::Agents,
        Write::RecordEvent { .. } => Kind::Event,
        Write::ResolveAlert { .. } => Kind::Resolution,
        Write::DeleteAlert { .. } => Kind::Deletion,
        Write::PolicyStatus { .. } => Kind::Status,
        Write::DeleteReport { .. } => Kind::Report,
        Write::KeepScores { .. } | Write::DeleteScores { .. } => Kind::Scores,
    }
}

/// What became of a write, for metrics.
const fn outcome<T>(done: &Result<T, ApplyError>) -> Outcome {
    match done {
        Ok(_) => Outcome::Done,
        Err(ApplyError::Outdated(_)) => Outcome::Outdated,
        Err(ApplyError::Refused(_)) => Outcome::Refused,
        Err(ApplyError::Unavailable { .. }) => Outcome::Unavailable,
        Err(ApplyError::TimedOut(_)) => Outcome::TimedOut,
        Err(ApplyError::NotLeading) => Outcome::NotLeading,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{observe::Key, plan::Deletion};

    fn writes(alerts: usize, others: usize) -> Vec<Write> {
        let key = |name: String| Key::new("shop", &name);
        let alert = |index| Write::DeleteAlert {
            key: key(format!("alert-{index}")),
            uid: String::new(),
            version: 0,
            reason: Deletion::Expired,
        };
        let other = |index| Write::DeleteModel { key: key(format!("model-{index}")), uid: String::new() };
        (0..alerts).map(alert).chain((0..others).map(other)).collect()
    }

    fn left(alerts: usize, others: usize) -> (bool, usize, usize) {
        let mut writes = writes(alerts, others);
        let is_less = shorten(&mut writes);
        let goes = writes.iter().filter(|write| matches!(write, Write::DeleteAlert { .. })).count();
        (is_less, goes, writes.len() - goes)
    }

    #[test]
    fn a_short_plan_is_done_whole() {
        assert_eq!(left(150, 50), (false, 150, 50));
    }

    #[test]
    fn alerts_that_have_to_go_leave_room_for_all_else() {
        assert_eq!(left(9_000, 0), (true, WRITES, 0));
        assert_eq!(left(9_000, 40), (true, WRITES - 40, 40));
        assert_eq!(left(9_000, 1_000), (true, WRITES / 2, WRITES / 2));
        assert_eq!(left(3, 1_000), (true, 3, WRITES - 3));
    }
}
