//! The last five minutes of a pod, which only its node's agent has: asked of it through the API server. The agent listens
//! inside its pod alone, so the way is a port-forward.

use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Request, StatusCode, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::ListParams};
use netprecursor_crds::{PrecursorAlert, alert::AlertState};
use netprecursor_kit::no_answer;
use serde::{Deserialize, Serialize, Serializer, de::DeserializeOwned, ser::SerializeMap as _};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::kubectl::{
    chart::Point,
    connect::{AGENTS, Answer, Cluster, ClusterError},
    forward::{self, Forwarded, Refused, chain},
};

/// What an agent remembers of a pod.
const REMEMBERED_SECONDS: i64 = 300;

/// Who waits for a chart waits no longer.
const PATIENCE: Duration = Duration::from_secs(8);

/// Bytes of an answer at most: a hundred pods in full take a tenth.
const MOST: usize = 4 << 20;

/// The last minutes, or why they cannot be had.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(super) enum Window {
    Points {
        /// The agent's pod.
        agent: String,
        /// Oldest first.
        points: Vec<Point>,
    },
    Unavailable(#[serde(serialize_with = "in_words")] Unavailable),
}

/// Why there is nothing to draw.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Unavailable {
    #[error("the alert resolved more than five minutes ago, and agents keep five minutes only")]
    Old,
    #[error("no agent runs on {node}")]
    NoAgent { node: String },
    #[error("not permitted to query the agent (docs/kubectl-plugin.md has the role for {namespace}): {message}")]
    NotPermitted { namespace: String, message: String },
    #[error("the agent no longer watches this pod")]
    NotWatched,
    #[error("cannot query agent {agent}: {reason}")]
    Failed { agent: String, reason: String },
}

/// A target as the agent lists it; there is more.
#[derive(Debug, Deserialize)]
struct Target {
    target: String,
    uid: String,
}

#[derive(Debug, Deserialize)]
struct Remembered {
    points: Vec<Point>,
}

fn in_words<S: Serializer>(reason: &Unavailable, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry("unavailable", &reason.to_string())?;
    map.end()
}

/// Asks the agent of the alert's node. That it cannot be asked is an answer too.
pub(super) async fn ask(cluster: &Cluster, alert: &PrecursorAlert, now: Timestamp) -> Result<Window, ClusterError> {
    if is_old(alert, now) {
        return Ok(Window::Unavailable(Unavailable::Old));
    }
    let namespace = cluster.installation().await?.namespace;
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), &namespace);
    let node = &alert.spec.node_name;
    let here = ListParams::default().labels(AGENTS).fields(&format!("spec.nodeName={node},status.phase=Running"));
    let agent = match cluster.judge("list the agents' pods", pods.list(&here).await)? {
        Answer::Found(list) => list.items.into_iter().find(|pod| pod.metadata.deletion_timestamp.is_none()),
        Answer::Absent => None,
        Answer::Forbidden(message) => return Ok(Window::Unavailable(Unavailable::NotPermitted { namespace, message })),
    };
    let Some(agent) = agent else { return Ok(Window::Unavailable(Unavailable::NoAgent { node: node.clone() })) };
    let Some((_, uid)) = alert.pod() else { return Ok(Window::Unavailable(Unavailable::NotWatched)) };
    let asked = tokio::time::timeout(PATIENCE, forwarded(&pods, &agent, &namespace, uid)).await;
    let agent = agent.metadata.name.unwrap_or_default();
    Ok(match asked {
        Ok(Ok(points)) => Window::Points { agent, points },
        Ok(Err(reason)) => Window::Unavailable(reason),
        Err(_) => {
            let reason = no_answer(PATIENCE);
            Window::Unavailable(Unavailable::Failed { agent, reason })
        }
    })
}

/// Whether the agent remembers nothing of it any more.
fn is_old(alert: &PrecursorAlert, now: Timestamp) -> bool {
    let Some(status) = &alert.status else { return false };
    let over = status.resolved_at.as_ref().unwrap_or(&status.fired_at);
    status.state == AlertState::Resolved && now.as_second().saturating_sub(over.0.as_second()) > REMEMBERED_SECONDS
}

async fn forwarded(pods: &Api<Pod>, agent: &Pod, namespace: &str, uid: &str) -> Result<Vec<Point>, Unavailable> {
    let name = agent.metadata.name.clone().unwrap_or_default();
    let failed = |reason: String| Unavailable::Failed { agent: name.clone(), reason };
    let Forwarded { stream, complaint } = forward::open(pods, agent).await.map_err(|refused| match refused {
        Refused::NotPermitted(message) => Unavailable::NotPermitted { namespace: namespace.to_owned(), message },
        Refused::Failed(reason) => failed(reason),
    })?;
    match points(stream, uid).await {
        Ok(found) => found.ok_or(Unavailable::NotWatched),
        // The kubelet reports why a port cannot be reached; the stream just ends.
        Err(reason) => Err(failed(complaint.await.unwrap_or(reason))),
    }
}

