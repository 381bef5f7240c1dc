//! The API for autoscalers as kube-apiserver meets it: TLS, a front proxy's certificate and headers, and alerts that a watch shows.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by unwrapping")]

use std::{
    convert::Infallible,
    fs,
    net::TcpListener,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::body::Body;
use kube::Client;
use netprecursor_fakeapi::{Kind, Kinds, Server};
use netprecursor_operator::{
    client::Clients,
    metrics::Metrics,
    scaling::{self, Files, Metric},
};
use netprecursor_sinks::http::File;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

const LIMIT: Duration = Duration::from_secs(30);
const BASE: &str = "/apis/external.metrics.k8s.io/v1beta1";

/// An authority of front proxies.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, in PEM.
type Identity = (String, String);

impl Authority {
    fn new() -> Self {
        let mut params = named("front-proxy-ca");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    fn client(&self, name: &str) -> Identity {
        let mut params = named(name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// An operator's API for autoscalers before a fake API server.
struct Stage {
    api: Server,
    authority: Authority,
    port: u16,
    /// The certificate by which the operator is known.
    own: String,
    metrics: Metrics,
    _files: tempfile::TempDir,
}

/// An answer: its status, its head and its body.
struct Answer {
    code: u16,
    head: String,
    body: Value,
}

/// Lets `hpa` list metrics in namespace `shop`, everybody else who is authenticated see what there is, and masters do
/// everything.
fn reviews() -> Client {
    let service = tower::service_fn(move |request: http::Request<kube::client::Body>| async move {
        let body = axum::body::to_bytes(Body::new(request.into_body()), 1 << 20).await.unwrap();
        let mut review: Value = serde_json::from_slice(&body).unwrap();
        let spec = &review["spec"];
        let attributes = &spec["resourceAttributes"];
        let is_list = attributes["verb"] == "list" && attributes["group"] == "external.metrics.k8s.io";
        let is_hpa = spec["user"] == "hpa" && is_list && attributes["namespace"] == "shop";
        let is_of = |group: &str| spec["groups"].as_array().is_some_and(|groups| groups.contains(&json!(group)));
        let is_look = spec["nonResourceAttributes"]["verb"] == "get" && spec["user"] != "hpa";
        let allowed = is_hpa || (is_look && is_of("system:authenticated")) || is_of("system:masters");
        review["status"] = json!({"allowed": allowed});
        Ok::<_, Infallible>(http::Response::new(Body::from(review.to_string())))
    });
    Client::new(service, "default")
}

fn api(authority: &Authority) -> Server {
    let definitions = netprecursor_crds::schema::definitions().unwrap();
    let kinds = definitions.iter().map(|definition| Kind::custom(&serde_json::to_value(definition).unwrap()).unwrap());
    let api = Server::new(kinds.fold(Kinds::builtin(), Kinds::with), 7);
    for name in ["shop", "kube-system"] {
        api.create(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})).unwrap();
    }
    let authentication = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "extension-apiserver-authentication", "namespace": "kube-system"},
        "data": {
            "requestheader-client-ca-file": authority.pem,
            "requestheader-allowed-names": "[\"front-proxy-client\"]",
            "requestheader-username-headers": "[\"X-Remote-User\"]",
            "requestheader-group-headers": "[\"X-Remote-Group\"]",
            "requestheader-extra-headers-prefix": "[\"X-Remote-Extra-\"]",
        },
    });
    api.create(&authentication).unwrap();
    api
}

/// An alert on a Deployment of this name fires.
fn fire(api: &Server, name: &str, predicted: &str, chance: u8) -> Value {
    let condition = json!({
        "type": "Firing", "status": "True", "reason": "RttBreachForecast", "message": "RTT is forecast to rise.",
        "lastTransitionTime": "2025-06-15T15:06:40Z",
    });
    let alert = json!({
        "apiVersion": "netprecursor.io/v1alpha1",
        "kind": "PrecursorAlert",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {
            "policyRef": {"kind": "PrecursorPolicy", "name": "checkout", "uid": "p"},
            "rule": "rtt",
            "workloadRef": {"kind": "Deployment", "name": name},
            "nodeName": "node1",
        },
        "status": {
            "state": "Firing", "severity": "Warning", "threshold": "200ms", "predicted": predicted,
            "chancePercent": chance, "count": 1, "firedAt": "2025-06-15T15:06:40Z", "trigger": "Forecast",
            "model": {"name": "adaptive"}, "conditions": [condition],
        },
    });
    api.create(&alert).unwrap()
}

