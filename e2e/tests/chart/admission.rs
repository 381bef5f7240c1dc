//! The admission policies: an agent writes its own node's objects, by the node that its token is bound to. Tokens are real:
//! the API server issues them for pods that stand on the two nodes.

use k8s_openapi::api::{
    authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec},
    core::v1::{Node, Pod, ServiceAccount},
};
use kube::{
    Api, Client,
    api::{Patch, PostParams},
};
use netprecursor_e2e::{Version, apiserver::ApiServer};
use serde_json::{Value, json};

use crate::{
    helm::{Helm, NAMESPACE},
    objects::text,
    server,
};

const ACCOUNT: &str = "netprecursor-agent";
/// Where the pods are that are warned of.
const SHOP: &str = "shop";

/// An API server with the chart's roles and policies, and an agent's client on each of two nodes.
struct Stage {
    admin: Client,
    agents: [Client; 2],
    /// Of the same account, bound to no pod.
    unbound: Client,
}

impl Stage {
    async fn set() -> Self {
        let server = ApiServer::shared(Version::OLDEST).await.unwrap();
        let admin = server.client().await.unwrap();
        server::namespaces(&admin, &[NAMESPACE, SHOP]).await;
        let objects = Helm::current().template(&[]);
        server::define(&admin, &objects).await;
        let is_access =
            |kind: &str| kind.contains("Role") || kind.starts_with("Validating") || kind == "ServiceAccount";
        for object in objects.iter().filter(|object| is_access(text(object, "/kind"))) {
            server::apply(&admin, object, &server::strictly()).await.unwrap();
        }
        let agents = [agent(server, &admin, "node1").await, agent(server, &admin, "node2").await];
        let unbound = server.client_of_service_account(NAMESPACE, ACCOUNT).await.unwrap();
        let stage = Self { admin, agents, unbound };
        // Roles and policies take effect once the server has seen them by its own watches: at first everything is
        // refused, then everything is let through, at last what the policies say.
        for object in [report("node2"), alert("probe", "node2", "p"), event("probe", "Pod")] {
            let is_held = async || {
                let refusal = stage.refusal(&stage.unbound, &object).await;
                refusal.is_some_and(|refusal| refusal.contains("bound to no node"))
            };
            server::until("admission policies take effect", is_held).await;
        }
        stage
    }

    /// The server's refusal of `object`, if any; nothing is stored. Agents create Events and apply the rest.
    async fn refusal(&self, client: &Client, object: &Value) -> Option<String> {
        let written = if text(object, "/kind") == "Event" {
            let parameters = PostParams { dry_run: true, ..PostParams::default() };
            let event = serde_json::from_value(object.clone()).unwrap();
            server::api_of(client, object).await.create(&parameters, &event).await
        } else {
            server::apply(client, object, &server::strictly().dry_run()).await
        };
        written.err().map(|error| error.to_string())
    }
}

async fn agent(server: &ApiServer, admin: &Client, node: &str) -> Client {
    let nodes: Api<Node> = Api::all(admin.clone());
    let object = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}});
    nodes.patch(node, &server::strictly(), &Patch::Apply(object)).await.unwrap();
    let pods: Api<Pod> = Api::namespaced(admin.clone(), NAMESPACE);
    let name = format!("agent-on-{node}");
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {
        "serviceAccountName": ACCOUNT, "nodeName": node, "containers": [{"name": "agent", "image": "agent"}]}});
    let pod = pods.patch(&name, &server::strictly(), &Patch::Apply(pod)).await.unwrap();
    let accounts: Api<ServiceAccount> = Api::namespaced(admin.clone(), NAMESPACE);
    let request = TokenRequest {
        spec: TokenRequestSpec {
            audiences: Vec::new(),
            bound_object_ref: Some(BoundObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("Pod".to_owned()),
                name: Some(name),
                uid: pod.metadata.uid,
            }),
            ..TokenRequestSpec::default()
        },
        ..TokenRequest::default()
    };
    let answer = accounts.create_token_request(ACCOUNT, &PostParams::default(), &request).await.unwrap();
    server.client_with_token(answer.status.unwrap().token).await.unwrap()
}

fn report(node: &str) -> Value {
    json!({"apiVersion": "netprecursor.io/v1alpha1", "kind": "PrecursorNodeReport", "metadata": {"name": node}})
}

fn alert(name: &str, node: &str, owner: &str) -> Value {
    json!({
        "apiVersion": "netprecursor.io/v1alpha1", "kind": "PrecursorAlert",
        "metadata": {"name": name, "namespace": SHOP, "ownerReferences": [{
            "apiVersion": "netprecursor.io/v1alpha1", "kind": "PrecursorPolicy", "name": "checkout", "uid": owner}]},
        "spec": {
            "policyRef": {"kind": "PrecursorPolicy", "name": "checkout", "uid": "p"}, "rule": "rtt",
            "podRef": {"name": "checkout-x2", "uid": "x"}, "nodeName": node},
        "status": {
            "state": "Firing", "severity": "Warning", "threshold": "200ms", "count": 1, "trigger": "Forecast",
            "firedAt": "2026-01-01T00:00:00Z", "model": {"name": "damped-holt"}},
    })
}

fn event(name: &str, about: &str) -> Value {
    json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": name, "namespace": SHOP},
        "eventTime": "2026-01-01T00:00:00.000000Z", "type": "Warning", "reason": "RttForecast", "action": "Firing",
        "note": "RTT is about to exceed 200 ms", "reportingController": "netprecursor.io/agent",
        "reportingInstance": "agent-on-node1",
        "regarding": {"apiVersion": "v1", "kind": about, "name": "checkout-x2", "namespace": SHOP, "uid": "x"},
        "related": {"apiVersion": "netprecursor.io/v1alpha1", "kind": "PrecursorAlert", "name": name, "namespace": SHOP},
    })
}

