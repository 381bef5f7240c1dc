//! What users may that somebody else has authenticated: SubjectAccessReviews, whose answers are remembered for a while.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use k8s_openapi::api::authorization::v1::SubjectAccessReviewSpec;
use kube::Client;
use tokio::time::Instant;

use super::{
    LIMIT, is_allowed,
    verdicts::{Look, Verdict, Verdicts},
};
use crate::no_answer;

/// Questions whose answers are remembered: an autoscaler asks one for each namespace and metric.
const MOST: usize = 4_096;

/// New questions at once, and per second in the long run. Who asks was let in before; this is against loops, not strangers.
const BURST: u32 = 200;
const REFILL: Duration = Duration::from_millis(50);

/// What came of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// The user may.
    Allowed,
    /// The user may not.
    Forbidden,
    /// Too many new questions.
    Throttled,
    /// The API server did not decide.
    Undecided,
}

/// Asks the API server what users may.
pub struct Permissions {
    client: Client,
    begun: Instant,
    verdicts: Mutex<Verdicts>,
    /// Whether the last question got no answer: the log has one line for each outage.
    is_out: AtomicBool,
}

impl Permissions {
    /// By the API server of a client that may create SubjectAccessReviews.
    pub fn new(client: Client) -> Self {
        let verdicts = Mutex::new(Verdicts::new(MOST, BURST, REFILL));
        Self { client, begun: Instant::now(), verdicts, is_out: AtomicBool::new(false) }
    }

    /// Whether the user of `spec` may do what it names.
    pub async fn of(&self, spec: SubjectAccessReviewSpec) -> Permission {
        // Everything that decides is in the question; without a key there is no answer to remember.
        let Ok(key) = serde_json::to_string(&spec) else { return Permission::Undecided };
        let look = self.verdicts().look(&key, self.begun.elapsed());
        match look {
            Look::Known(verdict) => return permission(&verdict),
            Look::Full => return Permission::Throttled,
            Look::Unknown => {}
        }
        let user = spec.user.clone().unwrap_or_default();
        let asked = tokio::time::timeout(LIMIT, is_allowed(&self.client, spec)).await;
        match asked.unwrap_or_else(|_| Err(no_answer(LIMIT))) {
            Ok(is_allowed) => {
                self.is_out.store(false, Ordering::Relaxed);
                let verdict = if is_allowed { Verdict::Allowed } else { Verdict::Forbidden { user } };
                let permission = permission(&verdict);
                self.verdicts().keep(&key, verdict, self.begun.elapsed());
                permission
            }
            Err(error) => {
                if !self.is_out.swap(true, Ordering::Relaxed) {
                    tracing::warn!(error, "cannot find out what users may: refused until it works");
                }
                Permission::Undecided
            }
        }
    }

    fn verdicts(&self) -> MutexGuard<'_, Verdicts> {
        self.verdicts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn permission(verdict: &Verdict) -> Permission {
    match verdict {
        Verdict::Allowed => Permission::Allowed,
        Verdict::Unknown | Verdict::Forbidden { .. } => Permission::Forbidden,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, atomic::AtomicUsize};

    use http_body_util::BodyExt as _;
    use k8s_openapi::api::authorization::v1::ResourceAttributes;
    use kube::client::Body;
    use serde_json::{Value, json};

    use super::*;

    /// Lets `reader` do everything in namespace `shop`, and counts the questions.
    fn permissions(asked: &Arc<AtomicUsize>) -> Permissions {
        let asked = Arc::clone(asked);
        let service = tower::service_fn(move |request: http::Request<Body>| {
            asked.fetch_add(1, Ordering::Relaxed);
            async move {
                let body = request.into_body().collect().await.unwrap().to_bytes();
                let mut review: Value = serde_json::from_slice(&body).unwrap();
                let spec = &review["spec"];
                let allowed = spec["user"] == "reader" && spec["resourceAttributes"]["namespace"] == "shop";
                review["status"] = json!({"allowed": allowed});
                Ok::<_, std::convert::Infallible>(http::Response::new(axum::body::Body::from(review.to_string())))
            }
        });
        Permissions::new(Client::new(service, "default"))
    }

    fn question(user: &str, namespace: &str) -> SubjectAccessReviewSpec {
        let attributes = ResourceAttributes { namespace: Some(namespace.to_owned()), ..ResourceAttributes::default() };
        SubjectAccessReviewSpec {
            user: Some(user.to_owned()),
            resource_attributes: Some(attributes),
            ..SubjectAccessReviewSpec::default()
        }
    }

    #[tokio::test]
    async fn each_question_is_asked_once_and_answers_of_others_do_not_count() {
        let asked = Arc::new(AtomicUsize::new(0));
        let permissions = permissions(&asked);
        for _ in 0..10 {
            assert_eq!(permissions.of(question("reader", "shop")).await, Permission::Allowed);
            assert_eq!(permissions.of(question("reader", "bank")).await, Permission::Forbidden);
            assert_eq!(permissions.of(question("other", "shop")).await, Permission::Forbidden);
        }
        assert_eq!(asked.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn a_loop_of_new_questions_is_throttled() {
        let asked = Arc::new(AtomicUsize::new(0));
        let permissions = permissions(&asked);
        let mut throttled = 0;
        for number in 0..1_000 {
            let permission = permissions.of(question("other", &format!("namespace-{number}"))).await;
            throttled += usize::from(permission == Permission::Throttled);
        }
        assert!(throttled > 500, "{throttled}");
        assert_eq!(asked.load(Ordering::Relaxed), 1_000 - throttled);
    }

    #[tokio::test(start_paused = true)]
    async fn without_an_answer_nobody_may() {
        let silent = tower::service_fn(|_: http::Request<Body>| {
            std::future::pending::<Result<http::Response<axum::body::Body>, std::convert::Infallible>>()
        });
        let permissions = Permissions::new(Client::new(silent, "default"));
        assert_eq!(permissions.of(question("reader", "shop")).await, Permission::Undecided);
    }
}
