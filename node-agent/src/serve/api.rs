//! The HTTP interface: `/api/v1/` in JSON, `/metrics`, `/healthz`, `/readyz`, and the page.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

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
    watch::Ledger,
};
use netprecursor_models::builtin;
use serde::{Deserialize, Serialize};
use tokio_stream::{StreamExt, wrappers::BroadcastStream};

use super::{
    metrics,
    stream::{self, Stream},
};
use crate::{
    health::{Board, Health},
    lock::lock,
    metrics::seen::{By, Seen},
    status::{Need, State as SensorState},
    tick::{
        history::Point,
        pipeline::{ActiveRule, Pipeline},
        selection::Selection,
        target::{RuleId, Target},
    },
};

/// The tick thread is stuck when it has not done a tick for this long.
const STUCK: Duration = Duration::from_secs(5);

/// What the handlers see.
#[derive(Clone)]
pub struct Shared {
    /// Locked by the tick thread during a tick, by a handler while it reads.
    pub pipeline: Arc<Mutex<Pipeline>>,
    /// The stream of ticks.
    pub stream: Stream,
    /// When the last tick ended.
    pub last_tick: Arc<Mutex<Option<Instant>>>,
    /// Release of the kernel.
    pub kernel: Arc<str>,
    /// How the sinks are doing.
    pub boards: Arc<[Board]>,
}

