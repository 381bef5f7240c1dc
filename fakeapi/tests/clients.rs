//! kube's own clients and watchers on the fake server, with and without faults.
#![expect(clippy::unwrap_used, reason = "tests say what they expect by unwrapping")]

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt as _, TryStreamExt as _, pin_mut};
use k8s_openapi::api::{
    coordination::v1::Lease,
    core::v1::{ConfigMap, Namespace},
};
use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    runtime::watcher,
};
use netprecursor_fakeapi::{
    Kinds, Refusal, Rule, Server,
    fault::{AtWrite, Drawn, Fault, Outage},
};
use serde_json::json;

fn server() -> Server {
    Server::new(Kinds::builtin(), 7)
}

fn config_map(name: &str, value: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name}, "data": {"key": value}})).unwrap()
}

fn maps(server: &Server) -> Api<ConfigMap> {
    Api::namespaced(server.client("test", "default"), "default")
}

#[tokio::test(start_paused = true)]
async fn a_client_creates_reads_applies_and_deletes() {
    let api = maps(&server());
    let created = api.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
    assert_eq!(api.get("a").await.unwrap(), created);
    let patch = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"key": "2"}});
    let conflict = api.patch("a", &PatchParams::apply("us"), &Patch::Apply(&patch)).await.unwrap_err();
    assert!(matches!(conflict, kube::Error::Api(status) if status.is_conflict()));
    let applied = api.patch("a", &PatchParams::apply("us").force(), &Patch::Apply(&patch)).await.unwrap();
    assert_eq!(applied.data.unwrap()["key"], "2");
    api.delete("a", &DeleteParams::default()).await.unwrap();
    assert!(api.get_opt("a").await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn lists_of_many_come_in_pages_of_one_moment() {
    let server = server();
    let api = maps(&server);
    for number in 0..5 {
        api.create(&PostParams::default(), &config_map(&format!("m{number}"), "x")).await.unwrap();
    }
    let first = api.list(&ListParams::default().limit(2)).await.unwrap();
    api.create(&PostParams::default(), &config_map("m2a", "late")).await.unwrap();
    let token = first.metadata.continue_.unwrap();
    let rest = api.list(&ListParams::default().limit(9).continue_token(&token)).await.unwrap();
    assert_eq!((first.items.len(), rest.items.len()), (2, 3));
    server.compact();
    let expired = api.list(&ListParams::default().limit(9).continue_token(&token)).await.unwrap_err();
    assert!(matches!(expired, kube::Error::Api(status) if status.code == 410));
}

/// Keeps a copy of all ConfigMaps by a watch until `key` of `name` has `value`.
async fn follow_until(api: Api<ConfigMap>, config: watcher::Config, wanted: &BTreeMap<String, String>) {
    let events = watcher(api, config);
    pin_mut!(events);
    let mut known = BTreeMap::new();
    let mut listing = BTreeMap::new();
    let read = |map: ConfigMap| (map.metadata.name.unwrap(), map.data.unwrap().remove("key").unwrap());
    while known != *wanted {
        match events.next().await.unwrap() {
            Ok(watcher::Event::Init) => listing.clear(),
            Ok(watcher::Event::InitApply(map)) => listing.extend([read(map)]),
            Ok(watcher::Event::InitDone) => known = std::mem::take(&mut listing),
            Ok(watcher::Event::Apply(map)) => known.extend([read(map)]),
            Ok(watcher::Event::Delete(map)) => {
                known.remove(&map.metadata.name.unwrap());
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(700)).await,
        }
    }
}

async fn change(api: Api<ConfigMap>) -> BTreeMap<String, String> {
    let mut wanted = BTreeMap::new();
    for round in 0..6 {
        for name in ["a", "b", "c"] {
            let value = format!("{round}");
            let patch = json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"key": value},
            });
            api.patch(name, &PatchParams::apply("us"), &Patch::Apply(&patch)).await.unwrap();
            wanted.insert(name.to_owned(), value);
        }
        tokio::time::sleep(Duration::from_secs(40)).await;
        api.delete("b", &DeleteParams::default()).await.unwrap();
        wanted.remove("b");
    }
    wanted
}

