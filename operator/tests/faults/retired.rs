//! The release is retired while its operators are at work: what is kept stays as it was left.

use std::{sync::Arc, time::Duration};

use netprecursor_crds::installation::{CLAIM, INSTALLED_IN, RELEASE};
use netprecursor_fakeapi::{
    Call, Kinds, Refusal, Server,
    fault::{Fault, Faults},
};
use netprecursor_operator::{
    config::Settings,
    plan::{CONTENT, SCORES},
    retire::retire,
};
use serde_json::{Value, json};

use crate::{
    leaders::{LEASE, operate},
    play::in_paused_time,
    scenes::{INSTALL, SCENES, cluster, cluster_with, create, kubernetes, named, settings},
};

const ALERTS: &str = "precursoralerts.netprecursor.io";

/// Who retires, to the API server.
const RETIRING: &str = "retiring";

/// Kubernetes' own part: pods of the DaemonSet come, and go with it.
async fn nodes(server: &Server) {
    loop {
        kubernetes(server);
        if server.object("daemonsets.apps", INSTALL, "netprecursor-agent").is_none() {
            for pod in server.objects("pods") {
                if pod["metadata"]["namespace"] == INSTALL {
                    server.delete(&pod).unwrap();
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn ready(server: &Server) -> Value {
    let policy = server.object("precursorpolicies.netprecursor.io", "shop", "checkout").unwrap();
    let conditions = policy["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let ready = conditions.iter().find(|condition| condition["type"] == "Ready");
    ready.map_or(Value::Null, |ready| json!([ready["status"], ready["reason"], conditions.len()]))
}

/// Lets operators and nodes do their part until `story` ends.
async fn meanwhile(server: &Server, settings: &Arc<Settings>, story: impl Future<Output = ()>) {
    tokio::select! {
        () = operate(server, "operator-0", Arc::clone(settings), |_| {}) => panic!("the operator ended"),
        () = nodes(server) => panic!("the nodes ended"),
        () = story => {}
    }
}

/// Retires the release once its agents are at work, in a time that Helm waits for.
async fn retire_in_time(server: &Server, settings: &Settings) {
    assert_ne!(ready(server)[1], json!("Uninstalled"));
    assert!(server.object("daemonsets.apps", INSTALL, "netprecursor-agent").is_some(), "no agents to end");
    let (client, now) = (server.client(RETIRING, INSTALL), server.clone());
    let begun = tokio::time::Instant::now();
    retire(&client, settings, Arc::new(move || now.now())).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}

/// Nothing that is kept claims to be watched.
fn assert_retired(server: &Server) {
    assert_eq!(ready(server), json!(["Unknown", "Uninstalled", 1]));
    assert_eq!(server.objects("daemonsets.apps"), Vec::new());
    assert_eq!(server.objects("precursornodereports.netprecursor.io"), Vec::new());
    let alerts = server.objects(ALERTS);
    assert_eq!(alerts.len(), 3, "{alerts:?}");
    for alert in alerts {
        assert_eq!(
            (&alert["status"]["state"], &alert["status"]["resolution"]),
            (&json!("Resolved"), &json!("Uninstalled"))
        );
    }
}

#[test]
fn kept_objects_say_that_nothing_watches_and_no_operator_says_otherwise_afterwards() {
    in_paused_time(async {
        fastrand::seed(7);
        let server = cluster();
        let settings = Arc::new(settings(&SCENES[0]));
        crate::scenes::watched(&server);
        meanwhile(&server, &settings, async {
            tokio::time::sleep(Duration::from_secs(120)).await;
            retire_in_time(&server, &settings).await;
            // Helm takes a while to delete the operators.
            tokio::time::sleep(Duration::from_secs(200)).await;
        })
        .await;
        assert_retired(&server);
        let lease = server.object("leases.coordination.k8s.io", INSTALL, LEASE).unwrap();
        assert_eq!(
            lease["metadata"]["ownerReferences"][0]["name"], "netprecursor-anchor",
            "the lease outlives the release"
        );
        // Where the release is not deleted after all, the operators go on.
        meanwhile(&server, &settings, tokio::time::sleep(Duration::from_secs(400))).await;
        assert_ne!(ready(&server)[1], json!("Uninstalled"));
    });
}

/// An API server that is busy at every third request of who retires, and has changed the first alert in between.
#[derive(Default)]
struct Busy {
    requests: u32,
    has_changed: bool,
}

impl Faults for Busy {
    fn next(&mut self, call: &Call) -> Option<Fault> {
        if call.user != RETIRING {
            return None;
        }
        let is_alert = call.kind.resource() == ALERTS && call.verb.is_write();
        if is_alert && !std::mem::replace(&mut self.has_changed, true) {
            return Some(Fault::Refuse(Refusal::conflict(&call.kind, &call.name, "it has changed")));
        }
        self.requests += 1;
        self.requests.is_multiple_of(3).then(|| Fault::Refuse(Refusal::too_many_requests(1)))
    }
}

#[test]
fn neither_a_busy_server_nor_an_object_that_changes_in_between_stops_it() {
    in_paused_time(async {
        fastrand::seed(7);
        let server = cluster();
        let settings = Arc::new(settings(&SCENES[0]));
        crate::scenes::watched(&server);
        server.set_faults(Busy::default());
        meanwhile(&server, &settings, async {
            tokio::time::sleep(Duration::from_secs(120)).await;
            retire_in_time(&server, &settings).await;
        })
        .await;
        assert_retired(&server);
    });
}

#[test]
fn what_another_installation_watches_is_left_to_it() {
    in_paused_time(async {
        fastrand::seed(7);
        let server = cluster();
        let settings = Arc::new(settings(&SCENES[0]));
        crate::scenes::watched(&server);
        meanwhile(&server, &settings, async {
            tokio::time::sleep(Duration::from_secs(120)).await;
            let mut mark = named("rbac.authorization.k8s.io/v1", "ClusterRole", "", CLAIM);
            mark["metadata"]["annotations"] = json!({INSTALLED_IN: "elsewhere", RELEASE: "other"});
            create(&server, &mark);
            let mut scores = named("v1", "ConfigMap", INSTALL, "kept-scores");
            scores["metadata"]["labels"] = json!({CONTENT: SCORES});
            create(&server, &scores);
            let kept = || (server.objects(ALERTS), server.objects("precursornodereports.netprecursor.io"));
            let before = kept();
            assert_eq!((before.0.len(), before.1.len()), (3, 2));
            retire_in_time(&server, &settings).await;
            assert_eq!(kept(), before);
        })
        .await;
        assert_ne!(ready(&server)[1], json!("Uninstalled"));
        assert_eq!(server.objects("daemonsets.apps"), Vec::new());
        let scores = server.objects("configmaps").into_iter();
        let scores: Vec<_> = scores.filter(|map| map["metadata"]["labels"][CONTENT] == SCORES).collect();
        assert_eq!(scores, Vec::new());
    });
}

#[test]
fn a_release_whose_definitions_are_gone_is_retired_all_the_same() {
    in_paused_time(async {
        let server = Server::new(Kinds::builtin(), 11);
        create(&server, &named("v1", "Namespace", "", INSTALL));
        create(&server, &named("v1", "ConfigMap", INSTALL, "netprecursor-anchor"));
        let (client, now) = (server.client(RETIRING, INSTALL), server.clone());
        retire(&client, &settings(&SCENES[0]), Arc::new(move || now.now())).await.unwrap();
    });
}

#[test]
fn alerts_that_the_server_keeps_firing_by_an_old_definition_are_an_error_that_says_so() {
    in_paused_time(async {
        let server = cluster_with(|definition| {
            if definition["spec"]["names"]["kind"] == "PrecursorAlert" {
                let version = &mut definition["spec"]["versions"][0];
                version["subresources"] = json!({"status": {}});
                version["schema"]["openAPIV3Schema"]["required"] = json!(["spec"]);
            }
        });
        crate::scenes::watched(&server);
        let (client, now) = (server.client(RETIRING, INSTALL), server.clone());
        let retired = retire(&client, &settings(&SCENES[0]), Arc::new(move || now.now())).await;
        let error = format!("{:#}", retired.unwrap_err());
        assert!(error.contains("3 of") && error.contains("definition of PrecursorAlert"), "{error}");
    });
}
