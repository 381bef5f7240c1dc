//! Stories on a whole cluster: what the other stories stand on.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{Api, api::ListParams};
use netprecursor_e2e::{
    Error,
    cluster::{exec, story},
};

/// Ten responses by busybox in the container that may change the link, whose requests go to the pod itself at `url`.
async fn ten_responses(pods: &Api<Pod>, from: &str, url: &str) -> Result<Duration, Error> {
    let script = format!("for i in 1 2 3 4 5 6 7 8 9 10; do timeout 30 wget -q -O /dev/null {url} || exit 1; done");
    let begun = Instant::now();
    exec(pods, from, "link", &["/bin/sh", "-c", &script]).await?;
    Ok(begun.elapsed())
}

#[tokio::test]
async fn the_cluster_has_three_nodes_that_are_ready() {
    story("nodes", async |story| {
        let nodes: Api<Node> = Api::all(story.client());
        let nodes = nodes.list(&ListParams::default()).await.map_err(Error::request("listing nodes"))?.items;
        let is_ready = |node: &Node| {
            let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref()).unwrap();
            conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
        };
        assert!(nodes.len() >= 3 && nodes.iter().all(is_ready), "{nodes:#?}");
        assert!(story.cluster().workers().await?.len() >= 2);
        Ok::<_, Error>(())
    })
    .await;
}

#[tokio::test]
async fn a_pod_reaches_another_on_another_node_and_a_narrow_link_slows_it() {
    story("link", async |story| {
        let workers = story.cluster().workers().await?;
        let (near, far) = (workers[0].as_str(), workers[workers.len() - 1].as_str());
        let server = story.server("web", Some(near)).await?;
        let client = story.server("client", Some(far)).await?;
        assert_ne!(server.address(), client.address());
        let pods: Api<Pod> = story.api();
        let free = ten_responses(&pods, "client", &server.url()).await?;
        // Ten responses of 16 KiB through 500 kbit/s are 2.6 s, less the one burst of 64 KiB.
        server.link().limit(500, 200_000).await?;
        let narrow = ten_responses(&pods, "client", &server.url()).await?;
        assert!(narrow > free + Duration::from_millis(800), "free {free:?}, narrow {narrow:?}");
        server.link().clear().await?;
        let load = story.load("load", Some(far), &server.url(), 8).await?;
        assert_eq!(load.pod.spec.unwrap().node_name.as_deref(), Some(far));
        Ok::<_, Error>(())
    })
    .await;
}