#[tokio::test(start_paused = true)]
async fn a_watcher_sees_the_last_state_whatever_goes_wrong_on_the_way() {
    for seed in 0..100 {
        let server = Server::new(Kinds::builtin(), seed);
        server.set_faults(Drawn::new(seed, "watcher", 12, 120));
        let changer = maps(&server);
        let watched: Api<ConfigMap> = Api::namespaced(server.client("watcher", "default"), "default");
        let config = watcher::Config::default().timeout(60);
        let config = if seed % 2 == 0 { config.streaming_lists() } else { config };
        // The last state is known in advance, so both run at once.
        let wanted = BTreeMap::from([("a".to_owned(), "5".to_owned()), ("c".to_owned(), "5".to_owned())]);
        let both = async { tokio::join!(change(changer), follow_until(watched, config, &wanted)).0 };
        let done = tokio::time::timeout(Duration::from_secs(3600), both).await;
        assert_eq!(done.unwrap_or_else(|_| panic!("seed {seed}: never converged")), wanted);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_has_one_holder() {
    let server = server();
    let api: Api<Lease> = Api::namespaced(server.client("test", "default"), "default");
    let lease = |holder: &str| -> Lease {
        serde_json::from_value(json!({"metadata": {"name": "lead"}, "spec": {"holderIdentity": holder}})).unwrap()
    };
    let held = api.create(&PostParams::default(), &lease("a")).await.unwrap();
    let mut by_b = held.clone();
    by_b.spec.as_mut().unwrap().holder_identity = Some("b".to_owned());
    let mut by_c = held;
    by_c.spec.as_mut().unwrap().holder_identity = Some("c".to_owned());
    assert!(api.replace("lead", &PostParams::default(), &by_b).await.is_ok());
    assert!(api.replace("lead", &PostParams::default(), &by_c).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn faults_happen_before_or_after_the_effect_as_they_say() {
    let table = [
        (Fault::CutBefore, false),
        (Fault::CutAfter, true),
        (Fault::Refuse(Refusal::server_error(500)), false),
        (Fault::RefuseAfter(Refusal::server_error(504)), true),
        (Fault::HangBefore, false),
        (Fault::HangAfter, true),
    ];
    for (fault, is_done) in table {
        let server = server();
        server.set_faults(AtWrite::new("test", 1, fault.clone()));
        let api = maps(&server);
        api.create(&PostParams::default(), &config_map("first", "1")).await.unwrap();
        let (params, second) = (PostParams::default(), config_map("second", "1"));
        let made = api.create(&params, &second);
        let answer = tokio::time::timeout(Duration::from_secs(30), made).await;
        assert!(!matches!(answer, Ok(Ok(_))), "{fault:?}");
        assert_eq!(server.object("configmaps", "default", "second").is_some(), is_done, "{fault:?}");
        api.create(&PostParams::default(), &config_map("third", "1")).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn too_many_requests_has_a_retry_time() {
    let server = server();
    server.set_faults(AtWrite::new("test", 0, Fault::Refuse(Refusal::too_many_requests(7))));
    match maps(&server).create(&PostParams::default(), &config_map("a", "1")).await {
        Err(kube::Error::Api(status)) => {
            assert_eq!((status.code, status.details.unwrap().retry_after_seconds), (429, 7));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_affects_the_named_clients_only() {
    let server = server();
    server.set_faults(Outage::new("agent-", || true));
    let agent: Api<ConfigMap> = Api::namespaced(server.client("agent-1", "default"), "default");
    assert!(agent.list(&ListParams::default()).await.is_err());
    assert!(maps(&server).list(&ListParams::default()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_user_with_rules_may_do_what_they_allow_and_unused_permissions_are_listed() {
    let server = server();
    let rule = Rule {
        verbs: vec!["get".to_owned(), "list".to_owned()],
        api_groups: vec![String::new()],
        resources: vec!["configmaps".to_owned()],
        resource_names: Vec::new(),
    };
    server.grant("reader", Some("default"), rule);
    let api: Api<ConfigMap> = Api::namespaced(server.client("reader", "default"), "default");
    assert!(api.list(&ListParams::default()).await.is_ok());
    let refused = api.create(&PostParams::default(), &config_map("a", "1")).await.unwrap_err();
    assert!(matches!(refused, kube::Error::Api(status) if status.is_forbidden()));
    let everywhere: Api<ConfigMap> = Api::all(server.client("reader", "default"));
    assert!(everywhere.list(&ListParams::default()).await.is_err());
    assert_eq!(server.unused_permissions(), ["reader: get configmaps"]);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_removes_owned_objects_and_the_contents_of_a_namespace() {
    let server = server();
    let api = maps(&server);
    let owner = api.create(&PostParams::default(), &config_map("owner", "1")).await.unwrap();
    let reference = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.metadata.uid});
    let owned = json!({"metadata": {"name": "owned", "ownerReferences": [reference]}});
    api.create(&PostParams::default(), &serde_json::from_value(owned).unwrap()).await.unwrap();
    api.delete("owner", &DeleteParams::default()).await.unwrap();
    assert!(api.get_opt("owned").await.unwrap().is_none());
    api.create(&PostParams::default(), &config_map("other", "1")).await.unwrap();
    let namespaces: Api<Namespace> = Api::all(server.client("test", "default"));
    namespaces.delete("default", &DeleteParams::default()).await.unwrap();
    assert!(server.objects("configmaps").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_watch_ends_with_a_bookmark() {
    let server = server();
    let client = server.client("test", "default");
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
    let version = api.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    let params = kube::api::WatchParams::default().timeout(10);
    let events: Vec<_> = api.watch(&params, &version).await.unwrap().try_collect().await.unwrap();
    assert!(matches!(events.as_slice(), [kube::api::WatchEvent::Bookmark(_)]), "{events:?}");
}
