//! The agent on the real kernel: namespaces, real sockets, real queues, real processes. Needs root and iproute2; without
//! root every test says in one line that it was skipped.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod clean;
mod cluster;
mod coverage;
mod fixture;
mod fold;
mod handover;
mod identity;
mod local;
mod older;
mod pods;
mod privileges;
mod process;
mod refusals;
mod sensors;
mod targets;
mod tcp;
mod upgrade;
mod views;
