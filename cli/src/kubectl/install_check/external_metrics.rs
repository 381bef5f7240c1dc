//! Whether autoscalers can read external metrics, and whose: their API is one for the whole cluster.

use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;

use super::{Answer, Check};

/// Who serves it.
pub(super) const API: &str = "v1beta1.external.metrics.k8s.io";

const NAME: &str = "external metrics";

/// The check; none where nobody serves them, or who does may not be seen: nothing needs them but autoscalers.
pub(super) fn check(found: &Answer<APIService>) -> Option<Check> {
    let Answer::Found(api) = found else { return None };
    let service = api.spec.as_ref().and_then(|spec| spec.service.as_ref());
    let part = |part: Option<&String>| part.cloned().unwrap_or_default();
    let service = service.map_or_else(
        || "kube-apiserver".to_owned(),
        |service| format!("{}/{}", part(service.namespace.as_ref()), part(service.name.as_ref())),
    );
    let labels = api.metadata.labels.as_ref();
    let part_of = labels.and_then(|labels| labels.get("app.kubernetes.io/part-of"));
    // Who takes the API over by `kubectl apply` leaves labels that it does not set.
    if part_of.is_none_or(|part| part != "netprecursor") || !service.ends_with("-external-metrics") {
        let fix = "scale by its queries of Prometheus instead (docs/scaling.md)";
        let says = format!("served by {service}: externalMetrics.enabled=true would be refused");
        return Some(Check::open(NAME, says).with_fix(fix));
    }
    let conditions = api.status.as_ref().and_then(|status| status.conditions.as_ref());
    match conditions.into_iter().flatten().find(|condition| condition.type_ == "Available") {
        Some(available) if available.status == "True" => Some(Check::good(NAME, format!("served by {service}"))),
        Some(available) => Some(Check::bad(
            NAME,
            format!("{service} cannot be asked: {}", part(available.message.as_ref())),
            "look into the operator's log, and let kube-apiserver reach port 8443 of its pods (docs/scaling.md)",
        )),
        None => Some(Check::open(NAME, format!("{service} was not asked yet"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{super::Verdict, *};
    use crate::kubectl::installed::tests::object;

    fn verdict(part_of: &str, conditions: Value) -> (Verdict, String) {
        verdict_of(part_of, "netprecursor-external-metrics", conditions)
    }

    fn verdict_of(part_of: &str, service: &str, conditions: Value) -> (Verdict, String) {
        let api: APIService = object(json!({
            "metadata": {"name": API, "labels": {"app.kubernetes.io/part-of": part_of}},
            "spec": {
                "group": "external.metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100,
                "service": {"name": service, "namespace": "net"},
            },
            "status": {"conditions": conditions},
        }));
        let check = check(&Answer::Found(api)).unwrap();
        (check.verdict, format!("{} {}", check.says, check.fix.unwrap_or_default()))
    }

    #[test]
    fn a_server_of_ones_own_has_to_answer_and_another_keeps_the_api() {
        let available = |status: &str| json!([{"type": "Available", "status": status, "message": "no endpoints"}]);
        assert_eq!(
            verdict("netprecursor", available("True")),
            (Verdict::Good, "served by net/netprecursor-external-metrics ".to_owned())
        );
        let (bad, says) = verdict("netprecursor", available("False"));
        assert!(bad == Verdict::Bad && says.contains("no endpoints") && says.contains("8443"), "{says}");
        assert_eq!(verdict("netprecursor", json!([])).0, Verdict::Open);
        for (other, says) in
            [verdict("keda-operator", available("True")), verdict_of("netprecursor", "adapter", available("True"))]
        {
            assert!(
                other == Verdict::Open && says.contains("would be refused") && says.contains("Prometheus"),
                "{says}"
            );
        }
    }

    #[test]
    fn a_cluster_without_them_has_no_such_line() {
        assert_eq!(check(&Answer::Absent), None);
        assert_eq!(check(&Answer::Forbidden("may not".to_owned())), None);
    }
}