impl Shared {
    fn read(&self) -> MutexGuard<'_, Pipeline> {
        lock(&self.pipeline)
    }

    /// How the sinks are doing.
    pub fn health(&self) -> Vec<Health> {
        self.boards.iter().map(Board::read).collect()
    }

    fn is_alive(&self) -> bool {
        let last = lock(&self.last_tick);
        last.is_some_and(|last| last.elapsed() < STUCK)
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
        .route("/api/v1/selection", get(|State(shared): State<Shared>| async move { Json(selection(&shared.read())) }))
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
        .suite
        .statuses()
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
    model: Model,
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

fn rule_view(pipeline: &Pipeline, target: &Target, id: RuleId) -> Option<RuleView> {
    let active = pipeline.policies.get(id.policy)?;
    let rule = active.rules.get(id.rule)?;
    let (_, watch) = target.watches.iter().find(|(known, _)| *known == id)?;
    Some(RuleView {
        policy: active.policy.identity(),
        rule: rule.rule.name.to_string(),
        threshold_us: rule.rule.thresholds.breach_us(),
        state: match watch.state() {
            netprecursor_core::decide::State::Idle => "Idle",
            netprecursor_core::decide::State::Pending { .. } => "Pending",
            netprecursor_core::decide::State::Firing(_) => "Firing",
            netprecursor_core::decide::State::Resolving { .. } => "Resolving",
        },
        gate: watch.gate(),
        model: pipeline.forecasters.model(rule.forecaster).clone(),
    })
}

fn targets(pipeline: &Pipeline) -> Vec<TargetView> {
    pipeline
        .targets
        .iter()
        .map(|target| TargetView {
            target: target.name.clone(),
            aliases: target.aliases.clone(),
            uid: target.uid.clone(),
            labels: target.labels.clone(),
            watched_seconds: pipeline.now.since(target.since),
            measured_us: target.history.latest().and_then(|point| point.measured_us),
            predicted_us: target.history.latest().and_then(|point| point.predicted_us),
            chance: target.history.latest().and_then(|point| point.chance),
            firing: target.is_firing(),
            established: target.coverage.map(|coverage| coverage.established),
            coverage_percent: target.coverage.map(|coverage| (coverage.ratio() * 100.0).round() as u8),
            rules: target.watches.iter().filter_map(|(id, _)| rule_view(pipeline, target, *id)).collect(),
        })
        .collect()
}

/// What targets and policies select; in a cluster, of the pods of this node.
fn selection(pipeline: &Pipeline) -> Selection {
    if let Some(selection) = &pipeline.selection {
        return selection.clone();
    }
    let selects = |policy| {
        let targets = pipeline.targets.iter();
        targets.filter(|target| target.watches.iter().any(|(id, _)| id.policy == policy)).count()
    };
    let policies = pipeline.policies.iter().enumerate();
    Selection::counted(policies.map(|(index, active)| (active.policy.identity().to_string(), selects(index))))
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
    points: Vec<Point>,
    /// The last minute of every signal, oldest first.
    signals: BTreeMap<&'static str, Vec<Option<f32>>>,
}

async fn window(State(shared): State<Shared>, Query(query): Query<WindowQuery>) -> Response {
    let pipeline = shared.read();
    let Some(target) = pipeline.targets.iter().find(|target| target.is_named(&query.target)) else {
        let error =
            format!("got target {:?}, which is not watched; /api/v1/targets lists those that are", query.target);
        return (StatusCode::NOT_FOUND, Json(ApiError { error })).into_response();
    };
    let finite = |value: f32| value.is_finite().then_some(value);
    let signals = Signal::ALL
        .iter()
        .map(|signal| (signal.name(), target.window.iter().map(|tick| finite(tick.get(*signal))).collect()))
        .collect();
    let points = target.history.points().copied().collect();
    Json(WindowView { target: target.name.clone(), points, signals }).into_response()
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
    points: Vec<&'a Point>,
}

/// Of every target the last five minutes, or what came after `since`: one request per second draws any number of them.
async fn history(State(shared): State<Shared>, Query(query): Query<HistoryQuery>) -> Response {
    let pipeline = shared.read();
    let views: Vec<HistoryView<'_>> = pipeline
        .targets
        .iter()
        .map(|target| {
            let points = target.history.points().filter(|point| point.unix > query.since).collect();
            HistoryView { target: &target.name, points }
        })
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
    model: Model,
    tick: Tick,
    horizon_seconds: u64,
    /// At the probabilities 0.5, 0.9 and 0.99; none when there is nothing to forecast from.
    quantiles_us: Option<[f32; 3]>,
    /// The chance that the horizon breaches the rule's threshold.
    chance: Option<f32>,
    /// The chance that a warning needs.
    needed: f64,
}

fn forecasts(pipeline: &Pipeline) -> Vec<ForecastView> {
    let mut views = Vec::new();
    for target in &pipeline.targets {
        for (id, watch) in &target.watches {
            let active = &pipeline.policies[id.policy];
            let rule = &active.rules[id.rule];
            let outlook = watch.outlook();
            views.push(ForecastView {
                target: target.name.clone(),
                policy: active.policy.identity(),
                rule: rule.rule.name.to_string(),
                model: pipeline.forecasters.model(rule.forecaster).clone(),
                tick: pipeline.now,
                horizon_seconds: HORIZON,
                quantiles_us: outlook.map(|outlook| outlook.forecast.quantiles_us()),
                chance: outlook.map(|outlook| outlook.chance),
                needed: rule.ledger.caution.needed(rule.rule.confidence),
            });
        }
    }
    views
}

fn alerts(pipeline: &Pipeline) -> Vec<Alert> {
    // The page names its targets by name.
    let mut alerts: Vec<Alert> = pipeline.alerts.iter().map(|alert| Alert { subject: None, ..alert.clone() }).collect();
    alerts.sort_by_key(|alert| std::cmp::Reverse(alert.fired_unix));
    alerts
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ScoreView<'a> {
    #[serde(flatten)]
    policy: Identity,
    rule: String,
    model: Model,
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

impl MeritsView {
    fn of(ledger: &Ledger) -> Self {
        let percent = |merits| adapt::skills(merits).map(|skill| skill.map(|skill| 100.0 * skill));
        let (mixture, standings) = (ledger.merits.mixture(), adapt::standings(&ledger.learned, &ledger.merits));
        Self {
            skill_percent: percent(mixture),
            best_rule: mixture.map(|merit| merit.map(|merit| merit.best.name())),
            skill_seconds: mixture[0].map_or(0.0, |merit| merit.seconds),
            leading_expert: adapt::leading(&standings),
            experts: standings
                .iter()
                .map(|standing| ExpertView {
                    name: standing.name,
                    weights: standing.weights,
                    skill_percent: percent(standing.merits),
                    corrected_skill_percent: percent(standing.corrected),
                })
                .collect(),
            sources: ledger.learned.sources().map(|(source, weight)| (source.name(), weight)).into(),
        }
    }
}

fn is_adaptive(pipeline: &Pipeline, rule: &ActiveRule) -> bool {
    pipeline.forecasters.model(rule.forecaster).name == builtin::ADAPTIVE
}

fn weights(ledger: &Ledger) -> BTreeMap<String, [f64; 3]> {
    let weights = ledger.learned.mixture().weights();
    (0..adapt::VOICES).map(|voice| (adapt::voice_name(voice), weights.map(|weights| weights[voice]))).collect()
}

fn scores(pipeline: &Pipeline) -> serde_json::Value {
    let percent = |share: Option<f64>| share.map(|share| (share * 100.0).round() as u8);
    let views: Vec<ScoreView<'_>> = pipeline
        .policies
        .iter()
        .flat_map(|active| active.rules.iter().map(move |rule| (active, rule)))
        .map(|(active, rule)| ScoreView {
            policy: active.policy.identity(),
            rule: rule.rule.name.to_string(),
            model: pipeline.forecasters.model(rule.forecaster).clone(),
            needed_percent: 100.0 * rule.ledger.caution.needed(rule.rule.confidence),
            reachable_percent: 100.0 * rule.ledger.reliability.highest(),
            precision_percent: percent(rule.ledger.scorecard.precision()),
            recall_percent: percent(rule.ledger.scorecard.recall()),
            lead_median_seconds: rule.ledger.scorecard.median_lead(),
            coverage: rule.ledger.calibrator.coverage(),
            reliability: rule.ledger.reliability.bins(),
            weights: is_adaptive(pipeline, rule).then(|| weights(&rule.ledger)),
            merits: is_adaptive(pipeline, rule).then(|| MeritsView::of(&rule.ledger)),
            scorecard: &rule.ledger.scorecard,
        })
        .collect();
    serde_json::json!(views)
}

fn sensors(shared: &Shared) -> serde_json::Value {
    let pipeline = shared.read();
    let rtt_source = match pipeline.suite.counter(netprecursor_agent_common::Counter::SmoothedSample) {
        0 => "Measured",
        _ => "Smoothed",
    };
    serde_json::json!({
        "kernel": &*shared.kernel,
        "rttSource": rtt_source,
        "sensors": pipeline.suite.statuses(),
        "surveyFailures": pipeline.suite.survey_failures(),
        "ticks": pipeline.counters.ticks,
        "ticksSkipped": pipeline.counters.skipped,
        "lastTickMicroseconds": pipeline.counters.last.as_micros() as u64,
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
        Ok(line) => (if query.features { &line.full } else { &line.signals }).to_string(),
        Err(tokio_stream::wrappers::errors::BroadcastStreamRecvError::Lagged(ticks)) => {
            sender.lose(ticks);
            format!("{{\"lost\":{ticks}}}\n")
        }
    });
    let body = Body::from_stream(tokio_stream::once(header).chain(lines).map(Ok::<_, Infallible>));
    ([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}
