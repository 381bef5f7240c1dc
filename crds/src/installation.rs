//! One installation per cluster: the chart marks where it is on an object of the whole cluster, which only administrators
//! write, and an operator that is somewhere else does not work.

use std::collections::BTreeMap;

/// The ClusterRole that has the mark. Its name is the same for every release, so that Helm refuses a second one.
pub const CLAIM: &str = "netprecursor-installation";

/// Annotation of [`CLAIM`] with the namespace of the installation.
pub const INSTALLED_IN: &str = "netprecursor.io/installed-in";

/// Annotation of [`CLAIM`] with the release's name.
pub const RELEASE: &str = "netprecursor.io/release";

/// Where the cluster's installation is, and what its release is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The namespace.
    pub namespace: String,
    /// The release; empty where the mark has none.
    pub release: String,
}

impl Claim {
    /// The mark in the annotations of [`CLAIM`], if it has one.
    pub fn of(annotations: &BTreeMap<String, String>) -> Option<Self> {
        let named = |name: &str| annotations.get(name).cloned().unwrap_or_default();
        let (namespace, release) = (named(INSTALLED_IN), named(RELEASE));
        (!namespace.is_empty()).then_some(Self { namespace, release })
    }

    /// Why an operator in the namespace `own` may not work; `None` when it is the one that may.
    pub fn refusal(&self, own: &str) -> Option<String> {
        let Self { namespace, release } = self;
        (namespace != own).then(|| {
            format!(
                "the cluster's installation is release {release} in namespace {namespace}, expected one per cluster: uninstall \
                 the release in namespace {own}, or uninstall {release} first and install this one again"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_where_the_mark_says_is_refused_with_both_places() {
        let mark = |namespace: &str| {
            let pairs = [(INSTALLED_IN, namespace), (RELEASE, "netprecursor")];
            Claim::of(&pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into())
        };
        let claim = mark("netprecursor-system").unwrap();
        assert_eq!(claim.refusal("netprecursor-system"), None);
        let refusal = claim.refusal("elsewhere").unwrap();
        assert!(
            refusal.contains("namespace netprecursor-system") && refusal.contains("namespace elsewhere"),
            "{refusal}"
        );
        assert_eq!(mark(""), None);
    }
}
