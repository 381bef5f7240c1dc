//! Resolves the steady load.

use super::{
    super::{Bottleneck, Bulk, Http, Load, Tide, Topology, Trickle, Wrk},
    Drawing, MAX_REQUESTS, RESPONSE_BYTES,
};
use crate::LabError;

/// A steady load must not need more requests than a light lab can make.
pub(super) fn light_enough(offered: f64, response_bytes: f64, topology: &Topology<f64>) -> f64 {
    let servers = if topology.bottleneck == Bottleneck::Server { topology.servers } else { 1.0 };
    response_bytes.max((offered * topology.rate_mbit * servers * 1e6 / 8.0 / MAX_REQUESTS).round())
}

impl Load {
    /// A load that is drawn for each server becomes one load per server.
    pub(super) fn for_each_server(&self, servers: u32) -> Vec<Self> {
        match self {
            Self::Tide(tide) if tide.server.is_none() => {
                (1..=servers).map(|server| Self::Tide(Tide { server: Some(server), ..tide.clone() })).collect()
            }
            load => vec![load.clone()],
        }
    }

    pub(super) fn resolve(&self, draw: &mut Drawing<'_>, topology: &Topology<f64>) -> Result<Load<f64>, LabError> {
        let (min, max) = (*RESPONSE_BYTES.start(), *RESPONSE_BYTES.end());
        Ok(match self {
            Self::Http(http) => {
                let offered = draw.number("http.offered", &http.offered, 0.0, 5.0)?;
                let response_bytes = draw.whole("http.response_bytes", &http.response_bytes, min, max)?;
                Load::Http(Http {
                    offered,
                    response_bytes: light_enough(offered, response_bytes, topology),
                    fresh_share: draw.number("http.fresh_share", &http.fresh_share, 0.0, 1.0)?,
                })
            }
            Self::Trickle(trickle) => Load::Trickle(Trickle {
                requests_per_s: draw.number("trickle.requests_per_s", &trickle.requests_per_s, 0.1, MAX_REQUESTS)?,
                response_bytes: draw.whole("trickle.response_bytes", &trickle.response_bytes, min, max)?,
                fresh_share: draw.number("trickle.fresh_share", &trickle.fresh_share, 0.0, 1.0)?,
            }),
            Self::Tide(tide) => Load::Tide(Tide {
                server: tide.server,
                requests_per_s: draw.number("tide.requests_per_s", &tide.requests_per_s, 0.01, MAX_REQUESTS)?,
                response_bytes: draw.whole("tide.response_bytes", &tide.response_bytes, min, max)?,
                fresh_share: draw.number("tide.fresh_share", &tide.fresh_share, 0.0, 1.0)?,
                every_s: draw.number("tide.every_s", &tide.every_s, 10.0, 86_400.0)?,
                swing: draw.number("tide.swing", &tide.swing, 0.0, 4.0)?,
                phase: draw.number("tide.phase", &tide.phase, 0.0, 1.0)?,
            }),
            Self::Wrk(wrk) => Load::Wrk(Wrk {
                connections: draw.whole("wrk.connections", &wrk.connections, 1.0, 64.0)?,
                response_bytes: draw.whole("wrk.response_bytes", &wrk.response_bytes, min, max)?,
                think_ms: draw.whole("wrk.think_ms", &wrk.think_ms, 0.0, 10_000.0)?,
            }),
            Self::Bulk(bulk) => Load::Bulk(Bulk {
                flows: draw.whole("bulk.flows", &bulk.flows, 1.0, 16.0)?,
                offered: draw.number("bulk.offered", &bulk.offered, 0.0, 2.0)?,
                catch_up: bulk.catch_up,
            }),
        })
    }
}
