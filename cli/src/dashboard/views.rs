//! What the page is told: the shapes of `dashboard/src/api.ts`. Times are Unix seconds, round trips µs, chances 0 to 1. What
//! was not measured is NaN here, which JSON writes as null.

use netprecursor_core::{
    alert::Alert,
    policy::Identity,
    signal::{Signal, Signals},
    tick::HORIZON,
};
use serde::Serialize;
use serde_json::Value;

use super::{
    cluster::{PolicyView, Row},
    fleet,
    history::{Line, Point},
    ring::Ring,
    roster::Target,
    scores::{self, Sample},
    standing::{Counts, Standing},
};
use crate::history::Status;

/// How the dashboard stands with the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum SourceState {
    Connecting,
    Live,
    Stale,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Source<'a> {
    pub(super) state: SourceState,
    pub(super) url: &'a str,
    pub(super) since: u64,
    pub(super) reason: Option<String>,
    pub(super) agent_version: Option<&'a str>,
    pub(super) kernel: Option<&'a str>,
    pub(super) lost_ticks: u64,
}

/// The last second of every target, in the order of the roster.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Latest {
    pub(super) measured_us: Vec<f32>,
    pub(super) forecast_us: Vec<f32>,
    pub(super) chance: Vec<f32>,
    pub(super) standing: Vec<Standing>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Overview<'a> {
    pub(super) unix: u64,
    pub(super) source: Source<'a>,
    pub(super) counts: Counts,
    pub(super) roster: u64,
    pub(super) targets: Vec<&'a Target>,
    pub(super) latest: Latest,
    pub(super) not_kept: usize,
    /// None: one agent is read, not a cluster.
    pub(super) cluster: Option<fleet::Brief<'a>>,
}

/// A series of buckets of `step` seconds from `start` on; each holds its highest value.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Spark {
    uid: String,
    start: u64,
    step: u64,
    measured_us: Vec<f32>,
    forecast_us: Vec<f32>,
    chance: Vec<f32>,
}

#[derive(Serialize)]
pub(super) struct Sparks {
    pub(super) sparks: Vec<Spark>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TargetHistory<'a> {
    unix: u64,
    target: &'a Target,
    start: u64,
    step: u64,
    measured_us: Vec<f32>,
    q50_us: Vec<f32>,
    q90_us: Vec<f32>,
    q99_us: Vec<f32>,
    chance: Vec<f32>,
    threshold_us: Vec<f32>,
    firing: Vec<bool>,
}

#[derive(Serialize)]
pub(super) struct SignalHistory<'a> {
    pub(super) uid: &'a str,
    start: u64,
    /// By signal, oldest first.
    signals: Vec<Vec<f32>>,
    oldest: Option<u64>,
}

#[derive(Serialize)]
struct SignalMeta {
    name: &'static str,
    unit: &'static str,
    doc: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct About {
    version: &'static str,
    horizon_seconds: u64,
    signals: Vec<SignalMeta>,
}

#[derive(Serialize)]
pub(super) struct Alerts<'a> {
    pub(super) version: u64,
    pub(super) alerts: Vec<&'a Alert>,
    pub(super) forgotten: u64,
    /// `after` of the older ones that are kept on disk; none where there are none.
    pub(super) next: Option<String>,
}

/// As [`Alerts`], from disk.
#[derive(Serialize)]
pub(super) struct AlertPage<'a> {
    pub(super) version: u64,
    pub(super) alerts: Vec<&'a Value>,
    pub(super) forgotten: u64,
    pub(super) next: Option<String>,
}

/// Scores as agents publish them, and what they were.
#[derive(Serialize)]
pub(super) struct Policies<'a> {
    /// Of a cluster; none where one agent is read.
    pub(super) policies: &'a [PolicyView],
    pub(super) scores: Vec<Score<'a>>,
    pub(super) trends: Vec<Trend<'a>>,
}

/// The score of a rule.
#[derive(Serialize)]
pub(super) struct Score<'a> {
    /// Where, in a cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) node: Option<&'a str>,
    #[serde(flatten)]
    pub(super) score: &'a Value,
}

