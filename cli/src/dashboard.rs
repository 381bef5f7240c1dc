//! `netprecursor dashboard`: a local web application over one agent, with the rights of whoever starts it.
//!
//! Data flows in one direction: [`agent`] asks the agent, [`follow`] does so once a second and gives what came to the
//! [`store`], which keeps an hour of it ([`history`], [`ring`], [`signals`], [`scores`], [`archive`]); [`api`] answers the
//! page from the store, in the shapes of [`views`], behind the [`guard`]. What lies further back is kept on disk, or asked of
//! a Prometheus ([`past`], `crate::history`). The page itself is built from `dashboard/` and embedded ([`assets`]). A policy
//! is tried ([`trial`]) over what is kept, or over recordings. The [`server`] puts them together.

mod agent;
mod api;
mod archive;
mod assets;
mod document;
mod follow;
mod guard;
mod history;
mod live;
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

use anyhow::Context as _;
use netprecursor_settings::Listen;
use tokio::signal::unix::{SignalKind, signal};

use crate::{arguments, stream::DEFAULT_AGENT, terminal};
pub(crate) use past::Past;
use past::PastArgs;
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
    /// Where the dashboard listens; beyond this machine it wants --token-file
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9471")]
    listen: Listen,
    /// A file with the token that a browser has to present, at least 16 characters
    #[arg(long, value_name = "FILE", value_parser = arguments::file())]
    token_file: Option<PathBuf>,
    /// A directory with recordings, as 'netprecursor record' writes them, on which policies can be tried, too
    #[arg(long, value_name = "DIRECTORY", value_parser = arguments::file())]
    recordings: Option<PathBuf>,
    #[command(flatten)]
    past: PastArgs,
}

/// What is served, as a command was asked to.
pub(crate) struct Service<'a> {
    /// What it calls itself.
    pub(crate) name: &'static str,
    pub(crate) agent: &'a str,
    pub(crate) listen: &'a Listen,
    pub(crate) token_file: Option<&'a Path>,
    /// Recordings on which policies can be tried, too.
    pub(crate) recordings: Option<Shelf>,
    pub(crate) past: Past,
}

/// Runs the command until it is stopped.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    serve(Service {
        name: "dashboard",
        agent: &args.agent,
        listen: &args.listen,
        token_file: args.token_file.as_deref(),
        recordings: args.recordings.as_deref().map(Shelf::open).transpose()?,
        past: Past::open(&args.past)?,
    })
}

/// Serves until it is stopped. Streams that are open then end with the program; what waits is written.
pub(crate) fn serve(service: Service<'_>) -> anyhow::Result<ExitCode> {
    let Service { name, agent, listen, token_file, recordings, past } = service;
    let token = token_file.map(Token::read).transpose()?;
    let dashboard = Dashboard::listen(listen, "--listen", token, EXPECTED)?.with_recordings(recordings);
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
