//! What the Collector writes: OTLP's JSON, a message a line.

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use serde_json::Value;

/// The messages in a file; none when nothing came yet. A line that is still being written has no end.
pub(crate) fn messages(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    whole.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What is listed under each name of `path`, one within the other.
pub(crate) fn inside(message: &Value, path: &[&str]) -> Vec<Value> {
    path.iter().fold(vec![message.clone()], |found, name| {
        found.iter().filter_map(|one| one[name].as_array()).flatten().cloned().collect()
    })
}

/// Who sent a message.
pub(crate) fn resource(message: &Value) -> Vec<Value> {
    let of = |name: &str| inside(message, &[name]).into_iter().map(|one| one["resource"].clone()).collect::<Vec<_>>();
    [of("resourceLogs"), of("resourceMetrics")].concat()
}

/// When a record happened.
pub(crate) fn time(record: &Value) -> SystemTime {
    let nanoseconds = record["timeUnixNano"].as_str().unwrap().parse().unwrap();
    SystemTime::UNIX_EPOCH + Duration::from_nanos(nanoseconds)
}

/// Names and values of a record, point or resource.
pub(crate) fn attributes(of: &Value) -> Vec<(String, Value)> {
    let pair = |attribute: &Value| {
        let value = attribute["value"].as_object().unwrap().values().next().unwrap();
        (attribute["key"].as_str().unwrap().to_owned(), value.clone())
    };
    of["attributes"].as_array().unwrap().iter().map(pair).collect()
}

/// One of them.
pub(crate) fn attribute(of: &Value, name: &str) -> Option<Value> {
    attributes(of).into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
}
