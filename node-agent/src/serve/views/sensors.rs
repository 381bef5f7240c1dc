//! `/api/v1/sensors`: how well the agent measures.

use netprecursor_agent_common::Counter;
use serde::Serialize;

use crate::{status::Status, tick::snapshot::Snapshot};

/// Where an RTT sample of the kernel comes from.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
enum RttSource {
    /// The sample itself.
    Measured,
    /// The smoothed RTT before it: kernels before 6.10.
    Smoothed,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(test, schemars(rename = "Sensors"))]
pub(in crate::serve) struct SensorsView<'a> {
    /// Release of the kernel.
    kernel: &'a str,
    rtt_source: RttSource,
    sensors: &'a [Status],
    /// Questions about sockets that the kernel did not answer.
    survey_failures: u64,
    ticks: u64,
    /// Seconds that no tick was done for.
    ticks_skipped: u64,
    last_tick_microseconds: u64,
}

/// On a kernel of this release.
pub(in crate::serve) fn sensors<'a>(kernel: &'a str, snapshot: &'a Snapshot) -> SensorsView<'a> {
    let Snapshot { sensors, counters, .. } = snapshot;
    SensorsView {
        kernel,
        rtt_source: match sensors.counter(Counter::SmoothedSample) {
            0 => RttSource::Measured,
            _ => RttSource::Smoothed,
        },
        sensors: &sensors.statuses,
        survey_failures: sensors.survey_failures,
        ticks: counters.ticks,
        ticks_skipped: counters.skipped,
        last_tick_microseconds: counters.last.as_micros() as u64,
    }
}
