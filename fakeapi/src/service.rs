//! The server as a tower service, with faults on the way.

use std::{
    pin::Pin,
    sync::{Arc, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt as _, future};
use http::{HeaderValue, Request, Response, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use jiff::Timestamp;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::{BoxError, Service};

use crate::{
    access::Rule,
    audit::Entry,
    fault::{Fault, Faults},
    kind::{Kind, Kinds},
    refusal::Refusal,
    request::Call,
    server::{self, Answer, State, key},
    shared::Shared,
    watch::events,
};

/// A fake API server.
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
}

/// The server as one user reaches it.
#[derive(Clone)]
pub struct Connection {
    shared: Arc<Shared>,
    user: Arc<str>,
}

/// The objects of a server at a date.
#[derive(Debug)]
pub struct Frozen(server::Frozen);

impl Frozen {
    /// A server that goes on from here, without history, log, rules and faults. UIDs and names are drawn from `seed`.
    pub fn start(&self, seed: u64) -> Server {
        Server::of(self.0.thaw(seed))
    }
}

/// The date at which a server's clock starts.
const EPOCH: i64 = 1_750_000_000;

impl Server {
    /// A server without objects but the namespace `default`; UIDs and generated names are drawn from `seed`.
    pub fn new(kinds: Kinds, seed: u64) -> Self {
        let server = Self::of(State::new(Arc::new(kinds), seed, Timestamp::from_second(EPOCH).unwrap_or_default()));
        // A table of kinds without namespaces has none to make.
        let _ = server.create(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}));
        server.shared.state().log.clear();
        server
    }

    fn of(state: State) -> Self {
        Self { shared: Arc::new(Shared::new(state)) }
    }

    /// Objects and date as they are now, to start other servers from. Paused time ends with its runtime, this does not.
    pub fn freeze(&self) -> Frozen {
        Frozen(self.shared.state().freeze())
    }

    /// A client of this server. Users without rules (see [`Server::grant`]) may do everything.
    pub fn client(&self, user: &str, namespace: &str) -> kube::Client {
        kube::Client::new(self.connection(user), namespace)
    }

    /// The service under a client, for tests that put layers of their own around it.
    pub fn connection(&self, user: &str) -> Connection {
        Connection { shared: Arc::clone(&self.shared), user: user.into() }
    }

    /// From now on requests meet these faults.
    pub fn set_faults(&self, faults: impl Faults + 'static) {
        *self.shared.faults.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(faults);
    }

    /// Grants a rule to a user, who from now on has only the granted permissions.
    pub fn grant(&self, user: &str, namespace: Option<&str>, rule: Rule) {
        self.shared.state().access.grant(user, namespace, rule);
    }

    /// Permissions that no request needed so far.
    pub fn unused_permissions(&self) -> Vec<String> {
        self.shared.state().access.unused()
    }

    /// Whether objects go when their owners are gone; they do unless this is called.
    pub fn collect_garbage(&self, is_on: bool) {
        self.shared.state().collect_garbage(is_on);
    }

    /// The date now.
    pub fn now(&self) -> Timestamp {
        self.shared.state().clock.now()
    }

    /// The version of the last change.
    pub fn version(&self) -> u64 {
        self.shared.state().store.version()
    }

    /// Drops the history: older watches and continued lists get 410.
    pub fn compact(&self) {
        let mut state = self.shared.state();
        let version = state.store.version();
        state.store.compact(version);
    }

    /// Requests that hung so far: the caller's side of a crash waits for this to grow.
    pub fn hung(&self) -> watch::Receiver<u64> {
        self.shared.hung.subscribe()
    }

    /// The requests since the log was cleared, oldest first.
    pub fn log(&self) -> Vec<Entry> {
        self.shared.state().log.entries().cloned().collect()
    }

    /// Requests dropped from the log. A test that judges by the log must check that there are none.
    pub fn forgotten(&self) -> u64 {
        self.shared.state().log.forgotten()
    }

    /// Clears the log.
    pub fn clear_log(&self) {
        self.shared.state().log.clear();
    }

    /// All objects of a resource (`plural.group`), in the order of namespace and name.
    pub fn objects(&self, resource: &str) -> Vec<Arc<Value>> {
        let state = self.shared.state();
        let version = state.store.version();
        state.store.snapshot(resource, version).into_values().collect()
    }

    /// One object.
    pub fn object(&self, resource: &str, namespace: &str, name: &str) -> Option<Arc<Value>> {
        let state = self.shared.state();
        let kind = state.kinds.iter().find(|kind| kind.resource() == resource)?;
        state.store.object(&key(kind, namespace, name)).cloned()
    }

    /// Creates an object as an administrator; its status is written too.
    ///
    /// # Errors
    /// The server's refusal.
    pub fn create(&self, object: &Value) -> Result<Value, Refusal> {
        let kind = self.kind_of(object)?;
        let (namespace, name) = place(object);
        let made = self.ask(http::Method::POST, &path(&kind, namespace, ""), "", object)?;
        match object.get("status") {
            Some(status) if kind.has_status => {
                let mut whole = made;
                whole["status"] = status.clone();
                let name = if name.is_empty() { whole["metadata"]["name"].as_str().unwrap_or_default() } else { name };
                let path = format!("{}/status", path(&kind, namespace, name));
                self.ask(http::Method::PUT, &path, "", &whole)
            }
            _ => Ok(made),
        }
    }

    /// Merges a patch into an object as an administrator; `part` is empty or `status`.
    ///
    /// # Errors
    /// The server's refusal.
    pub fn patch(&self, object: &Value, part: &str, patch: &Value) -> Result<Value, Refusal> {
        let kind = self.kind_of(object)?;
        let (namespace, name) = place(object);
        let part = if part.is_empty() { String::new() } else { format!("/{part}") };
        let path = format!("{}{part}", path(&kind, namespace, name));
        self.ask(http::Method::PATCH, &path, "application/merge-patch+json", patch)
    }

    /// Deletes an object as an administrator.
    ///
    /// # Errors
    /// The server's refusal.
    pub fn delete(&self, object: &Value) -> Result<Value, Refusal> {
        let kind = self.kind_of(object)?;
        let (namespace, name) = place(object);
        self.ask(http::Method::DELETE, &path(&kind, namespace, name), "", &json!({}))
    }

    fn kind_of(&self, object: &Value) -> Result<Arc<Kind>, Refusal> {
        let text = |key: &str| object[key].as_str().unwrap_or_default();
        self.shared.state().kinds.named(text("apiVersion"), text("kind")).ok_or_else(Refusal::no_such_path)
    }

    fn ask(&self, method: http::Method, path: &str, content: &str, body: &Value) -> Result<Value, Refusal> {
        let mut request = Request::builder().method(method).uri(path).header(header::USER_AGENT, "admin");
        if !content.is_empty() {
            request = request.header(header::CONTENT_TYPE, content);
        }
        let request = request.body(()).map_err(|error| Refusal::bad_request(error.to_string()))?;
        let kinds = Arc::clone(&self.shared.state().kinds);
        let call = Call::read(&request.into_parts().0, Bytes::from(body.to_string()), &kinds, "admin")?;
        match self.shared.handle(&call, Duration::ZERO)? {
            Answer::Json(_, value) => Ok(value),
            Answer::Watch(_) => Err(Refusal::no_such_path()),
        }
    }
}

