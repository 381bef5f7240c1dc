//! What is kept on disk: points of targets by the second for an hour, by ten seconds for a week, and every alert with its
//! causes, in a file that never grows beyond its bound.
//!
//! What comes waits in memory ([`pending`], [`ledger`]) until the [`keeper`]'s thread writes it: into the [`mod@file`], whose rows
//! ([`table`], [`alert_table`]) are found by time and target ([`tier`]) and hold points as a few bytes with a checksum
//! ([`block`]). With time rows become coarser and the oldest go ([`upkeep`]). A question ([`query`]) is planned ([`range`])
//! and answered from there, or from a [`prometheus`]. The [`command`] serves it without a dashboard's user, and imports
//! recordings; it alone uses the dashboard, which uses the rest of this.

mod alert_table;
mod block;
mod command;
mod error;
mod file;
mod import;
mod keeper;
mod ledger;
mod pending;
mod point;
mod prometheus;
mod query;
mod range;
mod size;
mod status;
mod table;
mod tier;
mod upkeep;

pub(crate) use command::{Args, run};
pub(crate) use error::HistoryError;
pub(crate) use keeper::Keeper;
pub(crate) use ledger::{AlertKey, key};
pub(crate) use point::Point;
pub(crate) use prometheus::{Prometheus, PrometheusError, Rule, Series};
pub(crate) use query::{AlertsAsked, RangeAsked, cursor_of};
pub(crate) use size::HistorySize;
pub(crate) use status::Status;
