//! Everything that is known: what the agent said last, and what is kept of what it said before. Pure: what came and when is
//! a parameter.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use netprecursor_core::{alert::Alert, signal::Signals};
use serde_json::Value;

use super::{
    agent::{ForecastView, HistoryView, PointView as AgentPoint, ScoreView, TargetView},
    archive::Archive,
    cluster,
    health::Health,
    history::{History, Line, Point},
    nodes::{NodeView, StreamView},
    roster::{Roster, Target},
    scores::Scores,
    standing::{Counts, Standing},
    views,
};
use crate::history::{Series, cursor_of};

/// A tick comes every second; an agent that is silent for this long is stale, whatever its connection says.
const SILENCE: Duration = Duration::from_secs(5);

/// Seconds by which an answer may be off the tick that it came with. After a pause of this program lines of the stream have
/// waited, while answers are of now.
const AHEAD: u64 = 10;

/// Seconds by which an agent's clock may be set back without anything being forgotten.
const BACK: u64 = 5;

/// What the agent says in a second.
#[derive(Debug, Default)]
pub(super) struct Frame {
    /// Seconds since the agent's start.
    pub(super) tick: u64,
    /// When the tick ended, Unix s.
    pub(super) unix: u64,
    pub(super) targets: Vec<TargetView>,
    pub(super) forecasts: Vec<ForecastView>,
    /// Seconds that are new.
    pub(super) history: Vec<HistoryView>,
    /// By the targets' identifiers.
    pub(super) signals: Vec<(String, Signals)>,
    pub(super) alerts: Vec<Alert>,
    /// None when they were not asked for.
    pub(super) scores: Option<(Value, Vec<ScoreView>)>,
    /// None when it was not asked for.
    pub(super) health: Option<Health>,
}

/// The last second of a target.
#[derive(Debug, Clone)]
struct Now {
    point: Point,
    standing: Standing,
    note: Option<String>,
    signals: Signals,
    /// Share of its sockets that are seen, percent.
    coverage: Option<u8>,
}

/// Everything.
#[derive(Debug)]
pub(super) struct Store {
    url: String,
    agent_version: Option<String>,
    kernel: Option<String>,
    lost: u64,
    /// When the last frame came; none before the first.
    heard: Option<Instant>,
    /// Since when the state holds, Unix s.
    since: u64,
    /// Why there is no connection; none while there is one.
    reason: Option<String>,
    unix: u64,
    roster: Roster,
    /// In the order of the roster.
    now: Vec<Now>,
    history: History,
    archive: Archive,
    scores: Scores,
    health: Option<Health>,
}

impl Store {
    /// Of the agent at `url`, of which nothing is known yet. Versions begin at the program's start: a page that stays open
    /// while the program is started anew compares them with those of the one before.
    pub(super) fn new(url: &str, begun_unix_ms: u64) -> Self {
        Self {
            url: url.to_owned(),
            agent_version: None,
            kernel: None,
            lost: 0,
            heard: None,
            since: begun_unix_ms / 1_000,
            reason: None,
            unix: 0,
            roster: Roster::new(begun_unix_ms),
            now: Vec::new(),
            history: History::default(),
            archive: Archive::new(begun_unix_ms),
            scores: Scores::default(),
            health: None,
        }
    }

    /// Of the agent on a node of a cluster, one of those that are streamed at once.
    pub(super) fn on(node: &str, begun_unix_ms: u64) -> Self {
        let (roster, history) = (Roster::on(node, begun_unix_ms), History::shared_by(cluster::MOST));
        Self { roster, history, ..Self::new(node, begun_unix_ms) }
    }

    /// The last second that is known, Unix s.
    pub(super) const fn unix(&self) -> u64 {
        self.unix
    }

    /// The connection is there; what the agent is.
    pub(super) fn connected(&mut self, agent_version: Option<String>, kernel: Option<String>) {
        (self.agent_version, self.kernel) = (agent_version, kernel);
    }

    /// The connection is gone, and why.
    pub(super) fn disconnected(&mut self, reason: String, unix: u64) {
        if self.reason.is_none() {
            self.since = unix;
        }
        self.reason = Some(reason);
    }

