//! The HTTP interface: `/api/v1/` in JSON, `/metrics`, `/healthz`, `/readyz`, and the page.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Body,
    extract::{Query, State},
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use netprecursor_core::{
    adapt,
    alert::{Alert, Model},
    calibrate::{BINS, Bin},
    gate::Gate,
    policy::Identity,
    score::Scorecard,
    signal::Signal,
    tick::{HORIZON, Tick},
};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_stream::{StreamExt, wrappers::BroadcastStream};

use super::{
    metrics,
    stream::{self, Stream},
};
use crate::{
    health::{Board, Health},
    metrics::seen::{By, Seen},
    status::{Need, State as SensorState},
    tick::snapshot::{Makeup, Point, Snapshot, TargetState, WatchState},
};

/// The tick thread is stuck when it has not done a tick for this long.
const STUCK: Duration = Duration::from_secs(5);

/// What the handlers see.
#[derive(Clone)]
pub struct Shared {
    /// The last second.
    pub latest: watch::Receiver<Arc<Snapshot>>,
    /// The stream of ticks.
    pub stream: Stream,
    /// Release of the kernel.
    pub kernel: Arc<str>,
    /// How the sinks are doing.
    pub boards: Arc<[Board]>,
}

impl Shared {
    /// The last second.
    pub fn read(&self) -> Arc<Snapshot> {
        Arc::clone(&self.latest.borrow())
    }

    /// How the sinks are doing.
    pub fn health(&self) -> Vec<Health> {
        self.boards.iter().map(Board::read).collect()
    }

    fn is_alive(&self) -> bool {
        self.latest.borrow().is_fresh(STUCK)
    }
}

/// What probes and scrapes ask, alone.
pub fn probes(shared: Shared) -> Router {
    Router::new()
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics_text))
        .with_state(shared)
}

/// All routes.
pub fn router(shared: Shared) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics_text))
        .route("/api/v1/targets", get(|State(shared): State<Shared>| async move { Json(targets(&shared.read())) }))
        .route("/api/v1/selection", get(|State(shared): State<Shared>| async move { Json(shared.read().selection()) }))
        .route("/api/v1/window", get(window))
        .route("/api/v1/history", get(history))
        .route("/api/v1/forecast", get(|State(shared): State<Shared>| async move { Json(forecasts(&shared.read())) }))
        .route("/api/v1/alerts", get(|State(shared): State<Shared>| async move { Json(alerts(&shared.read())) }))
        .route("/api/v1/scores", get(|State(shared): State<Shared>| async move { Json(scores(&shared.read())) }))
        .route("/api/v1/sensors", get(|State(shared): State<Shared>| async move { Json(sensors(&shared)) }))
        .route("/api/v1/sinks", get(|State(shared): State<Shared>| async move { Json(shared.health()) }))
        .route("/api/v1/stream", get(streamed))
        .fallback(|| async {
            let known =
                "/api/v1/{targets,selection,window,history,forecast,alerts,scores,sensors,sinks,stream}, /metrics, /healthz, /readyz";
            (StatusCode::NOT_FOUND, Json(ApiError { error: format!("no such path; expected one of {known}") }))
        })
        .with_state(shared)
}

#[derive(Serialize)]
struct ApiError {
    error: String,
}

/// The page's own policy names where its script may come from; who may embed it only a header can set.
async fn page() -> Response {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, "frame-ancestors 'none'"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, Html(include_str!("dashboard.html"))).into_response()
}

async fn health(State(shared): State<Shared>) -> Response {
    if shared.is_alive() {
        "ok\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("no tick for {} s\n", STUCK.as_secs())).into_response()
    }
}

async fn ready(State(shared): State<Shared>) -> Response {
    let missing: Vec<String> = shared
        .read()
        .sensors
        .statuses
        .iter()
        .filter(|status| status.need == Need::Required && matches!(status.state, SensorState::Unavailable(_)))
        .map(|status| format!("{}: {}", status.name, status.state))
        .collect();
    match (shared.is_alive(), missing.is_empty()) {
        (true, true) => "ok\n".into_response(),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "no tick yet\n").into_response(),
        (true, false) => (StatusCode::SERVICE_UNAVAILABLE, missing.join("\n") + "\n").into_response(),
    }
}

