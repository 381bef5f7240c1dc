//! What metrics show of a second.

use netprecursor_agent_common::{Counter, MAX_SLOTS};
use netprecursor_core::{
    adapt::Standing,
    alert::{Alert, PodRef},
    calibrate::{BINS, Bin},
    forecast::QUANTILES,
    policy::{Identity, Severity},
    score::Scorecard,
    signal::Signal,
};

use crate::{
    health::Health,
    sensors::sockets::Coverage,
    targets::identifier::Report,
    tick::snapshot::{PolicyState, Recent, RuleState, Snapshot, TargetState},
};

/// Rules that have series of what forecast and chance are made of, at most.
const MAX_MADE_UP: usize = 20;

/// What series are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum By {
    /// Workloads: pods of one are one series, so that series outlive pods.
    #[default]
    Workload,
    /// Targets: for who looks at this node alone.
    Target,
}

/// What a series is about: a workload, a pod of none, or outside a cluster a target; in a scrape always a target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Place {
    /// The target's name; none where the series is about a workload.
    pub target: Option<String>,
    /// The target's pod; likewise, and none outside a cluster.
    pub pod: Option<String>,
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
    /// Its sockets.
    pub sockets: Option<Coverage>,
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
    /// The RTT above which it calls it an incident, s.
    pub threshold: f64,
    /// The chance that the policy wants warnings of.
    pub confidence: f64,
    /// The chance that a warning needs.
    pub needed: f64,
    /// The highest recent forecast chance.
    pub reachable: f64,
    /// The recent skill of the forecast over the best rule of thumb, by quantile.
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
    /// Forecast chances and how many came true.
    pub bins: [Bin; BINS],
}

