//! What the chart renders, without a cluster.

use std::{collections::BTreeSet, fs};

use serde_json::{Value, json};

use crate::{
    helm::{Helm, NAMESPACE, chart, checkout, everything},
    objects::{find, identities, identity, read, text},
};

fn operator_yaml(objects: &[Value], name: &str) -> String {
    find(objects, "ConfigMap", name)["data"]["operator.yaml"].as_str().unwrap().to_owned()
}

#[test]
fn both_helms_find_nothing_to_complain_of() {
    for helm in [Helm::current(), Helm::oldest()] {
        let (chart, everything) = (chart(), everything());
        let lint = ["lint", "--strict", "--kube-version", "1.32.0", chart.to_str().unwrap()];
        helm.expect(&lint);
        helm.expect(&[&lint[..], &["--values", everything.to_str().unwrap()]].concat());
    }
}

#[test]
fn both_helms_render_the_same() {
    let (current, oldest) = (Helm::current(), Helm::oldest());
    assert_eq!(current.template(&[]), oldest.template(&[]));
    assert_eq!(current.everything(), oldest.everything());
}

#[test]
fn a_value_that_is_unknown_or_of_another_type_is_refused_by_name() {
    let helm = Helm::current();
    let chart = chart();
    let refused = [
        ("colour=red", "colour"),
        ("operator.replica=3", "replica"),
        ("agent.securityContext.privileged=true", "privileged"),
        ("agent.otlp.url=http://a", "url"),
        ("operator.replicas=two", "replicas"),
        ("imageRegistry=https://images.example.com", "imageRegistry"),
        ("agent.image.digest=latest", "digest"),
        ("alerts.caps.perNode=0", "perNode"),
        ("models.namespaces={Shop}", "namespaces"),
        ("agent.stateDir=relative", "stateDir"),
        ("alertmanager.urls={am:9093}", "urls"),
        ("alertmanager.secret.password=../p", "password"),
        ("webhook.url=ftp://a", "url"),
        ("webhook.secret.url=url", "webhook.secret.url without webhook.secret.name"),
        ("alertmanager.urls={http://am:9093},alertmanager.secret.ca=ca", "without alertmanager.secret.name"),
        ("externalMetrics.certificate.ca=ca", "externalMetrics"),
    ];
    for (value, field) in refused {
        let error = helm.refusal(&["template", "x", chart.to_str().unwrap(), "--set", value]);
        assert!(error.contains(field), "{value}: {error}");
    }
}

#[test]
fn a_cluster_that_is_too_old_is_refused() {
    let chart = chart();
    let error = Helm::current().refusal(&["template", "x", chart.to_str().unwrap(), "--kube-version", "1.31.9"]);
    assert!(error.contains("1.32.0"), "{error}");
}

