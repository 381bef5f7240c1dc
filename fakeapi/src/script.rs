//! A script of requests that this server and a real one must answer alike.
//!
//! [`steps()`] is the script as data; [`run`] plays it. The observations that it returns have names in place of values that
//! differ from run to run (UIDs, versions, times), so that two runs can be compared.

mod gadgets;
mod observe;
mod steps;

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt as _, TryStreamExt as _};
use http::{Method, Request, header};
use http_body_util::BodyExt as _;
use kube::{Client, client::Body};
use serde_json::{Value, json};
use thiserror::Error;

pub use gadgets::gadgets;
use observe::Names;
pub use steps::steps;

/// Why the script could not be played to its end.
#[derive(Debug, Error)]
pub enum ScriptError {
    /// The server could not be reached.
    #[error("step {step}: {source}")]
    Client {
        /// The step.
        step: &'static str,
        /// Why.
        source: Box<kube::Error>,
    },
    /// The answer is no JSON.
    #[error("step {step}: got {got:?}, expected JSON")]
    Json {
        /// The step.
        step: &'static str,
        /// The answer.
        got: String,
    },
    /// What was waited for did not come.
    #[error("step {step}: {what} did not come within {seconds} s")]
    TimedOut {
        /// The step.
        step: &'static str,
        /// What.
        what: &'static str,
        /// How long it was waited for.
        seconds: u64,
    },
}

/// A step of the script.
#[derive(Debug, Clone)]
pub struct Step {
    /// What it shows; the answer is kept under this name.
    pub name: &'static str,
    /// What is done.
    pub action: Action,
}

/// What a step does. `{ns}` in paths and texts is the namespace of the run, `$uid:STEP` and `$version:STEP` in texts are
/// those of the object that an earlier step got.
#[derive(Debug, Clone)]
pub enum Action {
    /// A request with its answer.
    Ask {
        /// Method.
        method: Method,
        /// Path and query.
        path: &'static str,
        /// Content type; JSON when empty.
        content: &'static str,
        /// Body.
        body: Value,
    },
    /// The first events of a watch.
    Watch {
        /// Path and query.
        path: String,
        /// How many.
        events: usize,
    },
    /// Waits until the path answers 404.
    Gone {
        /// Path.
        path: &'static str,
    },
}

/// The longest wait for a deletion or for events.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at something that cannot be watched.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Plays the script in a namespace that is there and empty. Returns what each step saw.
///
/// # Errors
/// The server could not be reached, answered nonsense, or did not do in time what is waited for.
pub async fn run(client: &Client, namespace: &str) -> Result<Vec<(&'static str, Value)>, ScriptError> {
    let mut kept = BTreeMap::new();
    let mut names = Names::new(namespace);
    let mut seen = Vec::new();
    for step in steps() {
        let fill = |text: &str| fill(text, namespace, &kept);
        let observation = match &step.action {
            Action::Ask { method, path, content, body } => {
                let body = fill_all(body, &fill);
                let (code, body) = ask(client, step.name, method, &fill(path), content, &body).await?;
                kept.insert(step.name, body.clone());
                json!({"code": code, "body": names.observe(&body)})
            }
            Action::Watch { path, events } => {
                let events = watch(client, step.name, &fill(path), *events).await?;
                json!(events.iter().map(|event| names.observe(event)).collect::<Vec<_>>())
            }
            Action::Gone { path } => {
                gone(client, step.name, &fill(path)).await?;
                json!("gone")
            }
        };
        seen.push((step.name, observation));
    }
    Ok(seen)
}

