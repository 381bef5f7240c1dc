//! The API for autoscalers: a certificate that goes with the APIService, no more rights than it needs, and no taking it from
//! another server.

use std::fs;

use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::{Api, api::PostParams};
use netprecursor_e2e::{Version, apiserver::ApiServer};
use serde_json::{Value, json};

use crate::{
    helm::{Helm, NAMESPACE, RELEASE, chart},
    objects::{find, text},
};

const NAME: &str = "netprecursor-external-metrics";
const API: &str = "v1beta1.external.metrics.k8s.io";
const ON: &str = "externalMetrics.enabled=true";

fn objects(set: &[&str]) -> Vec<Value> {
    let set: Vec<&str> = [ON].iter().chain(set).flat_map(|value| ["--set", *value]).collect();
    Helm::current().template(&set)
}

fn pod(objects: &[Value]) -> Value {
    find(objects, "Deployment", "netprecursor-operator")["spec"]["template"]["spec"].clone()
}

#[test]
fn the_api_server_trusts_the_certificate_that_the_operator_has() {
    use netprecursor_operator::config;

    let objects = objects(&[]);
    let (secret, api) = (find(&objects, "Secret", NAME), find(&objects, "APIService", API));
    assert_eq!(api["spec"]["caBundle"], secret["data"]["ca.crt"]);
    let service = json!({"name": NAME, "namespace": NAMESPACE, "port": 443});
    assert_eq!(api["spec"]["service"], service);
    assert_eq!(api["spec"]["insecureSkipTLSVerify"], Value::Null);
    let port = &find(&objects, "Service", NAME)["spec"]["ports"][0];
    assert_eq!((&port["port"], &port["targetPort"]), (&json!(443), &json!("scaling")));

    // The operator looks for it where it is mounted, and listens where the Service leads.
    let pod = pod(&objects);
    let container = &pod["containers"][0];
    let yaml = find(&objects, "ConfigMap", "netprecursor-operator")["data"]["operator.yaml"].as_str().unwrap();
    let given = config::parse(yaml).unwrap().external_metrics.unwrap();
    let named = container["ports"].as_array().unwrap().iter().find(|port| port["name"] == "scaling").unwrap();
    assert_eq!(named["containerPort"], given.listen.port());
    let mount = &container["volumeMounts"].as_array().unwrap()[1];
    let volume = pod["volumes"].as_array().unwrap().iter().find(|volume| volume["name"] == mount["name"]).unwrap();
    assert_eq!(volume["secret"]["secretName"], NAME);
    for file in [&given.certificate_file, &given.key_file] {
        let name = file.strip_prefix(text(mount, "/mountPath")).unwrap().to_str().unwrap();
        assert!(secret["data"][name].is_string(), "{name}");
    }
}

#[test]
fn a_certificate_of_ones_own_is_used_and_halves_are_refused() {
    let authority = tempfile::NamedTempFile::new().unwrap();
    fs::write(authority.path(), "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n").unwrap();
    let helm = Helm::current();
    let file = format!("externalMetrics.certificate.ca={}", authority.path().display());
    let own = ["--set", "externalMetrics.enabled=true,externalMetrics.certificate.secret=own", "--set-file", &file];
    let objects = helm.template(&own);
    assert!(!objects.iter().any(|object| text(object, "/kind") == "Secret"));
    assert_eq!(pod(&objects)["volumes"][1]["secret"]["secretName"], "own");
    assert!(text(find(&objects, "APIService", API), "/spec/caBundle").starts_with("LS0tLS1CRUdJTiBDRVJU"));
    let chart = chart();
    let template = ["template", "x", chart.to_str().unwrap(), "--kube-version", "1.32.0", "--set", ON];
    let secret = helm.refusal(&[&template[..], &["--set", "externalMetrics.certificate.secret=own"]].concat());
    assert!(secret.contains("externalMetrics.certificate.ca"), "{secret}");
    let authority = helm.refusal(&[&template[..], &["--set-file", &file]].concat());
    assert!(authority.contains("without externalMetrics.certificate.secret"), "{authority}");
    let injected = "externalMetrics.annotations.cert-manager\\.io/inject-ca-from=a/b";
    let objects = self::objects(&["externalMetrics.certificate.secret=own", injected]);
    assert_eq!(find(&objects, "APIService", API)["spec"]["caBundle"], Value::Null);
}

/// Autoscalers have the right to read external metrics from Kubernetes itself; the operator needs two.
#[test]
fn the_operator_may_ask_who_asks_and_what_they_may() {
    let objects = objects(&["metrics.authorization=None"]);
    let binding = objects.iter().find(|object| text(object, "/metadata/namespace") == "kube-system").unwrap();
    assert_eq!(binding["roleRef"]["name"], "extension-apiserver-authentication-reader");
    assert_eq!(binding["subjects"][0]["name"], "netprecursor-operator");
    let rules = find(&objects, "ClusterRole", "netprecursor-operator")["rules"].as_array().unwrap();
    let may = |resource: &str| rules.iter().any(|rule| rule["resources"] == json!([resource]));
    assert!(may("subjectaccessreviews") && !may("tokenreviews") && !may("apiservices") && !may("secrets"));
}

#[test]
fn the_network_lets_the_api_server_in_from_wherever_it_is() {
    let set = ["--set", "externalMetrics.enabled=true,networkPolicy.enabled=true"];
    let policies = Helm::current().template(&[&set[..], &["--set-json", "networkPolicy.metricsFrom=[]"]].concat());
    let ingress = |name: &str| find(&policies, "NetworkPolicy", name)["spec"]["ingress"].clone();
    assert_eq!(ingress("netprecursor-operator"), json!([{"ports": [{"port": 8443, "protocol": "TCP"}]}]));
    assert_eq!(ingress("netprecursor-agent"), Value::Null);
}

#[tokio::test]
async fn another_server_keeps_the_api_and_an_upgrade_keeps_the_certificate() {
    let server = ApiServer::start(Version::DEFAULT).await.unwrap();
    let client = server.client().await.unwrap();
    let apis: Api<APIService> = Api::all(client.clone());
    let other = json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": API},
        "spec": {
            "group": "external.metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100,
            "insecureSkipTLSVerify": true, "service": {"name": "keda-operator-metrics-apiserver", "namespace": "keda"},
        },
    });
    apis.create(&PostParams::default(), &serde_json::from_value(other).unwrap()).await.unwrap();
    let helm = Helm::current().with(server.kubeconfig());
    let chart = chart();
    let on = |verb: &'static str| [verb, RELEASE, chart.to_str().unwrap(), "--namespace", NAMESPACE, "--set", ON];
    let install = [&on("install")[..], &["--create-namespace"]].concat();
    let refusal = helm.refusal(&install);
    assert!(refusal.contains("keda/keda-operator-metrics-apiserver"), "{refusal}");
    apis.delete(API, &Default::default()).await.unwrap();

    helm.expect(&install);
    let bundle = async || apis.get(API).await.unwrap().spec.unwrap().ca_bundle;
    let first = bundle().await;
    assert!(first.is_some());
    helm.expect(&[&on("upgrade")[..], &["--set", "clusterName=east"]].concat());
    assert_eq!(bundle().await, first);
}