    /// Takes in a second. `lost` ticks did not come since the connection was made.
    pub(super) fn take(&mut self, frame: Frame, lost: u64, heard: Instant) {
        if frame.unix + BACK < self.unix {
            self.history.clear();
        }
        if self.reason.take().is_some() || self.heard.is_none() {
            self.since = frame.unix;
        }
        (self.unix, self.lost, self.heard) = (frame.unix, lost, Some(heard));
        self.roster.take(&frame.targets, &frame.forecasts);
        self.history.make_room(frame.unix, frame.targets.iter().map(|target| target.uid.as_str()));
        let history = &self.history;
        self.roster.retain_gone(|uid| history.line(uid).is_some());
        self.now = self.latest(&frame);
        for (uid, unix, point) in points(&frame) {
            self.history.record(uid, unix, point);
        }
        for (uid, signals) in frame.signals {
            self.history.record_signals(&uid, frame.unix, signals);
            if let Some(now) = self.roster.position(&uid).and_then(|at| self.now.get_mut(at)) {
                now.signals = signals;
            }
        }
        self.archive.take(frame.alerts);
        if let Some((latest, scores)) = frame.scores {
            self.scores.take(frame.unix, latest, &scores);
        }
        if frame.health.is_some() {
            self.health = frame.health;
        }
    }

    fn latest(&self, frame: &Frame) -> Vec<Now> {
        let points: HashMap<&str, &AgentPoint> =
            frame.history.iter().filter_map(|each| Some((each.target.as_str(), each.points.last()?))).collect();
        let forecasts = first_forecasts(&frame.forecasts);
        let now = |target: &TargetView| {
            let name = target.target.as_str();
            let mut point = points.get(name).map_or(Point::ABSENT, |point| point_of(point, target));
            if let Some(forecast) = forecasts.get(name) {
                point.merge(forecast_of(forecast));
            }
            let note = target.rules.first().and_then(|rule| rule.gate).map(|gate| gate.to_string());
            let coverage = target.coverage_percent;
            Now { point, standing: Standing::of(target), note, signals: Signals::ABSENT, coverage }
        };
        frame.targets.iter().map(now).collect()
    }

    /// Makes room at `unix` for what was kept before this program's start of targets that the agent may still have, and takes
    /// in the alerts of then.
    pub(super) fn remember(&mut self, unix: u64, uids: &[String], alerts: Vec<Alert>) {
        self.history.make_room(unix, uids.iter().map(String::as_str));
        self.archive.remember(alerts);
    }

    /// Takes in a second of a target that was kept before.
    pub(super) fn remember_second(&mut self, uid: &str, unix: u64, point: Point) {
        self.history.record(uid, unix, point);
    }