fn place(object: &Value) -> (&str, &str) {
    let text = |key: &str| object["metadata"][key].as_str().unwrap_or_default();
    (text("namespace"), text("name"))
}

fn path(kind: &Kind, namespace: &str, name: &str) -> String {
    let root = if kind.group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", kind.group) };
    let inside = if kind.is_namespaced { format!("/namespaces/{namespace}") } else { String::new() };
    let name = if name.is_empty() { String::new() } else { format!("/{name}") };
    format!("{root}/{}{inside}/{}{name}", kind.version, kind.plural)
}

/// The body of an answer.
type AnswerBody = UnsyncBoxBody<Bytes, std::io::Error>;

impl Service<Request<Body>> for Connection {
    type Response = Response<AnswerBody>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let connection = self.clone();
        Box::pin(async move { connection.answer(request).await })
    }
}

impl Connection {
    async fn answer(&self, request: Request<Body>) -> Result<Response<AnswerBody>, BoxError> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let kinds = Arc::clone(&self.shared.state().kinds);
        let call = match Call::read(&parts, body, &kinds, &self.user) {
            Ok(call) => call,
            Err(refusal) => return Ok(refused(&refusal)),
        };
        let fault = self.shared.faults.lock().unwrap_or_else(PoisonError::into_inner).next(&call);
        match fault {
            None => Ok(self.done(&call, None)),
            Some(Fault::Refuse(refusal)) => Ok(refused(&refusal)),
            Some(Fault::RefuseAfter(refusal)) => {
                let _ = self.shared.handle(&call, Duration::ZERO);
                Ok(refused(&refusal))
            }
            Some(Fault::HangBefore) => self.hang().await,
            Some(Fault::HangAfter) => {
                let _ = self.shared.handle(&call, Duration::ZERO);
                self.hang().await
            }
            Some(Fault::TimeoutBefore(limit)) => {
                tokio::time::sleep(limit).await;
                Err("no answer in time".into())
            }
            Some(Fault::TimeoutAfter(limit)) => {
                let _ = self.shared.handle(&call, Duration::ZERO);
                tokio::time::sleep(limit).await;
                Err("no answer in time".into())
            }
            Some(Fault::CutBefore) => Err("the connection was cut".into()),
            Some(Fault::CutAfter) => {
                let _ = self.shared.handle(&call, Duration::ZERO);
                Err("the connection was cut".into())
            }
            Some(fault) => Ok(self.done(&call, Some(fault))),
        }
    }

    fn done(&self, call: &Call, fault: Option<Fault>) -> Response<AnswerBody> {
        let stale = match fault {
            Some(Fault::Stale(lag)) => lag,
            _ => Duration::ZERO,
        };
        match self.shared.handle(call, stale) {
            Ok(Answer::Json(code, value)) => json_body(code, &value),
            Ok(Answer::Watch(watch)) => {
                let frames = events(Arc::clone(&self.shared), watch, fault).map(|piece| piece.map(Frame::data));
                let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
                response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                response
            }
            Err(refusal) => refused(&refusal),
        }
    }

    async fn hang<T>(&self) -> T {
        self.shared.hung.send_modify(|count| *count += 1);
        future::pending().await
    }
}

fn json_body(code: u16, value: &Value) -> Response<AnswerBody> {
    body(code, value.to_string())
}

fn body(code: u16, text: String) -> Response<AnswerBody> {
    let body = Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = http::StatusCode::from_u16(code).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn refused(refusal: &Refusal) -> Response<AnswerBody> {
    let text = if refusal.is_text() { refusal.message.clone() } else { refusal.to_json().to_string() };
    let mut response = body(refusal.code, text);
    if let Some(seconds) = refusal.retry_after() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
