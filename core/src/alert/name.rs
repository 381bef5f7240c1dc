//! The identity of an alert: the same target and rule give the same name, so that a repeat updates in place and a
//! message delivered twice does no harm.

use sha2::{Digest, Sha256};

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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_long_policy_name_is_cut_to_a_name_that_kubernetes_takes() {
        let long = format!("{}.{}", "a".repeat(62), "b".repeat(60));
        let name = named(&long, ["p", "t"], "rtt");
        assert!(name.starts_with(&format!("{}-", "a".repeat(62))) && Name::subdomain(&name).is_ok(), "{name}");
    }
}
