//! What is written before the release is uninstalled.

use serde_json::json;

use super::super::{Write, retire};
use super::cluster::{Cluster, at};
use crate::observe::Key;

#[test]
fn what_is_kept_says_that_nothing_watches_any_more() {
    let mut cluster = Cluster::with_policy();
    cluster.cluster_policy("everywhere", json!({}));
    cluster.staffed_node("n1");
    cluster.settled(at(0));
    cluster.agents(1, 1, 1);
    cluster.report("n1", json!({"targets": 2, "alerts": 3, "confirmed": 2}));
    cluster.alert("shop", "checkout-1", "web-1", "n1", "Firing", at(1));
    cluster.alert("shop", "checkout-2", "web-2", "n1", "Resolved", at(1));
    cluster.settled(at(70));
    let scores = vec![(Key::new("netprecursor-system", "netprecursor-scores-0"), "scores-uid".to_owned())];
    let writes = retire(&cluster.observed, scores, at(100));
    let ids: Vec<String> = writes.iter().map(Write::id).collect();
    let expected = [
        "resolve shop-checkout-1",
        "delete report -n1",
        "status shop-checkout",
        "status -everywhere",
        "delete scores scores-uid",
    ];
    assert_eq!(ids, expected);
    let Write::ResolveAlert { status, .. } = &writes[0] else { panic!("{writes:?}") };
    assert_eq!(
        (&status["status"]["state"], &status["status"]["resolution"]),
        (&json!("Resolved"), &json!("Uninstalled"))
    );
    for write in &writes[2..4] {
        let Write::PolicyStatus { status, .. } = write else { panic!("{write:?}") };
        let [ready] = status.conditions.as_slice() else { panic!("{:?}", status.conditions) };
        let said = (ready.type_.as_str(), ready.status.as_str(), ready.reason.as_str());
        assert_eq!((said, status.firing), (("Ready", "Unknown", "Uninstalled"), Some(0)));
    }
    let Write::PolicyStatus { status, .. } = &writes[2] else { panic!("{writes:?}") };
    assert!(status.rules.iter().any(|rule| rule.alerts > 0), "scores are of the past and stay: {:?}", status.rules);
    // An installation that comes back takes over: whatever it says then is news.
    writes.iter().for_each(|write| cluster.carry_out(write));
    assert_eq!(cluster.statuses(at(101)), 2);
}