impl Stage {
    async fn set() -> Self {
        let (authority, metrics) = (Authority::new(), Metrics::default());
        let directory = tempfile::tempdir().unwrap();
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            fs::write(&path, text).unwrap();
            File { setting: name.to_owned(), path }
        };
        let (pem, key) = (own.cert.pem(), own.signing_key.serialize_pem());
        let files = Files { certificate: file("tls.crt", &pem), key: file("tls.key", &key) };
        let api = api(&authority);
        let watches = api.client("operator", "netprecursor-system");
        let clients = Clients { requests: watches.clone(), watches, lease: reviews() };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let counted = metrics.clone();
        tokio::spawn(async move { scaling::serve(listener, files, &clients, &counted).await });
        Self { api, authority, port, own: pem, metrics, _files: directory }
    }

    fn connector(&self, identity: Option<&Identity>) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.own.as_bytes()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match identity {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
                config.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap()
            }
        };
        TlsConnector::from(Arc::new(config))
    }

    /// One request on a connection of its own.
    async fn ask(&self, identity: Option<&Identity>, line: &str, headers: &[&str]) -> std::io::Result<Answer> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = self.connector(identity).connect(name, stream).await?;
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let request = format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let code = head.split(' ').nth(1).unwrap().parse().unwrap();
        Ok(Answer { code, head: head.to_lowercase(), body: serde_json::from_str(body).unwrap() })
    }

    /// As kube-apiserver asks for a user.
    async fn get(&self, path: &str, user: &str, group: &str) -> std::io::Result<Answer> {
        let identity = self.authority.client("front-proxy-client");
        let headers = [format!("X-Remote-User: {user}"), format!("X-Remote-Group: {group}")];
        self.ask(Some(&identity), &format!("GET {path}"), &headers.each_ref().map(String::as_str)).await
    }

    /// The answer once there is one that is `is_it`: doors open and alerts arrive in their own time.
    async fn until(&self, path: &str, is_it: impl Fn(&Answer) -> bool) -> Answer {
        let begun = Instant::now();
        loop {
            let answer = self.get(path, "hpa", "system:authenticated").await;
            let last = match answer {
                Ok(answer) if is_it(&answer) => return answer,
                Ok(answer) => format!("{} {}", answer.code, answer.body),
                Err(error) => error.to_string(),
            };
            assert!(begun.elapsed() < LIMIT, "{path}: {last}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn value_of(metric: Metric, selector: &str) -> String {
    format!("{BASE}/namespaces/shop/{}?labelSelector={selector}", metric.name())
}

fn is(value: &'static str) -> impl Fn(&Answer) -> bool {
    move |answer: &Answer| answer.code == 200 && answer.body["items"][0]["value"] == value
}

#[tokio::test]
async fn an_autoscaler_reads_how_urgent_a_workloads_alerts_are() {
    let stage = Stage::set().await;
    fire(&stage.api, "checkout", "240ms", 74);
    let cart = fire(&stage.api, "cart", "400ms", 60);
    stage.until(&value_of(Metric::RttForecast, "workload%3Dcart"), is("200")).await;
    stage.until(&value_of(Metric::RttForecast, "workload%3Dcheckout"), is("120")).await;
    stage.until(&value_of(Metric::BreachChance, "workload+in+%28cart%2Ccheckout%29"), is("74")).await;
    stage.until(&value_of(Metric::AlertsFiring, ""), is("2")).await;
    stage.until(&value_of(Metric::AlertsFiring, "workload%3Dbasket"), is("0")).await;

    // It is over: the API server takes it out of the watch.
    let over = json!({"status": {"state": "Resolved", "resolvedAt": "2025-06-15T15:07:40Z"}});
    stage.api.patch(&cart, "", &over).unwrap();
    stage.until(&value_of(Metric::AlertsFiring, ""), is("1")).await;
    stage.until(&value_of(Metric::RttForecast, "workload%3Dcart"), is("0")).await;
}

#[tokio::test]
async fn what_cannot_be_answered_says_why() {
    let stage = Stage::set().await;
    stage.until(&value_of(Metric::AlertsFiring, ""), is("0")).await;
    let unknown = format!("{BASE}/namespaces/shop/netprecursor_rtt");
    for (path, code, words) in [
        (value_of(Metric::AlertsFiring, "app%3Dcart"), 400, "workload_kind"),
        (value_of(Metric::AlertsFiring, "workload+in+cart"), 400, "label in (a,b)"),
        (unknown, 404, "netprecursor_breach_chance_percent"),
        (value_of(Metric::AlertsFiring, "").replace("shop", "bank"), 403, "in namespace bank"),
        (BASE.to_owned(), 403, "user hpa may not get"),
    ] {
        let answer = stage.get(&path, "hpa", "system:authenticated").await.unwrap();
        let message = answer.body["message"].as_str().unwrap();
        assert!(answer.code == code && message.contains(words), "{path}: {} {message}", answer.code);
        assert_eq!((&answer.body["kind"], &answer.body["code"]), (&json!("Status"), &json!(code)));
    }
    let identity = stage.authority.client("front-proxy-client");
    let master = ["X-Remote-User: admin", "X-Remote-Group: system:masters"];
    let posted = stage.ask(Some(&identity), &format!("POST {BASE}"), &master).await.unwrap();
    assert_eq!(posted.code, 405, "{}", posted.body);
}

/// As kube-apiserver looks whether the API is there, and what is in it.
#[tokio::test]
async fn the_aggregator_discovers_the_metrics() {
    let stage = Stage::set().await;
    stage.until(&value_of(Metric::AlertsFiring, ""), is("0")).await;
    // It names no group.
    let get = async |path: &str| stage.get(path, "system:kube-aggregator", "").await.unwrap();
    let list = get(BASE).await;
    assert!(list.code == 200 && list.head.contains("content-type: application/json"), "{}", list.head);
    assert_eq!(list.body["resources"].as_array().unwrap().len(), Metric::ALL.len());
    assert_eq!(get("/apis/external.metrics.k8s.io").await.body["kind"], "APIGroup");
    assert_eq!(get("/apis").await.body["kind"], "APIGroupList");
    assert_eq!(get("/openapi/v2").await.code, 404);
}

#[tokio::test]
async fn nobody_but_the_front_proxy_is_believed() {
    let stage = Stage::set().await;
    let path = value_of(Metric::AlertsFiring, "");
    stage.until(&path, is("0")).await;
    let (line, headers) = (format!("GET {path}"), ["X-Remote-User: admin", "X-Remote-Group: system:masters"]);

    let anonymous = stage.ask(None, &line, &headers).await.unwrap();
    assert!(anonymous.code == 401 && anonymous.head.contains("connection: close"), "{}", anonymous.head);
    let other = stage.authority.client("kubelet");
    let other = stage.ask(Some(&other), &line, &headers).await.unwrap();
    assert!(other.code == 401 && other.body["message"].as_str().unwrap().contains("`kubelet`"), "{}", other.body);
    let own = stage.authority.client("front-proxy-client");
    assert_eq!(stage.ask(Some(&own), &line, &headers[1..]).await.unwrap().code, 401, "nobody is named");

    let forged = Authority::new().client("front-proxy-client");
    assert!(stage.ask(Some(&forged), &line, &headers).await.is_err(), "another authority's certificate got an answer");
    let text = stage.metrics.text().unwrap();
    for line in ["{outcome=\"unauthenticated\"} 3", "{outcome=\"handshake_failed\"} 1"] {
        assert!(text.contains(&format!("netprecursor_operator_scaling_requests_total{line}")), "{line} in {text}");
    }
}
