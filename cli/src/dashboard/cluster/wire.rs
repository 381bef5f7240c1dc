//! HTTP over one connection to an agent: documents, and the lines of its stream.

use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1::{self, SendRequest},
    header,
};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::{task::JoinHandle, time::timeout};

use super::{Complaint, Dialled, Unreached};
use crate::stream::{MAX_LINE, StreamError};

/// How long an answer, or the next part of one, may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of a document at most: ten thousand targets with a few rules each.
const MOST: usize = 64 << 20;

/// Why an agent is not read.
#[derive(Debug, Error)]
pub(super) enum WireError {
    #[error(transparent)]
    Unreached(#[from] Unreached),
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The connection ended; the kubelet's words.
    #[error("the connection to the agent on {node} ended: {words}")]
    Complaint { node: String, words: String },
    #[error("got {got} from the agent on {node} for {path}, expected an answer")]
    Unanswered { node: String, path: String, got: String },
    #[error(
        "got an answer of the agent on {node} for {path} that cannot be read ({source}), expected an agent of this release; use the \
         netprecursor of the agents' release"
    )]
    Strange { node: String, path: String, source: serde_json::Error },
}

/// A connection.
pub(super) struct Wire {
    node: String,
    sender: SendRequest<Empty<Bytes>>,
    connection: JoinHandle<Result<(), hyper::Error>>,
    complaint: Option<Complaint>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Wire {
    /// Begins to speak HTTP with the agent on a node.
    pub(super) async fn open(node: &str, Dialled { stream, complaint }: Dialled) -> Result<Self, WireError> {
        let failed = |error: hyper::Error| Unreached::Failed { node: node.to_owned(), reason: error.to_string() };
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
        let connection = tokio::spawn(connection);
        Ok(Self { node: node.to_owned(), sender, connection, complaint: Some(complaint) })
    }

    fn unanswered(&self, path: &str, got: impl ToString) -> WireError {
        WireError::Unanswered { node: self.node.clone(), path: path.to_owned(), got: got.to_string() }
    }

    /// That a document cannot be understood.
    pub(super) fn strange(&self, what: &str, source: serde_json::Error) -> WireError {
        WireError::Strange { node: self.node.clone(), path: format!("/api/v1/{what}"), source }
    }

    async fn ask(&mut self, path: &str) -> Result<Response<Incoming>, WireError> {
        let request = Request::get(path).header(header::HOST, "localhost").body(Empty::new());
        let request = request.map_err(|error| self.unanswered(path, error))?;
        let answered = async {
            self.sender.ready().await?;
            self.sender.send_request(request).await
        };
        let answer = match timeout(PATIENCE, answered).await {
            Ok(answer) => answer.map_err(|error| self.unanswered(path, error))?,
            Err(_) => return Err(self.unanswered(path, nothing())),
        };
        match answer.status() {
            StatusCode::OK => Ok(answer),
            status => Err(self.unanswered(path, format!("status {status}"))),
        }
    }

    /// A document.
    pub(super) async fn read<T: DeserializeOwned>(&mut self, what: &str) -> Result<T, WireError> {
        let path = format!("/api/v1/{what}");
        let body = Limited::new(self.ask(&path).await?.into_body(), MOST);
        let body = match timeout(PATIENCE, body.collect()).await {
            Ok(body) => body.map_err(|error| self.unanswered(&path, error))?.to_bytes(),
            Err(_) => return Err(self.unanswered(&path, nothing())),
        };
        serde_json::from_slice(&body).map_err(|source| self.strange(what, source))
    }

    /// The lines of a document that has no end.
    pub(super) async fn lines(&mut self, what: &str) -> Result<Lines, WireError> {
        let path = format!("/api/v1/{what}");
        let body = self.ask(&path).await?.into_body();
        Ok(Lines { node: self.node.clone(), body, buffer: Vec::new(), seen: 0 })
    }

    /// What went wrong, in the words of the kubelet where it has some: the connection just ends then.
    pub(super) async fn explained(mut self, error: WireError) -> WireError {
        match self.complaint.take() {
            Some(complaint) => match complaint.await {
                Some(words) => WireError::Complaint { node: self.node.clone(), words },
                None => error,
            },
            None => error,
        }
    }
}

fn nothing() -> String {
    format!("nothing within {} s", PATIENCE.as_secs())
}

/// Lines as they come.
pub(super) struct Lines {
    node: String,
    body: Incoming,
    buffer: Vec<u8>,
    /// Bytes at the beginning without an end of a line.
    seen: usize,
}

impl Lines {
    /// The next line, without its end.
    pub(super) async fn next(&mut self) -> Result<Vec<u8>, StreamError> {
        loop {
            if let Some(at) = self.buffer.iter().skip(self.seen).position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.buffer.drain(..=self.seen + at).collect();
                line.pop();
                self.seen = 0;
                return Ok(line);
            }
            self.seen = self.buffer.len();
            if self.seen as u64 > MAX_LINE {
                return Err(self.gone(format!("a line longer than {MAX_LINE} bytes")));
            }
            match timeout(PATIENCE, self.body.frame()).await {
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                Ok(Some(Err(error))) => return Err(self.gone(error.to_string())),
                Ok(None) => return Err(self.gone("the end of the stream".to_owned())),
                Err(_) => return Err(self.gone(nothing())),
            }
        }
    }

    /// That no more comes.
    pub(super) fn gone(&self, reason: String) -> StreamError {
        StreamError::Gone { url: self.node.clone(), reason }
    }
}
