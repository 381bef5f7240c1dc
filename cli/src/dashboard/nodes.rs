//! What the page is told of nodes: the shapes of `Nodes` in `dashboard/src/api.ts`. In a cluster they are filled from node
//! reports, for one agent from what it says of itself.

use netprecursor_crds::report::{Need, SensorState};
use serde::Serialize;

use super::views::SourceState;

/// All nodes, and what concerns none of them alone.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Nodes {
    /// What is worst first.
    pub(crate) nodes: Vec<NodeView>,
    /// What is wrong.
    pub(crate) problems: Vec<String>,
    /// What somebody should look at.
    pub(crate) remarks: Vec<String>,
    /// What could not be found out.
    pub(crate) notes: Vec<String>,
}

/// A node and its agent. What is not known is absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NodeView {
    pub(crate) name: String,
    /// The state of its agent in one word, as `doctor` has it.
    pub(crate) standing: Option<String>,
    pub(crate) problems: Vec<String>,
    pub(crate) remarks: Vec<String>,
    pub(crate) heartbeat_age_seconds: Option<i64>,
    pub(crate) agent_version: Option<String>,
    pub(crate) kernel: Option<String>,
    pub(crate) rtt_source: Option<String>,
    pub(crate) coverage_percent: Option<u8>,
    pub(crate) targets: Option<u64>,
    /// Alerts that are firing.
    pub(crate) firing: Option<u64>,
    /// Messages that wait to be published.
    pub(crate) pending: Option<u64>,
    pub(crate) cpu: Option<String>,
    pub(crate) memory: Option<String>,
    /// What was lost, by what it is.
    pub(crate) losses: Vec<Loss>,
    pub(crate) sensors: Vec<SensorView>,
    pub(crate) conditions: Vec<ConditionView>,
    /// How the dashboard reads its agent; absent where it does not.
    pub(crate) stream: Option<StreamView>,
}

/// Something of which there should be none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Loss {
    pub(crate) what: &'static str,
    pub(crate) count: u64,
}

/// A sensor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct SensorView {
    pub(crate) name: String,
    pub(crate) need: Need,
    pub(crate) state: SensorState,
    pub(crate) reason: Option<String>,
    pub(crate) limits: Option<String>,
}

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ConditionView {
    #[serde(rename = "type")]
    pub(crate) type_: String,
    pub(crate) status: String,
    pub(crate) reason: String,
    pub(crate) message: String,
}

/// How an agent is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StreamView {
    pub(crate) node: String,
    pub(crate) state: SourceState,
    pub(crate) since: u64,
    pub(crate) reason: Option<String>,
    pub(crate) lost_ticks: u64,
    /// Targets that are shown live.
    pub(crate) targets: usize,
}

impl Loss {
    /// Those of which there are some.
    pub(crate) fn some<const N: usize>(counts: [(&'static str, u64); N]) -> Vec<Self> {
        let some = counts.into_iter().filter(|(_, count)| *count > 0);
        some.map(|(what, count)| Self { what, count }).collect()
    }
}
