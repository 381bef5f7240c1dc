//! Rules, dashboards and receivers on the real things: Prometheus scrapes what the programs write and evaluates every query, its
//! tool tests the rules, Grafana's schema reads the dashboards, Alertmanager takes the alerts, and a Collector the telemetry.

#![expect(clippy::unwrap_used, reason = "tests say what they expect by unwrapping")]

mod alertmanager;
mod collector;
mod dashboards;
mod documentation;
mod exposition;
mod prometheus;
mod rules;
mod scaling;

use std::{
    array,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
};

/// Where the chart has what is tested.
fn files() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/netprecursor/files")
}

/// Addresses that nobody has. Somebody else may take one until its program does: then that ends, and its log says why.
fn free<const N: usize>() -> [SocketAddr; N] {
    // All at once, or they might be the same.
    let listeners: [TcpListener; N] = array::from_fn(|_| TcpListener::bind(("127.0.0.1", 0)).unwrap());
    listeners.each_ref().map(|listener| listener.local_addr().unwrap())
}
