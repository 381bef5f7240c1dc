//! What one agent says of itself, as a node: its sensors and its sinks. It has no report; that is written in a cluster alone.

use netprecursor_crds::report::{Need, SensorState};
use serde::Deserialize;

use super::nodes::{Loss, NodeView, SensorView};

/// Of `/api/v1/sensors`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sensors {
    kernel: String,
    rtt_source: String,
    sensors: Vec<Sensor>,
    survey_failures: u64,
    ticks_skipped: u64,
}

#[derive(Debug, Clone, Deserialize)]
struct Sensor {
    name: String,
    need: Need,
    state: SensorState,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    limits: Option<String>,
}

/// Of `/api/v1/sinks`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Sink {
    name: String,
    #[serde(default)]
    target: String,
    #[serde(default)]
    error: Option<String>,
    pending: u64,
    dropped: u64,
    #[serde(default)]
    notices: Vec<String>,
}

/// Both.
#[derive(Debug, Clone, Default)]
pub(super) struct Health {
    pub(super) sensors: Sensors,
    pub(super) sinks: Vec<Sink>,
}

impl Health {
    /// The node at `url`, as far as this says.
    pub(super) fn node(&self, url: &str) -> NodeView {
        let Sensors { kernel, rtt_source, sensors, survey_failures, ticks_skipped } = &self.sensors;
        let is_missing = |sensor: &&Sensor| sensor.need == Need::Required && sensor.state == SensorState::Unavailable;
        let problems: Vec<String> = sensors.iter().filter(is_missing).map(in_words).collect();
        let short = sensors.iter().filter(|sensor| sensor.state != SensorState::Active && !is_missing(sensor));
        let failing = self.sinks.iter().filter_map(|sink| {
            let error = sink.error.as_ref()?;
            Some(format!("sink {} cannot publish to {}: {error}", sink.name, sink.target))
        });
        let unused = self.sinks.iter().flat_map(|sink| &sink.notices).cloned();
        NodeView {
            name: url.to_owned(),
            standing: Some(if problems.is_empty() { "Ready" } else { "NotReady" }.to_owned()),
            remarks: short.map(in_words).chain(failing).chain(unused).collect(),
            problems,
            kernel: Some(kernel.clone()),
            rtt_source: Some(rtt_source.clone()),
            pending: Some(self.sinks.iter().map(|sink| sink.pending).sum()),
            losses: Loss::some([
                ("messages dropped", self.sinks.iter().map(|sink| sink.dropped).sum()),
                ("ticks skipped", *ticks_skipped),
                ("surveys of sockets that failed", *survey_failures),
            ]),
            sensors: sensors.iter().map(view).collect(),
            ..NodeView::default()
        }
    }
}

fn in_words(sensor: &Sensor) -> String {
    let state = if sensor.state == SensorState::Unavailable { "unavailable" } else { "degraded" };
    format!("sensor {} is {state}: {}", sensor.name, sensor.reason.as_deref().unwrap_or("no reason given"))
}

fn view(sensor: &Sensor) -> SensorView {
    let Sensor { name, need, state, reason, limits } = sensor.clone();
    SensorView { name, need, state, reason, limits }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// As `node-agent/src/serve/api.rs` and `sinks/src/health.rs` write it.
    fn health(tcp: &str) -> Health {
        let sensors = json!({
            "kernel": "6.18.4", "rttSource": "Measured", "surveyFailures": 0, "ticks": 9, "ticksSkipped": 2, "lastTickMicroseconds": 90,
            "sensors": [
                {"name": "tcp", "need": "Required", "state": tcp, "reason": "EPERM"},
                {"name": "sched", "need": "Optional", "state": "Unavailable", "reason": "tracefs is not mounted"},
                {"name": "pressure", "need": "Required", "state": "Active"}
            ]
        });
        let sinks = json!([{"name": "otlp", "target": "http://c:4317", "error": "refused", "failures": 3, "pending": 4, "sent": 1, "dropped": 5}]);
        Health { sensors: serde_json::from_value(sensors).unwrap(), sinks: serde_json::from_value(sinks).unwrap() }
    }

    #[test]
    fn a_required_sensor_that_is_missing_is_a_problem_and_an_optional_one_a_remark() {
        let node = health("Unavailable").node("http://a");
        assert_eq!(
            (node.standing.as_deref(), node.problems.as_slice()),
            (Some("NotReady"), ["sensor tcp is unavailable: EPERM".to_owned()].as_slice())
        );
        let well = health("Degraded").node("http://a");
        assert_eq!(well.standing.as_deref(), Some("Ready"));
        assert_eq!(
            well.remarks,
            [
                "sensor tcp is degraded: EPERM",
                "sensor sched is unavailable: tracefs is not mounted",
                "sink otlp cannot publish to http://c:4317: refused"
            ]
        );
    }

    #[test]
    fn only_losses_of_which_there_are_some_are_named() {
        let node = health("Active").node("http://a");
        let losses: Vec<_> = node.losses.iter().map(|loss| (loss.what, loss.count)).collect();
        assert_eq!((losses, node.pending), (vec![("messages dropped", 5), ("ticks skipped", 2)], Some(4)));
    }
}
