//! The API server that other tests rely on: it starts, keeps its promises, and leaves nothing behind.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::{
    Api, Client,
    api::{DeleteParams, ObjectMeta, PostParams},
};
use netprecursor_e2e::{ApiServer, Version, cluster::wait_for};

fn config_map(name: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        data: Some(BTreeMap::from([("key".to_owned(), "value".to_owned())])),
        ..ConfigMap::default()
    }
}

async fn create(client: &Client, namespace: &str, name: &str) -> Result<ConfigMap, kube::Error> {
    Api::namespaced(client.clone(), namespace).create(&PostParams::default(), &config_map(name)).await
}

#[tokio::test]
async fn every_version_says_what_it_is_and_enforces_rights() {
    for version in Version::ALL {
        let server = ApiServer::shared(version).await.unwrap();
        let client = server.client().await.unwrap();
        let info = client.apiserver_version().await.unwrap();
        assert!(info.git_version.starts_with(&format!("v{version}.")), "{info:?}");
        let namespace = server.namespace().await.unwrap();
        create(&client, &namespace, "allowed").await.unwrap();
        let stranger = server.client_as("stranger", &["system:authenticated"], &[]).await.unwrap();
        let refused = create(&stranger, &namespace, "refused").await.unwrap_err();
        assert!(matches!(&refused, kube::Error::Api(status) if status.code == 403), "{refused}");
        let account = server.client_of_service_account(&namespace, "default").await.unwrap();
        let refused = create(&account, &namespace, "refused").await.unwrap_err().to_string();
        assert!(refused.contains(&format!("system:serviceaccount:{namespace}:default")), "{refused}");
    }
}

#[tokio::test]
async fn the_audit_log_tells_who_asked_for_what() {
    let server = ApiServer::shared(Version::DEFAULT).await.unwrap();
    let namespace = server.namespace().await.unwrap();
    let claims = [("authentication.kubernetes.io/node-name", "node1")];
    let client = server.client_as("somebody", &["system:masters"], &claims).await.unwrap();
    create(&client, &namespace, "audited").await.unwrap();
    let requests = server.requests().unwrap();
    let is_it = |request: &&netprecursor_e2e::apiserver::Request| {
        request
            .object_ref
            .as_ref()
            .is_some_and(|object| object.namespace == namespace && object.resource == "configmaps")
    };
    let request = requests.iter().find(is_it).unwrap();
    assert_eq!((request.verb.as_str(), request.acting_user(), request.code()), ("create", "somebody", 201));
    let user = request.impersonated_user.as_ref().unwrap();
    assert_eq!(user.extra["authentication.kubernetes.io/node-name"], ["node1"]);
}

#[tokio::test]
async fn an_outage_ends_and_nothing_is_lost() {
    let server = ApiServer::start(Version::DEFAULT).await.unwrap();
    let client = server.client().await.unwrap();
    create(&client, "default", "before").await.unwrap();
    server.pause().unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(1), create(&client, "default", "meanwhile")).await;
    assert!(answer.is_err(), "a paused server answered");
    server.resume().unwrap();
    server.kill();
    assert!(create(&server.client().await.unwrap(), "default", "refused").await.is_err());
    server.restart().await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(server.client().await.unwrap(), "default");
    assert_eq!(maps.get("before").await.unwrap().data.unwrap()["key"], "value");
}

#[tokio::test]
async fn with_the_controller_manager_a_namespace_goes_with_what_is_in_it() {
    let server = ApiServer::builder(Version::DEFAULT).controller_manager().start().await.unwrap();
    let client = server.client().await.unwrap();
    let namespace = server.namespace().await.unwrap();
    create(&client, &namespace, "inside").await.unwrap();
    let namespaces: Api<Namespace> = Api::all(client);
    namespaces.delete(&namespace, &DeleteParams::default()).await.unwrap();
    let gone = |namespace: Option<&Namespace>| namespace.is_none();
    wait_for(&namespaces, &namespace, "the namespace to go", Duration::from_secs(60), gone).await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_dropped_leaves_no_files() {
    let server = ApiServer::start(Version::DEFAULT).await.unwrap();
    let directory = server.kubeconfig().parent().unwrap().to_path_buf();
    assert!(directory.is_dir());
    drop(server);
    assert!(!directory.exists());
}
