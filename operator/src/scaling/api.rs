//! The API `external.metrics.k8s.io/v1beta1`, as an aggregated API server has it: discovery, and one value for each metric and
//! selector. Requests are authorised by their paths, as kube-apiserver does before it passes them on. Pure.

use axum::http::StatusCode;
use jiff::Timestamp;
use k8s_openapi::api::{
    authentication::v1::UserInfo,
    authorization::v1::{NonResourceAttributes, ResourceAttributes, SubjectAccessReviewSpec},
};
use serde_json::{Value, json};

use super::metric::Metric;

/// The API's group.
pub const GROUP: &str = "external.metrics.k8s.io";
/// Its version.
pub const VERSION: &str = "v1beta1";

/// What a path asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked<'a> {
    /// Which groups there are.
    Groups,
    /// Which versions the group has.
    Group,
    /// Which metrics there are.
    Metrics,
    /// The value of a metric in a namespace.
    Value { namespace: &'a str, metric: &'a str },
    /// Something else.
    Other,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: StatusCode,
    reason: &'static str,
    message: String,
}

impl<'a> Asked<'a> {
    /// What `path` asks for.
    pub(super) fn of(path: &'a str) -> Self {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        match parts[..] {
            ["apis"] => Self::Groups,
            ["apis", GROUP] => Self::Group,
            ["apis", GROUP, VERSION] => Self::Metrics,
            ["apis", GROUP, VERSION, "namespaces", namespace, metric]
                if !namespace.is_empty() && !metric.is_empty() =>
            {
                Self::Value { namespace, metric }
            }
            _ => Self::Other,
        }
    }

    /// The question whether `user` may ask for it. kube-apiserver asks the same: a value is a list of the resource that has the
    /// metric's name, everything else a path.
    pub(super) fn question(self, path: &str, user: UserInfo) -> SubjectAccessReviewSpec {
        let UserInfo { username, uid, groups, extra } = user;
        let mut spec = SubjectAccessReviewSpec { user: username, uid, groups, extra, ..Default::default() };
        let text = |text: &str| Some(text.to_owned());
        match self {
            Self::Value { namespace, metric } => {
                spec.resource_attributes = Some(ResourceAttributes {
                    verb: text("list"),
                    group: text(GROUP),
                    version: text(VERSION),
                    resource: text(metric),
                    namespace: text(namespace),
                    ..ResourceAttributes::default()
                });
            }
            _ => {
                spec.non_resource_attributes = Some(NonResourceAttributes { verb: text("get"), path: text(path) });
            }
        }
        spec
    }
}

impl Refusal {
    pub(super) fn unauthorized(message: String) -> Self {
        Self { code: StatusCode::UNAUTHORIZED, reason: "Unauthorized", message }
    }

    pub(super) fn forbidden(message: String) -> Self {
        Self { code: StatusCode::FORBIDDEN, reason: "Forbidden", message }
    }

    pub(super) fn bad_request(message: String) -> Self {
        Self { code: StatusCode::BAD_REQUEST, reason: "BadRequest", message }
    }

    pub(super) fn not_found(message: String) -> Self {
        Self { code: StatusCode::NOT_FOUND, reason: "NotFound", message }
    }

    pub(super) fn method(got: &str) -> Self {
        let message = format!("got {got}, expected GET: metrics are read and nothing else");
        Self { code: StatusCode::METHOD_NOT_ALLOWED, reason: "MethodNotAllowed", message }
    }

    pub(super) fn unavailable(message: String) -> Self {
        Self { code: StatusCode::SERVICE_UNAVAILABLE, reason: "ServiceUnavailable", message }
    }

    /// As clients of Kubernetes read it.
    pub(super) fn status(&self) -> Value {
        json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code.as_u16(),
        })
    }
}

/// Every group: this one.
pub(super) fn groups() -> Value {
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": [group()]})
}

