//! What a failed request means for its caller.

use std::time::Duration;

use kube::core::Status;

/// Why a request was not done, or may not have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The object, its namespace or its kind is not there.
    Missing,
    /// A right is missing, or an admission policy refuses.
    Forbidden,
    /// Its namespace is on its way out and takes nothing new.
    Ending,
    /// There is an object of this name.
    Exists,
    /// The object is not what was seen.
    Conflict,
    /// As it is, the API server never takes it.
    Invalid,
    /// Not now.
    Busy {
        /// After how long the API server wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// Another refusal.
    Refused,
    /// The answer is not what was asked for.
    Garbled,
    /// There was no answer: it may have been done.
    Unanswered,
}

impl Failure {
    /// What an answer in words means.
    pub fn of(status: &Status) -> Self {
        let details = status.details.as_ref();
        let is_ending = || details.is_some_and(|it| it.causes.iter().any(|it| it.reason == "NamespaceTerminating"));
        match status.code {
            404 => Self::Missing,
            403 if is_ending() => Self::Ending,
            403 => Self::Forbidden,
            409 if status.is_already_exists() => Self::Exists,
            409 => Self::Conflict,
            400 | 405 | 406 | 413 | 415 | 422 => Self::Invalid,
            401 | 408 | 429 | 500..600 => {
                let seconds = details.map(|details| details.retry_after_seconds).filter(|seconds| *seconds > 0);
                Self::Busy { retry_after: seconds.map(|seconds| Duration::from_secs(seconds.into())) }
            }
            _ => Self::Refused,
        }
    }

    /// The API server's own words where there are some.
    pub fn words(error: &kube::Error) -> String {
        match error {
            kube::Error::Api(status) => status.message.clone(),
            other => other.to_string(),
        }
    }
}

/// That nothing came back in time, in words.
pub fn no_answer(within: Duration) -> String {
    format!("no answer within {} s", within.as_secs())
}

/// An error with its causes on one line. The verifier's log, which some causes carry, is cut to its first line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let message = error.to_string();
        let line = message.lines().next().unwrap_or_default();
        // thiserror's `{0}` and its source often have the same text.
        if !text.ends_with(line) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(line);
        }
        next = error.source();
    }
    text
}

impl From<&kube::Error> for Failure {
    fn from(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::of(status),
            kube::Error::SerdeError(_) => Self::Garbled,
            _ => Self::Unanswered,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(status: serde_json::Value) -> Failure {
        Failure::from(&kube::Error::Api(serde_json::from_value(status).unwrap()))
    }

    #[test]
    fn answers_mean_what_the_api_means_by_them() {
        let table = [
            (404, "NotFound", Failure::Missing),
            (403, "Forbidden", Failure::Forbidden),
            (409, "AlreadyExists", Failure::Exists),
            (409, "Conflict", Failure::Conflict),
            (422, "Invalid", Failure::Invalid),
            (500, "InternalError", Failure::Busy { retry_after: None }),
            (401, "Unauthorized", Failure::Busy { retry_after: None }),
            (410, "Expired", Failure::Refused),
        ];
        for (code, reason, expected) in table {
            assert_eq!(failure(serde_json::json!({"code": code, "reason": reason})), expected, "{code} {reason}");
        }
    }

    #[test]
    fn a_namespace_that_ends_forbids_what_a_missing_right_does_not() {
        let causes = serde_json::json!([{"reason": "NamespaceTerminating"}]);
        assert_eq!(failure(serde_json::json!({"code": 403, "details": {"causes": causes}})), Failure::Ending);
    }

    #[test]
    fn a_busy_server_says_when_it_wants_to_be_asked_again() {
        let busy = failure(serde_json::json!({"code": 429, "details": {"retryAfterSeconds": 3}}));
        assert_eq!(busy, Failure::Busy { retry_after: Some(Duration::from_secs(3)) });
    }
}
