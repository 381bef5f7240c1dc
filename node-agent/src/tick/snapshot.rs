//! One second as everybody but the tick thread sees it. Immutable and shared: however long a reader takes, it holds up
//! nobody.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use netprecursor_agent_common::Counter;
use netprecursor_core::{
    adapt::{self, MEMBERS, Merit, Source, Standing},
    alert::{Alert, Model, PolicyRef},
    calibrate::{BINS, Bin},
    decide,
    features::COUNT,
    forecast::QUANTILES,
    gate::Gate,
    policy::{Policy, Rule},
    score::Scorecard,
    signal::Signals,
    source::RttFrom,
    tick::Tick,
    watch::{Ledger, Outlook},
    window,
};
use netprecursor_models::builtin;
use serde::Serialize;

use super::{
    active::ActiveRule,
    frames::{Frame, Frames},
    selection::Selection,
    target::{About, RuleId, Target, Watched},
};
use crate::{
    desired::ClusterNetworks,
    sensors::{sockets::Coverage, suite::Suite},
    status::Status,
    targets::identifier::Report,
};

/// Seconds of points: five minutes, with which a dashboard begins.
pub const POINTS: usize = 300;

/// One tick of one target, as charts draw it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Point {
    /// Maximum RTT of the tick in µs; none when nothing was measured.
    pub measured_us: Option<f32>,
    /// Forecast of the maximum RTT of the ten seconds that follow, in µs: the median of the target's first rule.
    pub predicted_us: Option<f32>,
    /// The chance that those ten seconds breach the threshold of the target's first rule.
    pub chance: Option<f32>,
    /// Whether an alert was out.
    pub firing: bool,
}

/// The seconds that are kept.
#[derive(Debug, Clone)]
pub struct Recent {
    /// Five minutes of points.
    pub points: Frames<Point>,
    /// A minute of signals, as long as the windows.
    pub signals: Frames<Signals>,
    /// The features of the last tick.
    pub features: Option<Arc<Frame<[f32; COUNT]>>>,
}

impl Default for Recent {
    fn default() -> Self {
        Self { points: Frames::new(POINTS), signals: Frames::new(window::LENGTH), features: None }
    }
}

impl Recent {
    /// Takes in a tick that ended at `unix`, with a point for each of the targets.
    pub(super) fn push(&mut self, unix: u64, targets: &[Target], points: Vec<Point>) {
        let before = self.points.latest().map(|frame| &frame.roster);
        let is_same = |roster: &[Arc<About>]| {
            roster.len() == targets.len() && roster.iter().zip(targets).all(|(was, is)| Arc::ptr_eq(was, &is.about))
        };
        let roster = match before {
            Some(roster) if is_same(roster) => Arc::clone(roster),
            _ => targets.iter().map(|target| Arc::clone(&target.about)).collect(),
        };
        let features = targets.iter().map(|target| *target.plain().features).collect();
        self.features = Some(Arc::new(Frame { unix, roster: Arc::clone(&roster), values: features }));
        let signals = targets.iter().map(|target| target.plain().signals).collect();
        self.signals.push(Arc::new(Frame { unix, roster: Arc::clone(&roster), values: signals }));
        self.points.push(Arc::new(Frame { unix, roster, values: points.into() }));
    }
}

/// Where a rule stands with a target.
#[derive(Debug, Clone)]
pub struct WatchState {
    /// The rule.
    pub rule: RuleId,
    /// What it is doing.
    pub state: decide::State,
    /// Why it does not forecast, or not warn.
    pub gate: Option<Gate>,
    /// What it expects.
    pub outlook: Option<Outlook>,
}

/// A target that is watched.
#[derive(Debug, Clone)]
pub struct TargetState {
    /// Who it is.
    pub about: Arc<About>,
    /// Its sockets, as last surveyed.
    pub coverage: Option<Coverage>,
    /// Where the RTT of all its connections comes from.
    pub rtt_from: RttFrom,
    /// The most that is forecast of it, µs.
    pub ceiling_us: Option<f32>,
    /// Where each rule that selects it stands.
    pub watches: Vec<WatchState>,
}