/// What a rule's scores were: a sample every `step` seconds from `start` on, in percent.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Trend<'a> {
    /// Where, in a cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) node: Option<&'a str>,
    #[serde(flatten)]
    policy: &'a Identity,
    rule: &'a str,
    start: u64,
    step: u64,
    precision_percent: Vec<f32>,
    recall_percent: Vec<f32>,
    needed_percent: Vec<f32>,
    reachable_percent: Vec<f32>,
}

/// The last second of one target.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PointView<'a> {
    pub(super) uid: &'a str,
    pub(super) unix: u64,
    pub(super) measured_us: f32,
    pub(super) q50_us: f32,
    pub(super) q90_us: f32,
    pub(super) q99_us: f32,
    pub(super) chance: f32,
    pub(super) threshold_us: f32,
    pub(super) firing: bool,
    pub(super) standing: Standing,
    /// Why nothing is forecast.
    pub(super) note: Option<&'a str>,
    pub(super) signals: &'a [f32],
}

/// An event of the stream.
#[derive(Serialize)]
pub(super) struct Live<'a> {
    pub(super) unix: u64,
    pub(super) source: Source<'a>,
    pub(super) counts: Counts,
    pub(super) roster: u64,
    pub(super) alerts: u64,
    /// What is kept, and where; empty where nothing is.
    pub(super) history: Vec<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) latest: Option<Latest>,
    /// Within: of one target, null once it is gone. None: nobody looks at one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) point: Option<Option<PointView<'a>>>,
    /// Of a cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cluster: Option<fleet::Streams>,
}

/// The body of every answer that is not 200.
#[derive(Serialize)]
pub(super) struct Refusal {
    pub(super) error: String,
}

impl Source<'_> {
    /// Of nothing that is followed.
    pub(super) const fn unknown() -> Self {
        Self {
            state: SourceState::Connecting,
            url: "",
            since: 0,
            reason: None,
            agent_version: None,
            kernel: None,
            lost_ticks: 0,
        }
    }
}

impl Latest {
    /// Of targets of which nothing is known as of now.
    pub(super) fn stale(targets: usize) -> Self {
        let nothing = vec![f32::NAN; targets];
        Self {
            measured_us: nothing.clone(),
            forecast_us: nothing.clone(),
            chance: nothing,
            standing: vec![Standing::Stale; targets],
        }
    }

    /// More targets behind these.
    pub(super) fn append(&mut self, mut more: Self) {
        self.measured_us.append(&mut more.measured_us);
        self.forecast_us.append(&mut more.forecast_us);
        self.chance.append(&mut more.chance);
        self.standing.append(&mut more.standing);
    }

    /// One more, of which only an alert is known: that says what was forecast, and nothing of the second that it is now.
    pub(super) fn push(&mut self, row: &Row) {
        self.measured_us.push(f32::NAN);
        self.forecast_us.push(row.forecast_us.unwrap_or(f32::NAN));
        self.chance.push(row.chance.unwrap_or(f32::NAN));
        self.standing.push(row.standing);
    }
}

/// Buckets of a sparkline, and the least seconds of one: five minutes.
const BUCKETS: u64 = 60;
const BUCKET: u64 = 5;

impl Spark {
    /// The buckets of a line up to `now`.
    pub(super) fn of(uid: &str, line: &Line, now: u64) -> Self {
        let step = line.step().max(BUCKET);
        let start = (now / step).saturating_sub(BUCKETS - 1) * step;
        let absent = vec![f32::NAN; BUCKETS as usize];
        let mut spark = Self {
            uid: uid.to_owned(),
            start,
            step,
            measured_us: absent.clone(),
            forecast_us: absent.clone(),
            chance: absent,
        };
        for (unix, point) in line.points_since(start) {
            let at = (unix.saturating_sub(start) / step) as usize;
            let columns = [
                (&mut spark.measured_us, point.measured_us),
                (&mut spark.forecast_us, point.quantiles_us[0]),
                (&mut spark.chance, point.chance),
            ];
            for (column, value) in columns {
                if let Some(bucket) = column.get_mut(at) {
                    *bucket = bucket.max(value);
                }
            }
        }
        spark
    }
}

