//! The steady load of a scenario.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Draw;

/// Something that runs from beginning to end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Load<N = Draw> {
    /// Requests at random times at a mean rate, whatever the answers do (open loop).
    Http(Http<N>),
    /// A few requests at a fixed mean rate, for services with small answers.
    Trickle(Trickle<N>),
    /// Requests whose mean rate rises and falls slowly, as over a day; idle where it falls to nothing.
    Tide(Tide<N>),
    /// wrk: each connection asks again when it has its answer and has thought (closed loop).
    Wrk(Wrk<N>),
    /// iperf3 from the first server to the first client.
    Bulk(Bulk<N>),
}

/// Open-loop requests that offer a share of the bottleneck's rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Http<N = Draw> {
    /// Offered load as a share of the bottleneck's rate. 0–5.
    pub offered: N,
    /// Mean size of an answer, bytes; raised where the offered load would need more than 300 requests/s. 100–4 000 000.
    pub response_bytes: N,
    /// Share of the requests that open a connection of their own. 0–1.
    pub fresh_share: N,
}

/// Open-loop requests at a fixed rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trickle<N = Draw> {
    /// Requests per second over all servers. 0.1–300.
    pub requests_per_s: N,
    /// Mean size of an answer, bytes. 100–4 000 000.
    pub response_bytes: N,
    /// Share of the requests that open a connection of their own. 0–1.
    pub fresh_share: N,
}

/// Open-loop requests whose mean rate is a sine over time, cut at zero.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tide<N = Draw> {
    /// The server that is asked, from 1. Absent: every server has a tide of its own, drawn by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<u32>,
    /// Requests per second in the middle between high and low. 0.01–300.
    pub requests_per_s: N,
    /// Mean size of an answer, bytes. 100–4 000 000.
    pub response_bytes: N,
    /// Share of the requests that open a connection of their own. 0–1.
    pub fresh_share: N,
    /// Seconds from one high to the next. 10–86 400.
    pub every_s: N,
    /// How far the rate moves up and down, as a share of the middle; above 1 the server is idle for a while. 0–4.
    pub swing: N,
    /// Where in its course the tide begins: 0 rising from the middle, 0.25 high, 0.75 low. 0–1.
    pub phase: N,
}

/// Closed-loop requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wrk<N = Draw> {
    /// Connections to each server. 1–64.
    pub connections: N,
    /// Size of an answer, bytes. 100–4 000 000.
    pub response_bytes: N,
    /// Mean time between an answer and the next request, ms. 0–10 000.
    pub think_ms: N,
}

/// Bulk transfer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bulk<N = Draw> {
    /// Parallel connections. 1–16.
    pub flows: N,
    /// Share of the bottleneck's rate that they are paced to together; 0: as fast as they can. 0–2.
    pub offered: N,
    /// Whether the application paces and not the kernel: what a stall keeps back is then sent as fast as the path allows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub catch_up: bool,
}
