//! What the roles of the chart allow, asked of a real API server. That nothing in them is unused is for the stories, which
//! read the audit log of operator and agents at work.

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::{Api, Client, api::PostParams};
use netprecursor_e2e::{Version, apiserver::ApiServer};
use serde_json::json;

use crate::{
    helm::{Helm, NAMESPACE},
    objects::text,
    server,
};

/// Whether `user` may do `what`: `VERB [GROUP/]RESOURCE[/SUBRESOURCE] [NAMESPACE [NAME]]`, without a namespace everywhere.
pub(crate) async fn may(client: &Client, user: &str, what: &str) -> bool {
    let words: Vec<&str> = what.split(' ').collect();
    let part = |at: usize| words.get(at).map(|word| (*word).to_owned());
    let mut resource = words[1].split('/');
    let first = resource.next().unwrap();
    // Groups have dots, but for those of the first hour.
    let (group, resource, subresource) = if first.contains('.') || first == "apps" {
        (first, resource.next().unwrap(), resource.next())
    } else {
        ("", first, resource.next())
    };
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(user.to_owned()),
            groups: Some(vec!["system:serviceaccounts".to_owned(), "system:authenticated".to_owned()]),
            resource_attributes: Some(ResourceAttributes {
                verb: part(0),
                group: Some(group.to_owned()),
                resource: Some(resource.to_owned()),
                subresource: subresource.map(str::to_owned),
                namespace: part(2),
                name: part(3),
                ..ResourceAttributes::default()
            }),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let reviews: Api<SubjectAccessReview> = Api::all(client.clone());
    reviews.create(&PostParams::default(), &review).await.unwrap().status.unwrap().allowed
}

async fn ready() -> Client {
    let server = ApiServer::shared(Version::DEFAULT).await.unwrap();
    let client = server.client().await.unwrap();
    server::namespaces(&client, &[NAMESPACE, "shop"]).await;
    let objects = Helm::current().template(&["--set", "models.namespaces={shop}"]);
    let is_access =
        |kind: &str| kind.starts_with("Role") || kind.starts_with("ClusterRole") || kind == "ServiceAccount";
    for object in objects.iter().filter(|object| is_access(text(object, "/kind"))) {
        server::apply(&client, object, &server::strictly()).await.unwrap();
    }
    client
}

async fn check(account: &str, allowed: &[&str], refused: &[&str]) {
    let client = ready().await;
    let user = format!("system:serviceaccount:{NAMESPACE}:{account}");
    for what in allowed {
        server::until(what, async || may(&client, &user, what).await).await;
    }
    let mut wrong = Vec::new();
    for what in refused {
        if may(&client, &user, what).await {
            wrong.push(*what);
        }
    }
    assert!(wrong.is_empty(), "{account} may {wrong:?}");
}

#[tokio::test]
async fn the_operator_reads_everywhere_and_writes_what_is_its_own() {
    let allowed = [
        "get configmaps shop model",
        // Models of cluster policies are in the namespace of the release.
        "get configmaps netprecursor-system model",
        "list netprecursor.io/precursorpolicies",
        "watch netprecursor.io/precursoralerts",
        "patch netprecursor.io/precursorpolicies/status shop checkout",
        "patch netprecursor.io/precursoralerts shop alert",
        "delete netprecursor.io/precursoralerts shop alert",
        "create apps/daemonsets netprecursor-system netprecursor-agent",
        "patch apps/daemonsets netprecursor-system netprecursor-agent",
        "create configmaps netprecursor-system netprecursor-model-0",
        "watch events netprecursor-system",
        "list networking.k8s.io/servicecidrs",
        "watch networking.k8s.io/servicecidrs",
        "get coordination.k8s.io/leases netprecursor-system netprecursor-operator",
        "create authentication.k8s.io/tokenreviews",
        "create authorization.k8s.io/subjectaccessreviews",
        "create events.k8s.io/events netprecursor-system",
        "delete netprecursor.io/precursornodereports node1",
    ];
    let refused = [
        "create events.k8s.io/events shop",
        "get configmaps default model",
        "list configmaps shop",
        "watch configmaps shop",
        "create configmaps shop",
        "create apps/daemonsets default netprecursor-agent",
        "create apps/daemonsets netprecursor-system another",
        "patch apps/daemonsets netprecursor-system another",
        "delete apps/daemonsets netprecursor-system another",
        "get secrets netprecursor-system",
        "get secrets shop",
        "create networking.k8s.io/servicecidrs",
        "patch nodes node1",
        "patch netprecursor.io/precursorpolicies shop checkout",
        "create netprecursor.io/precursoralerts shop",
        "patch netprecursor.io/precursornodereports/status node1",
        "create pods netprecursor-system",
        "create pods/exec shop",
        "create serviceaccounts/token netprecursor-system netprecursor-agent",
        "patch namespaces netprecursor-system",
        "update coordination.k8s.io/leases netprecursor-system another",
        "escalate rbac.authorization.k8s.io/clusterroles",
    ];
    check("netprecursor-operator", &allowed, &refused).await;
}