async fn metrics_text(State(shared): State<Shared>) -> Response {
    let seen = Seen::of(&shared.read(), 1, shared.health(), shared.stream.lost(), By::Target);
    let text = metrics::encode(&seen);
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response()
}

/// A rule's standing with a target.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RuleView {
    #[serde(flatten)]
    policy: Identity,
    rule: String,
    threshold_us: u64,
    state: &'static str,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    gate: Option<Gate>,
    model: Arc<Model>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TargetView {
    target: String,
    /// Other names of the same network namespace.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<String>,
    uid: String,
    labels: BTreeMap<String, String>,
    watched_seconds: u64,
    measured_us: Option<f32>,
    predicted_us: Option<f32>,
    chance: Option<f32>,
    firing: bool,
    established: Option<u32>,
    coverage_percent: Option<u8>,
    rules: Vec<RuleView>,
}

fn rule_view(snapshot: &Snapshot, watch: &WatchState) -> Option<RuleView> {
    let (policy, rule) = snapshot.rule(watch.rule)?;
    Some(RuleView {
        policy: policy.policy.identity(),
        rule: rule.rule.name.to_string(),
        threshold_us: rule.rule.thresholds.breach_us(),
        state: match watch.state {
            netprecursor_core::decide::State::Idle => "Idle",
            netprecursor_core::decide::State::Pending { .. } => "Pending",
            netprecursor_core::decide::State::Firing(_) => "Firing",
            netprecursor_core::decide::State::Resolving { .. } => "Resolving",
        },
        gate: watch.gate,
        model: Arc::clone(&rule.model),
    })
}

