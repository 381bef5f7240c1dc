//! The release is retired while its operators are at work: what is kept stays as it was left.

use std::{sync::Arc, time::Duration};

use futures::FutureExt as _;
use netprecursor_fakeapi::Server;
use netprecursor_operator::{
    config::Settings, election::Candidate, http::Health, metrics::Metrics, reconcile::Context, retire::retire,
    run::lead,
};
use serde_json::{Value, json};

use crate::{
    play::in_paused_time,
    scenes::{INSTALL, SCENES, cluster, kubernetes, settings},
};

const LEASE: &str = "netprecursor-operator";

/// An operator as `run` has it: it campaigns, and leads while it may.
async fn operate(server: &Server, settings: Arc<Settings>) {
    let client = server.client("operator-0", INSTALL);
    let (metrics, now) = (Metrics::default(), server.clone());
    let health = Health::new(metrics.clone());
    let (mut candidate, leadership) = Candidate::new(client.clone(), INSTALL, LEASE, "operator-0", health);
    let context = Context {
        client: client.clone(),
        settings,
        leadership: leadership.clone(),
        clock: Arc::new(move || now.now()),
        checker: Arc::new(|_| futures::future::ready(Ok(())).boxed()),
        metrics,
    };
    let work = async {
        let mut leadership = leadership;
        loop {
            while leadership.left().is_none() {
                leadership.changed().await;
            }
            lead(&client, &context).await;
        }
    };
    tokio::select! {
        () = candidate.campaign() => {}
        () = work => {}
    }
}

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

#[test]
fn kept_objects_say_that_nothing_watches_and_no_operator_says_otherwise_afterwards() {
    in_paused_time(async {
        fastrand::seed(7);
        let server = cluster();
        let settings = Arc::new(settings(&SCENES[0]));
        crate::scenes::watched(&server);
        let retiring = async {
            tokio::time::sleep(Duration::from_secs(120)).await;
            assert_ne!(ready(&server)[1], json!("Uninstalled"));
            assert!(server.object("daemonsets.apps", INSTALL, "netprecursor-agent").is_some(), "no agents to end");
            let (client, now) = (server.client("retiring", INSTALL), server.clone());
            let begun = tokio::time::Instant::now();
            retire(&client, &settings, Arc::new(move || now.now())).await.unwrap();
            assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
            // Helm takes a while to delete the operators.
            tokio::time::sleep(Duration::from_secs(200)).await;
        };
        tokio::select! {
            () = operate(&server, Arc::clone(&settings)) => panic!("the operator ended"),
            () = nodes(&server) => panic!("the nodes ended"),
            () = retiring => {}
        }
        assert_eq!(ready(&server), json!(["Unknown", "Uninstalled", 1]));
        assert_eq!(server.objects("daemonsets.apps"), Vec::new());
        assert_eq!(server.objects("precursornodereports.netprecursor.io"), Vec::new());
        for alert in server.objects("precursoralerts.netprecursor.io") {
            assert_eq!(
                (&alert["status"]["state"], &alert["status"]["resolution"]),
                (&json!("Resolved"), &json!("Uninstalled"))
            );
        }
        let lease = server.object("leases.coordination.k8s.io", INSTALL, LEASE).unwrap();
        assert_eq!(
            lease["metadata"]["ownerReferences"][0]["name"], "netprecursor-anchor",
            "the lease outlives the release"
        );
        // Where the release is not deleted after all, the operators go on.
        tokio::select! {
            () = operate(&server, Arc::clone(&settings)) => panic!("the operator ended"),
            () = nodes(&server) => panic!("the nodes ended"),
            () = tokio::time::sleep(Duration::from_secs(400)) => {}
        }
        assert_ne!(ready(&server)[1], json!("Uninstalled"));
    });
}