#[tokio::test]
async fn agents_write_alerts_reports_and_events_and_read_little() {
    let allowed = [
        "get configmaps netprecursor-system netprecursor-model-0",
        "list netprecursor.io/precursorpolicies",
        "watch netprecursor.io/clusterprecursorpolicies",
        "watch pods",
        "get apps/replicasets shop checkout-7d4b9c",
        "create netprecursor.io/precursoralerts shop",
        "patch netprecursor.io/precursoralerts shop alert",
        "patch netprecursor.io/precursornodereports/status",
        "create events.k8s.io/events shop",
        "create authentication.k8s.io/tokenreviews",
        "create authorization.k8s.io/subjectaccessreviews",
    ];
    let refused = [
        "list configmaps netprecursor-system",
        "get configmaps shop",
        "get secrets netprecursor-system",
        "list secrets",
        "list nodes",
        "list apps/replicasets",
        "get apps/deployments shop checkout",
        "patch nodes node1",
        "patch pods/status shop",
        "create pods/eviction shop",
        "delete netprecursor.io/precursoralerts shop alert",
        "delete netprecursor.io/precursornodereports node1",
        "patch netprecursor.io/precursorpolicies/status shop checkout",
        "create netprecursor.io/clusterprecursorpolicies",
        "delete events.k8s.io/events shop",
        "create events shop",
        "create serviceaccounts/token netprecursor-system netprecursor-operator",
        "create apps/daemonsets netprecursor-system",
        "get coordination.k8s.io/leases netprecursor-system netprecursor-operator",
    ];
    check("netprecursor-agent", &allowed, &refused).await;
}

/// Roles know names, and so does an apply that creates: the operator makes this one DaemonSet and no other.
#[tokio::test]
async fn the_operator_applies_the_agents_daemonset_by_its_name_alone() {
    let admin = ready().await;
    let server = ApiServer::shared(Version::DEFAULT).await.unwrap();
    let operator = server.client_of_service_account(NAMESPACE, "netprecursor-operator").await.unwrap();
    let user = format!("system:serviceaccount:{NAMESPACE}:netprecursor-operator");
    let right = "create apps/daemonsets netprecursor-system netprecursor-agent";
    server::until(right, async || may(&admin, &user, right).await).await;
    let set = |name: &str| {
        let labels = json!({"app": "agent"});
        json!({
            "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"selector": {"matchLabels": labels}, "template": {
                "metadata": {"labels": labels}, "spec": {"containers": [{"name": "agent", "image": "agent"}]}}},
        })
    };
    let dry = server::strictly().dry_run();
    server::apply(&operator, &set("netprecursor-agent"), &dry).await.unwrap();
    let error = server::apply(&operator, &set("another"), &dry).await.unwrap_err().to_string();
    assert!(error.contains("forbidden"), "{error}");
}
