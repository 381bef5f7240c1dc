//! `netprecursor dashboard`: a local web application over one agent, with the rights of whoever starts it.
//!
//! Data flows in one direction: [`agent`] asks the agent, [`follow`] does so once a second and gives what came to the
//! [`store`], which keeps an hour of it ([`history`], [`ring`], [`signals`], [`scores`], [`archive`]); [`api`] answers the page from the
//! store, in the shapes of [`views`], behind the [`guard`]. The page itself is built from `dashboard/` and embedded
//! ([`assets`]). A policy is tried ([`trial`]) over what is kept, or over recordings. The [`server`] puts them together.

mod agent;
mod api;
mod archive;
mod assets;
mod document;
mod follow;
mod guard;
mod history;
mod live;
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

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use netprecursor_settings::Listen;
use tokio::signal::unix::{SignalKind, signal};

use crate::{arguments, stream::DEFAULT_AGENT, terminal};
pub(crate) use server::Dashboard;
use server::Serving;
use token::Token;
use trial::Shelf;

/// What others can connect to has a token.
const EXPECTED: &str = "one: write it with `openssl rand -hex 32 >FILE` and give it with --token-file FILE, or listen on \
                        127.0.0.1 and reach it through `ssh -L`";

/// Shows an agent's targets, forecasts and alerts in a browser: live, and an hour back
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
}

/// Runs the command until it is stopped. Streams that are open then end with the program.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let token = args.token_file.as_deref().map(Token::read).transpose()?;
    let recordings = args.recordings.as_deref().map(Shelf::open).transpose()?;
    let dashboard = Dashboard::listen(&args.listen, "--listen", token, EXPECTED)?.with_recordings(recordings);
    let address = dashboard.address();
    let Serving { runtime, listener, routes } = dashboard.follow(&args.agent)?;
    terminal::print(&format!("dashboard of {} on http://{address}/, until it is stopped\n", args.agent))?;
    runtime.block_on(async move {
        tokio::select! {
            served = async { axum::serve(listener, routes).await } => served.context("cannot serve HTTP"),
            ended = stopped() => ended,
        }
    })?;
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
