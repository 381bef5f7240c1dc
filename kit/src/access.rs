//! Who may read metrics: whoever presents a bearer token of a user that may `get` the non-resource URL `/metrics`, as the API
//! server decides it (TokenReview, then SubjectAccessReview). Its decisions are remembered for a while. [`Permissions`] are the
//! second half alone, for users that somebody else has authenticated.

mod permission;
mod verdicts;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::MethodRouter,
};
use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec, UserInfo},
    authorization::v1::{NonResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
};
use kube::{Api, Client, Config, api::PostParams};
use tokio::{sync::OnceCell, time::Instant};

pub use self::permission::{Permission, Permissions};
use self::verdicts::{Look, Verdict, Verdicts};
use crate::{Failure, Limits, no_answer};

/// What is asked for.
const PATH: &str = "/metrics";

/// For both questions to the API server: well within the ten seconds that a scrape waits.
const LIMIT: Duration = Duration::from_secs(5);

/// Longer tokens are refused unread; those of service accounts have about 1 kB.
const LONGEST_TOKEN: usize = 16 << 10;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Allowed,
    /// No token, or one that the API server does not know.
    Unauthenticated,
    /// The user may not.
    Forbidden,
    /// Too many unknown tokens.
    Throttled,
    /// The API server did not decide.
    Undecided,
}

impl Outcome {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Allowed, "allowed"),
        (Self::Unauthenticated, "unauthenticated"),
        (Self::Forbidden, "forbidden"),
        (Self::Throttled, "throttled"),
        (Self::Undecided, "undecided"),
    ];
}

/// Decides who may read metrics.
pub struct Access {
    client: OnceCell<Client>,
    begun: Instant,
    verdicts: Mutex<Verdicts>,
    counts: [AtomicU64; Outcome::ALL.len()],
    /// Whether the last question got no answer: the log has one line for each outage.
    is_out: AtomicBool,
}

impl Access {
    /// By the API server that the environment names. It is looked up when the first token comes.
    pub fn of_cluster() -> Arc<Self> {
        Self::by(OnceCell::new())
    }

    /// By the API server of a client.
    pub fn with(client: Client) -> Arc<Self> {
        Self::by(OnceCell::new_with(Some(client)))
    }

    fn by(client: OnceCell<Client>) -> Arc<Self> {
        let verdicts = Mutex::new(Verdicts::default());
        let (begun, counts, is_out) = (Instant::now(), Default::default(), AtomicBool::new(false));
        Arc::new(Self { client, begun, verdicts, counts, is_out })
    }

    /// Requests so far, by what became of them.
    pub fn counts(&self) -> [(&'static str, u64); Outcome::ALL.len()] {
        Outcome::ALL.map(|(outcome, name)| (name, self.counts[outcome as usize].load(Ordering::Relaxed)))
    }

    /// Why a request with these headers is refused; `None` when it is not.
    async fn refuse(&self, headers: &HeaderMap) -> Option<Response> {
        let (outcome, words) = self.decide(headers).await;
        self.counts[outcome as usize].fetch_add(1, Ordering::Relaxed);
        let status = match outcome {
            Outcome::Allowed => return None,
            Outcome::Unauthenticated => StatusCode::UNAUTHORIZED,
            Outcome::Forbidden => StatusCode::FORBIDDEN,
            Outcome::Throttled | Outcome::Undecided => StatusCode::SERVICE_UNAVAILABLE,
        };
        let mut response = (status, words + "\n").into_response();
        if outcome == Outcome::Unauthenticated {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
        }
        Some(response)
    }

    async fn decide(&self, headers: &HeaderMap) -> (Outcome, String) {
        let token = match bearer(headers) {
            Ok(token) => token,
            Err(got) => return (Outcome::Unauthenticated, format!("got {got}, expected {EXPECTED}")),
        };
        let look = self.verdicts().look(token, self.begun.elapsed());
        let verdict = match look {
            Look::Known(verdict) => verdict,
            Look::Full => {
                let words = "got too many unknown tokens at once, expected few: try again in a second";
                return (Outcome::Throttled, words.to_owned());
            }
            Look::Unknown => match self.review(token).await {
                Ok(verdict) => {
                    self.is_out.store(false, Ordering::Relaxed);
                    self.verdicts().keep(token, verdict.clone(), self.begun.elapsed());
                    verdict
                }
                Err(error) => {
                    if !self.is_out.swap(true, Ordering::Relaxed) {
                        tracing::warn!(error, "cannot find out who may read metrics: refused until it works");
                    }
                    let words = "the API server did not decide whether this token may read metrics; the log has the \
                                 reason: try again";
                    return (Outcome::Undecided, words.to_owned());
                }
            },
        };
        match verdict {
            Verdict::Allowed => (Outcome::Allowed, String::new()),
            Verdict::Unknown => (
                Outcome::Unauthenticated,
                format!("got a token that the API server does not accept, or that has expired; expected {EXPECTED}"),
            ),
            Verdict::Forbidden { user } => {
                (Outcome::Forbidden, format!("user {user} may not get {PATH}, expected {EXPECTED}"))
            }
        }
    }

    fn verdicts(&self) -> std::sync::MutexGuard<'_, Verdicts> {
        self.verdicts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the API server says, or why it says nothing.
    async fn review(&self, token: &str) -> Result<Verdict, String> {
        let asking = async {
            let client = self.client.get_or_try_init(connect).await?;
            let Some(user) = authenticate(client, token).await? else { return Ok(Verdict::Unknown) };
            authorize(client, user).await
        };
        tokio::time::timeout(LIMIT, asking).await.unwrap_or_else(|_| Err(no_answer(LIMIT)))
    }
}

/// What to present, and how to come by it.
const EXPECTED: &str = "`Authorization: Bearer TOKEN` of a user that may get the non-resource URL /metrics: bind the user to the \
                        chart's ClusterRole NAME-metrics-reader, or set metrics.authorization=None to let everybody in";

/// Has `routes` answer only those who may read metrics; everybody where there is no `access` to decide it.
pub fn guarded<S: Clone + Send + Sync + 'static>(
    routes: MethodRouter<S>,
    access: Option<Arc<Access>>,
) -> MethodRouter<S> {
    match access {
        Some(access) => routes.layer(middleware::from_fn_with_state(access, pass)),
        None => routes,
    }
}