impl TargetState {
    /// Whether an alert of any rule is out.
    pub fn is_firing(&self) -> bool {
        self.watches.iter().any(|watch| watch.state.firing().is_some())
    }
}

/// What a mixture of experts is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Makeup {
    /// Its recent skill, by quantile.
    pub merits: [Option<Merit>; QUANTILES.len()],
    /// Its members.
    pub members: [Standing; MEMBERS],
    /// The weight of each voice: of the members with and without their offsets.
    pub voices: [[f64; adapt::VOICES]; QUANTILES.len()],
    /// How much each regression that the chance comes from counts.
    pub sources: [(Source, f64); Source::ALL.len()],
}

/// A rule at work.
#[derive(Debug, Clone)]
pub struct RuleState {
    /// The rule.
    pub rule: Arc<Rule>,
    /// Since when it counts under this meaning, unix s.
    pub since: u64,
    /// Who forecasts for it.
    pub model: Arc<Model>,
    /// The chance that a warning needs: the policy's confidence, and what false warnings added.
    pub needed: f64,
    /// The highest recent forecast chance.
    pub reachable: f32,
    /// Forecast chances and how many came true.
    pub bins: [Bin; BINS],
    /// Coverage of the calibrated quantiles; none before enough truth is known.
    pub coverage: Option<[f64; QUANTILES.len()]>,
    /// What it counted.
    pub scorecard: Scorecard,
    /// What its forecast is mixed of; none for a model by itself.
    pub makeup: Option<Box<Makeup>>,
}

impl RuleState {
    /// Of a rule for which `model` forecasts.
    pub fn of(active: &ActiveRule, model: &Arc<Model>) -> Self {
        let ledger = &active.ledger;
        Self {
            rule: Arc::clone(&active.rule),
            since: active.since,
            model: Arc::clone(model),
            needed: ledger.caution.needed(active.rule.confidence),
            reachable: ledger.reliability.highest(),
            bins: *ledger.reliability.bins(),
            coverage: ledger.calibrator.coverage(),
            scorecard: ledger.scorecard.clone(),
            makeup: (model.name == builtin::ADAPTIVE).then(|| Box::new(Makeup::of(ledger))),
        }
    }

    /// The recent skill of the forecast over the best rule of thumb, by quantile; none for a model by itself.
    pub fn skill(&self) -> [Option<f64>; QUANTILES.len()] {
        self.makeup.as_ref().map_or([None; QUANTILES.len()], |makeup| adapt::skills(makeup.merits))
    }
}

impl Makeup {
    fn of(ledger: &Ledger) -> Self {
        Self {
            merits: ledger.merits.mixture(),
            members: adapt::standings(&ledger.learned, &ledger.merits),
            voices: ledger.learned.mixture().weights().map(|weights| *weights),
            sources: ledger.learned.sources(),
        }
    }
}

/// A policy at work.
#[derive(Debug, Clone)]
pub struct PolicyState {
    /// The policy.
    pub policy: Arc<Policy>,
    /// As an object of the API; none outside a cluster.
    pub reference: Option<PolicyRef>,
    /// Its rules, in its order.
    pub rules: Vec<RuleState>,
}

/// What the sensors say of themselves.
#[derive(Debug, Clone, Default)]
pub struct SensorState {
    /// Each of them.
    pub statuses: Vec<Status>,
    /// What the BPF programs could not count as they should, by [`Counter`].
    pub kernel: [u64; Counter::COUNT as usize],
    /// Questions that the kernel did not answer.
    pub survey_failures: u64,
    /// What is remembered of namespaces; none outside a cluster.
    pub identities: Option<Report>,
}

impl SensorState {
    /// As of now.
    pub fn of(suite: &Suite) -> Self {
        Self {
            statuses: suite.statuses(),
            kernel: Counter::ALL.map(|counter| suite.counter(counter)),
            survey_failures: suite.survey_failures(),
            identities: suite.identities(),
        }
    }

    /// One of the kernel's counters.
    pub const fn counter(&self, which: Counter) -> u64 {
        self.kernel[which as usize]
    }
}

