//! NetworkPolicies open what is dialled and nothing else: Kubernetes reads an empty list in a rule as "all".

use serde_json::{Value, json};

use crate::helm::{Helm, chart};
use crate::objects::find;

/// The policy of the agents with `values` on top of `networkPolicy.enabled`.
fn policy_of(helm: &Helm, who: &str, values: &Value) -> Value {
    let mut values = values.clone();
    values["networkPolicy"]["enabled"] = true.into();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), values.to_string()).unwrap();
    let objects = helm.template(&["--set", "crds.enabled=false", "--values", file.path().to_str().unwrap()]);
    find(&objects, "NetworkPolicy", &format!("netprecursor-{who}"))["spec"].clone()
}

/// The TCP ports that a policy lets out to, but for DNS. A rule without ports or with peers is none of the chart's.
fn ports(policy: &Value) -> Vec<u64> {
    let mut ports = Vec::new();
    for rule in policy["egress"].as_array().unwrap() {
        assert_eq!(rule.as_object().unwrap().len(), 1, "{rule}");
        let opened = rule["ports"].as_array().unwrap();
        assert!(!opened.is_empty(), "a rule without a port opens all: {policy}");
        ports.extend(opened.iter().map(|port| port["port"].as_u64().unwrap()));
    }
    assert_eq!(ports[..2], [53, 53]);
    ports.split_off(2)
}

/// What is opened for OTLP.
fn otlp(helm: &Helm, endpoint: &str, env: &Value) -> Vec<u64> {
    let values = json!({
        "agent": {"otlp": {"endpoint": endpoint}, "env": env}, "networkPolicy": {"apiServerPorts": []},
    });
    ports(&policy_of(helm, "agent", &values))
}

#[test]
fn the_port_of_an_endpoint_is_opened_or_that_of_its_scheme() {
    let helm = Helm::current();
    let table = [
        ("", vec![]),
        ("http://collector:4317", vec![4317]),
        ("http://collector:9999/v1/x?y=:1#z", vec![9999]),
        ("http://collector", vec![80]),
        ("https://collector", vec![443]),
        ("HTTPS://Collector/otlp:1", vec![443]),
        ("http://user:1@collector", vec![80]),
        ("http://user:1@collector:4318/", vec![4318]),
        ("http://[fd00::1]:4317", vec![4317]),
        ("https://[fd00::4317]", vec![443]),
        ("collector:55680", vec![55680]),
        ("[fd00::1]:4317", vec![4317]),
        ("collector", vec![443]),
    ];
    for (endpoint, expected) in table {
        assert_eq!(otlp(&helm, endpoint, &json!([])), expected, "{endpoint}");
    }
}