/// An empty field that is applied is owned, and shows as a difference wherever somebody else fills it in.
#[test]
fn no_empty_list_and_no_null_is_rendered() {
    fn walk(at: &str, value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Null => found.push(format!("{at}: null")),
            Value::Array(entries) if entries.is_empty() => found.push(format!("{at}: []")),
            Value::Array(entries) => entries.iter().for_each(|entry| walk(at, entry, found)),
            Value::Object(fields) => fields.iter().for_each(|(key, value)| walk(&format!("{at}.{key}"), value, found)),
            _ => {}
        }
    }
    let helm = Helm::current();
    let mut found = Vec::new();
    for object in helm.template(&[]).iter().chain(&helm.everything()) {
        walk(&identity(object), object, &mut found);
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn every_object_has_an_identity_of_its_own_and_says_what_it_is_part_of() {
    let helm = Helm::current();
    for objects in [helm.template(&[]), helm.everything()] {
        assert_eq!(identities(&objects).len(), objects.len());
        for object in &objects {
            let label = |name: &str| text(object, &format!("/metadata/labels/{}", name.replace('/', "~1"))).to_owned();
            assert_eq!(label("app.kubernetes.io/part-of"), "netprecursor", "{}", identity(object));
            assert_eq!(label("app.kubernetes.io/managed-by"), "Helm", "{}", identity(object));
        }
    }
}

#[test]
fn each_switch_moves_its_own_objects_and_no_others() {
    let helm = Helm::current();
    let whole = identities(&helm.everything());
    let switches: [(&str, &[&str]); 13] = [
        ("crds.enabled", &["CustomResourceDefinition"]),
        ("rbac.create", &["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"]),
        ("rbac.aggregate", &["ClusterRole"]),
        ("admissionPolicy.enabled", &["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"]),
        ("operator.podDisruptionBudget.enabled", &["PodDisruptionBudget"]),
        ("operator.retire", &["Job", "NetworkPolicy"]),
        ("externalMetrics.enabled", &["APIService", "RoleBinding", "Service"]),
        ("monitoring.serviceMonitor.enabled", &["Service", "ServiceMonitor"]),
        ("monitoring.podMonitor.enabled", &["PodMonitor"]),
        ("monitoring.prometheusRule.enabled", &["PrometheusRule"]),
        ("monitoring.dashboards.enabled", &["ConfigMap"]),
        ("networkPolicy.enabled", &["NetworkPolicy"]),
        ("models.namespaces", &["Role", "RoleBinding"]),
    ];
    for (switch, kinds) in switches {
        let off = if switch == "models.namespaces" { "{}" } else { "false" };
        let value = if off == "{}" { format!("{switch}=[]") } else { format!("{switch}={off}") };
        let flag = if off == "{}" { "--set-json" } else { "--set" };
        let without = helm.template(&["--values", everything().to_str().unwrap(), flag, &value]);
        let without = identities(&without);
        assert!(without.is_subset(&whole), "{switch}");
        let gone: BTreeSet<&str> = whole.difference(&without).filter_map(|gone| gone.split(' ').next()).collect();
        assert_eq!(gone, BTreeSet::from_iter(kinds.iter().copied()), "{switch}");
    }
}

/// Without a token in the monitors, an installation that asks for one is never scraped; where none is asked for, none is made.
#[test]
fn monitors_present_a_token_where_one_is_asked_for() {
    let helm = Helm::current();
    let monitors = ["--set", "monitoring.podMonitor.enabled=true,monitoring.serviceMonitor.enabled=true"];
    let objects = helm.template(&monitors);
    let secret = find(&objects, "Secret", "netprecursor-metrics-reader");
    assert_eq!(secret["metadata"]["annotations"]["kubernetes.io/service-account.name"], "netprecursor-metrics-reader");
    let credentials = json!({"credentials": {"name": "netprecursor-metrics-reader", "key": "token"}});
    let pods = &find(&objects, "PodMonitor", "netprecursor-agent")["spec"]["podMetricsEndpoints"][0];
    let service = &find(&objects, "ServiceMonitor", "netprecursor-operator")["spec"]["endpoints"][0];
    assert_eq!((&pods["authorization"], &service["authorization"]), (&credentials, &credentials));
    let binding = find(&objects, "ClusterRoleBinding", "netprecursor-metrics-reader");
    assert_eq!(binding["subjects"][0]["name"], "netprecursor-metrics-reader");
    let open = helm.template(&[&monitors[..], &["--set", "metrics.authorization=None"]].concat());
    let text = serde_json::to_string(&open).unwrap();
    for word in ["metrics-reader", "tokenreviews", "subjectaccessreviews", "credentials"] {
        assert!(!text.contains(word), "{word}");
    }
    assert!(operator_yaml(&open, "netprecursor-operator").contains("metricsAuthorization: \"None\""));
}

/// Rules tell programs by the job, and what a series is about by its own labels.
#[test]
fn monitors_name_jobs_and_labels_as_the_rules_expect_them() {
    let helm = Helm::current();
    let objects = helm.everything();
    let endpoint = |kind: &str, name: &str, list: &str| find(&objects, kind, name)["spec"][list][0].clone();
    let (agents, operator) = (
        endpoint("PodMonitor", "np-agent", "podMetricsEndpoints"),
        endpoint("ServiceMonitor", "np-operator", "endpoints"),
    );
    let job = |name: &str| json!({"targetLabel": "job", "replacement": name});
    assert_eq!(agents["honorLabels"], true);
    assert_eq!(agents["relabelings"][1], job("netprecursor-agent"));
    assert_eq!(operator["relabelings"][0], job("netprecursor-operator"));
}

#[test]
fn rules_and_dashboards_are_rendered_as_their_files_are() {
    let objects = Helm::current().everything();
    let file = |name: &str| fs::read_to_string(chart().join("files").join(name)).unwrap();
    let [rules] = &read(&file("rules.yaml"))[..] else { panic!("expected one document") };
    assert_eq!(&find(&objects, "PrometheusRule", "np")["spec"], rules);
    for name in ["agent", "fleet", "model", "workload"] {
        let config_map = find(&objects, "ConfigMap", &format!("np-dashboard-{name}"));
        assert_eq!(config_map["metadata"]["labels"]["dashboards"], "yes");
        assert_eq!(config_map["metadata"]["annotations"], json!({"grafana_folder": "Network"}));
        let held = &config_map["data"][format!("netprecursor-{name}.json")];
        assert_eq!(held.as_str(), Some(file(&format!("dashboards/{name}.json")).as_str()), "{name}");
    }
    let objects = Helm::current().template(&["--set", "monitoring.dashboards.enabled=true"]);
    let fleet = find(&objects, "ConfigMap", "netprecursor-dashboard-fleet");
    assert_eq!(fleet["metadata"]["labels"]["grafana_dashboard"], "1");
}

#[test]
fn images_come_from_the_registry_that_is_asked_for() {
    let helm = Helm::current();
    let image = |objects: &[Value], name: &str| {
        let deployment = find(objects, "Deployment", name);
        deployment["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap().to_owned()
    };
    let objects = helm.template(&[]);
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(image(&objects, "netprecursor-operator"), format!("netprecursor/operator:{version}"));
    assert!(operator_yaml(&objects, "netprecursor-operator").contains(&format!("\"netprecursor/agent:{version}\"")));
    let objects = helm.everything();
    let digest = "0".repeat(64);
    let expected = format!("images.example.com:5000/mirror/netprecursor/operator:0.1.0-rc.1@sha256:{digest}");
    assert_eq!(image(&objects, "np-operator"), expected);
}

/// The operator refuses fields that it does not know: what the chart renders has to be what the operator reads.
#[test]
fn the_operator_understands_its_configuration() {
    use netprecursor_operator::config;

    let helm = Helm::current();
    let settings = |objects: &[Value], name: &str| {
        let config = config::parse(&operator_yaml(objects, name)).unwrap();
        config::Settings::new(config, NAMESPACE.to_owned(), "operator-0".to_owned()).unwrap()
    };
    let default = settings(&helm.template(&[]), "netprecursor-operator");
    assert_eq!(default.config.anchor, "netprecursor-anchor");
    assert_eq!(default.cluster_networks.len(), 0, "without networks the operator finds them out");
    let given = settings(&helm.template(&["--set", "clusterNetworks={10.0.0.0/8,fd00::/8}"]), "netprecursor-operator");
    assert_eq!(given.config.cluster_networks, ["10.0.0.0/8", "fd00::/8"]);
    assert_eq!(default.config.agent.service_account_name, "netprecursor-agent");
    assert_eq!(default.config.agent.tolerations, [json!({"operator": "Exists"})]);
    let full = settings(&helm.everything(), "np-operator");
    assert_eq!((full.alert_ttl_seconds, full.config.caps.alerts_per_cluster), (1_800, 1_000_000));
    assert_eq!(full.config.cluster_name, "east");
    assert!(default.receivers.is_empty() && !full.receivers.is_empty());
    let (alertmanager, webhook) = (&full.config.alertmanager, &full.config.webhook);
    assert_eq!((alertmanager.urls.len(), alertmanager.access.username.as_deref()), (2, Some("netprecursor")));
    assert_eq!(alertmanager.access.ca_file, Some("/etc/netprecursor-receivers/alertmanager/ca.crt".into()));
    assert_eq!(webhook.url_file, Some("/etc/netprecursor-receivers/webhook/url".into()));
    assert_eq!(webhook.secret_file, Some("/etc/netprecursor-receivers/webhook/signing".into()));
    let agent = &full.config.agent;
    assert_eq!(agent.security_context.se_linux_options, Some(json!({"type": "spc_t"})));
    assert_eq!(agent.update_strategy, *json!({"type": "OnDelete"}).as_object().unwrap());
    let otlp = agent.otlp.as_ref().unwrap();
    assert_eq!(
        (otlp.endpoint.as_str(), otlp.headers_secret.as_deref()),
        ("https://collector.monitoring.svc:443", Some("otlp"))
    );
    let given = [agent.env.len(), agent.topology_spread_constraints.len(), agent.image_pull_secrets.len()];
    assert_eq!(given, [1, 1, 1]);
    for map in [
        &agent.resources,
        &agent.affinity,
        &agent.annotations,
        &agent.labels,
        &agent.pod_annotations,
        &agent.pod_labels,
    ] {
        assert!(!map.is_empty());
    }
}

/// Whatever a release is called, it claims the same object, so that Helm refuses a second one.
#[test]
fn every_release_claims_the_cluster_for_its_namespace() {
    use netprecursor_crds::installation::{CLAIM, Claim};

    let helm = Helm::current();
    for (release, namespace) in [("netprecursor", NAMESPACE), ("other", "elsewhere")] {
        let objects = helm.release(release, namespace, &chart(), &[]);
        let annotations = find(&objects, "ClusterRole", CLAIM)["metadata"]["annotations"].clone();
        let claim = Claim::of(&serde_json::from_value(annotations).unwrap()).unwrap();
        assert_eq!((claim.namespace.as_str(), claim.release.as_str()), (namespace, release));
    }
}

/// What sends alerts has their receivers' Secrets, and what ends an installation has not.
#[test]
fn secrets_of_receivers_are_mounted_where_the_configuration_looks_for_them() {
    let helm = Helm::current();
    let objects = helm.everything();
    let pod = |kind: &str, name: &str| find(&objects, kind, name)["spec"]["template"]["spec"].clone();
    let operator = pod("Deployment", "np-operator");
    let secret = |name: &str, secret: &str| json!({"name": name, "secret": {"secretName": secret, "optional": true}});
    let volumes = operator["volumes"].as_array().unwrap();
    assert_eq!(volumes[1..3], [secret("alertmanager", "alertmanager"), secret("webhook", "chat")]);
    let mounts = operator["containers"][0]["volumeMounts"].as_array().unwrap();
    let paths: Vec<_> = mounts[1..3].iter().map(|mount| text(mount, "/mountPath")).collect();
    assert_eq!(paths, ["/etc/netprecursor-receivers/alertmanager", "/etc/netprecursor-receivers/webhook"]);
    assert_eq!(pod("Job", "np-retire")["volumes"].as_array().unwrap().len(), 1);
    let default = helm.template(&[]);
    let operator = &find(&default, "Deployment", "netprecursor-operator")["spec"]["template"]["spec"];
    assert_eq!(operator["volumes"].as_array().unwrap().len(), 1);
}

#[test]
fn a_change_of_configuration_restarts_the_operator() {
    let helm = Helm::current();
    let annotations = |arguments: &[&str]| {
        let objects = helm.template(arguments);
        find(&objects, "Deployment", "netprecursor-operator")["spec"]["template"]["metadata"]["annotations"].clone()
    };
    assert_ne!(annotations(&[]), annotations(&["--set", "clusterName=east"]));
    assert_eq!(annotations(&[]), annotations(&["--set", "operator.replicas=3"]));
}

/// The restricted profile of Pod Security, which the API server's own tests enforce as well.
#[test]
fn the_operator_has_no_privileges() {
    let objects = Helm::current().template(&[]);
    let pod = &find(&objects, "Deployment", "netprecursor-operator")["spec"]["template"]["spec"];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    let context = &pod["containers"][0]["securityContext"];
    assert_eq!(context["capabilities"], json!({"drop": ["ALL"]}));
    assert_eq!(
        (&context["allowPrivilegeEscalation"], &context["readOnlyRootFilesystem"]),
        (&json!(false), &json!(true))
    );
    for host in ["hostPID", "hostNetwork", "hostIPC"] {
        assert_eq!(pod[host], Value::Null);
    }
}

#[test]
fn definitions_are_those_of_the_types_and_are_kept() {
    let objects = Helm::current().template(&[]);
    let directory = checkout().join("crds/yaml");
    let mut compared = 0;
    for file in fs::read_dir(&directory).unwrap() {
        let path = file.unwrap().path();
        let [definition] = &read(&fs::read_to_string(&path).unwrap())[..] else { panic!("{}", path.display()) };
        let mut rendered = find(&objects, "CustomResourceDefinition", text(definition, "/metadata/name")).clone();
        assert_eq!(rendered["metadata"]["annotations"], json!({"helm.sh/resource-policy": "keep"}));
        rendered["metadata"] = json!({"name": rendered["metadata"]["name"]});
        assert_eq!(&rendered, definition, "{}: run cargo xtask bless", path.display());
        compared += 1;
    }
    assert_eq!(compared, 4);
}

/// `kubectl apply -k` installs what the chart does, without Helm's marks.
#[test]
fn the_kustomize_base_is_the_chart() {
    let base = checkout().join("deploy/kustomize");
    let mut expected = Helm::current().template(&["--no-hooks"]);
    for object in &mut expected {
        strip(object);
    }
    let read = |name: &str| read(&fs::read_to_string(base.join(name)).unwrap());
    let mut committed = [read("crds.yaml"), read("netprecursor.yaml")].concat();
    for objects in [&mut expected, &mut committed] {
        objects.sort_by_key(identity);
    }
    assert_eq!(identities(&committed), identities(&expected));
    for (committed, expected) in committed.iter().zip(&expected) {
        assert_eq!(committed, expected, "{}: run cargo xtask bless", identity(expected));
    }
    let [namespace] = &read("namespace.yaml")[..] else { panic!("expected one object") };
    assert_eq!(text(namespace, "/metadata/name"), NAMESPACE);
}

/// Takes Helm's own labels and annotations out.
fn strip(object: &mut Value) {
    let Some(metadata) = object["metadata"].as_object_mut() else { return };
    for field in ["labels", "annotations"] {
        let Some(entries) = metadata.get_mut(field).and_then(Value::as_object_mut) else { continue };
        entries.retain(|key, value| !key.starts_with("helm.sh/") && value != "Helm");
        if entries.is_empty() {
            metadata.remove(field);
        }
    }
}

#[test]
fn versions_are_those_of_the_workspace() {
    let description = fs::read_to_string(chart().join("Chart.yaml")).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    for line in
        [format!("version: {version}\n"), format!("appVersion: {version}\n"), format!("netprecursor/agent:{version}\n")]
    {
        assert!(description.contains(&line), "Chart.yaml: expected {line}");
    }
}