    /// How the dashboard stands with the agent.
    pub(super) fn source(&self, now: Instant) -> views::Source<'_> {
        let silence = self.heard.map(|heard| now.saturating_duration_since(heard)).filter(|silence| *silence > SILENCE);
        let silent =
            silence.map(|silence| format!("got no tick for {} s, expected one each second", silence.as_secs()));
        let reason = self.reason.clone().or(silent);
        let state = match (&reason, self.heard) {
            (Some(_), _) => views::SourceState::Stale,
            (None, None) => views::SourceState::Connecting,
            (None, Some(_)) => views::SourceState::Live,
        };
        let since = if state == views::SourceState::Stale && self.reason.is_none() { self.unix } else { self.since };
        views::Source {
            state,
            url: &self.url,
            since,
            reason,
            agent_version: self.agent_version.as_deref(),
            kernel: self.kernel.as_deref(),
            lost_ticks: self.lost,
        }
    }

    fn counts(&self) -> Counts {
        self.now.iter().map(|now| now.standing).collect()
    }

    /// The last second of every target.
    pub(super) fn columns(&self) -> views::Latest {
        let column = |of: fn(&Point) -> f32| self.now.iter().map(|now| of(&now.point)).collect();
        views::Latest {
            measured_us: column(|point| point.measured_us),
            forecast_us: column(|point| point.quantiles_us[0]),
            chance: column(|point| point.chance),
            standing: self.now.iter().map(|now| now.standing).collect(),
        }
    }

    /// All targets and their last second.
    pub(super) fn overview(&self, now: Instant) -> views::Overview<'_> {
        views::Overview {
            unix: self.unix,
            source: self.source(now),
            counts: self.counts(),
            roster: self.roster.version(),
            targets: self.roster.targets().iter().collect(),
            latest: self.columns(),
            not_kept: self.history.refused(),
            cluster: None,
        }
    }

    /// Sparklines of the targets that are known.
    pub(super) fn sparks<'a>(&self, uids: impl Iterator<Item = &'a str>) -> views::Sparks {
        let sparks = uids.filter_map(|uid| Some(views::Spark::of(uid, self.history.line(uid)?, self.unix)));
        views::Sparks { sparks: sparks.collect() }
    }

    /// All that is kept of a target.
    pub(super) fn target(&self, uid: &str) -> Option<views::TargetHistory<'_>> {
        Some(views::TargetHistory::of(self.roster.target(uid)?, self.history.line(uid)?, self.unix))
    }

    /// The last `seconds` of a target's signals up to `until`.
    pub(super) fn signals<'a>(
        &self,
        uid: &'a str,
        until: Option<u64>,
        seconds: u64,
    ) -> Option<views::SignalHistory<'a>> {
        let until = until.unwrap_or(self.unix).min(self.unix);
        let from = (until + 1).saturating_sub(seconds);
        Some(views::SignalHistory::of(uid, self.history.line(uid)?, from, until, self.history.oldest_signals()))
    }

    /// Targets that are there, by identifier and name, with what is kept of them.
    pub(super) fn lines(&self) -> impl Iterator<Item = (&str, &str, &Line)> {
        let targets = self.roster.targets().iter();
        targets.filter_map(|target| Some((target.uid.as_str(), target.name.as_str(), self.history.line(&target.uid)?)))
    }

    /// Alerts, newest first; older ones may be kept on disk.
    pub(super) fn alerts(&self, are_kept: bool) -> views::Alerts<'_> {
        let Self { archive, .. } = self;
        views::Alerts {
            version: archive.version(),
            alerts: archive.newest_first().collect(),
            forgotten: archive.forgotten(),
            next: archive.cut().filter(|_| are_kept).map(cursor_of),
        }
    }

    /// Who the targets are, and the version of that.
    pub(super) fn roster(&self) -> (u64, &[Target]) {
        (self.roster.version(), self.roster.targets())
    }

    /// What a target is called in metrics.
    pub(super) fn series(&self, uid: &str) -> Option<(Series, &Target)> {
        let target = self.roster.target(uid)?;
        Some((target.series(), target))
    }

    /// Scores of the rules.
    pub(super) fn policies(&self) -> views::Policies<'_> {
        let scores = self.scores.latest().as_array().into_iter().flatten();
        let trends = self.scores.trends().map(|(rule, samples)| views::Trend::of(rule, samples));
        views::Policies {
            policies: &[],
            scores: scores.map(|score| views::Score { node: None, score }).collect(),
            trends: trends.collect(),
        }
    }

    /// The agent as a node, once it has said how it is; what is live goes with it.
    pub(super) fn node(&self) -> Option<NodeView> {
        let Self { health, url, now, .. } = self;
        let covered: Vec<u8> = now.iter().filter_map(|now| now.coverage).collect();
        let mean = covered.iter().map(|percent| u64::from(*percent)).sum::<u64>().checked_div(covered.len() as u64);
        let mut node = health.as_ref()?.node(url);
        node.agent_version.clone_from(&self.agent_version);
        node.coverage_percent = mean.and_then(|mean| u8::try_from(mean).ok());
        node.targets = Some(now.len() as u64);
        node.firing = Some(self.archive.newest_first().filter(|alert| alert.is_firing()).count() as u64);
        Some(node)
    }

    /// How the agent is read.
    pub(super) fn stream(&self, now: Instant) -> StreamView {
        let views::Source { state, url, since, reason, lost_ticks, .. } = self.source(now);
        StreamView { node: url.to_owned(), state, since, reason, lost_ticks, targets: self.now.len() }
    }

    /// Changes with the targets, and with the alerts.
    pub(super) const fn versions(&self) -> (u64, u64) {
        (self.roster.version(), self.archive.version())
    }

    /// Whether a target is there, or was within what is kept.
    pub(super) fn knows(&self, uid: &str) -> bool {
        self.roster.target(uid).is_some()
    }

    /// What the stream says of a second, of which a page looks at some.
    pub(super) fn live(&self, look: &Look, now: Instant) -> views::Live<'_> {
        views::Live {
            unix: self.unix,
            source: self.source(now),
            counts: self.counts(),
            roster: self.roster.version(),
            alerts: self.archive.version(),
            history: Vec::new(),
            latest: look.is_overview().then(|| self.columns()),
            point: match look {
                Look::Target(uid) => Some(self.point(uid)),
                _ => None,
            },
            cluster: None,
        }
    }

    fn point(&self, uid: &str) -> Option<views::PointView<'_>> {
        let at = self.roster.position(uid)?;
        let (target, Now { point, standing, note, signals, .. }) = (self.roster.targets().get(at)?, self.now.get(at)?);
        let [q50_us, q90_us, q99_us] = point.quantiles_us;
        Some(views::PointView {
            uid: &target.uid,
            unix: self.unix,
            measured_us: point.measured_us,
            q50_us,
            q90_us,
            q99_us,
            chance: point.chance,
            threshold_us: point.threshold_us,
            firing: point.firing,
            standing: *standing,
            note: note.as_deref(),
            signals: signals.as_slice(),
        })
    }
}

