//! Asks Prometheus what queries find, and how its rules are doing.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::dashboards::Query;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How far back queries are asked for, and how often, s: between two surges no alert fires, and panels of alerts are empty.
const BACK: Duration = Duration::from_secs(120);
const STEP: &str = "5";
/// Bytes of an answer at most: a few targets.
const MOST: u64 = 10 << 20;
const FIRED: &str = r#"group by (alertname) (count_over_time(ALERTS{alertstate="firing"}[1h]))"#;

/// A client of one server.
#[derive(Debug)]
pub(super) struct Prometheus {
    url: String,
    http: ureq::Agent,
}

/// What Prometheus makes of the dashboards and rules.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Asked {
    /// Queries of panels, and those that found a number.
    pub(super) queries: usize,
    pub(super) with_data: usize,
    /// Those that found nothing, and what they are about.
    pub(super) elsewhere: BTreeMap<&'static str, usize>,
    /// Panels that found nothing, and should have.
    pub(super) without_data: Vec<String>,
    pub(super) rules: usize,
    /// Alerts of the rules that fired within the hour.
    pub(super) fired: Vec<String>,
    /// Recorded series of which there is none yet.
    pub(super) not_recorded: Vec<String>,
    /// What could not be asked or evaluated, with the reason.
    pub(super) failed: Vec<String>,
}

