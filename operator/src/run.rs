//! `run`: campaign for the lease, lead while it is held, serve HTTP, give the lease back at the end.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client, Config, api::ListParams};
use netprecursor_kit::Access;
use netprecursor_settings::Listen;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
    time::Instant,
};

use crate::{
    client::Clients,
    config::{Authorization, Settings},
    election::Candidate,
    http::{self, Health},
    installation::{self, Permit},
    metrics::Metrics,
    models,
    notify::Notifier,
    observe::{Observed, read, watch::Watches},
    plan::{CONTENT, SCORES, snapshot_of},
    reconcile::{Context, reconcile_once},
    scaling,
};

/// Changes that come together are planned for together.
const GATHER: Duration = Duration::from_millis(200);

/// After a lead ended, or its start failed.
const RETRY: Duration = Duration::from_secs(2);

/// For releasing the lease when stopping.
const RELEASE: Duration = Duration::from_secs(5);

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// The port is taken, or the environment names no API server. What the API server does is waited for.
pub fn run(settings: Settings) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    runtime.block_on(serve(settings))
}

async fn serve(settings: Settings) -> anyhow::Result<()> {
    let settings = Arc::new(settings);
    let listener = bind(&settings.config.metrics_listen, "`metricsListen`")?;
    let address = listener.local_addr().context("cannot determine the listening address")?;
    let scaling = match &settings.config.external_metrics {
        Some(given) => Some((bind(&given.listen, "`externalMetrics.listen`")?, given.files())),
        None => None,
    };
    let config = Config::infer().await.context("no API server; expected a service account or KUBECONFIG")?;
    let clients = Clients::new(&config).context("cannot create a client for the API server")?;
    let program = std::env::current_exe().context("cannot find the operator's own binary, which checks models")?;
    let metrics = Metrics::default();
    let health = Health::new(metrics.clone());
    let (mut candidate, leadership) = Candidate::new(
        clients.lease.clone(),
        &settings.namespace,
        &settings.config.lease_name,
        &settings.pod_name,
        health.clone(),
    );
    let (permit, permitted) = watch::channel(Permit::Unknown);
    candidate = candidate.permitted_by(permitted);
    let namespace = settings.namespace.clone();
    let context = Context {
        client: clients.requests.clone(),
        settings,
        leadership,
        clock: Arc::new(Timestamp::now),
        checker: models::contract_check(program),
        metrics,
    };
    let access = match context.settings.config.metrics_authorization {
        Authorization::Required => Some(Access::of_cluster()),
        Authorization::None => None,
    };
    let counted = context.metrics.clone();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tracing::info!(%address, version = env!("CARGO_PKG_VERSION"), "listening");
    let ended = tokio::select! {
        served = async { axum::serve(listener, http::router(health.clone(), access)).await } => served.context("HTTP"),
        () = candidate.campaign() => Ok(()),
        () = follow_and_lead(&clients, context) => Ok(()),
        () = installation::watch(clients.lease.clone(), &namespace, permit) => Ok(()),
        () = scale(scaling, &clients, &counted) => Ok(()),
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    };
    // Whatever was being written is dropped by now: nothing of ours is under way when another takes over.
    if tokio::time::timeout(RELEASE, candidate.release()).await.is_err() {
        tracing::warn!("the lease was not released in time: another operator takes over when it expires");
    }
    tracing::info!("stopped");
    ended
}

fn bind(listen: &Listen, setting: &'static str) -> anyhow::Result<TcpListener> {
    let listener = listen.bind(setting)?;
    listener.set_nonblocking(true).context("cannot serve")?;
    Ok(TcpListener::from_std(listener)?)
}

/// Serves external metrics, where they are asked for, whoever leads.
async fn scale(given: Option<(TcpListener, scaling::Files)>, clients: &Clients, metrics: &Metrics) {
    match given {
        Some((listener, files)) => scaling::serve(listener, files, clients, metrics).await,
        None => std::future::pending().await,
    }
}

async fn follow_and_lead(clients: &Clients, context: Context) {
    let mut leadership = context.leadership.clone();
    loop {
        while leadership.left().is_none() {
            if !leadership.changed().await {
                return;
            }
        }
        context.metrics.leads(true);
        lead(&clients.watches, &context).await;
        context.metrics.leads(false);
        context.metrics.receivers(&[]);
        // Should a lead end while the lease is held, the next one does not begin at once, again and again.
        tokio::time::sleep(RETRY).await;
    }
}

/// Watches and reconciles until the lead is lost. All that is known is forgotten then: another may change it.
///
/// Also for tests that put another API server under it.
pub async fn lead(watches: &Client, context: &Context) {
    // First: receivers hear of alerts while the scores are still read.
    let mut notifier = Notifier::start(watches, context);
    let mut observed = Observed::default();
    while let Err(error) = begin(context, &mut observed).await {
        tracing::warn!(%error, "cannot read the scores and what the API server serves yet");
        tokio::time::sleep(RETRY).await;
        if context.leadership.left().is_none() {
            return;
        }
    }
    let mut watches = Watches::start(watches, &context.settings, observed.serves_service_cidrs, &context.metrics);
    let mut due = Instant::now();
    let mut was_synced = false;
    loop {
        tokio::select! {
            change = watches.changes.recv() => {
                let Some(change) = change else { return };
                change(&mut observed);
                due = due.min(Instant::now() + GATHER);
                continue;
            }
            () = tokio::time::sleep_until(due) => {}
            () = context.leadership.clone().lost() => return,
            // The lead was lost within a round, and perhaps regained since.
            () = ended(&mut notifier) => return,
        }
        let begun = Instant::now();
        let round = reconcile_once(context, &mut observed).await;
        context.metrics.round(begun.elapsed().as_secs_f64(), &observed.tally());
        if observed.is_synced() && !was_synced {
            was_synced = true;
            tracing::info!(policies = observed.all_policies().count(), alerts = observed.alerts.len(), "synced");
        }
        due = Instant::now() + round.again;
    }
}

/// Waits until who sends alerts has stopped.
async fn ended(notifier: &mut Option<Notifier>) {
    match notifier {
        Some(notifier) => notifier.ended().await,
        None => std::future::pending().await,
    }
}

/// Reads what has to be known before anything is watched.
async fn begin(context: &Context, observed: &mut Observed) -> kube::Result<()> {
    observed.serves_service_cidrs = read::serves_service_cidrs(&context.client).await?;
    restore(context, observed).await
}

/// Reads the snapshots of what was counted. A broken one is logged and left: counting starts from zero for its rules.
async fn restore(context: &Context, observed: &mut Observed) -> kube::Result<()> {
    let api: Api<ConfigMap> = Api::namespaced(context.client.clone(), &context.settings.namespace);
    let maps = api.list(&ListParams::default().labels(&format!("{CONTENT}={SCORES}"))).await?;
    for map in maps {
        let name = map.metadata.name.clone();
        if let Some(packed) = snapshot_of(map)
            && let Err(error) = observed.ledger.restore(&packed)
        {
            tracing::error!(name, %error, "scores are lost");
        }
    }
    Ok(())
}
