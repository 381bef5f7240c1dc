//! What the Collector received, read from the files that it writes: a JSON document of OTLP a line.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The attribute that says what happened to an alert.
const TRANSITION: &str = "netprecursor.alert.transition";

/// The files for log records and for metrics.
pub(super) fn files(directory: &Path) -> [PathBuf; 2] {
    ["logs.json", "metrics.json"].map(|file| directory.join(file))
}

/// What is in the files.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Received {
    /// Records by what they say happened: alerts that fired, resolved and so on.
    pub(super) records: BTreeMap<String, u64>,
    /// Exports of metrics.
    pub(super) exports: u64,
    pub(super) points: u64,
    /// Different metrics.
    pub(super) metrics: usize,
    /// Whether files were rotated, so that these are numbers of their last parts.
    pub(super) is_cut: bool,
}

impl Received {
    /// Reads both files of `directory`. Of a demonstration that went on for long they have the last part.
    ///
    /// # Errors
    /// A file cannot be read, or holds something else.
    pub(super) fn read(directory: &Path) -> Result<Self, String> {
        let (mut received, mut names) = (Self::default(), BTreeSet::new());
        let [logs, metrics] = files(directory);
        each(&logs, |line: Logs| received.add_logs(line))?;
        each(&metrics, |line: Metrics| received.add_metrics(line, &mut names))?;
        received.metrics = names.len();
        let entries =
            fs::read_dir(directory).map_err(|error| format!("cannot read {}: {error}", directory.display()))?;
        received.is_cut = entries.flatten().any(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            ["logs-", "metrics-"].iter().any(|begin| name.starts_with(begin))
        });
        Ok(received)
    }

    fn add_logs(&mut self, line: Logs) {
        let scopes = line.resource_logs.into_iter().flat_map(|resource| resource.scope_logs);
        for record in scopes.flat_map(|scope| scope.log_records) {
            let happened = record.attributes.into_iter().find(|attribute| attribute.key == TRANSITION);
            let happened = happened.and_then(|attribute| attribute.value.string_value);
            *self.records.entry(happened.unwrap_or(record.event_name)).or_default() += 1;
        }
    }

    fn add_metrics(&mut self, line: Metrics, names: &mut BTreeSet<String>) {
        self.exports += 1;
        let scopes = line.resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics);
        for metric in scopes.flat_map(|scope| scope.metrics) {
            let data = [metric.gauge, metric.sum, metric.histogram];
            self.points += data.into_iter().flatten().map(|data| data.data_points.len() as u64).sum::<u64>();
            names.insert(metric.name);
        }
    }
}

/// Calls `take` with each line of a file. One that is not there was never written to.
fn each<T: DeserializeOwned>(path: &Path, mut take: impl FnMut(T)) -> Result<(), String> {
    let failed = |error: io::Error| format!("cannot read {}: {error}", path.display());
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let read = serde_json::from_str(&line.map_err(failed)?);
        take(read.map_err(|error| {
            format!("got line {} of {} that is no OTLP ({error}), expected the Collector's", number + 1, path.display())
        })?);
    }
    Ok(())
}

/// As OTLP's JSON has it, as far as it is counted.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Logs {
    #[serde(default)]
    resource_logs: Vec<ResourceLogs>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceLogs {
    #[serde(default)]
    scope_logs: Vec<ScopeLogs>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScopeLogs {
    #[serde(default)]
    log_records: Vec<Record>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    #[serde(default)]
    event_name: String,
    #[serde(default)]
    attributes: Vec<Attribute>,
}

#[derive(Deserialize)]
struct Attribute {
    key: String,
    value: AnyValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnyValue {
    string_value: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metrics {
    #[serde(default)]
    resource_metrics: Vec<ResourceMetrics>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceMetrics {
    #[serde(default)]
    scope_metrics: Vec<ScopeMetrics>,
}

#[derive(Deserialize)]
struct ScopeMetrics {
    #[serde(default)]
    metrics: Vec<Metric>,
}

#[derive(Deserialize)]
struct Metric {
    name: String,
    gauge: Option<Data>,
    sum: Option<Data>,
    histogram: Option<Data>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    #[serde(default)]
    data_points: Vec<Point>,
}

/// Its content is not looked at.
#[derive(Deserialize)]
struct Point {}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A record of an alert, as the Collector writes it.
    fn record(transition: &str) -> String {
        let attribute = format!(r#"{{"key":"{TRANSITION}","value":{{"stringValue":"{transition}"}}}}"#);
        let record = format!(
            r#"{{"timeUnixNano":"1","severityNumber":13,"body":{{"stringValue":"b"}},"eventName":"netprecursor.alert",
            "attributes":[{{"key":"n","value":{{"intValue":"3"}}}},{attribute}]}}"#
        );
        format!(r#"{{"resourceLogs":[{{"resource":{{}},"scopeLogs":[{{"scope":{{}},"logRecords":[{record}]}}]}}]}}"#)
            .replace('\n', " ")
    }

    const METRICS: &str = r#"{"resourceMetrics":[{"resource":{},"scopeMetrics":[{"scope":{},"metrics":[
        {"name":"a","gauge":{"dataPoints":[{"asDouble":1},{"asInt":"2"}]}},
        {"name":"b","sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{"asInt":"2"}]}}]}]}]}"#;

    #[test]
    fn records_are_counted_by_what_happened_and_metrics_by_name_and_point() {
        let directory = tempfile::tempdir().unwrap();
        let [logs, metrics] = files(directory.path());
        fs::write(logs, [record("fired"), record("resolved"), record("fired")].join("\n")).unwrap();
        let line = METRICS.replace('\n', " ");
        fs::write(metrics, format!("{line}\n{line}\n")).unwrap();
        let received = Received::read(directory.path()).unwrap();
        assert_eq!(received.records, BTreeMap::from([("fired".to_owned(), 2), ("resolved".to_owned(), 1)]));
        assert_eq!((received.exports, received.points, received.metrics), (2, 6, 2));
    }

    #[test]
    fn a_collector_that_received_nothing_has_no_files() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Received::read(directory.path()), Ok(Received::default()));
    }

    #[test]
    fn a_line_that_is_no_otlp_is_named() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(&files(directory.path())[0], "{}\nhello\n").unwrap();
        let error = Received::read(directory.path()).unwrap_err();
        assert!(error.starts_with("got line 2 of ") && error.contains("logs.json"), "{error}");
    }
}