async fn pass(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    match access.refuse(request.headers()).await {
        Some(refusal) => refusal,
        None => next.run(request).await,
    }
}

/// The token of a request, or what it has instead.
fn bearer(headers: &HeaderMap) -> Result<&str, &'static str> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Err("no Authorization header") };
    let value = value.to_str().map_err(|_| "an Authorization header that is no text")?;
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    match token.trim() {
        _ if !scheme.eq_ignore_ascii_case("Bearer") => Err("another scheme of authorization than Bearer"),
        "" => Err("an empty token"),
        token if token.len() > LONGEST_TOKEN => Err("a token of more than 16 KiB"),
        token => Ok(token),
    }
}

async fn connect() -> Result<Client, String> {
    let config = Config::infer().await.map_err(|error| error.to_string())?;
    Client::try_from(Limits::REQUESTS.bound(&config)).map_err(|error| error.to_string())
}

/// Whose token it is; nobody's where the API server does not accept it.
async fn authenticate(client: &Client, token: &str) -> Result<Option<UserInfo>, String> {
    let spec = TokenReviewSpec { token: Some(token.to_owned()), audiences: None };
    let review = TokenReview { spec, ..TokenReview::default() };
    let answer = Api::<TokenReview>::all(client.clone()).create(&PostParams::default(), &review).await;
    let status = answer.map_err(|error| Failure::words(&error))?.status.unwrap_or_default();
    Ok(status.user.filter(|_| status.authenticated == Some(true)))
}

async fn authorize(client: &Client, user: UserInfo) -> Result<Verdict, String> {
    let attributes = NonResourceAttributes { path: Some(PATH.to_owned()), verb: Some("get".to_owned()) };
    let name = user.username.clone().unwrap_or_default();
    let spec = SubjectAccessReviewSpec {
        user: user.username,
        uid: user.uid,
        groups: user.groups,
        extra: user.extra,
        non_resource_attributes: Some(attributes),
        ..SubjectAccessReviewSpec::default()
    };
    Ok(if is_allowed(client, spec).await? { Verdict::Allowed } else { Verdict::Forbidden { user: name } })
}

/// Whether the API server allows what `spec` asks for.
async fn is_allowed(client: &Client, spec: SubjectAccessReviewSpec) -> Result<bool, String> {
    let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
    let answer = Api::<SubjectAccessReview>::all(client.clone()).create(&PostParams::default(), &review).await;
    let status = answer.map_err(|error| Failure::words(&error))?.status.unwrap_or_default();
    Ok(status.allowed)
}

#[cfg(test)]
mod tests;
