//! Policies and their rules at work.

use std::sync::Arc;

use netprecursor_core::{
    alert::PolicyRef,
    policy::{Policy, Rule},
    watch::Ledger,
};
use netprecursor_models::builtin;

use super::forecaster::Id;

/// A rule at work: what it learned and who forecasts for it.
#[derive(Debug)]
pub struct ActiveRule {
    /// The rule.
    pub rule: Arc<Rule>,
    /// What it learned, how sure its warnings have to be, and its score, over all its targets.
    pub ledger: Ledger,
    /// Its forecaster.
    pub forecaster: Id,
    /// Since when it counts under this meaning, unix s.
    pub since: u64,
    /// Target seconds that its ledger counted when it was last handed over to be kept; `None`: it never was.
    pub kept: Option<u64>,
}

impl ActiveRule {
    /// A rule that begins at `unix`, with what is known of networks in general.
    pub fn new(rule: Rule, forecaster: Id, unix: u64) -> Self {
        Self {
            rule: Arc::new(rule),
            ledger: Ledger::starting_from(builtin::prior()),
            forecaster,
            since: unix,
            kept: None,
        }
    }

    /// Target seconds that its ledger counted.
    pub const fn counted(&self) -> u64 {
        self.ledger.scorecard.target_seconds
    }
}

/// A policy at work.
#[derive(Debug)]
pub struct ActivePolicy {
    /// The policy.
    pub policy: Arc<Policy>,
    /// As an object of the API; none outside a cluster.
    pub reference: Option<PolicyRef>,
    /// Its rules, in its order.
    pub rules: Vec<ActiveRule>,
}
