//! Answers a request: who asks, whether they may, and what they get. Whatever is refused says why, in the words of the API.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use axum::{
    Extension, Router,
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::UserInfo;
use netprecursor_kit::{Permission, Permissions};
use serde_json::Value;

use super::{
    api::{self, Asked, Refusal},
    door::common_name,
    front_proxy::FrontProxy,
    known::Known,
    metric::Metric,
    selector,
};
use crate::metrics::Metrics;

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    front_proxy: Arc<FrontProxy>,
    /// Of the certificate that it has shown and that the front proxy's authority has signed; empty where it has none.
    common_name: Option<String>,
}

/// What answers are made of.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) permissions: Arc<Permissions>,
    pub(super) known: Arc<Mutex<Known>>,
    pub(super) metrics: Metrics,
}

impl Peer {
    /// Whoever has shown `certificate` at a door.
    pub(super) fn new(
        front_proxy: Arc<FrontProxy>,
        certificate: Option<&rustls::pki_types::CertificateDer<'_>>,
    ) -> Self {
        let common_name = certificate.map(|certificate| common_name(certificate).unwrap_or_default());
        Self { front_proxy, common_name }
    }
}

/// The routes. Each request has its [`Peer`] as an extension.
pub(super) fn routes(desk: Desk) -> Router {
    Router::new().fallback(answer).with_state(desk)
}

async fn answer(State(desk): State<Desk>, Extension(peer): Extension<Peer>, request: Request) -> Response {
    let (method, uri, headers) = (request.method(), request.uri(), request.headers());
    let answered = desk.answer(&peer, method, uri, headers).await;
    desk.metrics.scaling_requested(outcome(&answered));
    match answered {
        Ok(value) => json(StatusCode::OK, &value),
        Err(refusal) => {
            let mut response = json(refusal.code, &refusal.status());
            if refusal.code == StatusCode::UNAUTHORIZED {
                // Strangers shall not hold a connection.
                response.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
            }
            response
        }
    }
}

fn json(code: StatusCode, body: &Value) -> Response {
    (code, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// What became of a request, for the metric.
fn outcome(answered: &Result<Value, Refusal>) -> &'static str {
    match answered.as_ref().map_err(|refusal| refusal.code) {
        Ok(_) => "allowed",
        Err(StatusCode::UNAUTHORIZED) => "unauthenticated",
        Err(StatusCode::FORBIDDEN) => "forbidden",
        Err(StatusCode::SERVICE_UNAVAILABLE) => "undecided",
        Err(_) => "invalid",
    }
}

impl Desk {
    async fn answer(&self, peer: &Peer, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<Value, Refusal> {
        let user = peer.front_proxy.user(peer.common_name.as_deref(), headers);
        let user = user.map_err(|stranger| Refusal::unauthorized(stranger.to_string()))?;
        let asked = Asked::of(uri.path());
        self.permit(asked, uri.path(), user).await?;
        if method != Method::GET {
            return Err(Refusal::method(method.as_str()));
        }
        match asked {
            Asked::Groups => Ok(api::groups()),
            Asked::Group => Ok(api::group()),
            Asked::Metrics => Ok(api::metrics()),
            Asked::Value { namespace, metric } => self.value(namespace, metric, uri.query().unwrap_or_default()),
            Asked::Other => Err(Refusal::not_found(format!(
                "got {}, expected /apis/{}/{}/namespaces/NAMESPACE/METRIC",
                uri.path(),
                api::GROUP,
                api::VERSION
            ))),
        }
    }

    async fn permit(&self, asked: Asked<'_>, path: &str, user: UserInfo) -> Result<(), Refusal> {
        let name = user.username.clone().unwrap_or_default();
        match self.permissions.of(asked.question(path, user)).await {
            Permission::Allowed => Ok(()),
            Permission::Forbidden => Err(Refusal::forbidden(match asked {
                Asked::Value { namespace, metric } => format!(
                    "user {name} may not list {metric} of the API group {} in namespace {namespace}: bind the user to a role \
                     with that right",
                    api::GROUP
                ),
                _ => format!("user {name} may not get {path}: bind the user to a role with that right"),
            })),
            Permission::Throttled => {
                Err(Refusal::unavailable("got too many new questions at once: try again in a second".to_owned()))
            }
            Permission::Undecided => Err(Refusal::unavailable(format!(
                "the API server did not decide whether user {name} may do this; the operator's log has the reason: try again"
            ))),
        }
    }

    fn value(&self, namespace: &str, metric: &str, query: &str) -> Result<Value, Refusal> {
        let Some(metric) = Metric::named(metric) else {
            let names = Metric::ALL.map(Metric::name).join(", ");
            return Err(Refusal::not_found(format!("got the metric {metric}, expected one of {names}")));
        };
        let mut parameters = form_urlencoded::parse(query.as_bytes());
        let selector = parameters.find(|(name, _)| name == "labelSelector").map(|(_, text)| text).unwrap_or_default();
        let selector = selector::parse(&selector).map_err(|error| Refusal::bad_request(error.to_string()))?;
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match known.value(metric, namespace, &selector, Instant::now()) {
            Some(value) => Ok(api::value(metric, value, Timestamp::now())),
            None => Err(Refusal::unavailable(
                "the alerts were not listed yet, or cannot be watched; the operator's log has the reason: try again"
                    .to_owned(),
            )),
        }
    }
}
