//! What telemetry tells, taken from the pipeline in one short look under its lock.

use netprecursor_core::{
    adapt::{self, Standing},
    calibrate::{BINS, Bin},
    forecast::QUANTILES,
    policy::Identity,
    score::Scorecard,
    signal::Signal,
    watch::Ledger,
};
use netprecursor_models::builtin;

use super::figures::MAX_MADE_UP;
use crate::{
    cluster::seam::PodRef,
    sinks::sink::Health,
    tick::{
        alerts::{Alert, AlertState},
        pipeline::Pipeline,
        target::Target,
    },
};

/// What a series is about: a workload, a pod of none, or outside a cluster a target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Place {
    /// Namespace of the pod; none outside a cluster.
    pub namespace: Option<String>,
    /// Kind of the workload, `Pod` for a pod of none; none outside a cluster.
    pub kind: Option<String>,
    /// Its name, or the target's.
    pub name: String,
}

/// One target.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SeenTarget {
    /// What it is one of.
    pub place: Place,
    /// Largest RTT measured, µs.
    pub measured_us: Option<f32>,
    /// Largest RTT forecast, µs.
    pub predicted_us: Option<f32>,
    /// Largest chance of a breach, by the target's first rule.
    pub chance: Option<f32>,
    /// Established sockets, and those of them that are seen.
    pub sockets: Option<(u32, u32)>,
    /// Bytes per second received and sent.
    pub bytes: Option<(f64, f64)>,
    /// Longest standing queue, bytes.
    pub queue_bytes: Option<f32>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenRule {
    /// The policy.
    pub policy: Identity,
    /// The rule.
    pub rule: String,
    /// The chance that a warning needs.
    pub needed: f64,
    /// The highest chance that was said of late.
    pub reachable: f64,
    /// Of the forecast over the best rule of thumb of late, by quantile.
    pub skill: [Option<f64>; QUANTILES.len()],
    /// What forecast and chance are made of; of the first rules alone, because it takes many series.
    pub makeup: Option<Box<Makeup>>,
    /// What it counted.
    pub scorecard: Scorecard,
    /// Who forecasts for it.
    pub model: String,
    /// Whether that is who it asks for.
    pub is_model_ready: bool,
}

/// What a rule's forecast and its chance are made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Makeup {
    /// The members of the mixture; none for a model by itself.
    pub experts: Vec<Standing>,
    /// The regressions that the chance comes from; likewise.
    pub sources: Vec<(&'static str, f64)>,
    /// What was said with which chance, and what came true of it.
    pub bins: [Bin; BINS],
}

impl Makeup {
    fn of(ledger: &Ledger, is_mixed: bool) -> Self {
        let mixed = is_mixed.then(|| (adapt::standings(&ledger.learned, &ledger.merits), ledger.learned.sources()));
        let (experts, sources) = mixed.unzip();
        Self {
            experts: experts.into_iter().flatten().collect(),
            sources: sources.into_iter().flatten().map(|(source, weight)| (source.name(), weight)).collect(),
            bins: *ledger.reliability.bins(),
        }
    }
}

/// One alert that is out.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenAlert {
    /// What it is about.
    pub place: Place,
    /// The policy.
    pub policy: Identity,
    /// The rule.
    pub rule: String,
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    /// The targets.
    pub targets: Vec<SeenTarget>,
    /// The rules.
    pub rules: Vec<SeenRule>,
    /// The alerts that are out.
    pub alerts: Vec<SeenAlert>,
    /// Sensors with the state that each is in.
    pub sensors: Vec<(&'static str, &'static str)>,
    /// The sinks.
    pub sinks: Vec<Health>,
    /// Ticks done.
    pub ticks: u64,
    /// Seconds without a tick.
    pub skipped: u64,
    /// How long the last tick took, s.
    pub tick_seconds: f64,
}

impl Seen {
    /// What the pipeline saw in the last `seconds`.
    pub fn of(pipeline: &Pipeline, seconds: u64, sinks: Vec<Health>) -> Self {
        let rules = pipeline.policies.iter().flat_map(|active| active.rules.iter().map(move |rule| (active, rule)));
        let rules = rules.enumerate().map(|(place, (active, rule))| {
            let speaker = pipeline.forecasters.speaker(rule.forecaster);
            SeenRule {
                policy: active.policy.identity(),
                rule: rule.rule.name.to_string(),
                needed: rule.ledger.caution.needed(rule.rule.confidence),
                reachable: rule.ledger.reliability.highest().into(),
                skill: adapt::skills(rule.ledger.merits.mixture()),
                makeup: (place < MAX_MADE_UP)
                    .then(|| Box::new(Makeup::of(&rule.ledger, speaker.name == builtin::ADAPTIVE))),
                scorecard: rule.ledger.scorecard.clone(),
                model: speaker.name.clone(),
                is_model_ready: speaker.stands_in.is_none(),
            }
        });
        Self {
            targets: pipeline.targets.iter().map(|target| SeenTarget::of(target, seconds)).collect(),
            rules: rules.collect(),
            alerts: pipeline.alerts.iter().filter(|alert| alert.state == AlertState::Firing).map(Into::into).collect(),
            sensors: pipeline.suite.statuses().iter().map(|status| (status.name, status.state.word())).collect(),
            sinks,
            ticks: pipeline.counters.ticks,
            skipped: pipeline.counters.skipped,
            tick_seconds: pipeline.counters.last.as_secs_f64(),
        }
    }
}

impl SeenTarget {
    fn of(target: &Target, seconds: u64) -> Self {
        let newest = target.history.latest().map_or(0, |point| point.unix);
        let points = || target.history.points().filter(|point| point.unix + seconds > newest);
        let largest = |values: &mut dyn Iterator<Item = Option<f32>>| values.flatten().reduce(f32::max);
        let ticks = || target.window.iter().rev().take(seconds as usize);
        let mean = |signal| {
            let (sum, count) =
                ticks().fold((0.0, 0_u32), |(sum, count), tick| (sum + f64::from(tick.get(signal)), count + 1));
            (count > 0).then(|| sum / f64::from(count))
        };
        Self {
            place: target
                .pod()
                .map_or_else(|| Place { name: target.name.clone(), ..Place::default() }, |pod| pod.into()),
            measured_us: largest(&mut points().map(|point| point.measured_us)),
            predicted_us: largest(&mut points().map(|point| point.predicted_us)),
            chance: largest(&mut points().map(|point| point.chance)),
            sockets: target.coverage.map(|coverage| (coverage.established, coverage.seen)),
            bytes: mean(Signal::RxBytes).zip(mean(Signal::TxBytes)),
            queue_bytes: largest(
                &mut ticks().map(|tick| Some(tick.get(Signal::StandingQueue)).filter(|b| b.is_finite())),
            ),
        }
    }
}

impl<P: AsRef<PodRef>> From<&P> for Place {
    fn from(pod: &P) -> Self {
        let pod = pod.as_ref();
        let (kind, name) = match &pod.workload {
            Some(workload) => (workload.kind.clone(), workload.name.clone()),
            None => ("Pod".to_owned(), pod.name.clone()),
        };
        Self { namespace: Some(pod.namespace.clone()), kind: Some(kind), name }
    }
}

impl From<&Alert> for SeenAlert {
    fn from(alert: &Alert) -> Self {
        let place = match &alert.subject {
            Some(subject) => (&subject.pod).into(),
            None => Place { name: alert.target.clone(), ..Place::default() },
        };
        Self { place, policy: alert.policy.clone(), rule: alert.rule.clone() }
    }
}