#[tokio::test]
async fn an_agent_writes_its_own_nodes_objects_and_no_others() {
    let stage = Stage::set().await;
    let [first, second] = &stage.agents;
    let (own, other) = ("node1", "node2");
    // Its own.
    for object in [report(own), alert("a", own, "p")] {
        assert_eq!(stage.refusal(first, &object).await, None);
    }
    // Another node's.
    for object in [report(other), alert("a", other, "p")] {
        let refusal = stage.refusal(first, &object).await.unwrap();
        assert!(refusal.contains("of node node2") && refusal.contains("node1"), "{refusal}");
        assert_eq!(stage.refusal(second, &object).await, None);
    }
    // An alert that another node's agent wrote, taken over or resolved.
    let theirs = alert("theirs", other, "p");
    server::apply(second, &theirs, &server::strictly()).await.unwrap();
    // The definition itself refuses the first, before the policy is asked.
    let refusal = stage.refusal(first, &alert("theirs", own, "p")).await.unwrap();
    assert!(refusal.contains("cannot be changed"), "{refusal}");
    let mut resolved = theirs.clone();
    (resolved["status"]["state"], resolved["status"]["resolvedAt"]) =
        ("Resolved".into(), "2026-01-01T00:00:10Z".into());
    let refusal = stage.refusal(first, &resolved).await.unwrap();
    assert!(refusal.contains("of node node2"), "{refusal}");
    let written = server::apply(second, &resolved, &server::strictly()).await.unwrap();
    assert_eq!(written.data["status"]["state"], "Resolved");
}

#[tokio::test]
async fn an_alert_is_one_write_and_without_its_state_it_is_none() {
    let stage = Stage::set().await;
    let agent = &stage.agents[0];
    let whole = alert("whole", "node1", "p");
    let written = server::apply(agent, &whole, &server::strictly()).await.unwrap();
    assert_eq!(
        (&written.data["status"]["state"], &written.data["status"]["severity"]),
        (&json!("Firing"), &json!("Warning"))
    );
    let mut half = alert("half", "node1", "p");
    half.as_object_mut().unwrap().remove("status");
    let refusal = stage.refusal(agent, &half).await.unwrap();
    assert!(refusal.contains("status: Required value"), "{refusal}");
    // What the agents of the previous release write besides finds nothing there, and those agents try again later.
    let alerts = server::api_of(&stage.admin, &whole).await;
    let refusal = alerts.patch_status("whole", &server::strictly(), &Patch::Apply(&whole)).await.unwrap_err();
    assert!(matches!(&refusal, kube::Error::Api(status) if status.code == 404), "{refusal}");
}

#[tokio::test]
async fn an_agent_makes_no_alert_again_that_was_deleted() {
    let stage = Stage::set().await;
    let mut gone = alert("gone", "node1", "p");
    gone["metadata"]["uid"] = "of-before".into();
    let refusal = server::apply(&stage.agents[0], &gone, &server::strictly()).await.unwrap_err();
    assert!(matches!(&refusal, kube::Error::Api(status) if status.code == 409), "{refusal}");
}

#[tokio::test]
async fn a_token_that_is_bound_to_no_node_writes_nothing() {
    let stage = Stage::set().await;
    for object in [report("node1"), alert("b", "node1", "p"), event("b", "Pod")] {
        let refusal = stage.refusal(&stage.unbound, &object).await.unwrap();
        assert!(refusal.contains("bound to no node"), "{refusal}");
    }
}

#[tokio::test]
async fn an_alert_is_owned_by_its_policy_alone() {
    let stage = Stage::set().await;
    let refusal = stage.refusal(&stage.agents[0], &alert("c", "node1", "somebody-else")).await.unwrap();
    assert!(refusal.contains("owned by something else"), "{refusal}");
}

#[tokio::test]
async fn events_are_about_pods_and_workloads_in_their_own_namespace_and_by_the_agent_itself() {
    let stage = Stage::set().await;
    let agent = &stage.agents[0];
    assert_eq!(stage.refusal(agent, &event("d", "Pod")).await, None);
    for (version, kind) in
        [("apps/v1", "Deployment"), ("argoproj.io/v1alpha1", "Rollout"), ("v1", "ReplicationController")]
    {
        let mut on_workload = event("w", kind);
        on_workload["regarding"]["apiVersion"] = version.into();
        assert_eq!(stage.refusal(agent, &on_workload).await, None, "{kind}");
    }
    let mut disguised = event("d", "Secret");
    disguised["regarding"]["apiVersion"] = "example.com/v1".into();
    let mut elsewhere = event("d", "Pod");
    elsewhere["regarding"]["namespace"] = "default".into();
    let mut borrowed = event("d", "Pod");
    borrowed["reportingController"] = "kubelet".into();
    let mut unrelated = event("d", "Pod");
    unrelated["related"] = Value::Null;
    let refusal = stage.refusal(&stage.agents[1], &event("d", "Pod")).await.unwrap();
    assert!(refusal.contains("by agent-on-node1, expected one by agent-on-node2"), "{refusal}");
    for object in [event("d", "Node"), event("d", "Service"), disguised, elsewhere, borrowed, unrelated] {
        let refusal = stage.refusal(agent, &object).await.unwrap();
        assert!(refusal.contains("another kind of Event"), "{refusal}");
    }
}

#[tokio::test]
async fn who_is_no_agent_is_not_held_to_it() {
    let stage = Stage::set().await;
    for object in [report("node1"), alert("e", "node1", "somebody-else"), event("e", "Node")] {
        assert_eq!(stage.refusal(&stage.admin, &object).await, None);
    }
}
