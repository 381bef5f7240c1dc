//! What can be chosen on a dashboard, and how a query follows the choice.

use serde::Deserialize;

/// What can be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Variable {
    Cluster,
    Namespace,
    Workload,
    Policy,
    Node,
    Instance,
}

/// What a query writes for "those that are chosen", and what that means for each variable. A policy of the cluster has no
/// namespace, and is never left out by one.
const CHOSEN: [(&str, &[(Variable, &str)]); 5] = [
    (
        "<target>",
        &[
            (Variable::Cluster, r#"cluster=~"$cluster""#),
            (Variable::Namespace, r#"namespace=~"$namespace""#),
            (Variable::Workload, r#"workload=~"$workload""#),
        ],
    ),
    (
        "<firing>",
        &[
            (Variable::Cluster, r#"cluster=~"$cluster""#),
            (Variable::Namespace, r#"namespace=~"$namespace""#),
            (Variable::Workload, r#"workload=~"$workload""#),
            (Variable::Policy, r#"policy=~"$policy""#),
        ],
    ),
    (
        "<rule>",
        &[
            (Variable::Cluster, r#"cluster=~"$cluster""#),
            (Variable::Namespace, r#"policy_namespace=~"$namespace|""#),
            (Variable::Policy, r#"policy=~"$policy""#),
        ],
    ),
    (
        "<agent>",
        &[
            (Variable::Cluster, r#"cluster=~"$cluster""#),
            (Variable::Node, r#"node=~"$node""#),
            (Variable::Instance, r#"instance=~"$instance""#),
        ],
    ),
    ("<operator>", &[(Variable::Cluster, r#"cluster=~"$cluster""#)]),
];

impl Variable {
    /// Its name: the label that it chooses by.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Namespace => "namespace",
            Self::Workload => "workload",
            Self::Policy => "policy",
            Self::Node => "node",
            Self::Instance => "instance",
        }
    }

    /// What it is called.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Cluster => "Cluster",
            Self::Namespace => "Namespace",
            Self::Workload => "Workload",
            Self::Policy => "Policy",
            Self::Node => "Node",
            Self::Instance => "Instance",
        }
    }

    /// The query for its values, of what the variables `before` it leave.
    pub(super) fn values(self, before: &[Self]) -> String {
        let series = match self {
            Self::Namespace | Self::Workload => "netprecursor_rtt_max_seconds{<target>}",
            Self::Policy => "netprecursor_rule_alerts_total{<rule>}",
            Self::Cluster | Self::Node | Self::Instance => "netprecursor_ticks_total{<agent>}",
        };
        format!("label_values({}, {})", chosen(series, before), self.name())
    }
}

/// The words that a query may write.
pub(super) fn words() -> String {
    CHOSEN.map(|(word, _)| word).join(", ")
}

/// A query with what is chosen written out.
pub(super) fn chosen(expr: &str, variables: &[Variable]) -> String {
    CHOSEN.into_iter().fold(expr.to_owned(), |expr, (word, matchers)| {
        let of = matchers.iter().filter(|(variable, _)| variables.contains(variable)).map(|(_, matcher)| *matcher);
        expr.replace(word, &of.collect::<Vec<_>>().join(","))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_chosen_is_written_out_for_the_variables_that_there_are() {
        let variables = [Variable::Cluster, Variable::Namespace];
        assert_eq!(
            chosen(r#"max(a{b="c",<target>}) / b{<rule>}"#, &variables),
            r#"max(a{b="c",cluster=~"$cluster",namespace=~"$namespace"}) / b{cluster=~"$cluster",policy_namespace=~"$namespace|"}"#
        );
        assert_eq!(
            Variable::Node.values(&variables),
            r#"label_values(netprecursor_ticks_total{cluster=~"$cluster"}, node)"#
        );
    }
}
