//! Whether this operator is the cluster's: two with agents of their own would measure everything twice, write the same
//! statuses and delete each other's alerts.

use std::time::Duration;

use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::{Api, Client};
use netprecursor_crds::installation::{CLAIM, Claim};
use netprecursor_kit::Failure;
use tokio::sync::watch;

/// Between two looks at the mark.
const LOOK_EVERY: Duration = Duration::from_secs(20);

/// Until the first look is answered.
const RETRY: Duration = Duration::from_secs(2);

/// Whether this operator may work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Permit {
    /// Not known yet.
    Unknown,
    /// It may.
    Granted,
    /// It may not.
    Refused(String),
}

impl Permit {
    /// Why it may not work. What is not known yet is no reason: then the API server has not answered.
    pub fn refusal(&self) -> Option<&str> {
        match self {
            Self::Unknown | Self::Granted => None,
            Self::Refused(why) => Some(why),
        }
    }
}

/// Looks at the mark again and again, and says what it means for an operator in the namespace `own`. What cannot be read
/// changes nothing.
pub async fn watch(client: Client, own: &str, permit: watch::Sender<Permit>) {
    loop {
        if let Some(found) = look(&client, own).await
            && permit.send_if_modified(|known| std::mem::replace(known, found.clone()) != found)
            && let Some(why) = found.refusal()
        {
            tracing::error!(why, "this operator does not work");
        }
        let is_known = *permit.borrow() != Permit::Unknown;
        tokio::time::sleep(if is_known { LOOK_EVERY } else { RETRY }).await;
    }
}

/// What the mark says to an operator in the namespace `own`; `None` when it cannot be read now.
pub async fn look(client: &Client, own: &str) -> Option<Permit> {
    let roles: Api<ClusterRole> = Api::all(client.clone());
    let annotations = match roles.get_metadata(CLAIM).await {
        Ok(role) => role.metadata.annotations.unwrap_or_default(),
        // Without the chart's roles there is no mark, or no right to read it.
        Err(error) if matches!(Failure::from(&error), Failure::Missing | Failure::Forbidden) => {
            tracing::debug!(%error, "whether another installation is in the cluster is not known");
            return Some(Permit::Granted);
        }
        Err(error) => {
            tracing::warn!(%error, "cannot find out whether another installation is in the cluster");
            return None;
        }
    };
    let refusal = Claim::of(&annotations).and_then(|claim| claim.refusal(own));
    Some(refusal.map_or(Permit::Granted, Permit::Refused))
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use axum::body::Body;
    use netprecursor_crds::installation::INSTALLED_IN;
    use serde_json::{Value, json};

    use super::*;
    use crate::{election::Candidate, http::Health, metrics::Metrics};

    /// An API server that answers everything with this.
    fn server(code: u16, answer: Value, asked: Arc<AtomicUsize>) -> Client {
        let service = tower::service_fn(move |_: http::Request<kube::client::Body>| {
            asked.fetch_add(1, Ordering::Relaxed);
            let response = http::Response::builder().status(code).body(Body::from(answer.to_string()));
            std::future::ready(Ok::<_, std::convert::Infallible>(response.unwrap()))
        });
        Client::new(service, "default")
    }

    fn role(namespace: &str) -> Value {
        let annotations = json!({INSTALLED_IN: namespace, "netprecursor.io/release": "first"});
        let metadata = json!({"name": CLAIM, "annotations": annotations});
        json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": metadata})
    }

    async fn permit(code: u16, answer: Value) -> Option<Permit> {
        look(&server(code, answer, Arc::default()), "second-ns").await
    }

    #[tokio::test]
    async fn an_operator_works_where_the_mark_is_or_where_there_is_none() {
        assert_eq!(permit(200, role("second-ns")).await, Some(Permit::Granted));
        let refused = permit(200, role("first-ns")).await.unwrap();
        assert!(refused.refusal().unwrap().contains("release first in namespace first-ns"), "{refused:?}");
        let failed = |code: u16, reason: &str| json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": ""});
        assert_eq!(permit(404, failed(404, "NotFound")).await, Some(Permit::Granted));
        assert_eq!(permit(403, failed(403, "Forbidden")).await, Some(Permit::Granted));
        assert_eq!(permit(500, failed(500, "InternalError")).await, None);
    }

    /// What a candidate with this permit asked the API server for in two minutes, and what `/readyz` answers then.
    async fn campaign(permit: Permit) -> (usize, String) {
        let asked = Arc::new(AtomicUsize::new(0));
        let client = server(200, json!({}), Arc::clone(&asked));
        let health = Health::new(Metrics::default());
        let (candidate, leadership) = Candidate::new(client, "second-ns", "lease", "operator-0", health.clone());
        let (permit, permitted) = watch::channel(permit);
        let mut candidate = candidate.permitted_by(permitted);
        let campaign = tokio::time::timeout(Duration::from_secs(120), candidate.campaign());
        assert!(campaign.await.is_err());
        assert_eq!(leadership.left(), None);
        let routes = crate::http::router(health, None);
        let request = http::Request::get("/readyz").body(Body::empty()).unwrap();
        let answer = tower::ServiceExt::oneshot(routes, request).await.unwrap();
        assert_eq!(answer.status(), 503);
        let body = axum::body::to_bytes(answer.into_body(), 1_000).await.unwrap();
        drop(permit);
        (asked.load(Ordering::Relaxed), String::from_utf8_lossy(&body).into_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn an_operator_that_is_refused_leaves_the_lease_alone_and_is_not_ready() {
        let (asked, ready) = campaign(Permit::Refused("another is here".to_owned())).await;
        assert_eq!(asked, 0);
        assert!(ready.contains("another is here"), "{ready}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_operator_that_cannot_read_the_mark_leaves_the_lease_alone_and_blames_the_server() {
        let (asked, ready) = campaign(Permit::Unknown).await;
        assert_eq!(asked, 0);
        assert!(ready.contains("the API server was not reached yet"), "{ready}");
    }
}