impl<'a> TargetHistory<'a> {
    /// All that is kept of a target.
    pub(super) fn of(target: &'a Target, line: &Line, now: u64) -> Self {
        let points: Vec<(u64, &Point)> = line.points_since(0).collect();
        let column = |of: fn(&Point) -> f32| points.iter().map(|(_, point)| of(point)).collect();
        Self {
            unix: now,
            target,
            start: points.first().map_or(now, |(unix, _)| *unix),
            step: line.step(),
            measured_us: column(|point| point.measured_us),
            q50_us: column(|point| point.quantiles_us[0]),
            q90_us: column(|point| point.quantiles_us[1]),
            q99_us: column(|point| point.quantiles_us[2]),
            chance: column(|point| point.chance),
            threshold_us: column(|point| point.threshold_us),
            firing: points.iter().map(|(_, point)| point.firing).collect(),
        }
    }
}

impl<'a> SignalHistory<'a> {
    /// The signals of a target from one second to another, both included.
    pub(super) fn of(uid: &'a str, line: &Line, from: u64, until: u64, oldest: Option<u64>) -> Self {
        let seconds: Vec<(u64, &Signals)> = line.signals_since(from).take_while(|(unix, _)| *unix <= until).collect();
        let column = |signal: &Signal| seconds.iter().map(|(_, signals)| signals.get(*signal)).collect();
        Self {
            uid,
            start: seconds.first().map_or(from, |(unix, _)| *unix),
            signals: Signal::ALL.iter().map(column).collect(),
            oldest,
        }
    }
}

impl<'a> Trend<'a> {
    /// The samples of a rule.
    pub(super) fn of((policy, rule): &'a scores::Rule, samples: &Ring<Sample>) -> Self {
        let column = |of: fn(&Sample) -> f32| samples.iter().map(|(_, sample)| of(sample)).collect();
        Self {
            node: None,
            policy,
            rule,
            start: samples.oldest().unwrap_or_default() * scores::STEP,
            step: scores::STEP,
            precision_percent: column(|sample| sample.precision),
            recall_percent: column(|sample| sample.recall),
            needed_percent: column(|sample| sample.needed),
            reachable_percent: column(|sample| sample.reachable),
        }
    }

    /// The same, on a node of a cluster.
    pub(super) fn on(self, node: Option<&'a str>) -> Self {
        Self { node, ..self }
    }
}

impl About {
    /// Of this build.
    pub(super) fn this() -> Self {
        let meta = |signal: &Signal| SignalMeta { name: signal.name(), unit: signal.unit(), doc: signal.doc().trim() };
        Self {
            version: env!("CARGO_PKG_VERSION"),
            horizon_seconds: HORIZON,
            signals: Signal::ALL.iter().map(meta).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::history::History;

    fn history(points: &[(u64, f32)]) -> History {
        let mut history = History::default();
        history.make_room(1_000, ["a"].into_iter());
        for (unix, measured_us) in points {
            history.record("a", *unix, Point { measured_us: *measured_us, ..Point::ABSENT });
        }
        history
    }

    #[test]
    fn a_sparkline_has_the_highest_of_each_bucket_and_ends_now() {
        let history = history(&[(1_000, 1.0), (1_002, 9.0), (1_004, 2.0), (1_297, 5.0)]);
        let spark = Spark::of("a", history.line("a").unwrap(), 1_299);
        assert_eq!((spark.start, spark.step, spark.measured_us.len()), (1_000, 5, 60));
        assert_eq!((spark.measured_us[0], spark.measured_us[59], spark.measured_us[30].is_nan()), (9.0, 5.0, true));
    }

    #[test]
    fn what_was_not_measured_is_null() {
        let history = history(&[(1_000, 1.5), (1_002, 2.0)]);
        let spark = serde_json::to_value(Spark::of("a", history.line("a").unwrap(), 1_299)).unwrap();
        assert_eq!((&spark["measuredUs"][0], &spark["measuredUs"][1]), (&Value::from(2.0), &Value::Null));
    }

    #[test]
    fn signals_are_cut_to_the_seconds_that_were_asked_for() {
        let mut history = history(&[]);
        for unix in 1_000..1_010 {
            history.record_signals("a", unix, Signals::ABSENT);
        }
        let signals = SignalHistory::of("a", history.line("a").unwrap(), 1_003, 1_006, history.oldest_signals());
        assert_eq!(
            (signals.start, signals.signals.len(), signals.signals[0].len(), signals.oldest),
            (1_003, Signal::COUNT, 4, Some(1_000))
        );
    }
}
