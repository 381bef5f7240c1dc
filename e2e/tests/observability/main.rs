//! Rules, dashboards and receivers on the real things: Prometheus scrapes what the programs write and evaluates every query, its
//! tool tests the rules, Grafana's schema reads the dashboards, and Alertmanager takes the alerts.

#![expect(clippy::unwrap_used, reason = "tests say what they expect by unwrapping")]

mod alertmanager;
mod dashboards;
mod documentation;
mod exposition;
mod prometheus;
mod rules;
mod scaling;

use std::path::{Path, PathBuf};

/// Where the chart has what is tested.
fn files() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/netprecursor/files")
}