/// The observations of [`run`] as a map by step.
pub fn to_json(seen: &[(&'static str, Value)]) -> Value {
    seen.iter().map(|(name, observation)| ((*name).to_owned(), observation.clone())).collect()
}

/// The steps whose observation differs from the expected one, with the differences.
pub fn differences(seen: &[(&'static str, Value)], expected: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (name, observation) in seen {
        let mut places = Vec::new();
        compare(observation, &expected[*name], "", &mut places);
        if !places.is_empty() {
            found.push(format!("{name}:\n  {}", places.join("\n  ")));
        }
    }
    let is_seen = |name: &str| seen.iter().any(|(step, _)| *step == name);
    let missing = expected.as_object().into_iter().flatten().filter(|(name, _)| !is_seen(name));
    found.extend(missing.map(|(name, _)| format!("{name}: not played")));
    found
}

fn compare(got: &Value, expected: &Value, path: &str, places: &mut Vec<String>) {
    match (got, expected) {
        (Value::Object(got), Value::Object(expected)) => {
            for (key, got) in got {
                compare(got, expected.get(key).unwrap_or(&Value::Null), &format!("{path}/{key}"), places);
            }
            for (key, expected) in expected.iter().filter(|(key, _)| !got.contains_key(*key)) {
                compare(&Value::Null, expected, &format!("{path}/{key}"), places);
            }
        }
        (Value::Array(got), Value::Array(expected)) if got.len() == expected.len() => {
            for (index, (got, expected)) in got.iter().zip(expected).enumerate() {
                compare(got, expected, &format!("{path}/{index}"), places);
            }
        }
        _ if got == expected => {}
        _ => places.push(format!("{path}: got {got}, expected {expected}")),
    }
}

/// Fills in the namespace and the values from earlier steps.
fn fill(text: &str, namespace: &str, kept: &BTreeMap<&'static str, Value>) -> String {
    let mut filled = text.replace("{ns}", namespace);
    for (name, object) in kept {
        for (mark, field) in [("$uid:", "uid"), ("$version:", "resourceVersion"), ("$continue:", "continue")] {
            let mark = format!("{mark}{name}$");
            if filled.contains(&mark) {
                let value = object["metadata"][field].as_str().unwrap_or_default();
                let value: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
                filled = filled.replace(&mark, &value);
            }
        }
    }
    filled
}

fn fill_all(value: &Value, fill: &impl Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::from(fill(text)),
        Value::Array(list) => list.iter().map(|item| fill_all(item, fill)).collect(),
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), fill_all(value, fill))).collect(),
        other => other.clone(),
    }
}

async fn ask(
    client: &Client,
    step: &'static str,
    method: &Method,
    path: &str,
    content: &str,
    body: &Value,
) -> Result<(u16, Value), ScriptError> {
    let failed = |source: kube::Error| ScriptError::Client { step, source: Box::new(source) };
    let content = if content.is_empty() { "application/json" } else { content };
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string().into_bytes()) };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::CONTENT_TYPE, content)
        .header(header::USER_AGENT, "script/1")
        .body(body)
        .map_err(|error| failed(kube::Error::HttpError(error)))?;
    let response = client.send(request).await.map_err(failed)?;
    let code = response.status().as_u16();
    let bytes =
        response.into_body().collect().await.map_err(|error| failed(kube::Error::Service(Box::new(error))))?.to_bytes();
    // The answer to an unknown path is a line of text.
    let json = serde_json::from_slice(&bytes).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&bytes)));
    Ok((code, json))
}

async fn watch(client: &Client, step: &'static str, path: &str, wanted: usize) -> Result<Vec<Value>, ScriptError> {
    let failed = |source: kube::Error| ScriptError::Client { step, source: Box::new(source) };
    let request = Request::get(path)
        .header(header::USER_AGENT, "script/1")
        .body(Body::empty())
        .map_err(|error| failed(kube::Error::HttpError(error)))?;
    let response = client.send(request).await.map_err(failed)?;
    let mut data = response.into_body().into_data_stream().map_err(|error| failed(kube::Error::Service(error.into())));
    let mut text = Vec::new();
    let mut events = Vec::new();
    let reading = async {
        while let Some(piece) = data.next().await {
            text.extend_from_slice(&piece?);
            while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = text.drain(..=end).collect();
                let event = serde_json::from_slice(&line);
                let got = || String::from_utf8_lossy(&line).into_owned();
                events.push(event.map_err(|_| ScriptError::Json { step, got: got() })?);
                if events.len() == wanted {
                    return Ok(());
                }
            }
        }
        Ok(())
    };
    match tokio::time::timeout(PATIENCE, reading).await {
        Ok(read) => read.map(|()| events),
        Err(_) => Err(ScriptError::TimedOut { step, what: "an event of the watch", seconds: PATIENCE.as_secs() }),
    }
}

async fn gone(client: &Client, step: &'static str, path: &str) -> Result<(), ScriptError> {
    let waiting = async {
        loop {
            let (code, _) = ask(client, step, &Method::GET, path, "", &Value::Null).await?;
            if code == 404 {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let limit = ScriptError::TimedOut { step, what: "a deletion", seconds: PATIENCE.as_secs() };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or(Err(limit))
}
