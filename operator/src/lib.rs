//! Keeps agents, models, policy status and alerts of a cluster as policies want them.
//!
//! Data flows in one direction: [`observe`] mirrors the cluster, [`plan`] decides (pure), [`apply`] writes, one request
//! per [`plan::Write`]. [`reconcile`] is one round of the three, [`election`] says who may write, [`run`] does it all
//! until it is asked to stop.
//!
//! Beside all that, [`scaling`] answers autoscalers, on every replica and whoever leads.
//!
//! One writer per object: the DaemonSet, copies of models, snapshots of scores and the status of policies are the
//! operator's; alerts, Events and node reports are the agents'. The one exception: an alert whose agent, node or pod is
//! gone is resolved here, because nobody else can.

pub mod agents;
pub mod apply;
pub mod cli;
pub mod client;
pub mod config;
pub mod election;
pub mod http;
pub mod installation;
pub mod ledger;
pub mod metrics;
pub mod models;
pub mod notify;
pub mod observe;
pub mod owned;
mod patience;
pub mod plan;
pub mod reconcile;
pub mod retire;
pub mod run;
pub mod scaling;