impl Makeup {
    fn of(state: &RuleState) -> Self {
        let (experts, sources) = state.makeup.as_ref().map(|makeup| (makeup.members, makeup.sources)).unzip();
        Self {
            experts: experts.into_iter().flatten().collect(),
            sources: sources.into_iter().flatten().map(|(source, weight)| (source.name(), weight)).collect(),
            bins: state.bins,
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
    /// How urgent it is.
    pub severity: Severity,
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
    /// Families of one series.
    pub plain: Vec<(&'static str, f64)>,
    /// What the BPF programs could not count as they should.
    pub kernel: Vec<(&'static str, u64)>,
    /// What is remembered of namespaces, all of it bounded, so that churn of pods shows as numbers that come back; none
    /// outside a cluster.
    pub identities: Option<Report>,
    /// Scrapes from outside the pod, by what became of them; none where everybody may.
    pub scrapes: Vec<(&'static str, u64)>,
    /// What series of targets are about.
    pub by: By,
}

impl Seen {
    /// What a snapshot shows of the `seconds` before it.
    pub fn of(snapshot: &Snapshot, seconds: u64, sinks: Vec<Health>, stream_lost: u64, by: By) -> Self {
        let made_up = if by == By::Target { usize::MAX } else { MAX_MADE_UP };
        let rules = snapshot.rules().enumerate();
        let firing = snapshot.alerts.iter().filter(|alert| alert.is_firing());
        let sensors = &snapshot.sensors;
        Self {
            targets: snapshot.targets.iter().map(|it| SeenTarget::of(it, &snapshot.recent, seconds, by)).collect(),
            rules: rules.map(|(place, (policy, rule))| SeenRule::of(policy, rule, place < made_up)).collect(),
            alerts: firing.map(|alert| SeenAlert::of(alert, by)).collect(),
            sensors: sensors.statuses.iter().map(|status| (status.name, status.state.word())).collect(),
            sinks,
            plain: plain(snapshot, stream_lost),
            kernel: KERNEL_EVENTS.map(|(event, counter)| (event, sensors.counter(counter))).into(),
            identities: sensors.identities.clone(),
            scrapes: Vec::new(),
            by,
        }
    }
}

impl SeenRule {
    /// A rule of a policy; `with_makeup`: also what its forecast is made of.
    pub fn of(policy: &PolicyState, state: &RuleState, with_makeup: bool) -> Self {
        Self {
            policy: policy.policy.identity(),
            rule: state.rule.name.to_string(),
            threshold: state.rule.thresholds.breach_us() as f64 / 1e6,
            confidence: state.rule.confidence.share(),
            needed: state.needed,
            reachable: state.reachable.into(),
            skill: state.skill(),
            makeup: with_makeup.then(|| Box::new(Makeup::of(state))),
            scorecard: state.scorecard.clone(),
            model: state.model.name.clone(),
            is_model_ready: state.model.fallback.is_none(),
        }
    }
}

impl SeenTarget {
    fn of(target: &TargetState, recent: &Recent, seconds: u64, by: By) -> Self {
        let about = &target.about;
        let newest = recent.points.latest().map_or(0, |frame| frame.unix);
        let points = || {
            let points = recent.points.newest_of(&about.uid);
            points.take_while(|(unix, _)| unix + seconds > newest).map(|(_, point)| point)
        };
        let largest = |values: &mut dyn Iterator<Item = Option<f32>>| values.flatten().reduce(f32::max);
        let ticks = || recent.signals.newest_of(&about.uid).take(seconds as usize).map(|(_, signals)| signals);
        let mean = |signal| {
            let (sum, count) =
                ticks().fold((0.0, 0_u32), |(sum, count), tick| (sum + f64::from(tick.get(signal)), count + 1));
            (count > 0).then(|| sum / f64::from(count))
        };
        Self {
            place: Place::of(&about.name, about.pod().map(|pod| &**pod), by),
            measured_us: largest(&mut points().map(|point| point.measured_us)),
            predicted_us: largest(&mut points().map(|point| point.predicted_us)),
            chance: largest(&mut points().map(|point| point.chance)),
            sockets: target.coverage,
            bytes: mean(Signal::RxBytes).zip(mean(Signal::TxBytes)),
            queue_bytes: largest(
                &mut ticks().map(|tick| Some(tick.get(Signal::StandingQueue)).filter(|b| b.is_finite())),
            ),
        }
    }
}

impl Place {
    /// Of a target, and of the pod that it is in a cluster.
    fn of(target: &str, pod: Option<&PodRef>, by: By) -> Self {
        let workload = pod.map(Self::from);
        match by {
            By::Workload => workload.unwrap_or_else(|| Self { name: target.to_owned(), ..Self::default() }),
            By::Target => Self {
                target: Some(target.to_owned()),
                pod: pod.map(|pod| pod.name.clone()),
                // On one host a target is its own workload.
                ..workload.unwrap_or_else(|| Self { name: target.to_owned(), ..Self::default() })
            },
        }
    }
}

impl From<&PodRef> for Place {
    fn from(pod: &PodRef) -> Self {
        let (kind, name) = match &pod.workload {
            Some(workload) => (workload.kind.clone(), workload.name.clone()),
            None => ("Pod".to_owned(), pod.name.clone()),
        };
        Self { namespace: Some(pod.namespace.clone()), kind: Some(kind), name, ..Self::default() }
    }
}

impl SeenAlert {
    fn of(alert: &Alert, by: By) -> Self {
        let pod = alert.subject.as_ref().map(|subject| &*subject.pod);
        let place = Place::of(&alert.target, pod, by);
        Self { place, policy: alert.policy.clone(), rule: alert.rule.clone(), severity: alert.severity }
    }
}

const KERNEL_EVENTS: [(&str, Counter); 4] = [
    ("smoothed_sample", Counter::SmoothedSample),
    ("line_taken", Counter::LineTaken),
    ("task_lost", Counter::TaskLost),
    ("packet_unknown", Counter::PacketUnknown),
];

fn plain(snapshot: &Snapshot, stream_lost: u64) -> Vec<(&'static str, f64)> {
    let counters = &snapshot.counters;
    let gap = counters.handover_gap.map(|gap| ("netprecursor.handover.gap", gap.as_secs_f64()));
    let always = [
        ("netprecursor.ticks", counters.ticks as f64),
        ("netprecursor.ticks.skipped", counters.skipped as f64),
        ("netprecursor.tick.duration", counters.last.as_secs_f64()),
        ("netprecursor.targets.limit", f64::from(MAX_SLOTS)),
        ("netprecursor.targets.unwatchable", counters.unwatchable as f64),
        ("netprecursor.views.uncounted", counters.views_uncounted as f64),
        ("netprecursor.targets.over_capacity", counters.over_capacity as f64),
        ("netprecursor.handover.resumed", counters.resumed as f64),
        ("netprecursor.handover.refused", counters.handover_refused as f64),
        ("netprecursor.handover.unwritten", counters.handover_unwritten as f64),
        ("netprecursor.alerts.evicted", snapshot.alerts_evicted as f64),
        ("netprecursor.stream.ticks.lost", stream_lost as f64),
        ("netprecursor.survey.failures", snapshot.sensors.survey_failures as f64),
    ];
    always.into_iter().chain(gap).collect()
}