/// Counters of the pipeline.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counters {
    /// Ticks done.
    pub ticks: u64,
    /// Seconds that no tick was done for: the machine was too busy, or slept.
    pub skipped: u64,
    /// Namespaces that matched but could not be watched.
    pub unwatchable: u64,
    /// Namespaces or pods that found no free slot.
    pub over_capacity: u64,
    /// What rules mean by RTT that could not be counted for a target.
    pub views_uncounted: u64,
    /// Targets that go on where the last run of the agent left them.
    pub resumed: u64,
    /// How long nothing was watched between the last run of the agent and this one.
    pub handover_gap: Option<Duration>,
    /// Files of the last run that were refused.
    pub handover_refused: u64,
    /// Times that nothing could be handed over to the next run.
    pub handover_unwritten: u64,
    /// How long the last tick took.
    pub last: Duration,
}

/// When a snapshot was taken, by three clocks.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Unix time, ms.
    pub unix_ms: u64,
    /// As the kernel's monotonic clock goes, ns.
    pub monotonic_ns: u64,
    /// For how long ago it is.
    pub instant: Instant,
}

/// Everything that may be asked of a second.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The last tick.
    pub tick: Tick,
    /// When it ended.
    pub moment: Moment,
    /// The targets that are watched.
    pub targets: Vec<TargetState>,
    /// The policies.
    pub policies: Vec<PolicyState>,
    /// The alerts, by name: those that are out, and the latest that are over.
    pub alerts: Arc<[Arc<Alert>]>,
    /// Alerts that had to go to make room.
    pub alerts_evicted: u64,
    /// What targets and policies select, outside a cluster and after the first look.
    pub selection: Option<Arc<Selection>>,
    /// Counters.
    pub counters: Counters,
    /// The networks of the cluster.
    pub networks: Arc<ClusterNetworks>,
    /// The sensors.
    pub sensors: SensorState,
    /// The last minutes.
    pub recent: Recent,
}

impl Snapshot {
    /// Whether a tick was done, and the last one no longer than `limit` ago.
    pub fn is_fresh(&self, limit: Duration) -> bool {
        self.counters.ticks > 0 && self.moment.instant.elapsed() < limit
    }

    /// A rule with its policy.
    pub fn rule(&self, id: RuleId) -> Option<(&PolicyState, &RuleState)> {
        let policy = self.policies.get(id.policy)?;
        Some((policy, policy.rules.get(id.rule)?))
    }

    /// All rules with their policies.
    pub fn rules(&self) -> impl Iterator<Item = (&PolicyState, &RuleState)> {
        self.policies.iter().flat_map(|policy| policy.rules.iter().map(move |rule| (policy, rule)))
    }

    /// The newest point of a target; none before its first tick.
    pub fn latest(&self, uid: &str) -> Option<Point> {
        let unix = self.recent.points.latest()?.unix;
        self.recent.points.newest_of(uid).next().filter(|(at, _)| *at == unix).map(|(_, point)| *point)
    }

    /// What targets and policies select; in a cluster, of the pods of this node.
    pub fn selection(&self) -> Selection {
        if let Some(selection) = &self.selection {
            return Selection::clone(selection);
        }
        let selects = |policy| {
            let targets = self.targets.iter();
            targets.filter(|target| target.watches.iter().any(|watch| watch.rule.policy == policy)).count()
        };
        let policies = self.policies.iter().enumerate();
        Selection::counted(policies.map(|(index, state)| (state.policy.identity().to_string(), selects(index))))
    }
}

impl From<&Watched> for WatchState {
    fn from(watched: &Watched) -> Self {
        let watch = &watched.watch;
        Self { rule: watched.rule, state: *watch.state(), gate: watch.gate(), outlook: watch.outlook().cloned() }
    }
}

impl From<&Target> for TargetState {
    fn from(target: &Target) -> Self {
        Self {
            about: Arc::clone(&target.about),
            coverage: target.coverage,
            rtt_from: target.source.from(),
            ceiling_us: target.plain().window.ceiling_us(),
            watches: target.watches.iter().map(WatchState::from).collect(),
        }
    }
}
