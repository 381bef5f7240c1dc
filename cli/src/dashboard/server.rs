//! A dashboard from its address to its answers: first it listens, so that a wrong or taken address is known before anything
//! else begins, then it follows an agent and serves.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread,
};

use anyhow::{Context as _, bail};
use axum::Router;
use netprecursor_settings::Listen;
use tokio::runtime::{self, Runtime};

use super::{
    agent::Agent,
    api::{self, Shared},
    assets::Assets,
    follow,
    guard::Guard,
    past::Past,
    token::Token,
    trial::{Desk, Shelf},
};

/// A dashboard that listens. Who asks waits until it serves.
pub(crate) struct Dashboard {
    listener: TcpListener,
    address: SocketAddr,
    guard: Guard,
    recordings: Option<Shelf>,
}

/// A dashboard that follows an agent, and answers when its runtime runs.
pub(super) struct Serving {
    pub(super) runtime: Runtime,
    pub(super) listener: tokio::net::TcpListener,
    pub(super) routes: Router,
    pub(super) shared: Arc<Shared>,
}

impl Dashboard {
    /// For whoever is on this machine. `setting` is the flag that has `listen`.
    pub(crate) fn of_this_machine(listen: &Listen, setting: &'static str) -> anyhow::Result<Self> {
        let expected = format!("an address of this machine alone: give {setting} 127.0.0.1:{}", listen.port());
        Self::listen(listen, setting, None, &expected)
    }

    /// For whoever has the token. Without one, an address that others can connect to is refused with what is `expected`.
    pub(super) fn listen(
        listen: &Listen,
        setting: &'static str,
        token: Option<Token>,
        expected: &str,
    ) -> anyhow::Result<Self> {
        let listener = listen.bind(setting)?;
        let address = listener.local_addr().context("cannot listen")?;
        if !address.ip().is_loopback() && token.is_none() {
            bail!("got {setting} {listen}, where others can connect, and no token, expected {expected}");
        }
        Ok(Self { listener, address, guard: Guard::of(address, listen, token), recordings: None })
    }

    /// Policies can be tried on these recordings, too.
    pub(super) fn with_recordings(self, recordings: Option<Shelf>) -> Self {
        Self { recordings, ..self }
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Follows the agent at the URL from now on.
    pub(super) fn follow(self, agent: &str, past: Past) -> anyhow::Result<Serving> {
        let agent = Agent::new(agent)?;
        let shared = Arc::new(Shared::keeping(agent.url(), past)?);
        let assets = Arc::new(Assets::load().context("cannot compress the page")?);
        let runtime = runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
        self.listener.set_nonblocking(true).context("cannot serve HTTP")?;
        let listener = {
            let _entered = runtime.enter();
            tokio::net::TcpListener::from_std(self.listener).context("cannot serve HTTP")?
        };
        follow::start(agent, Arc::clone(&shared)).context("cannot start a thread")?;
        let routes = api::router(Arc::clone(&shared), assets, self.guard, Desk::new(self.recordings));
        Ok(Serving { runtime, listener, routes, shared })
    }

    /// Serves what is known, in the runtime that this is called in, until its future is dropped.
    pub(super) async fn serve(self, shared: Arc<Shared>) -> anyhow::Result<()> {
        let assets = Arc::new(Assets::load().context("cannot compress the page")?);
        self.listener.set_nonblocking(true).context("cannot serve HTTP")?;
        let listener = tokio::net::TcpListener::from_std(self.listener).context("cannot serve HTTP")?;
        let routes = api::router(shared, assets, self.guard, Desk::new(self.recordings));
        axum::serve(listener, routes).await.context("cannot serve HTTP")
    }

    /// Follows the agent at the URL, and serves on a thread of its own; both end with the program.
    pub(crate) fn start(self, agent: &str) -> anyhow::Result<()> {
        let Serving { runtime, listener, routes, .. } = self.follow(agent, Past::none())?;
        // It does not return: what fails is a connection, never the server.
        let serve = move || runtime.block_on(async move { axum::serve(listener, routes).await });
        thread::Builder::new().name("dashboard".to_owned()).spawn(serve).context("cannot start a thread")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_token_an_address_that_others_reach_is_refused() {
        let refused = Dashboard::of_this_machine(&"0.0.0.0:0".parse().unwrap(), "--dashboard").map(drop).unwrap_err();
        let words = refused.to_string();
        assert!(words.contains("got --dashboard 0.0.0.0:0") && words.contains("--dashboard 127.0.0.1:"), "{words}");
    }

    #[test]
    fn who_asks_before_it_serves_is_answered_then_whether_or_not_the_agent_is_there() {
        let dashboard = Dashboard::of_this_machine(&"127.0.0.1:0".parse().unwrap(), "--dashboard").unwrap();
        let url = format!("http://{}/", dashboard.address());
        let asked = thread::spawn(move || {
            let agent = ureq::Agent::new_with_config(ureq::Agent::config_builder().proxy(None).build());
            agent.get(&url).call().unwrap().body_mut().read_to_string().unwrap()
        });
        // A port that nobody listens on: it was free a moment ago.
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        dashboard.start(&format!("http://{nobody}")).unwrap();
        assert!(asked.join().unwrap().contains("<title>netprecursor</title>"));
    }
}
