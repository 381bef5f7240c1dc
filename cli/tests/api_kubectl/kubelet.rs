//! A fake kubelet that serves port-forwards to a fake agent, with the paths that a chart and a dashboard need.

use std::{convert::Infallible, net::Ipv4Addr, sync::Arc};

use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::Full;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use netprecursor_core::{schema, signal::Signal};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::{
    accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{Request as Handshake, Response as Shaken},
        http::HeaderValue,
    },
};

use crate::scene::BEGAN;

/// The subprotocol in which a message's first byte is its channel: data, then errors.
const PROTOCOL: &str = "v4.channel.k8s.io";

/// The agent's data.
#[derive(Debug, Clone)]
pub(crate) struct Agent {
    /// UID of the pod that it calls `shop/web`.
    pub(crate) pod_uid: String,
    /// The window of that pod.
    pub(crate) window: Value,
}

/// Starts it. Returns its port. Each connection is one port-forward to the agent's `port`.
pub(crate) async fn start(port: u16, agent: Agent) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let own = listener.local_addr().unwrap().port();
    let acceptor = acceptor();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(forward(acceptor.clone(), stream, port, agent.clone()));
        }
    });
    own
}

fn acceptor() -> TlsAcceptor {
    let signed = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let certificate = CertificateDer::from(signed.cert.der().to_vec());
    let key = PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    TlsAcceptor::from(Arc::new(config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap()))
}

async fn forward(acceptor: TlsAcceptor, stream: TcpStream, port: u16, agent: Agent) {
    let stream = acceptor.accept(stream).await.unwrap();
    #[expect(clippy::result_large_err, reason = "the trait's signature")]
    let shake = |request: &Handshake, mut response: Shaken| {
        assert!(request.uri().path().starts_with("/portForward/"), "{}", request.uri());
        response.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static(PROTOCOL));
        Ok(response)
    };
    let (mut sink, mut source) = accept_hdr_async(stream, shake).await.unwrap().split();
    // Both channels begin by naming their port.
    let [low, high] = port.to_le_bytes();
    for channel in [0, 1] {
        sink.send(Message::binary(vec![channel, low, high])).await.unwrap();
    }
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let answers = service_fn(move |request| answer(request, agent.clone()));
    tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(theirs), answers));
    let (mut from_agent, mut to_agent) = tokio::io::split(ours);
    tokio::spawn(async move {
        let mut bytes = vec![0; 4096];
        while let Ok(read @ 1..) = from_agent.read(&mut bytes).await {
            let message = [&[0], &bytes[..read]].concat();
            if sink.send(Message::binary(message)).await.is_err() {
                return;
            }
        }
    });
    while let Some(Ok(message)) = source.next().await {
        match message {
            Message::Binary(bytes) if bytes.len() > 1 && bytes[0] == 0 => {
                to_agent.write_all(&bytes[1..]).await.unwrap();
            }
            Message::Close(_) => return,
            _ => {}
        }
    }
}

async fn answer(request: Request<Incoming>, agent: Agent) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = match (request.uri().path(), request.uri().query()) {
        ("/api/v1/targets", None) => {
            json!([{"target": "shop/x", "uid": "u-x", "rules": []}, {"target": "shop/web", "uid": agent.pod_uid, "rules": []}])
        }
        ("/api/v1/window", Some("target=shop/web")) => agent.window,
        ("/api/v1/stream", _) => return Ok(Response::new(Full::new(Bytes::from(stream(&agent.pod_uid))))),
        ("/api/v1/history", _) => json!([{"target": "shop/web", "points": agent.window["points"]}]),
        ("/api/v1/forecast" | "/api/v1/alerts" | "/api/v1/scores", None) => json!([]),
        (path, _) => json!({"error": format!("no such path {path}")}),
    };
    Ok(Response::new(Full::new(Bytes::from(body.to_string()))))
}

/// A stream that ends after its first tick.
fn stream(uid: &str) -> String {
    let names: Vec<&str> = Signal::ALL.iter().map(|signal| signal.name()).collect();
    let header = json!({"schema_hash": schema::hash(), "signals": names, "features": [], "agent_version": "0.1.0"});
    let targets = json!([{"target": "shop/web", "uid": uid, "signals": vec![Value::Null; Signal::COUNT]}]);
    let unix_ms = BEGAN.as_millisecond();
    let tick = json!({"tick": 1_000, "unix_ms": unix_ms, "monotonic_ns": 1_000_000_000_000_u64, "targets": targets});
    format!("{header}\n{tick}\n")
}
