use super::*;

const SECOND: u64 = 1_000_000_000;

fn pod(uid: &str, addresses: &[&str]) -> Resident {
    let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
    Resident { uid: uid.to_owned(), static_uid: None, addresses, host_network: false }
}

fn address(text: &str) -> Ipv6Addr {
    mapped(text.parse().unwrap())
}

fn bound(namespace: u64, uid: &str) -> Vec<Finding> {
    vec![Finding::Bound { namespace, uid: uid.to_owned() }]
}

#[test]
fn an_address_is_matched_in_either_family_and_v4_mapped() {
    let mut ownership = Ownership::default();
    ownership.settle_pods(&[pod("a", &["10.0.0.7", "fd00::7"])], &[], 0);
    ownership.claim(100, "::ffff:10.0.0.7".parse().unwrap(), SECOND);
    assert_eq!(ownership.decide(false, SECOND), bound(100, "a"));
    // The sandbox was recreated; the namespace uses IPv6 only.
    ownership.claim(101, address("fd00::7"), SECOND);
    assert_eq!(ownership.decide(false, SECOND), bound(101, "a"));
}

#[test]
fn a_namespace_stays_its_pods_after_the_pod_is_gone() {
    let mut ownership = Ownership::default();
    ownership.settle_pods(&[pod("old", &["10.0.0.7"])], &[], 0);
    ownership.claim(100, address("10.0.0.7"), SECOND);
    ownership.decide(false, SECOND);
    ownership.settle_pods(&[pod("new", &["10.0.0.7"])], &[], 2 * SECOND);
    // The old namespace lingers and keeps talking.
    ownership.claim(100, address("10.0.0.7"), 3 * SECOND);
    assert_eq!(ownership.decide(false, 3 * SECOND), []);
    ownership.claim(101, address("10.0.0.7"), 4 * SECOND);
    assert_eq!(ownership.decide(false, 4 * SECOND), bound(101, "new"));
    assert_eq!(ownership.bonds().collect::<Vec<_>>(), [(101, "new")]);
}

#[test]
fn an_address_seen_before_the_pod_had_it_does_not_speak_for_the_pod() {
    let mut ownership = Ownership::default();
    ownership.claim(100, address("10.0.0.7"), SECOND);
    ownership.settle_pods(&[pod("new", &["10.0.0.7"])], &[], 2 * SECOND);
    assert_eq!(ownership.decide(false, 3 * SECOND), []);
    ownership.claim(100, address("10.0.0.7"), 4 * SECOND);
    assert_eq!(ownership.decide(false, 4 * SECOND), bound(100, "new"));
}

#[test]
fn two_namespaces_with_one_address_are_nobodys_until_one_is_forgotten() {
    let mut ownership = Ownership::default();
    ownership.settle_pods(&[pod("new", &["10.0.0.7"])], &[], 0);
    ownership.claim(100, address("10.0.0.7"), SECOND);
    assert_eq!(ownership.decide(false, SECOND), bound(100, "new"));
    ownership.claim(101, address("10.0.0.7"), 2 * SECOND);
    let doubted = Finding::Doubted { namespace: 100, uid: "new".into() };
    assert_eq!(ownership.decide(false, 2 * SECOND), [doubted]);
    assert_eq!(ownership.decide(false, 3 * SECOND), []);
    assert_eq!(ownership.tally().doubts, 1);
    let later = 2 * SECOND + FORGET.as_nanos() as u64;
    ownership.claim(101, address("10.0.0.7"), later);
    assert_eq!(ownership.decide(false, later), bound(101, "new"));
}

#[test]
fn a_cgroup_settles_what_two_namespaces_with_one_address_left_open() {
    let mut ownership = Ownership::default();
    ownership.settle_pods(&[pod("new", &["10.0.0.7"])], &[], 0);
    // Before any pod's cgroup was found, a stranger with the pod's address was taken for the pod.
    ownership.claim(666, address("10.0.0.7"), SECOND);
    assert_eq!(ownership.decide(false, SECOND), bound(666, "new"));
    ownership.member(100, "new", 2 * SECOND);
    ownership.claim(100, address("10.0.0.7"), 2 * SECOND);
    let settled =
        [Finding::Doubted { namespace: 666, uid: "new".into() }, Finding::Bound { namespace: 100, uid: "new".into() }];
    assert_eq!(ownership.decide(true, 2 * SECOND), settled);
    assert_eq!(ownership.bonds().collect::<Vec<_>>(), [(100, "new")]);
}

#[test]
fn a_namespace_known_by_its_cgroup_stays_the_pods_whoever_claims_its_address() {
    let mut ownership = Ownership::default();
    ownership.settle_pods(&[pod("new", &["10.0.0.7"])], &[], 0);
    ownership.member(100, "new", SECOND);
    ownership.claim(100, address("10.0.0.7"), SECOND);
    assert_eq!(ownership.decide(true, SECOND), bound(100, "new"));
    ownership.claim(666, address("10.0.0.7"), 2 * SECOND);
    for knows_cgroups in [true, false] {
        assert_eq!(ownership.decide(knows_cgroups, 2 * SECOND), [], "{knows_cgroups}");
    }
    assert_eq!(ownership.bonds().collect::<Vec<_>>(), [(100, "new")]);
}

