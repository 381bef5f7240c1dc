//! A command inside a container, to its end.

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::AttachParams};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::Error;

/// How much of its output is kept, bytes.
const KEPT: u64 = 1 << 20;

/// The output of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Runs `command` in a container of a pod that runs.
///
/// # Errors
/// [`Error::Exec`] when it fails, [`Error::Request`] when it cannot be started.
pub async fn exec(pods: &Api<Pod>, pod: &str, container: &str, command: &[&str]) -> Result<Output, Error> {
    let shown = command.join(" ");
    let params = AttachParams::default().container(container).stdout(true).stderr(true);
    let started = pods.exec(pod, command.iter().copied(), &params).await;
    let mut process = started.map_err(Error::request(format!("'{shown}' in pod {pod}")))?;
    let (stdout, stderr, status) = (process.stdout(), process.stderr(), process.take_status());
    let (stdout, stderr) = tokio::join!(text(stdout), text(stderr));
    let status = match status {
        Some(status) => status.await,
        None => None,
    };
    let failed = |got: String| Error::Exec {
        command: shown.clone(),
        pod: pod.to_owned(),
        got,
        output: format!("{stdout}{stderr}").trim().to_owned(),
    };
    match status {
        Some(status) if status.status.as_deref() == Some("Success") => Ok(Output { stdout, stderr }),
        Some(status) => Err(failed(status.message.unwrap_or_else(|| "failure without a message".to_owned()))),
        None => Err(failed("the connection ended before the command did".to_owned())),
    }
}

async fn text(stream: Option<impl AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        // A broken connection cuts the output short; the status shows it.
        let _ = stream.take(KEPT).read_to_end(&mut bytes).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
