//! `netprecursor dashboard`: a local web application over one agent, with the rights of whoever starts it.
//!
//! Data flows in one direction: [`agent`] asks the agent, [`follow`] does so once a second and gives what came to the
//! [`store`], which keeps an hour of it ([`history`], [`ring`], [`signals`], [`scores`], [`archive`]); [`api`] answers the page from the
//! store, in the shapes of [`views`], behind the [`guard`]. The page itself is built from `dashboard/` and embedded
//! ([`assets`]).

mod agent;
mod api;
mod archive;
mod assets;
mod follow;
mod guard;
mod history;
mod live;
mod query;
mod ring;
mod roster;
mod scores;
mod signals;
mod standing;
mod store;
#[cfg(test)]
mod tests;
mod token;
mod views;

use std::{net::TcpListener, path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::{Context as _, bail};
use netprecursor_settings::Listen;
use tokio::{
    runtime,
    signal::unix::{SignalKind, signal},
};

use crate::{arguments, stream::DEFAULT_AGENT, terminal};
use agent::Agent;
use api::Shared;
use assets::Assets;
use guard::Guard;
use token::Token;

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
}

/// Runs the command until it is stopped.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let token = args.token_file.as_deref().map(Token::read).transpose()?;
    let listener = args.listen.bind("--listen")?;
    let address = listener.local_addr().context("cannot listen")?;
    if !address.ip().is_loopback() && token.is_none() {
        bail!(
            "got --listen {} without --token-file, expected a token where others can connect: write one with `openssl rand -hex 32 \
             >FILE` and give it with --token-file FILE, or listen on 127.0.0.1 and reach it through `ssh -L`",
            args.listen
        );
    }
    let agent = Agent::new(&args.agent)?;
    let guard = Guard::of(address, &args.listen, token);
    let shared = Arc::new(Shared::new(agent.url()));
    let assets = Arc::new(Assets::load().context("cannot compress the page")?);
    follow::start(agent, Arc::clone(&shared)).context("cannot start a thread")?;
    terminal::print(&format!("dashboard of {} on http://{address}/, until it is stopped\n", args.agent))?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    runtime.block_on(serve(listener, api::router(shared, assets, guard)))?;
    Ok(ExitCode::SUCCESS)
}

/// Serves until SIGINT or SIGTERM. Streams that are open then end with the program.
async fn serve(listener: TcpListener, routes: axum::Router) -> anyhow::Result<()> {
    listener.set_nonblocking(true).context("cannot serve HTTP")?;
    let listener = tokio::net::TcpListener::from_std(listener).context("cannot serve HTTP")?;
    let installed = "installing a signal handler";
    let mut interrupted = signal(SignalKind::interrupt()).context(installed)?;
    let mut terminated = signal(SignalKind::terminate()).context(installed)?;
    tokio::select! {
        served = async { axum::serve(listener, routes).await } => served.context("cannot serve HTTP"),
        _ = interrupted.recv() => Ok(()),
        _ = terminated.recv() => Ok(()),
    }
}
