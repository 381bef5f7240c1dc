//! `netprecursor dashboard`: a local web application over one agent, with the rights of whoever starts it. The same over a
//! whole [`cluster`] is `kubectl netprecursor dashboard`.
//!
//! Data flows in one direction: [`agent`] asks the agent, [`follow`] does so once a second and gives what came to its
//! [`store`], which keeps an hour of it ([`history`], [`ring`], [`signals`], [`scores`], [`archive`]); the stores of all agents
//! that are followed are a [`fleet`], one agent a fleet of one. From that [`api`] answers the page, in the shapes of [`views`]
//! and [`nodes`], behind the [`guard`]. What lies further back is kept on disk, or asked of a Prometheus ([`past`],
//! `crate::history`). The page itself is built from `dashboard/` and embedded ([`assets`]). A policy is tried ([`trial`]) over
//! what is kept, or over recordings. The [`server`] puts them together.

mod agent;
mod api;
mod archive;
mod assets;
pub(crate) mod cluster;
mod document;
mod fleet;
mod follow;
mod guard;
mod health;
mod history;
mod live;
mod models;
pub(crate) mod nodes;
mod past;
mod query;
mod ring;
mod roster;
mod scores;
mod server;
mod signals;
mod standing;
mod store;
#[cfg(test)]
mod tests;
mod token;
mod trial;
mod views;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use netprecursor_settings::Listen;
use tokio::signal::unix::{SignalKind, signal};

use crate::{arguments, stream::DEFAULT_AGENT, terminal};
use past::PastArgs;
pub(crate) use past::{Past, PrometheusArgs};
pub(crate) use server::Dashboard;
use server::Serving;
use token::Token;
use trial::Shelf;

/// What others can connect to has a token.
const EXPECTED: &str = "one: write it with `openssl rand -hex 32 >FILE` and give it with --token-file FILE, or listen on \
                        127.0.0.1 and reach it through `ssh -L`";

/// Shows an agent's targets, forecasts and alerts in a browser: live, an hour back, and further where history is kept
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Address of the agent
    #[arg(long, value_name = "URL", default_value = DEFAULT_AGENT)]
    agent: String,
    #[command(flatten)]
    listening: Listening,
    #[command(flatten)]
    past: PastArgs,
}

// Where a dashboard listens, and whom it answers: of a documentation comment clap would make the help of who has this.
#[derive(Debug, clap::Args)]
pub(crate) struct Listening {
    /// Where the dashboard listens; beyond this machine it wants --token-file
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9471")]
    listen: Listen,
    /// A file with the token that a browser has to present, at least 16 characters
    #[arg(long, value_name = "FILE", value_parser = arguments::file())]
    token_file: Option<PathBuf>,
    /// A directory with recordings, as 'netprecursor record' writes them, on which policies can be tried, too
    #[arg(long, value_name = "DIRECTORY", value_parser = arguments::file())]
    recordings: Option<PathBuf>,
}

impl Listening {
    /// Listens there.
    fn start(&self) -> anyhow::Result<Dashboard> {
        let recordings = self.recordings.as_deref().map(Shelf::open).transpose()?;
        Ok(listen(&self.listen, self.token_file.as_deref())?.with_recordings(recordings))
    }
}

/// Listens there, for whoever has the token in the file.
pub(crate) fn listen(listen: &Listen, token_file: Option<&Path>) -> anyhow::Result<Dashboard> {
    let token = token_file.map(Token::read).transpose()?;
    Dashboard::listen(listen, "--listen", token, EXPECTED)
}

/// Runs the command until it is stopped.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let dashboard = args.listening.start()?;
    serve("dashboard", dashboard, &args.agent, Past::open(&args.past)?)
}

/// Serves what `name` shows of an agent until it is stopped. Streams that are open then end with the program; what waits is
/// written.
pub(crate) fn serve(name: &str, dashboard: Dashboard, agent: &str, past: Past) -> anyhow::Result<ExitCode> {
    let address = dashboard.address();
    let Serving { runtime, listener, routes, shared } = dashboard.follow(agent, past)?;
    terminal::print(&format!("{name} of {agent} on http://{address}/, until it is stopped\n"))?;
    runtime.block_on(async move {
        tokio::select! {
            served = async { axum::serve(listener, routes).await } => served.context("cannot serve HTTP"),
            ended = stopped() => ended,
        }
    })?;
    shared.past().flush();
    if let Some(reason) = shared.past().trouble() {
        bail!("what came last was not written: {reason}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Waits for SIGINT or SIGTERM.
async fn stopped() -> anyhow::Result<()> {
    let installed = "installing a signal handler";
    let mut interrupted = signal(SignalKind::interrupt()).context(installed)?;
    let mut terminated = signal(SignalKind::terminate()).context(installed)?;
    tokio::select! {
        _ = interrupted.recv() => Ok(()),
        _ = terminated.recv() => Ok(()),
    }
}
