//! Who may read metrics, decided by a real API server, with no more rights than the chart gives.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by unwrapping")]

use std::time::Duration;

use k8s_openapi::api::{
    authentication::v1::TokenRequest,
    core::v1::{Namespace, ServiceAccount},
    rbac::v1::{ClusterRole, ClusterRoleBinding},
};
use kube::{
    Api, Client, Resource,
    api::{ObjectMeta, PostParams},
};
use netprecursor_e2e::{ApiServer, Version};
use netprecursor_kit::Access;
use netprecursor_operator::{
    http::{Health, router},
    metrics::Metrics,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::Instant,
};

const NAMESPACE: &str = "monitoring";
const LIMIT: Duration = Duration::from_secs(60);

async fn create<K>(client: &Client, object: Value)
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + Serialize + DeserializeOwned,
{
    let object: K = serde_json::from_value(object).unwrap();
    Api::<K>::all(client.clone()).create(&PostParams::default(), &object).await.unwrap();
}

/// A service account that may do what `rules` say.
async fn account(client: &Client, name: &str, rules: Value) {
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    let account = ServiceAccount { metadata, ..ServiceAccount::default() };
    Api::namespaced(client.clone(), NAMESPACE).create(&PostParams::default(), &account).await.unwrap();
    create::<ClusterRole>(client, json!({"metadata": {"name": name}, "rules": rules})).await;
    let binding = json!({
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE}],
    });
    create::<ClusterRoleBinding>(client, binding).await;
}

async fn token(client: &Client, name: &str) -> String {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), NAMESPACE);
    let answer = accounts.create_token_request(name, &PostParams::default(), &TokenRequest::default()).await;
    answer.unwrap().status.unwrap().token
}

/// The status of an answer, and all of it.
async fn get(port: u16, path: &str, token: Option<&str>) -> (u16, String) {
    let authorization = token.map_or_else(String::new, |token| format!("Authorization: Bearer {token}\r\n"));
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = format!("GET {path} HTTP/1.0\r\n{authorization}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

#[tokio::test]
async fn api_metrics_are_read_with_a_token_whose_user_may_and_with_no_other() {
    let server = ApiServer::start(Version::V1_34).await.unwrap();
    let admin = server.client().await.unwrap();
    create::<Namespace>(&admin, json!({"metadata": {"name": NAMESPACE}})).await;
    let reviews = json!([
        {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
        {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
    ]);
    account(&admin, "reviewer", reviews).await;
    account(&admin, "prometheus", json!([{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}])).await;
    account(&admin, "shop", json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}])).await;
    let reviewer = server.client_of_service_account(NAMESPACE, "reviewer").await.unwrap();
    let access = Access::with(reviewer);
    let routes = router(Health::new(Metrics::default()), Some(access));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, routes).await });

    let reader = token(&admin, "prometheus").await;
    // The server takes new bindings into account within a second or so; until then the answer is 503 or 403.
    let begun = Instant::now();
    let text = loop {
        let (status, answer) = get(port, "/metrics", Some(&reader)).await;
        if status == 200 {
            break answer;
        }
        assert!(begun.elapsed() < LIMIT && matches!(status, 403 | 503), "{answer}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    assert!(text.contains("netprecursor_operator_leading 0") && text.contains("outcome=\"allowed\"} 1"), "{text}");
    let other = token(&admin, "shop").await;
    let (status, answer) = get(port, "/metrics", Some(&other)).await;
    assert!(status == 403 && answer.contains("system:serviceaccount:monitoring:shop may not get /metrics"), "{answer}");
    let (status, answer) = get(port, "/metrics", Some("forged")).await;
    assert!(status == 401 && answer.to_lowercase().contains("www-authenticate: bearer"), "{answer}");
    assert_eq!(get(port, "/metrics", None).await.0, 401);
    assert_eq!(get(port, "/healthz", None).await.0, 200);
}
