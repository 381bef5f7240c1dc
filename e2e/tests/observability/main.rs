//! Rules and dashboards on the real things: Prometheus scrapes what the programs write and evaluates every query, its tool
//! tests the rules, and Grafana's schema reads the dashboards.

#![expect(clippy::unwrap_used, reason = "tests say what they expect by unwrapping")]

mod dashboards;
mod documentation;
mod exposition;
mod prometheus;
mod rules;

use std::path::{Path, PathBuf};

/// Where the chart has what is tested.
fn files() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/netprecursor/files")
}