/// A rule, as Prometheus shows it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Rule {
    name: String,
    /// `recording` or `alerting`.
    #[serde(rename = "type")]
    kind: String,
    /// `ok`, `err` or `unknown`.
    health: String,
    last_error: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Answer<T> {
    data: Option<T>,
    error: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Vector {
    result: Vec<Sample>,
}

#[derive(Debug, Deserialize)]
struct Matrix {
    result: Vec<Series>,
}

#[derive(Debug, Deserialize)]
struct Series {
    /// Moments and numbers.
    values: Vec<(f64, String)>,
}

#[derive(Debug, Deserialize)]
struct Sample {
    metric: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

impl Prometheus {
    /// A client of the server at an address.
    pub(super) fn new(address: SocketAddr) -> Self {
        let config =
            ureq::Agent::config_builder().proxy(None).timeout_global(Some(PATIENCE)).http_status_as_error(false);
        Self { url: format!("http://{address}"), http: ureq::Agent::new_with_config(config.build()) }
    }

    /// Whether it is ready; otherwise what it answers.
    pub(super) fn ready(&self) -> Result<(), String> {
        let answer = self.http.get(format!("{}/-/ready", self.url)).call().map_err(|error| error.to_string())?;
        if answer.status().is_success() { Ok(()) } else { Err(answer.status().to_string()) }
    }

    /// What a query finds at a time.
    fn query(&self, expr: &str, at: SystemTime) -> Result<Vec<Sample>, String> {
        let found: Vector = self.read("query", &[("query", expr), ("time", &seconds(at))])?;
        Ok(found.result)
    }

    /// Whether a query finds a number in the minutes up to a time.
    fn finds(&self, expr: &str, until: SystemTime) -> Result<bool, String> {
        let (from, until) = (seconds(until.checked_sub(BACK).unwrap_or(until)), seconds(until));
        let found: Matrix =
            self.read("query_range", &[("query", expr), ("start", &from), ("end", &until), ("step", STEP)])?;
        Ok(found.result.iter().flat_map(|series| &series.values).any(|(_, value)| value != "NaN"))
    }

    /// Alerts that fired within the hour before.
    fn fired(&self, at: SystemTime) -> Result<Vec<String>, String> {
        let found = self.query(FIRED, at)?;
        Ok(found.into_iter().filter_map(|mut sample| sample.metric.remove("alertname")).collect())
    }

    fn rules(&self) -> Result<Vec<Rule>, String> {
        let rules: Rules = self.read("rules", &[])?;
        Ok(rules.groups.into_iter().flat_map(|group| group.rules).collect())
    }

    fn read<T: DeserializeOwned>(&self, what: &str, parameters: &[(&str, &str)]) -> Result<T, String> {
        let request = self.http.get(format!("{}/api/v1/{what}", self.url));
        let request = parameters.iter().fold(request, |request, (name, value)| request.query(name, value));
        let mut answer = request.call().map_err(|error| error.to_string())?;
        let status = answer.status();
        let body = answer.body_mut().with_config().limit(MOST).read_to_vec().map_err(|error| error.to_string())?;
        let strange = |error: serde_json::Error| format!("got {status} with what is no answer of Prometheus ({error})");
        let answer: Answer<Value> = serde_json::from_slice(&body).map_err(strange)?;
        match answer {
            Answer { data: Some(data), error: None } => serde_json::from_value(data).map_err(strange),
            Answer { error, .. } => Err(error.unwrap_or_else(|| format!("got {status} without data"))),
        }
    }
}

/// In seconds, as Prometheus reads a time.
fn seconds(time: SystemTime) -> String {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64().to_string()
}

/// What every query finds in the minutes up to `at`, and every rule.
pub(super) fn ask(prometheus: &Prometheus, queries: &[Query], at: SystemTime) -> Asked {
    let mut asked = Asked::default();
    for query in queries {
        asked.add(query, prometheus.finds(&query.expr, at));
    }
    let rules = match prometheus.rules() {
        Ok(rules) => rules,
        Err(error) => {
            asked.failed.push(format!("rules: {error}"));
            return asked;
        }
    };
    match prometheus.fired(at) {
        Ok(fired) => asked.fired = fired,
        Err(error) => asked.failed.push(format!("alerts that fired: {error}")),
    }
    for rule in rules {
        let finds = (rule.kind == "recording").then(|| prometheus.finds(&rule.name, at));
        asked.add_rule(rule, finds);
    }
    asked
}

impl Asked {
    fn add(&mut self, query: &Query, found: Result<bool, String>) {
        self.queries += 1;
        match (found, query.excuse) {
            (Ok(true), _) => self.with_data += 1,
            (Ok(false), Some(excuse)) => *self.elsewhere.entry(excuse).or_default() += 1,
            // A panel is named once.
            (Ok(false), None) if self.without_data.last() == Some(&query.place) => {}
            (Ok(false), None) => self.without_data.push(query.place.clone()),
            (Err(error), _) => self.failed.push(format!("{}: {error}", query.place)),
        }
    }

    /// Takes in a rule; of one that records, what its series `finds`.
    fn add_rule(&mut self, rule: Rule, finds: Option<Result<bool, String>>) {
        self.rules += 1;
        if rule.health != "ok" {
            let why = rule.last_error.filter(|error| !error.is_empty()).unwrap_or(rule.health);
            self.failed.push(format!("rule {}: {why}", rule.name));
            return;
        }
        match finds {
            Some(Ok(false)) => self.not_recorded.push(rule.name),
            Some(Err(error)) => self.failed.push(format!("rule {}: {error}", rule.name)),
            Some(Ok(true)) | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(place: &str, excuse: Option<&'static str>) -> Query {
        Query { place: place.to_owned(), expr: "up".to_owned(), excuse }
    }

    #[test]
    fn a_panel_without_data_is_named_once_unless_it_has_an_excuse() {
        let mut asked = Asked::default();
        asked.add(&query("Fleet: RTT", None), Ok(true));
        asked.add(&query("Agent: Leading", Some("about a cluster")), Ok(false));
        asked.add(&query("Model: Lead", None), Ok(false));
        asked.add(&query("Model: Lead", None), Ok(false));
        asked.add(&query("Model: Weights", None), Err("parse error".to_owned()));
        assert_eq!((asked.queries, asked.with_data), (5, 1));
        assert_eq!(asked.elsewhere, BTreeMap::from([("about a cluster", 1)]));
        assert_eq!(asked.without_data, ["Model: Lead"]);
        assert_eq!(asked.failed, ["Model: Weights: parse error"]);
    }

    #[test]
    fn rules_that_fail_or_record_nothing_are_named() {
        let mut asked = Asked::default();
        let record = |name: &str| Rule { name: name.to_owned(), kind: "recording".to_owned(), ..quiet() };
        asked.add_rule(record("a:b"), Some(Ok(false)));
        asked.add_rule(record("c:d"), Some(Ok(true)));
        asked.add_rule(quiet(), None);
        asked.add_rule(Rule { health: "err".to_owned(), last_error: Some("many-to-many".to_owned()), ..quiet() }, None);
        asked.add_rule(Rule { health: "unknown".to_owned(), ..quiet() }, None);
        assert_eq!((asked.rules, asked.not_recorded), (5, vec!["a:b".to_owned()]));
        assert_eq!(asked.failed, ["rule Down: many-to-many", "rule Down: unknown"]);
    }

    /// An alert's rule that has nothing to complain of, as Prometheus lists it.
    fn quiet() -> Rule {
        let json =
            r#"{"name":"Down","type":"alerting","health":"ok","state":"inactive","lastError":"","query":"up == 0"}"#;
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn an_answer_is_data_or_an_error() {
        let vector =
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"b"},"value":[1.5,"1"]}]}}"#;
        let answer: Answer<Vector> = serde_json::from_str(vector).unwrap();
        assert_eq!(answer.data.unwrap().result[0].metric["a"], "b");
        let matrix = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1.5,"NaN"],[6.5,"2"]]}]}}"#;
        let answer: Answer<Matrix> = serde_json::from_str(matrix).unwrap();
        assert_eq!(answer.data.unwrap().result[0].values, [(1.5, "NaN".to_owned()), (6.5, "2".to_owned())]);
        let refused: Answer<Value> =
            serde_json::from_str(r#"{"status":"error","errorType":"bad_data","error":"e"}"#).unwrap();
        assert_eq!(refused.error.as_deref(), Some("e"));
    }
}
