//! What the operator counts of itself, for Prometheus.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

use netprecursor_metrics::operator as families;
use netprecursor_sinks::health::Board;
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Metric, Registry},
};

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Copies of models.
    Model,
    /// The agents' DaemonSet.
    Agents,
    /// What each agent may write.
    Share,
    /// Events.
    Event,
    /// Alerts that are resolved.
    Resolution,
    /// Alerts that are deleted.
    Deletion,
    /// Reports of nodes.
    Report,
    /// How policies are doing.
    Status,
    /// Snapshots of scores.
    Scores,
}

/// The outcome of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Outcome {
    /// Done.
    Done,
    /// The object has changed.
    Outdated,
    /// Refused for good.
    Refused,
    /// Refused for now.
    Unavailable,
    /// No answer.
    TimedOut,
    /// Another leads.
    NotLeading,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WriteLabels {
    kind: Kind,
    outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

/// A receiver of alerts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReceiverLabels {
    sink: &'static str,
    receiver: String,
}

/// What receivers are sent.
#[derive(Debug, Clone, Default)]
struct Receivers {
    /// Those of the present lead.
    boards: Arc<Mutex<Vec<Board>>>,
    pending: Family<ReceiverLabels, Gauge<i64, AtomicI64>>,
    sent: Family<ReceiverLabels, Counter<u64, AtomicU64>>,
    dropped: Family<ReceiverLabels, Counter<u64, AtomicU64>>,
    failures: Family<ReceiverLabels, Gauge<i64, AtomicI64>>,
}

/// What is known of the cluster, in numbers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// Whether all that is watched was listed.
    pub is_synced: bool,
    /// Objects by kind.
    pub objects: [(&'static str, usize); 6],
    /// Alerts deleted because there were too many, of the policies that there are.
    pub over_cap: u64,
}

/// All metrics. Clones count into the same.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    leading: Gauge<i64, AtomicI64>,
    synced: Gauge<i64, AtomicI64>,
    rounds: Histogram,
    writes: Family<WriteLabels, Counter<u64, AtomicU64>>,
    watch_failures: Family<KindLabel, Counter<u64, AtomicU64>>,
    looks: Family<OutcomeLabel, Counter<u64, AtomicU64>>,
    objects: Family<KindLabel, Gauge<i64, AtomicI64>>,
    over_cap: Gauge<i64, AtomicI64>,
    requests: Family<OutcomeLabel, Counter<u64, AtomicU64>>,
    scaling_requests: Family<OutcomeLabel, Counter<u64, AtomicU64>>,
    receivers: Receivers,
}

/// Seconds of a round: from nothing to do to thousands of writes within the budget.
const ROUND_SECONDS: [f64; 8] = [0.001, 0.01, 0.1, 1.0, 5.0, 15.0, 60.0, 300.0];

impl EncodeLabelValue for Kind {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        EncodeLabelValue::encode(&format!("{self:?}"), encoder)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("netprecursor");
        let metrics = Self {
            registry: Arc::default(),
            leading: Gauge::default(),
            synced: Gauge::default(),
            rounds: Histogram::new(ROUND_SECONDS),
            writes: Family::default(),
            watch_failures: Family::default(),
            looks: Family::default(),
            objects: Family::default(),
            over_cap: Gauge::default(),
            requests: Family::default(),
            scaling_requests: Family::default(),
            receivers: Receivers::default(),
        };
        register(&mut registry, &families::LEADING, metrics.leading.clone());
        register(&mut registry, &families::SYNCED, metrics.synced.clone());
        register(&mut registry, &families::ROUND, metrics.rounds.clone());
        register(&mut registry, &families::WRITES, metrics.writes.clone());
        register(&mut registry, &families::WATCH_FAILURES, metrics.watch_failures.clone());
        register(&mut registry, &families::MODEL_CHECKS, metrics.looks.clone());
        register(&mut registry, &families::OBJECTS, metrics.objects.clone());
        register(&mut registry, &families::ALERTS_OVER_CAP, metrics.over_cap.clone());
        register(&mut registry, &families::METRICS_REQUESTS, metrics.requests.clone());
        register(&mut registry, &families::SCALING_REQUESTS, metrics.scaling_requests.clone());
        metrics.receivers.register(&mut registry);
        Self { registry: Arc::new(registry), ..metrics }
    }
}

fn register(registry: &mut Registry, family: &netprecursor_metrics::Family, metric: impl Metric) {
    registry.register(family.prometheus(), family.help, metric);
}

impl Metrics {
    /// Who leads.
    pub fn leads(&self, leads: bool) {
        self.leading.set(i64::from(leads));
    }

    /// A watch broke off.
    pub fn watch_failed(&self, kind: &'static str) {
        self.watch_failures.get_or_create(&KindLabel { kind }).inc();
    }

