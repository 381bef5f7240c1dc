//! A connection to an agent. It listens inside its own pod alone, so the way is a port-forward through the API server, with the
//! rights of whoever asks.

use std::{net::SocketAddr, pin::Pin, time::Duration};

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use netprecursor_kit::Failure;
use tokio::io::DuplexStream;

/// Where agents listen by default.
const PORT: u16 = 9470;

/// The kubelet says why a port cannot be reached about when the stream ends.
const COMPLAINT: Duration = Duration::from_secs(1);

/// What the kubelet says once the port can no longer be used; nothing if it just ends.
pub(super) type Complaint = Pin<Box<dyn Future<Output = Option<String>> + Send>>;

/// A connection.
pub(super) struct Forwarded {
    pub(super) stream: DuplexStream,
    pub(super) complaint: Complaint,
}

/// Why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    /// The user may not; the API server's words.
    NotPermitted(String),
    /// It failed.
    Failed(String),
}

/// Connects to the agent in `pod`.
pub(super) async fn open(pods: &Api<Pod>, pod: &Pod) -> Result<Forwarded, Refused> {
    let (name, port) = (pod.metadata.name.as_deref().unwrap_or_default(), port(pod));
    let mut forward = match pods.portforward(name, &[port]).await {
        Ok(forward) => forward,
        Err(error) => {
            return Err(match Failure::from(&error) {
                Failure::Forbidden | Failure::Ending => Refused::NotPermitted(Failure::words(&error)),
                Failure::Garbled | Failure::Unanswered => Refused::Failed(chain(&error)),
                _ => Refused::Failed(Failure::words(&error)),
            });
        }
    };
    let complaint = forward.take_error(port);
    let Some(stream) = forward.take_stream(port) else {
        return Err(Refused::Failed(format!("the port-forward has no port {port}")));
    };
    let complaint = async move {
        match complaint {
            Some(complaint) => tokio::time::timeout(COMPLAINT, complaint).await.ok().flatten(),
            None => None,
        }
    };
    Ok(Forwarded { stream, complaint: Box::pin(complaint) })
}

/// The port of the agent's own interface, from its command line.
fn port(agent: &Pod) -> u16 {
    let containers = agent.spec.iter().flat_map(|spec| &spec.containers);
    let arguments: Vec<&str> =
        containers.flat_map(|container| container.args.iter().flatten()).map(String::as_str).collect();
    let given = arguments.windows(2).find(|pair| pair[0] == "--listen").map(|pair| pair[1]);
    let joined = || arguments.iter().find_map(|argument| argument.strip_prefix("--listen="));
    let address = given.or_else(joined).and_then(|address| address.parse::<SocketAddr>().ok());
    address.map_or(PORT, |address| address.port())
}

/// An error with its causes.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text += &format!(": {more}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_port_is_the_one_that_the_agent_was_given() {
        let pod = |args: &[&str]| -> Pod {
            serde_json::from_value(json!({"spec": {"containers": [{"name": "agent", "args": args}]}})).unwrap()
        };
        assert_eq!(port(&pod(&["run", "--listen", "127.0.0.1:9000"])), 9000);
        assert_eq!(port(&pod(&["run", "--listen=[::1]:9001", "--probe-listen", "0.0.0.0:9471"])), 9001);
        assert_eq!(port(&pod(&["run"])), PORT);
    }
}