#[test]
fn variables_go_before_values_and_each_signal_has_its_own() {
    let helm = Helm::current();
    let variable = |name: &str, value: &str| json!({"name": name, "value": value});
    let (common, metrics, logs) =
        ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"]
            .into();
    let secret = json!({"name": common, "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}});
    let table = [
        (json!([variable(common, "http://a:1")]), vec![1]),
        (json!([variable(common, "")]), vec![]),
        (json!([variable(metrics, "http://a:1")]), vec![1, 9]),
        (json!([variable(logs, "https://a")]), vec![9, 443]),
        (json!([variable(metrics, "http://a:1"), variable(logs, "http://a:2")]), vec![1, 2]),
        (json!([variable(metrics, ""), variable(common, "http://a:3")]), vec![3]),
        (json!([variable(common, "http://a:1"), variable(common, "http://a:2")]), vec![2]),
        (json!([variable(common, "http://$(HOST_IP):4317")]), vec![4317]),
        (json!([variable(common, "http://$(COLLECTOR)")]), vec![]),
        (json!([secret]), vec![]),
        (json!([variable("OTEL_METRICS_EXPORTER", "none"), variable(metrics, "http://a:1")]), vec![9]),
        (json!([variable("OTEL_METRICS_EXPORTER", "none, otlp")]), vec![9]),
        (json!([variable("OTEL_METRICS_EXPORTER", "prometheus"), variable("OTEL_LOGS_EXPORTER", "None")]), vec![]),
        (json!([variable("OTEL_SDK_DISABLED", "True")]), vec![]),
        (json!([variable(common, "a"), variable("OTEL_EXPORTER_OTLP_INSECURE", "true")]), vec![80]),
        (json!([variable(common, "a"), variable("OTEL_EXPORTER_OTLP_LOGS_INSECURE", "true")]), vec![443, 80]),
        (json!([variable(common, "https://a"), variable("OTEL_EXPORTER_OTLP_INSECURE", "true")]), vec![443]),
    ];
    for (env, expected) in table {
        assert_eq!(otlp(&helm, "http://chart:9", &env), expected, "{env}");
    }
}

#[test]
fn only_agents_send_otlp() {
    let values = json!({"agent": {"otlp": {"endpoint": "http://collector:4317"}}});
    assert_eq!(ports(&policy_of(&Helm::current(), "operator", &values)), [443, 6443]);
}

#[test]
fn only_the_operator_sends_alerts() {
    let helm = Helm::current();
    let values = json!({
        "alertmanager": {"urls": ["http://am-0:9093", "http://am-1:9093", "https://am.example"]},
        "webhook": {"url": "https://chat.example:8443/hooks/x"},
        "networkPolicy": {"apiServerPorts": []},
    });
    assert_eq!(ports(&policy_of(&helm, "operator", &values)), [9093, 443, 8443]);
    for who in ["agent", "retire"] {
        assert_eq!(ports(&policy_of(&helm, who, &values)), Vec::<u64>::new(), "{who}");
    }
}

#[test]
fn an_empty_list_opens_nothing() {
    let helm = Helm::current();
    for who in ["operator", "agent"] {
        let policy = policy_of(&helm, who, &json!({"networkPolicy": {"apiServerPorts": [], "metricsFrom": []}}));
        assert_eq!(ports(&policy), Vec::<u64>::new());
        assert_eq!((&policy["ingress"], &policy["policyTypes"]), (&Value::Null, &json!(["Ingress", "Egress"])));
    }
}

#[test]
fn metrics_are_for_the_pods_of_the_cluster_unless_somebody_says_otherwise() {
    let helm = Helm::current();
    for (who, port) in [("operator", 8080), ("agent", 9471)] {
        let ingress = &policy_of(&helm, who, &json!({}))["ingress"];
        let ports = json!([{"port": port, "protocol": "TCP"}]);
        assert_eq!(ingress, &json!([{"ports": ports, "from": [{"namespaceSelector": {}}]}]));
    }
}

#[test]
fn a_rule_that_would_open_everything_is_refused_by_name() {
    let (helm, chart) = (Helm::current(), chart());
    let refused = [
        ("networkPolicy.extraEgress=[{}]", "extraEgress/0"),
        ("networkPolicy.extraEgress=[{\"ports\": []}]", "extraEgress/0/ports"),
        ("networkPolicy.extraEgress=[{\"to\": []}]", "extraEgress/0/to"),
        ("networkPolicy.extraEgress=[{\"to\": null}]", "extraEgress/0/to"),
        ("networkPolicy.extraEgress=[{\"to\": [{}]}]", "extraEgress/0/to/0"),
        ("networkPolicy.extraEgress=[{\"ports\": [{}]}]", "extraEgress/0/ports/0"),
        ("networkPolicy.metricsFrom=[{}]", "metricsFrom/0"),
    ];
    for (value, place) in refused {
        let error = helm.refusal(&["template", "x", chart.to_str().unwrap(), "--set-json", value]);
        assert!(error.contains(place), "{value}: {error}");
    }
}

#[test]
fn a_port_that_the_chart_cannot_see_is_said() {
    let helm = Helm::current();
    let chart = chart();
    let env = "agent.env=[{\"name\": \"OTEL_EXPORTER_OTLP_ENDPOINT\", \"value\": \"http://$(COLLECTOR)\"}]";
    let render = ["install", "x", chart.to_str().unwrap(), "--dry-run=client", "--set-json", env];
    let notes = |more: &[&str]| helm.expect(&[&render[..], more].concat());
    let warning = "OTEL_EXPORTER_OTLP_ENDPOINT is hidden";
    assert!(notes(&["--set", "networkPolicy.enabled=true"]).contains(warning));
    assert!(!notes(&[]).contains(warning));
    let secret = ["--set", "networkPolicy.enabled=true,webhook.secret.name=chat,webhook.secret.url=url"];
    assert!(notes(&secret).contains("webhook.secret.url is hidden"));
}
