//! The past from a Prometheus that scrapes the agents: a few range queries for each chart, within a limit of time together.

mod expression;

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use expression::{Figure, window};
pub(crate) use expression::{Rule, Series};

use super::{
    point::Point,
    query::RangeAsked,
    range::{Plan, RangeAnswer, Steps},
    status::{State, Status},
};

/// How long the queries of an answer may take together: the page waits for ten seconds.
const PATIENCE: Duration = Duration::from_secs(8);

/// Bytes of an answer at most: one series of as many steps as are asked for takes about 100 KiB.
const MOST: u64 = 4 << 20;

/// Bytes of a token at most.
const LONGEST_TOKEN: u64 = 16 << 10;

/// A client of one Prometheus.
#[derive(Debug)]
pub(crate) struct Prometheus {
    url: String,
    token_file: Option<PathBuf>,
    http: ureq::Agent,
    status: Mutex<Status>,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub(crate) enum PrometheusError {
    #[error(
        "got --prometheus {got:?}, expected the address of a Prometheus by HTTP: write for example `http://127.0.0.1:9090`; one \
         behind TLS can be reached through a proxy or `kubectl port-forward`"
    )]
    Address { got: String },
    #[error("cannot read the token in {} ({source}), expected a file with one line: check --prometheus-token-file", path.display())]
    Token { path: PathBuf, source: std::io::Error },
    #[error("got no answer from Prometheus at {url} ({source}), expected one; is it running, and the address right?")]
    Unanswered { url: String, source: Box<ureq::Error> },
    #[error("got status {status} from Prometheus at {url} ({reason}), expected an answer to a range query")]
    Refused { url: String, status: u16, reason: String },
    #[error("got an answer from {url} that cannot be read ({source}), expected that of a Prometheus")]
    Strange { url: String, source: serde_json::Error },
    #[error("got no answer from Prometheus at {url} within {} s, expected one: ask for less, or for longer steps", PATIENCE.as_secs())]
    Slow { url: String },
}

/// What Prometheus says, by its HTTP API.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    error: Option<String>,
    data: Option<Matrix>,
}

#[derive(Deserialize)]
struct Matrix {
    result: Vec<Found>,
}

#[derive(Deserialize)]
struct Found {
    /// Unix s, and a number as text.
    values: Vec<(f64, String)>,
}

impl Prometheus {
    /// A client of the one at `url`, which shows what is in the file with each question.
    pub(crate) fn new(url: &str, token_file: Option<PathBuf>) -> Result<Self, PrometheusError> {
        let url = url.trim_end_matches('/');
        let is_address = url
            .strip_prefix("http://")
            .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && !rest.contains(['?', '#', ' ', '@']));
        if !is_address {
            return Err(PrometheusError::Address { got: url.chars().take(80).collect() });
        }
        let config = ureq::Agent::config_builder().proxy(None).http_status_as_error(false).max_redirects(0).build();
        let prometheus = Self {
            url: url.to_owned(),
            token_file,
            http: ureq::Agent::new_with_config(config),
            status: Mutex::new(Status::begun("Prometheus", url.to_owned(), unix())),
        };
        // A file that is not there is said at the start.
        prometheus.token()?;
        Ok(prometheus)
    }

    /// How it did last.
    pub(crate) fn status(&self) -> Status {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Points of the target of these series. Asks over the network, so it takes a moment.
    pub(crate) fn range(
        &self,
        asked: &RangeAsked,
        now: u64,
        series: &Series,
        target: Value,
    ) -> Result<RangeAnswer, PrometheusError> {
        let answer = self.steps(Plan::of(asked, now, None), series);
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Ok(steps) => {
                status.good(Status::begun("Prometheus", self.url.clone(), unix()));
                Ok(steps.answer(asked.uid.clone(), target, "Prometheus"))
            }
            Err(error) => {
                status.fails(State::Failing, error.to_string(), unix());
                Err(error)
            }
        }
    }

    fn steps(&self, plan: Plan, series: &Series) -> Result<Steps, PrometheusError> {
        let until = Instant::now() + PATIENCE;
        let mut steps = Steps::of(plan);
        for figure in Figure::ALL {
            let Some(query) = series.query(figure, window(plan.step)) else { continue };
            for (unix, number) in self.query(&query, &plan, until)? {
                let mut point = Point::ABSENT;
                figure.put(&mut point, number);
                steps.take(unix, point);
            }
        }
        Ok(steps)
    }

    /// A number for each step, with the second that the step begins with. The value at a moment is of what was before it, so
    /// each step is asked for at its end.
    fn query(&self, query: &str, plan: &Plan, until: Instant) -> Result<Vec<(u64, f32)>, PrometheusError> {
        let left = until.saturating_duration_since(Instant::now());
        let url = format!("{}/api/v1/query_range", self.url);
        if left.is_zero() {
            return Err(PrometheusError::Slow { url });
        }
        let last = plan.step - 1;
        let (start, end) = (plan.start + last, plan.end());
        let mut request = self.http.get(&url).config().timeout_global(Some(left)).build();
        request = request.query("query", query).query("start", start.to_string()).query("end", end.to_string());
        request = request.query("step", plan.step.to_string()).query("timeout", format!("{}s", PATIENCE.as_secs()));
        if let Some(token) = self.token()? {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let failed = |source: ureq::Error| match source {
            ureq::Error::Timeout(_) => PrometheusError::Slow { url: url.clone() },
            source => PrometheusError::Unanswered { url: url.clone(), source: Box::new(source) },
        };
        let mut answer = request.call().map_err(failed)?;
        let status = answer.status().as_u16();
        let body = answer.body_mut().with_config().limit(MOST).read_to_vec().map_err(failed)?;
        let read = serde_json::from_slice::<Answer>(&body);
        if status != 200 {
            let reason = read.ok().and_then(|answer| answer.error).unwrap_or_else(|| "without a word".to_owned());
            return Err(PrometheusError::Refused { url, status, reason: reason.chars().take(200).collect() });
        }
        let found = read.map_err(|source| PrometheusError::Strange { url, source })?.data;
        let values = found.into_iter().flat_map(|matrix| matrix.result).flat_map(|found| found.values);
        let number = |(at, text): (f64, String)| {
            let number = text.parse::<f32>().ok().filter(|number| number.is_finite())?;
            Some(((at.round() as u64).saturating_sub(last), number))
        };
        Ok(values.filter_map(number).collect())
    }

    /// The token as it is now: a file in a cluster changes by itself.
    fn token(&self) -> Result<Option<String>, PrometheusError> {
        self.token_file.as_deref().map(read_token).transpose()
    }
}

fn read_token(path: &Path) -> Result<String, PrometheusError> {
    let failed = |source| PrometheusError::Token { path: path.to_owned(), source };
    let mut text = String::new();
    File::open(path).and_then(|file| file.take(LONGEST_TOKEN).read_to_string(&mut text)).map_err(failed)?;
    let token = text.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(failed(std::io::Error::new(std::io::ErrorKind::InvalidData, "no token in it")));
    }
    Ok(token.to_owned())
}

fn unix() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests;