/// What a page looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Look {
    /// All targets.
    Overview,
    /// All targets, and of a cluster these nodes before others.
    Nodes(Vec<String>),
    /// One target.
    Target(String),
    /// Nothing that changes each second.
    Rest,
}

impl Look {
    /// Whether it sees every target.
    pub(super) const fn is_overview(&self) -> bool {
        matches!(self, Self::Overview | Self::Nodes(_))
    }
}

/// The points that came with a second, by the targets' identifiers.
pub(super) fn points(frame: &Frame) -> impl Iterator<Item = (&str, u64, Point)> {
    let targets: HashMap<&str, &TargetView> =
        frame.targets.iter().map(|target| (target.target.as_str(), target)).collect();
    let mut points = Vec::new();
    for HistoryView { target, points: seconds } in &frame.history {
        let Some(&target) = targets.get(target.as_str()) else { continue };
        let seconds = seconds.iter().filter(|point| point.unix <= frame.unix + AHEAD);
        points.extend(seconds.map(move |point| (target.uid.as_str(), point.unix, point_of(point, target))));
    }
    for (name, forecast) in first_forecasts(&frame.forecasts) {
        let Some(&target) = targets.get(name) else { continue };
        // The answer may be a tick younger than the stream's line. Of one that is further off the second is not known: a
        // second is a tick only nearly.
        if forecast.tick.abs_diff(frame.tick) <= AHEAD {
            let unix = (frame.unix + forecast.tick).saturating_sub(frame.tick);
            points.push((target.uid.as_str(), unix, forecast_of(forecast)));
        }
    }
    points.into_iter()
}

/// The first rule's forecast of each target: the one that the agent draws.
fn first_forecasts(forecasts: &[ForecastView]) -> HashMap<&str, &ForecastView> {
    let mut first = HashMap::with_capacity(forecasts.len());
    for forecast in forecasts {
        first.entry(forecast.target.as_str()).or_insert(forecast);
    }
    first
}

fn point_of(point: &AgentPoint, target: &TargetView) -> Point {
    Point {
        measured_us: or_nan(point.measured_us),
        quantiles_us: [or_nan(point.predicted_us), f32::NAN, f32::NAN],
        chance: or_nan(point.chance),
        threshold_us: target.rules.first().map_or(f32::NAN, |rule| rule.threshold_us as f32),
        firing: point.firing,
    }
}

fn forecast_of(forecast: &ForecastView) -> Point {
    let quantiles_us = forecast.quantiles_us.unwrap_or_default().map(or_nan);
    Point { quantiles_us, chance: or_nan(forecast.chance), ..Point::ABSENT }
}

fn or_nan(number: Option<f32>) -> f32 {
    number.unwrap_or(f32::NAN)
}
