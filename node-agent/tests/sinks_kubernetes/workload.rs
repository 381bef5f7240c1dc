//! An alert on the pods of a workload: one object, and an Event on the workload beside the one on the worst pod.

use netprecursor_core::{
    alert::{Alert, Controller, PodRef, Subject},
    decide::Resolution,
};

use super::*;

/// An alert on so many pods of the Deployment `checkout` fires.
pub(crate) fn fired(world: &World, pods: u32) -> Transition {
    Transition::Fired(alert(world, pods))
}

fn alert(world: &World, pods: u32) -> Alert {
    let alone = world.transition(1, 1, AlertState::Firing).alert().clone();
    let subject = alone.subject.as_deref().unwrap();
    let controller = Controller {
        api_version: "apps/v1".to_owned(),
        kind: "ReplicaSet".to_owned(),
        name: "checkout-7d4b9c".to_owned(),
        uid: "rs-1".to_owned(),
    };
    let pod = PodRef { controller: Some(controller), ..PodRef::clone(&subject.pod) };
    let affected = sinks::affected(&alone, pods, [(pod.name.clone(), pod.uid.clone())]);
    let subject = Subject { policy: subject.policy.clone(), pod: Arc::new(pod) };
    Alert { subject: Some(Arc::new(subject)), affected: Some(Box::new(affected)), ..alone }
}

/// What each Event is on, by its name.
fn regarding(world: &World) -> Vec<(String, Value)> {
    let events = world.server.objects(EVENTS);
    events.iter().map(|it| (it["metadata"]["name"].as_str().unwrap().to_owned(), it["regarding"].clone())).collect()
}

#[tokio::test(start_paused = true)]
async fn a_hundred_pods_of_a_workload_are_three_writes() {
    let (world, directory) = (World::new(), tempfile::tempdir().unwrap());
    let replica_set = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {
        "name": "checkout-7d4b9c", "namespace": "shop", "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout", "uid": "d-1", "controller": true}]}});
    world.server.create(&replica_set).unwrap();
    world.server.clear_log();
    let agent = Agent::start(&world, directory.path());
    agent.send(fired(&world, 100)).await;
    until(MINUTE, "both Events", || world.events().len() == 2).await;
    let written: Vec<String> = world.writes().into_iter().map(|(_, what)| what).collect();
    assert_eq!(written.len(), 3, "{written:?}");
    let object = world.alert(1).unwrap();
    assert_eq!(object["spec"]["workloadRef"], json!({"kind": "Deployment", "name": "checkout"}));
    assert_eq!(
        (&object["status"]["podCount"], &object["status"]["pods"][0]["name"]),
        (&json!(100), &json!("checkout-1"))
    );
    let [(on_pod, pod), (on_workload, workload)] = &regarding(&world)[..] else { panic!("{:?}", regarding(&world)) };
    assert_eq!((on_pod, &pod["uid"]), (&format!("{}.1.firing", name(1)), &json!("pod-1")));
    assert_eq!(on_workload, &format!("{}.1.firing.workload", name(1)));
    assert_eq!((&workload["kind"], &workload["uid"]), (&json!("Deployment"), &json!("d-1")));

    let mut over = alert(&world, 100);
    over.resolve(Resolution::Recovered, DAY + 200);
    agent.send(Transition::Resolved(over)).await;
    until(MINUTE, "its end", || world.events().len() == 4 && world.state(1).as_deref() == Some("Resolved")).await;
    agent.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_deployment_whose_replica_set_is_gone_has_its_event_by_name() {
    let (world, directory) = (World::new(), tempfile::tempdir().unwrap());
    let agent = Agent::start(&world, directory.path());
    agent.send(fired(&world, 2)).await;
    until(MINUTE, "both Events", || world.events().len() == 2).await;
    let (_, workload) = &regarding(&world)[1];
    assert_eq!(
        workload,
        &json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout", "namespace": "shop"})
    );
    agent.stop().await;
}