/// What the agent at the other end of `stream` remembers of the pod with this UID; nothing when it does not watch it.
async fn points<S>(stream: S, uid: &str) -> Result<Option<Vec<Point>>, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| chain(&error))?;
    // Ends with the stream; what goes wrong on it is what the requests say.
    let connection = tokio::spawn(connection);
    let answered = async {
        let targets: Vec<Target> = get(&mut sender, "/api/v1/targets").await?.unwrap_or_default();
        // By UID: another pod may have got the name.
        let Some(target) = targets.into_iter().find(|target| target.uid == uid) else { return Ok(None) };
        let path = format!("/api/v1/window?target={}", target.target);
        Ok(get::<Remembered>(&mut sender, &path).await?.map(|remembered| remembered.points))
    };
    let answered = answered.await;
    connection.abort();
    answered
}

/// The object at a path; `None` when there is none.
async fn get<T: DeserializeOwned>(
    sender: &mut http1::SendRequest<Empty<Bytes>>,
    path: &str,
) -> Result<Option<T>, String> {
    let request = Request::get(path).header(header::HOST, "localhost").body(Empty::new());
    let request = request.map_err(|error| chain(&error))?;
    sender.ready().await.map_err(|error| chain(&error))?;
    let response = sender.send_request(request).await.map_err(|error| chain(&error))?;
    match response.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => return Ok(None),
        status => return Err(format!("got {status} for {path}, expected 200")),
    }
    let body = Limited::new(response.into_body(), MOST).collect().await;
    let body = body.map_err(|error| format!("got an incomplete response for {path}: {error}"))?.to_bytes();
    serde_json::from_slice(&body).map(Some).map_err(|error| format!("got an unexpected response for {path}: {error}"))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::Full;
    use hyper::{Response, body::Incoming, service::service_fn};
    use serde_json::json;

    use super::*;
    use crate::kubectl::explain::tests::{FIRED, alert};

    #[test]
    fn an_alert_is_old_when_the_agent_has_forgotten_its_end() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert!(!is_old(&alert(|_| {}), at(FIRED + 30 + 300)));
        assert!(is_old(&alert(|_| {}), at(FIRED + 30 + 301)));
        let firing = alert(|alert| {
            alert["status"]["state"] = "Firing".into();
            alert["status"]["resolvedAt"] = serde_json::Value::Null;
        });
        assert!(!is_old(&firing, at(FIRED + 10_000)));
    }

    #[test]
    fn why_there_is_nothing_is_shown_to_programs_too() {
        let json = serde_json::to_value(Window::Unavailable(Unavailable::NotWatched)).unwrap();
        assert_eq!(json, json!({"unavailable": "the agent no longer watches this pod"}));
    }

    async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (status, body) = match (request.uri().path(), request.uri().query()) {
            ("/api/v1/targets", None) => (
                200,
                json!([{"target": "shop/a", "uid": "u-0"}, {"target": "shop/b", "uid": "u-1", "more": 1},
                {"target": "shop/c", "uid": "u-2"}]),
            ),
            ("/api/v1/window", Some("target=shop/b")) => (
                200,
                json!({"target": "shop/b", "points": [{"unix": 7, "measuredUs": 9.5, "predictedUs": null, "firing": false}]}),
            ),
            ("/api/v1/window", Some("target=shop/c")) => (500, json!({})),
            _ => (404, json!({"error": "not watched"})),
        };
        let response = Response::builder().status(status).body(Full::new(Bytes::from(body.to_string())));
        Ok(response.unwrap())
    }

    /// Asks an agent at the other end of a pipe.
    fn asked(uid: &str) -> Result<Option<Vec<Point>>, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (ours, theirs) = tokio::io::duplex(1 << 16);
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(theirs), service_fn(answer)),
            );
            points(ours, uid).await
        })
    }

    #[test]
    fn the_pod_is_found_by_its_uid() {
        let point = Point { unix: 7, measured_us: Some(9.5), predicted_us: None };
        assert_eq!(asked("u-1"), Ok(Some(vec![point])));
        assert_eq!(asked("u-9"), Ok(None));
        // Gone between the two requests.
        assert_eq!(asked("u-0"), Ok(None));
        assert!(asked("u-2").unwrap_err().contains("got 500"));
    }

    #[test]
    fn an_agent_that_hangs_up_is_an_answer() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let ended = runtime.block_on(async {
            let (ours, theirs) = tokio::io::duplex(64);
            drop(theirs);
            points(ours, "u-1").await
        });
        assert!(ended.is_err());
    }
}
