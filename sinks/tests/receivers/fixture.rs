//! A receiver whose answers the test decides, and receivers' settings that lead to it.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant, SystemTime},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
    stream,
};
use netprecursor_core::{
    alert::{AlertState, Confirmed},
    decide::Trigger,
    policy::{Kind, Severity},
};
use netprecursor_kit::Backoff;
use netprecursor_sinks::{
    health::{Board, Health},
    notice::{About, Notice, Target},
    receivers::{Inlet, Limits, Receivers},
    settings::{Given, GivenAlertmanager, GivenWebhook, Settings, Style},
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

/// What a request is answered with.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// A status, with words.
    Status(u16, &'static str),
    /// A status with a header.
    Header(u16, header::HeaderName, String),
    /// A status, and a body that never ends.
    Endless(u16),
    /// A status, and a body that never comes.
    Silent(u16),
    /// Nothing, ever.
    Hang,
}

/// What came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) at: Instant,
}

/// A receiver. It takes everything unless a test says otherwise.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    address: SocketAddr,
    state: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    requests: Vec<Request>,
    next: VecDeque<Answer>,
    always: Option<Answer>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self::at(listener.local_addr().unwrap());
        let router = server.router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        server
    }

    /// One that somebody else serves.
    pub(crate) fn at(address: SocketAddr) -> Self {
        Self { address, state: Arc::default() }
    }

    pub(crate) fn router(&self) -> Router {
        Router::new().fallback(answer).with_state(self.clone())
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) const fn port(&self) -> u16 {
        self.address.port()
    }

    /// The next requests are answered with these, later ones are taken.
    pub(crate) fn answers(&self, answers: impl IntoIterator<Item = Answer>) {
        self.inner().next.extend(answers);
    }

    /// All requests are answered with this.
    pub(crate) fn answers_always(&self, answer: Answer) {
        self.inner().always = Some(answer);
    }

    pub(crate) fn count(&self) -> usize {
        self.inner().requests.len()
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.inner().requests.clone()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.state.lock().unwrap()
    }
}

async fn answer(State(server): State<Server>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let answer = {
        let mut inner = server.inner();
        inner.requests.push(Request { path: uri.path().to_owned(), headers, body, at: Instant::now() });
        inner.next.pop_front().or_else(|| inner.always.clone())
    };
    let status = |status| StatusCode::from_u16(status).unwrap();
    let text = [(header::CONTENT_TYPE, "text/plain")];
    match answer {
        None => StatusCode::OK.into_response(),
        Some(Answer::Status(code, words)) => (status(code), text, words).into_response(),
        Some(Answer::Header(code, name, value)) => (status(code), [(name, value)]).into_response(),
        Some(Answer::Endless(code)) => {
            let chunk = || Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 8192]));
            (status(code), text, Body::from_stream(stream::repeat_with(chunk))).into_response()
        }
        Some(Answer::Silent(code)) => {
            let nothing = stream::pending::<Result<Bytes, std::io::Error>>();
            (status(code), text, Body::from_stream(nothing)).into_response()
        }
        Some(Answer::Hang) => std::future::pending().await,
    }
}

/// A URL at which nobody listens.
pub(crate) async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// Receivers at work.
pub(crate) struct Running {
    inlet: Inlet,
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

type Ended = Shared<BoxFuture<'static, ()>>;

/// Sends to whoever is given.
pub(crate) fn start(given: Given, limits: Limits) -> Running {
    let settings = Settings::new(given, Style::Flags).unwrap();
    let (end, ended) = oneshot::channel::<()>();
    let ended: Ended = async { drop(ended.await) }.boxed().shared();
    let (inlet, receivers) = Receivers::new(&settings, Some("c1"), "tests", &limits);
    Running { inlet, end, task: tokio::spawn(receivers.run(ended)) }
}

impl Running {
    pub(crate) fn put(&self, notice: Notice) {
        self.inlet.put(&Arc::new(notice));
    }

    pub(crate) fn health(&self) -> Vec<Health> {
        self.inlet.boards().iter().map(Board::read).collect()
    }

    /// Ends them, and waits until they have.
    pub(crate) async fn end(self) {
        drop(self.end);
        self.task.await.unwrap();
    }
}

/// Short waits.
pub(crate) fn limits() -> Limits {
    Limits {
        backoff: Backoff::between(Duration::from_millis(20), Duration::from_millis(50)),
        attempt: Duration::from_millis(500),
        ..Limits::new(64)
    }
}

pub(crate) fn alertmanager(urls: &[&str]) -> Given {
    let urls = urls.iter().map(|url| (*url).to_owned()).collect();
    Given { alertmanager: GivenAlertmanager { urls, ..GivenAlertmanager::default() }, ..Given::default() }
}

pub(crate) fn webhook(url: &str) -> Given {
    let webhook = GivenWebhook { url: Some(url.to_owned()), ..GivenWebhook::default() };
    Given { webhook, ..Given::default() }
}

/// When alerts of these tests fire, unix s: just now.
pub(crate) fn fired() -> u64 {
    static FIRED: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    *FIRED.get_or_init(|| SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs())
}

/// Unix seconds by RFC 3339.
pub(crate) fn time(unix: u64) -> String {
    jiff::Timestamp::from_second(unix.try_into().unwrap()).unwrap().to_string()
}

/// An alert about the target of this name, as it fires.
pub(crate) fn firing(target: &str) -> Notice {
    Notice {
        id: format!("checkout-{target}"),
        about: About {
            policy_kind: Kind::Namespaced,
            policy: "checkout".to_owned(),
            rule: "rtt".to_owned(),
            namespace: None,
            target: Target::Named(target.to_owned()),
            node: "host1".to_owned(),
        },
        state: AlertState::Firing,
        severity: Severity::Critical,
        trigger: Trigger::Forecast,
        count: 1,
        fired_unix: fired(),
        resolved_unix: None,
        rtt: "RTT".to_owned(),
        threshold: "200ms".to_owned(),
        predicted: Some("231ms".to_owned()),
        chance_percent: Some(74),
        measured: None,
        lead: None,
        confirmed: Confirmed::Unknown,
        causes: Vec::new(),
        model: "adaptive".to_owned(),
        description: "RTT is forecast to reach 231ms within 10s.".to_owned(),
    }
}

/// The same, ten seconds later.
pub(crate) fn resolved(target: &str) -> Notice {
    Notice { state: AlertState::Resolved, resolved_unix: Some(fired() + 10), ..firing(target) }
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < limit, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