/// The group.
pub(super) fn group() -> Value {
    let version = json!({"groupVersion": group_version(), "version": VERSION});
    json!({
        "kind": "APIGroup", "apiVersion": "v1", "name": GROUP, "versions": [version], "preferredVersion": version,
    })
}

/// Every metric, as a resource that can be read.
pub(super) fn metrics() -> Value {
    let resource = |metric: Metric| {
        json!({
            "name": metric.name(), "singularName": "", "namespaced": true, "kind": "ExternalMetricValueList",
            "verbs": ["get"],
        })
    };
    json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version(),
        "resources": Metric::ALL.map(resource),
    })
}

/// The value of a metric at `now`.
pub(super) fn value(metric: Metric, value: u64, now: Timestamp) -> Value {
    // Kubernetes writes times without fractions of a second.
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    json!({
        "kind": "ExternalMetricValueList",
        "apiVersion": group_version(),
        "metadata": {},
        "items": [{
            "metricName": metric.name(), "metricLabels": {}, "timestamp": now.to_string(), "value": value.to_string(),
        }],
    })
}

fn group_version() -> String {
    format!("{GROUP}/{VERSION}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "/apis/external.metrics.k8s.io/v1beta1";

    #[test]
    fn paths_are_those_of_the_api() {
        let value = format!("{BASE}/namespaces/shop/netprecursor_alerts_firing");
        for (path, asked) in [
            ("/apis", Asked::Groups),
            ("/apis/", Asked::Groups),
            ("/apis/external.metrics.k8s.io", Asked::Group),
            (BASE, Asked::Metrics),
            (&*value, Asked::Value { namespace: "shop", metric: "netprecursor_alerts_firing" }),
            ("/", Asked::Other),
            ("/openapi/v2", Asked::Other),
            ("/apis/external.metrics.k8s.io/v1", Asked::Other),
            (&*format!("{BASE}/namespaces/shop"), Asked::Other),
            (&*format!("{BASE}/namespaces//metric"), Asked::Other),
            (&*format!("{value}/more"), Asked::Other),
        ] {
            assert_eq!(Asked::of(path), asked, "{path}");
        }
    }

    #[test]
    fn a_value_is_authorised_as_a_list_of_its_metric_and_the_rest_by_path() {
        let user = || UserInfo { username: Some("hpa".to_owned()), ..UserInfo::default() };
        let path = format!("{BASE}/namespaces/shop/netprecursor_alerts_firing");
        let asked = Asked::of(&path).question(&path, user());
        let attributes = asked.resource_attributes.unwrap();
        assert_eq!(asked.user.as_deref(), Some("hpa"));
        let named = [attributes.verb, attributes.group, attributes.resource, attributes.namespace];
        let named = named.map(Option::unwrap_or_default);
        assert_eq!(named, ["list", GROUP, "netprecursor_alerts_firing", "shop"]);
        let asked = Asked::of(BASE).question(BASE, user());
        assert_eq!(asked.resource_attributes, None);
        assert_eq!(asked.non_resource_attributes.unwrap().path.as_deref(), Some(BASE));
    }

    #[test]
    fn discovery_names_every_metric_under_its_group() {
        let metrics = metrics();
        let named: Vec<_> = metrics["resources"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
        assert_eq!(named, Metric::ALL.map(Metric::name));
        assert_eq!(metrics["groupVersion"], "external.metrics.k8s.io/v1beta1");
        assert_eq!(groups()["groups"][0]["preferredVersion"]["groupVersion"], metrics["groupVersion"]);
    }

    #[test]
    fn a_value_has_the_form_that_autoscalers_read() {
        let answer = value(Metric::BreachChance, 74, "2025-06-15T15:06:40.123456Z".parse().unwrap());
        let item = json!({
            "metricName": "netprecursor_breach_chance_percent", "metricLabels": {},
            "timestamp": "2025-06-15T15:06:40Z", "value": "74",
        });
        assert_eq!(answer["items"], json!([item]));
    }
}