#[test]
fn where_cgroups_are_known_an_address_alone_is_not_believed() {
    let mut ownership = Ownership::default();
    ownership.settle_pods(&[pod("new", &["10.0.0.7"])], &[], 0);
    // What is left of an older pod: its cgroup is gone.
    ownership.claim(100, address("10.0.0.7"), SECOND);
    assert_eq!(ownership.decide(true, SECOND), []);
    ownership.member(101, "new", SECOND);
    ownership.claim(101, address("10.0.0.7"), SECOND);
    assert_eq!(ownership.decide(true, SECOND), bound(101, "new"));
    assert_eq!(ownership.decide(true, SECOND), []);
}

#[test]
fn a_pod_whose_address_the_api_does_not_know_yet_is_known_by_its_cgroup() {
    let mut ownership = Ownership::default();
    ownership.settle_pods(&[pod("a", &[]), pod("b", &["10.0.0.8"])], &[], 0);
    ownership.member(100, "a", SECOND);
    ownership.claim(100, address("10.0.0.7"), SECOND);
    // A process of `a` in the namespace of `b`.
    ownership.member(101, "a", SECOND);
    ownership.claim(101, address("10.0.0.8"), SECOND);
    assert_eq!(ownership.decide(true, SECOND), bound(100, "a"));
}

#[test]
fn a_mesh_proxy_in_a_pods_namespace_does_not_take_it_from_the_pod() {
    let mut ownership = Ownership::default();
    ownership.settle_pods(&[pod("app", &["10.0.0.7"]), pod("proxy", &["10.0.0.9"])], &[], 0);
    ownership.member(100, "proxy", SECOND);
    ownership.claim(100, address("10.0.0.7"), SECOND);
    assert_eq!(ownership.decide(true, SECOND), []);
    ownership.member(100, "app", SECOND);
    assert_eq!(ownership.decide(true, SECOND), bound(100, "app"));
}

#[test]
fn a_static_pod_is_known_by_what_its_cgroup_calls_it() {
    let mut ownership = Ownership::default();
    let pod = Resident { static_uid: Some("hash".into()), ..pod("mirror", &["10.0.0.7"]) };
    ownership.settle_pods(&[pod], &[], 0);
    ownership.member(100, "hash", SECOND);
    ownership.claim(100, address("10.0.0.7"), SECOND);
    assert_eq!(ownership.decide(true, SECOND), bound(100, "mirror"));
}

#[test]
fn the_nodes_namespace_is_known_by_the_nodes_address_and_is_no_pods() {
    let mut ownership = Ownership::default();
    let host = Resident { host_network: true, ..pod("proxy", &["192.0.2.1"]) };
    ownership.settle_pods(&[host], &["192.0.2.1".parse().unwrap()], 0);
    ownership.claim(1, address("192.0.2.1"), SECOND);
    assert_eq!(ownership.decide(false, SECOND), [Finding::Host { namespace: 1 }]);
    assert_eq!(ownership.hosts().collect::<Vec<_>>(), [1]);
    assert_eq!(ownership.bonds().count(), 0);
}

#[test]
fn of_a_namespace_with_many_addresses_the_latest_are_remembered() {
    let mut ownership = Ownership::default();
    ownership.settle_pods(&[], &["192.0.2.1".parse().unwrap()], 0);
    for number in 0..200 {
        ownership.claim(1, address(&format!("10.0.0.{number}")), number);
    }
    assert_eq!(ownership.open[&1].claims.len(), MAX_SIGNS);
    ownership.claim(1, address("192.0.2.1"), 200);
    assert_eq!(ownership.decide(false, 200), [Finding::Host { namespace: 1 }]);
}

#[test]
fn five_thousand_pods_leave_nothing_but_a_bounded_memory() {
    let mut ownership = Ownership::default();
    for number in 0..5_000u64 {
        let uid = format!("pod{number}");
        let now = number * SECOND;
        ownership.settle_pods(&[pod(&uid, &["10.0.0.7"])], &[], now);
        // One that nobody knows, and the pod's.
        ownership.claim(1_000_000 + number, address("10.9.9.9"), now);
        ownership.claim(number, address("10.0.0.7"), now);
        assert_eq!(ownership.decide(false, now), bound(number, &uid));
    }
    let tally = ownership.tally();
    assert_eq!(tally.bound, 1);
    assert!(tally.open <= MAX_OPEN && ownership.retired.len() <= MAX_RETIRED, "{tally:?}");
    assert_eq!(ownership.retired.len(), ownership.retired_set.len());
}