    /// Something was written, or not.
    pub fn written(&self, kind: Kind, outcome: Outcome) {
        self.writes.get_or_create(&WriteLabels { kind, outcome }).inc();
    }

    /// A model was looked at; `trouble` is what was wrong.
    pub fn looked(&self, trouble: Option<&'static str>) {
        self.looks.get_or_create(&OutcomeLabel { outcome: trouble.unwrap_or("Good") }).inc();
    }

    /// So many requests for metrics there were, by what became of them.
    pub fn requested(&self, counts: &[(&'static str, u64)]) {
        for (outcome, count) in counts {
            self.requests.get_or_create(&OutcomeLabel { outcome }).inner().store(*count, Ordering::Relaxed);
        }
    }

    /// Somebody asked for an external metric.
    pub fn scaling_requested(&self, outcome: &'static str) {
        self.scaling_requests.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// A round took so many seconds, and this is what is known.
    pub fn round(&self, seconds: f64, known: &Tally) {
        self.rounds.observe(seconds);
        self.synced.set(i64::from(known.is_synced));
        for (kind, count) in known.objects {
            self.objects.get_or_create(&KindLabel { kind }).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        self.over_cap.set(i64::try_from(known.over_cap).unwrap_or(i64::MAX));
    }

    /// These are sent alerts from now on; none while another leads.
    pub fn receivers(&self, boards: &[Board]) {
        *self.receivers.boards.lock().unwrap_or_else(PoisonError::into_inner) = boards.to_vec();
    }

    /// All of it as text.
    ///
    /// # Errors
    /// None in practice: a string takes everything.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        self.receivers.read();
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl Receivers {
    fn register(&self, registry: &mut Registry) {
        register(registry, &families::SINK_PENDING, self.pending.clone());
        register(registry, &families::SINK_SENT, self.sent.clone());
        register(registry, &families::SINK_DROPPED, self.dropped.clone());
        register(registry, &families::SINK_FAILURES, self.failures.clone());
    }

    /// Takes over what the receivers' workers say of themselves. Series of a lead that was lost end.
    fn read(&self) {
        let boards = self.boards.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.pending.clear();
        self.sent.clear();
        self.dropped.clear();
        self.failures.clear();
        for health in boards.iter().map(Board::read) {
            let labels = ReceiverLabels { sink: health.name, receiver: health.target };
            self.pending.get_or_create(&labels).set(number(health.pending));
            self.sent.get_or_create(&labels).inner().store(health.sent, Ordering::Relaxed);
            self.dropped.get_or_create(&labels).inner().store(health.dropped, Ordering::Relaxed);
            self.failures.get_or_create(&labels).set(health.failures.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_of_the_table_is_exported_and_no_other() {
        let metrics = Metrics::default();
        // A family without points is left out.
        metrics.written(Kind::Status, Outcome::Done);
        metrics.watch_failed("policy");
        metrics.looked(None);
        metrics.round(0.5, &Tally::default());
        metrics.requested(&[("allowed", 1)]);
        metrics.scaling_requested("allowed");
        metrics.receivers(&[Board::new("webhook", "https://hooks.example/…".to_owned())]);
        let text = metrics.text().unwrap();
        let described = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
        let described: Vec<String> = described.map(str::to_owned).collect();
        assert_eq!(described, families::FAMILIES.map(|family| format!("netprecursor_{}", family.prometheus())));
    }

    #[test]
    fn what_is_counted_is_exported() {
        let metrics = Metrics::default();
        metrics.leads(true);
        metrics.written(Kind::Status, Outcome::Done);
        metrics.looked(None);
        metrics.round(0.5, &Tally::default());
        metrics.requested(&[("allowed", 3)]);
        let board = Board::new("alertmanager", "http://am/api/v2/alerts".to_owned());
        board.worked(4);
        metrics.receivers(&[board]);
        let text = metrics.text().unwrap();
        for line in [
            "netprecursor_operator_leading 1",
            "netprecursor_operator_writes_total{kind=\"Status\",outcome=\"Done\"} 1",
            "netprecursor_operator_model_checks_total{outcome=\"Good\"} 1",
            "netprecursor_operator_round_seconds_count 1",
            "netprecursor_operator_metrics_requests_total{outcome=\"allowed\"} 3",
            "netprecursor_operator_sink_sent_total{sink=\"alertmanager\",receiver=\"http://am/api/v2/alerts\"} 4",
        ] {
            // Whole lines: a metric's help may begin with the same words.
            assert!(text.lines().any(|one| one == line), "{line} in {text}");
        }
    }

    #[test]
    fn a_lead_that_is_lost_has_no_receivers() {
        let metrics = Metrics::default();
        metrics.receivers(&[Board::new("webhook", "https://hooks.example/…".to_owned())]);
        assert!(metrics.text().unwrap().contains("receiver=\"https://hooks.example/…\""));
        metrics.receivers(&[]);
        assert!(!metrics.text().unwrap().contains("receiver="));
    }
}
