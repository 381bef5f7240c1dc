//! The identity of an alert: the same target and rule give the same name, so that a repeat updates in place and a
//! message delivered twice does no harm.

use sha2::{Digest, Sha256};

use super::PodRef;
use crate::policy::Name;

/// Letters of the policy's name that an alert's name keeps.
const MAX_POLICY: usize = 63;

/// Bytes of the digest in an alert's name: 40 bits, so that ten thousand alerts of one policy collide with a chance
/// of 5 in 100,000.
const DIGEST_BYTES: usize = 5;

/// `<policy, at most 63 letters>-<10 hexadecimal digits of policy UID, target UID and rule>`.
pub fn name(policy: &Name, policy_uid: &str, target_uid: &str, rule: &Name) -> String {
    let mut hash = Sha256::new();
    for part in [policy_uid, target_uid, rule.as_str()] {
        // Lengths keep ("ab", "c") apart from ("a", "bc").
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let kept = &policy.as_str()[..policy.as_str().len().min(MAX_POLICY)];
    let digits = hash.finalize()[..DIGEST_BYTES].iter().fold(0_u64, |digits, byte| digits << 8 | u64::from(*byte));
    format!("{}-{digits:010x}", kept.trim_end_matches(['-', '.']))
}

/// Name of the alert on all pods of this one's workload that run on `node`; `None` for a pod that nothing controls. Agents
/// see the pods of their node alone, and each writes its own alerts.
pub fn workload_name(policy: &Name, policy_uid: &str, pod: &PodRef, node: &str, rule: &Name) -> Option<String> {
    let workload = pod.workload.as_ref()?;
    // A slash is in no UID, so that no pod's alert has the name.
    let key = format!("{node}/{}/{}/{}", pod.namespace, workload.kind, workload.name);
    Some(name(policy, policy_uid, &key, rule))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Workload;

    fn named(policy: &str, uids: [&str; 2], rule: &str) -> String {
        name(&Name::subdomain(policy).unwrap(), uids[0], uids[1], &Name::label(rule).unwrap())
    }

    #[test]
    fn a_name_is_stable_across_releases() {
        assert_eq!(named("checkout", ["p1", "t1"], "rtt"), "checkout-19fbf246e3");
    }

    #[test]
    fn policy_target_and_rule_each_make_another_name() {
        let names = [
            named("a", ["p", "t"], "rtt"),
            named("a", ["q", "t"], "rtt"),
            named("a", ["p", "u"], "rtt"),
            named("a", ["p", "t"], "rtt2"),
            named("a", ["pt", "t"], "rtt"),
            named("a", ["p", "tt"], "rtt"),
        ];
        for (index, name) in names.iter().enumerate() {
            assert!(!names[..index].contains(name), "{names:?}");
        }
    }

    #[test]
    fn pods_of_one_workload_on_one_node_share_a_name_and_no_others_do() {
        let (policy, rule) = (Name::subdomain("checkout").unwrap(), Name::label("rtt").unwrap());
        let pod = |uid: &str, kind: &str, workload: &str| PodRef {
            namespace: "shop".to_owned(),
            uid: uid.to_owned(),
            workload: Some(Workload { kind: kind.to_owned(), name: workload.to_owned() }),
            ..PodRef::default()
        };
        let named = |pod: &PodRef, node: &str| workload_name(&policy, "p", pod, node, &rule);
        let first = named(&pod("a", "Deployment", "web"), "node1");
        assert!(first.is_some());
        assert_eq!(first, named(&pod("b", "Deployment", "web"), "node1"));
        let elsewhere = PodRef { namespace: "bank".to_owned(), ..pod("a", "Deployment", "web") };
        for other in [
            named(&pod("a", "Deployment", "web"), "node2"),
            named(&pod("a", "StatefulSet", "web"), "node1"),
            named(&pod("a", "Deployment", "api"), "node1"),
            named(&elsewhere, "node1"),
            named(&PodRef { workload: None, ..elsewhere }, "node1"),
        ] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn a_long_policy_name_is_cut_to_a_name_that_kubernetes_takes() {
        let long = format!("{}.{}", "a".repeat(62), "b".repeat(60));
        let name = named(&long, ["p", "t"], "rtt");
        assert!(name.starts_with(&format!("{}-", "a".repeat(62))) && Name::subdomain(&name).is_ok(), "{name}");
    }
}
