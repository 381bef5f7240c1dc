//! Metrics as Prometheus reads them: by a token of a service account that may. The API server's proxy keeps tokens to itself,
//! so the way is a port-forward.

use std::time::{Duration, Instant};

use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    authorization::v1::{NonResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
    core::v1::{Pod, ServiceAccount},
    rbac::v1::ClusterRoleBinding,
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::Mutex,
    time::timeout,
};

use crate::{Error, cluster::SYSTEM_NAMESPACE, product::RELEASE};

/// The service account that scrapes, by the chart's role.
const READER: &str = "e2e-metrics-reader";
/// For one scrape.
const LIMIT: Duration = Duration::from_secs(15);
/// Longer than all stories take.
const TOKEN_SECONDS: i64 = 86_400;
/// Between two questions whether the binding has taken effect.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// One for all scrapes, as long as it is accepted. Account and binding are not the release's; a story that removes the
/// namespace takes the account with it.
static TOKEN: Mutex<Option<String>> = Mutex::const_new(None);

/// The text that a pod's `/metrics` answers.
///
/// # Errors
/// It does not answer with 200, in time.
pub(super) async fn metrics(client: Client, pod: &str, port: u16) -> Result<String, Error> {
    let mut answer = ask(client.clone(), pod, port).await?;
    if status(&answer) == Some("401") {
        *TOKEN.lock().await = None;
        answer = ask(client, pod, port).await?;
    }
    match (status(&answer), answer.split_once("\r\n\r\n")) {
        (Some("200"), Some((_, body))) => Ok(body.to_owned()),
        _ => Err(Error::Command { command: format!("metrics of {pod}"), got: answer }),
    }
}

/// The status code of an answer.
fn status(answer: &str) -> Option<&str> {
    answer.split(' ').nth(1)
}

/// The whole answer to a scrape.
async fn ask(client: Client, pod: &str, port: u16) -> Result<String, Error> {
    let what = || format!("metrics of {pod}");
    let token = {
        let mut known = TOKEN.lock().await;
        match &*known {
            Some(token) => token.clone(),
            None => known.insert(token(&client).await?).clone(),
        }
    };
    let request = format!("GET /metrics HTTP/1.0\r\nHost: {pod}\r\nAuthorization: Bearer {token}\r\n\r\n");
    let failed = |got: String| Error::Command { command: what(), got };
    let pods: Api<Pod> = Api::namespaced(client, SYSTEM_NAMESPACE);
    let asking = async {
        let mut forward = pods.portforward(pod, &[port]).await.map_err(Error::request(what()))?;
        let mut stream = forward.take_stream(port).ok_or_else(|| failed("no stream of its port".to_owned()))?;
        let mut answer = String::new();
        let exchanged = async {
            stream.write_all(request.as_bytes()).await?;
            stream.read_to_string(&mut answer).await
        };
        exchanged.await.map_err(|error| failed(error.to_string()))?;
        Ok::<_, Error>(answer)
    };
    timeout(LIMIT, asking).await.map_err(|_| failed(format!("no end within {LIMIT:?}")))?
}

/// A token of an account that may read metrics.
async fn token(client: &Client) -> Result<String, Error> {
    let failed = || Error::request(format!("making a token of {READER}"));
    bound(client).await.map_err(failed())?;
    allowed(client).await?;
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    let spec = TokenRequestSpec { expiration_seconds: Some(TOKEN_SECONDS), ..TokenRequestSpec::default() };
    let request = TokenRequest { spec, ..TokenRequest::default() };
    let request = accounts.create_token_request(READER, &PostParams::default(), &request).await.map_err(failed())?;
    Ok(request.status.map(|status| status.token).unwrap_or_default())
}

/// The account and its binding to the chart's role.
async fn bound(client: &Client) -> kube::Result<()> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": READER}});
    let apply = PatchParams::apply("e2e").force();
    accounts.patch(READER, &apply, &Patch::Apply(account)).await?;
    let group = "rbac.authorization.k8s.io";
    let binding = json!({
        "apiVersion": format!("{group}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": READER},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": format!("{RELEASE}-metrics-reader")},
        "subjects": [{"kind": "ServiceAccount", "name": READER, "namespace": SYSTEM_NAMESPACE}],
    });
    let bindings: Api<ClusterRoleBinding> = Api::all(client.clone());
    bindings.patch(READER, &apply, &Patch::Apply(binding)).await.map(|_| ())
}

/// Waits until the server has taken in the binding: agents remember a refusal for a while.
async fn allowed(client: &Client) -> Result<(), Error> {
    let attributes = NonResourceAttributes { path: Some("/metrics".to_owned()), verb: Some("get".to_owned()) };
    let spec = SubjectAccessReviewSpec {
        user: Some(format!("system:serviceaccount:{SYSTEM_NAMESPACE}:{READER}")),
        non_resource_attributes: Some(attributes),
        ..SubjectAccessReviewSpec::default()
    };
    let asked = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
    let (reviews, begun): (Api<SubjectAccessReview>, _) = (Api::all(client.clone()), Instant::now());
    loop {
        let review = reviews.create(&PostParams::default(), &asked).await;
        let status = review.map_err(Error::request(format!("asking what {READER} may do")))?.status.unwrap_or_default();
        if status.allowed {
            return Ok(());
        }
        if begun.elapsed() > LIMIT {
            let (what, last) = (format!("{READER} to be allowed to get /metrics"), format!("{status:?}"));
            return Err(Error::Timeout { what, waited: LIMIT, last });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