fn targets(snapshot: &Snapshot) -> Vec<TargetView> {
    let view = |target: &TargetState| {
        let about = &target.about;
        let point = snapshot.latest(&about.uid).unwrap_or_default();
        TargetView {
            target: about.name.clone(),
            aliases: about.aliases.clone(),
            uid: about.uid.clone(),
            labels: about.labels.clone(),
            watched_seconds: snapshot.tick.since(about.since),
            measured_us: point.measured_us,
            predicted_us: point.predicted_us,
            chance: point.chance,
            firing: target.is_firing(),
            established: target.coverage.map(|coverage| coverage.established),
            coverage_percent: target.coverage.map(|coverage| (coverage.ratio() * 100.0).round() as u8),
            rules: target.watches.iter().filter_map(|watch| rule_view(snapshot, watch)).collect(),
        }
    };
    snapshot.targets.iter().map(view).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WindowQuery {
    target: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WindowView {
    target: String,
    /// The last five minutes.
    points: Vec<PointView>,
    /// The last minute of every signal, oldest first.
    signals: BTreeMap<&'static str, Vec<Option<f32>>>,
}

/// A point with its second.
#[derive(Serialize)]
struct PointView {
    /// Unix time, s.
    unix: u64,
    #[serde(flatten)]
    point: Point,
}

/// The points of a target that came after `since`, oldest first.
fn points(snapshot: &Snapshot, uid: &str, since: u64) -> Vec<PointView> {
    let newest = snapshot.recent.points.newest_of(uid).take_while(|(unix, _)| *unix > since);
    let mut points: Vec<_> = newest.map(|(unix, point)| PointView { unix, point: *point }).collect();
    points.reverse();
    points
}

async fn window(State(shared): State<Shared>, Query(query): Query<WindowQuery>) -> Response {
    let snapshot = shared.read();
    let Some(target) = snapshot.targets.iter().find(|target| target.about.is_named(&query.target)) else {
        let error =
            format!("got target {:?}, which is not watched; /api/v1/targets lists those that are", query.target);
        return (StatusCode::NOT_FOUND, Json(ApiError { error })).into_response();
    };
    let about = &target.about;
    let mut minute: Vec<_> = snapshot.recent.signals.newest_of(&about.uid).map(|(_, signals)| signals).collect();
    minute.reverse();
    let finite = |value: f32| value.is_finite().then_some(value);
    let signals = Signal::ALL
        .iter()
        .map(|signal| (signal.name(), minute.iter().map(|signals| finite(signals.get(*signal))).collect()))
        .collect();
    let points = points(&snapshot, &about.uid, 0);
    Json(WindowView { target: about.name.clone(), points, signals }).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HistoryQuery {
    /// Unix time, s: only what came later.
    #[serde(default)]
    since: u64,
}

#[derive(Serialize)]
struct HistoryView<'a> {
    target: &'a str,
    points: Vec<PointView>,
}

/// Of every target the last five minutes, or what came after `since`: one request per second draws any number of them.
async fn history(State(shared): State<Shared>, Query(query): Query<HistoryQuery>) -> Response {
    let snapshot = shared.read();
    let targets = snapshot.targets.iter().map(|target| &target.about);
    let views: Vec<HistoryView<'_>> = targets
        .map(|about| HistoryView { target: &about.name, points: points(&snapshot, &about.uid, query.since) })
        .collect();
    Json(views).into_response()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ForecastView {
    target: String,
    #[serde(flatten)]
    policy: Identity,
    rule: String,
    model: Arc<Model>,
    tick: Tick,
    horizon_seconds: u64,
    /// At the probabilities 0.5, 0.9 and 0.99; none when there is nothing to forecast from.
    quantiles_us: Option<[f32; 3]>,
    /// The chance that the horizon breaches the rule's threshold.
    chance: Option<f32>,
    /// The chance that a warning needs.
    needed: f64,
}

fn forecasts(snapshot: &Snapshot) -> Vec<ForecastView> {
    let view = |target: &TargetState, watch: &WatchState| {
        let (policy, rule) = snapshot.rule(watch.rule)?;
        let outlook = watch.outlook.as_ref();
        Some(ForecastView {
            target: target.about.name.clone(),
            policy: policy.policy.identity(),
            rule: rule.rule.name.to_string(),
            model: Arc::clone(&rule.model),
            tick: snapshot.tick,
            horizon_seconds: HORIZON,
            quantiles_us: outlook.map(|outlook| outlook.forecast.quantiles_us()),
            chance: outlook.map(|outlook| outlook.chance),
            needed: rule.needed,
        })
    };
    let watches = snapshot.targets.iter().flat_map(|target| target.watches.iter().map(move |watch| (target, watch)));
    watches.filter_map(|(target, watch)| view(target, watch)).collect()
}

fn alerts(snapshot: &Snapshot) -> Vec<Alert> {
    // The page names its targets by name.
    let alerts = snapshot.alerts.iter().map(|alert| Alert { subject: None, ..Alert::clone(alert) });
    let mut alerts: Vec<Alert> = alerts.collect();
    alerts.sort_by_key(|alert| std::cmp::Reverse(alert.fired_unix));
    alerts
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ScoreView<'a> {
    #[serde(flatten)]
    policy: Identity,
    rule: String,
    model: Arc<Model>,
    /// The chance in percent that a warning needs: the policy's confidence, and what false warnings added.
    needed_percent: f64,
    /// The highest recent forecast chance, in percent.
    reachable_percent: f32,
    precision_percent: Option<u8>,
    recall_percent: Option<u8>,
    lead_median_seconds: Option<u64>,
    /// Coverage of the calibrated quantiles; none before enough truth is known.
    coverage: Option<[f64; 3]>,
    /// Forecast chances and how many came true: ten bins, lowest chances first.
    reliability: &'a [Bin; BINS],
    /// What the forecast is mixed of, by voice, at the probabilities 0.5, 0.9 and 0.99; absent for a model by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    weights: Option<BTreeMap<String, [f64; 3]>>,
    /// The recent skill of the mixture and its members; absent for a model by itself.
    #[serde(flatten)]
    merits: Option<MeritsView>,
    scorecard: &'a Scorecard,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MeritsView {
    /// Of the forecast over the best rule of thumb on the same seconds, in percent, by quantile; none before a minute.
    skill_percent: [Option<f64>; 3],
    /// That rule of thumb.
    best_rule: [Option<&'static str>; 3],
    /// Seconds that it rests on; half of what was is forgotten within an hour.
    skill_seconds: f64,
    /// The expert of the highest weight.
    leading_expert: &'static str,
    experts: Vec<ExpertView>,
    /// How much each regression that the chance comes from counts: of here, of other networks, of the lab.
    sources: BTreeMap<&'static str, f64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExpertView {
    name: &'static str,
    /// Its share of the mixture, with and without its offset, by quantile.
    weights: [f64; 3],
    /// Over the best rule of thumb while it had a forecast, in percent.
    skill_percent: [Option<f64>; 3],
    /// … with the offset that is tracked here; none for the regression.
    corrected_skill_percent: [Option<f64>; 3],
}

impl From<&Makeup> for MeritsView {
    fn from(makeup: &Makeup) -> Self {
        let percent = |merits| adapt::skills(merits).map(|skill| skill.map(|skill| 100.0 * skill));
        Self {
            skill_percent: percent(makeup.merits),
            best_rule: makeup.merits.map(|merit| merit.map(|merit| merit.best.name())),
            skill_seconds: makeup.merits[0].map_or(0.0, |merit| merit.seconds),
            leading_expert: adapt::leading(&makeup.members),
            experts: makeup
                .members
                .iter()
                .map(|standing| ExpertView {
                    name: standing.name,
                    weights: standing.weights,
                    skill_percent: percent(standing.merits),
                    corrected_skill_percent: percent(standing.corrected),
                })
                .collect(),
            sources: makeup.sources.map(|(source, weight)| (source.name(), weight)).into(),
        }
    }
}

fn weights(makeup: &Makeup) -> BTreeMap<String, [f64; 3]> {
    let of_voice = |voice: usize| (adapt::voice_name(voice), makeup.voices.map(|weights| weights[voice]));
    (0..adapt::VOICES).map(of_voice).collect()
}

fn scores(snapshot: &Snapshot) -> serde_json::Value {
    let percent = |share: Option<f64>| share.map(|share| (share * 100.0).round() as u8);
    let views: Vec<ScoreView<'_>> = snapshot
        .rules()
        .map(|(policy, rule)| ScoreView {
            policy: policy.policy.identity(),
            rule: rule.rule.name.to_string(),
            model: Arc::clone(&rule.model),
            needed_percent: 100.0 * rule.needed,
            reachable_percent: 100.0 * rule.reachable,
            precision_percent: percent(rule.scorecard.precision()),
            recall_percent: percent(rule.scorecard.recall()),
            lead_median_seconds: rule.scorecard.median_lead(),
            coverage: rule.coverage,
            reliability: &rule.bins,
            weights: rule.makeup.as_deref().map(weights),
            merits: rule.makeup.as_deref().map(MeritsView::from),
            scorecard: &rule.scorecard,
        })
        .collect();
    serde_json::json!(views)
}

fn sensors(shared: &Shared) -> serde_json::Value {
    let snapshot = shared.read();
    let Snapshot { sensors, counters, .. } = snapshot.as_ref();
    let rtt_source = match sensors.counter(netprecursor_agent_common::Counter::SmoothedSample) {
        0 => "Measured",
        _ => "Smoothed",
    };
    serde_json::json!({
        "kernel": &*shared.kernel,
        "rttSource": rtt_source,
        "sensors": sensors.statuses,
        "surveyFailures": sensors.survey_failures,
        "ticks": counters.ticks,
        "ticksSkipped": counters.skipped,
        "lastTickMicroseconds": counters.last.as_micros() as u64,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StreamQuery {
    #[serde(default = "yes")]
    features: bool,
}

const fn yes() -> bool {
    true
}

async fn streamed(State(shared): State<Shared>, Query(query): Query<StreamQuery>) -> Response {
    let header = stream::header(&shared.kernel, query.features);
    let sender = shared.stream.clone();
    let lines = BroadcastStream::new(shared.stream.listen()).map(move |line| match line {
        Ok(snapshot) => stream::line(&snapshot, query.features),
        Err(tokio_stream::wrappers::errors::BroadcastStreamRecvError::Lagged(ticks)) => {
            sender.lose(ticks);
            format!("{{\"lost\":{ticks}}}\n")
        }
    });
    let body = Body::from_stream(tokio_stream::once(header).chain(lines).map(Ok::<_, Infallible>));
    ([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}
