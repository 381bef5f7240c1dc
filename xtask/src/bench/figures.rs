//! The figures that matter, from the output of each part, beside their aims and those of other projects.

use serde::Serialize;
use serde_json::Value;

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Figure {
    /// The quantity.
    pub(crate) what: String,
    /// How much.
    pub(crate) value: f64,
    /// In which unit.
    pub(crate) unit: &'static str,
    /// How much it may be, where there is an aim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) aim: Option<f64>,
    /// Whether it is no more than that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) met: Option<bool>,
    /// How many times as much a peer takes for the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) peer_ratio: Option<f64>,
}

impl Figure {
    fn new(what: String, value: f64, unit: &'static str) -> Self {
        Self { what, value, unit, aim: None, met: None, peer_ratio: None }
    }

    fn aimed(self, aim: f64) -> Self {
        Self { aim: Some(aim), met: Some(self.value <= aim), ..self }
    }
}

/// An RTT sample beyond an empty program, as a multiple of what that takes in the same run, at any number of connections.
const SAMPLE_AIM: f64 = 1.2;
/// µs of a tick per target.
const TICK_AIM_US: f64 = 10.0;
/// MiB of the agent with a full node.
const MEMORY_AIM_MIB: f64 = 32.0;

/// Figures from the parts that were measured.
pub(crate) fn of(node: Option<&Value>, criterion: Option<&Value>, peers: Option<&Value>) -> Vec<Figure> {
    let mut figures = Vec::new();
    if let Some(node) = node {
        figures.extend(samples(node));
        figures.extend(ticks(node));
        figures.extend(memory(node));
    }
    if let Some(criterion) = criterion {
        figures.extend(per_row(criterion, peers));
    }
    figures
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

fn number(value: &Value, key: &str) -> Option<f64> {
    value[key].as_f64()
}

fn samples(node: &Value) -> impl Iterator<Item = Figure> {
    let empty = |connections: u64| {
        let is_it = |cost: &&Value| cost["program"] == "tcp_empty" && cost["connections"] == connections;
        list(node, "samples").find(is_it).and_then(|cost| number(cost, "ns"))
    };
    list(node, "samples").filter_map(move |cost| {
        let (program, connections) = (cost["program"].as_str()?, cost["connections"].as_u64()?);
        let (name, key, aim) = match program {
            "tcp_empty" => ("empty program, accounting included", "ns", None),
            "tcp" => ("RTT sample, clean filter, net", "net_ns", empty(connections).map(|ns| SAMPLE_AIM * ns)),
            "tcp_viewed" => ("RTT sample, counted in three more views, net", "net_ns", None),
            "tcp_unfiltered" => ("RTT sample, without the filter, net", "net_ns", None),
            "traffic_egress" => ("packet sent, what the clean filter adds", "net_ns", None),
            "traffic_egress_older" => ("packet sent by an older connection, what smoothed RTT adds", "net_ns", None),
            _ => ("packet sent, counting alone, accounting included", "ns", None),
        };
        let figure = Figure::new(format!("{name}, {connections} connections"), number(cost, key)?, "ns");
        Some(match aim {
            Some(aim) => figure.aimed(aim),
            None => figure,
        })
    })
}

fn ticks(node: &Value) -> impl Iterator<Item = Figure> {
    let reads = list(node, "reads").filter_map(|read| {
        let what = format!("read of a target: {}", read["what"].as_str()?);
        Some(Figure::new(what, number(read, "ns_per_target")?, "ns"))
    });
    let ticks = list(node, "ticks").filter_map(|tick| {
        let what = format!("tick per target, {} of them, {}", tick["targets"], tick["model"].as_str()?);
        Some(Figure::new(what, number(tick, "us_per_target")?, "µs").aimed(TICK_AIM_US))
    });
    reads.chain(ticks)
}

fn memory(node: &Value) -> Option<Figure> {
    let memory = &node["memory"];
    let what = format!("agent's resident memory, {} targets", memory["targets"]);
    Some(Figure::new(what, number(memory, "rss_mib")?, "MiB").aimed(MEMORY_AIM_MIB))
}

/// Rows of features and of the forest; of the forest also the peers' in the same run.
fn per_row(criterion: &Value, peers: Option<&Value>) -> Vec<Figure> {
    let mut figures = Vec::new();
    for estimate in criterion.as_array().into_iter().flatten() {
        let (Some(name), Some(ns)) = (estimate["name"].as_str(), number(estimate, "ns")) else { continue };
        let rows = estimate["elements"].as_u64().unwrap_or(1).max(1);
        let us = ns / 1e3 / rows as f64;
        figures.push(Figure::new(format!("{name}, per row"), us, "µs"));
        if !(name.starts_with("forest-") && name.contains("/plain/")) {
            continue;
        }
        for peer in peers.iter().flat_map(|peers| list(peers, "results")).filter(|peer| peer["rows"] == rows) {
            let (Some(peer_name), Some(peer_us)) = (peer["peer"].as_str(), number(peer, "us_per_row")) else {
                continue;
            };
            let figure = Figure::new(format!("  the same in {peer_name}"), peer_us, "µs");
            figures.push(Figure { peer_ratio: Some(peer_us / us), ..figure });
        }
    }
    figures
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_figure_beyond_its_aim_is_not_met() {
        let node = json!({
            "samples": [
                {"program": "tcp_empty", "connections": 32, "ns": 30.0, "net_ns": 0.0},
                {"program": "tcp_empty", "connections": 3000, "ns": 40.0, "net_ns": 0.0},
                {"program": "tcp", "connections": 32, "ns": 64.0, "net_ns": 34.0},
                {"program": "tcp", "connections": 3000, "ns": 150.0, "net_ns": 120.0},
                {"program": "tcp_viewed", "connections": 3000, "ns": 190.0, "net_ns": 160.0},
                {"program": "tcp_unfiltered", "connections": 3000, "ns": 70.0, "net_ns": 40.0},
                {"program": "traffic_egress", "connections": 3000, "ns": 150.0, "net_ns": 50.0},
            ],
            "memory": {"targets": 110, "rss_mib": 31.0},
        });
        let figures = of(Some(&node), None, None);
        let met: Vec<_> = figures.iter().map(|figure| (figure.value, figure.met)).collect();
        assert_eq!(
            met,
            [
                (30.0, None),
                (40.0, None),
                (34.0, Some(true)),
                (120.0, Some(false)),
                (160.0, None),
                (40.0, None),
                (50.0, None),
                (31.0, Some(true))
            ]
        );
    }

    #[test]
    fn a_peer_is_compared_at_the_same_number_of_rows() {
        let criterion = json!([
            {"name": "features/extract/110", "ns": 110_000.0, "elements": 110},
            {"name": "forest-300x6/missing/30", "ns": 60_000.0, "elements": 30},
            {"name": "forest-300x6/plain/30", "ns": 60_000.0, "elements": 30},
        ]);
        let peers = json!({"results": [
            {"peer": "onnxruntime", "rows": 30, "us_per_row": 8.0},
            {"peer": "onnxruntime", "rows": 110, "us_per_row": 7.0},
        ]});
        let figures = of(None, Some(&criterion), Some(&peers));
        let values: Vec<_> = figures.iter().map(|figure| (figure.value, figure.peer_ratio)).collect();
        assert_eq!(values, [(1.0, None), (2.0, None), (2.0, None), (8.0, Some(4.0))]);
    }

    #[test]
    fn what_was_not_measured_has_no_figure() {
        assert_eq!(of(None, None, None), []);
        assert_eq!(of(Some(&json!({"memory": null})), None, None), []);
    }
}
