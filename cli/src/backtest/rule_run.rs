//! A rule of the backtest: what it has learned and counted so far, and its lines of the result.

use std::path::Path;

use netprecursor_core::{
    adapt::Learned,
    policy::{Identity, Rule},
    score::Scorecard,
    watch::Ledger,
};
use serde::Serialize;

use super::{
    chances::{Chances, Counted},
    page_data::PageData,
    pinball::{Losses, Tally},
    trial::Trial,
};

/// A rule and its state. The ledger carries over from one recording to the next; its scorecard, `tally` and `chances`
/// start anew with each.
pub(super) struct RuleRun {
    pub(super) policy: Identity,
    pub(super) rule: Rule,
    pub(super) ledger: Ledger,
    pub(super) total: Scorecard,
    pub(super) tally: Tally,
    pub(super) chances: Chances,
    pub(super) shifts: Vec<(f32, Scorecard)>,
    /// Set when a page is requested.
    pub(super) page: Option<PageData>,
    /// Whether its forecasts are compared with those of the rules of thumb.
    pub(super) compares: bool,
    /// Set when the rule is tried.
    pub(super) trial: Option<Trial>,
}

/// One line of the result in JSON.
#[derive(Debug, Serialize)]
struct Line<'a> {
    model: &'a str,
    recording: &'a Path,
    #[serde(flatten)]
    policy: &'a Identity,
    rule: &'a str,
    /// None for the agent's fold.
    shift: Option<f32>,
    scorecard: &'a Scorecard,
    /// Of the agent's fold alone.
    #[serde(flatten)]
    losses: Option<Losses>,
    /// Of the agent's fold alone: of the seconds that did not breach the threshold.
    #[serde(skip_serializing_if = "Option::is_none")]
    chances: Option<Counted>,
}

impl RuleRun {
    pub(super) fn new(policy: Identity, rule: Rule, prior: Learned, shifts: &[f32], has_page: bool) -> Self {
        Self {
            policy,
            ledger: Ledger::starting_from(prior),
            total: Scorecard::default(),
            tally: Tally::default(),
            chances: Chances::default(),
            shifts: shifts.iter().map(|shift| (*shift, Scorecard::default())).collect(),
            page: has_page.then(|| PageData::new(&rule)),
            compares: true,
            trial: None,
            rule,
        }
    }

    /// A rule that is tried for its scorecard alone.
    pub(super) fn scored(policy: Identity, rule: Rule, prior: Learned) -> Self {
        Self { compares: false, ..Self::new(policy, rule, prior, &[], false) }
    }

    /// A rule that is tried, with all that a trial shows.
    pub(super) fn tried(policy: Identity, rule: Rule, prior: Learned) -> Self {
        let trial = Some(Trial::new(&rule));
        Self { trial, ..Self::scored(policy, rule, prior) }
    }

    /// The rule's name, after the policy's where `runs` are of several policies.
    pub(super) fn name_among(&self, runs: &[Self]) -> String {
        let is_one_policy = runs.windows(2).all(|pair| pair[0].policy == pair[1].policy);
        if is_one_policy { self.rule.name.to_string() } else { format!("{}/{}", self.policy, self.rule.name) }
    }

    /// Ends a recording: adds its counts to the totals and returns its lines in JSON.
    pub(super) fn close(&mut self, model: &str, recording: &Path) -> serde_json::Result<String> {
        let card = std::mem::take(&mut self.ledger.scorecard);
        self.total.merge(&card);
        let (tally, chances) = (std::mem::take(&mut self.tally), std::mem::take(&mut self.chances));
        if let Some(page) = &mut self.page {
            page.add(&tally, &chances);
        }
        let mut text = String::new();
        let mut line = |shift, scorecard: &Scorecard, losses, chances| {
            let (policy, rule) = (&self.policy, self.rule.name.as_str());
            let line = Line { model, recording, policy, rule, shift, scorecard, losses, chances };
            serde_json::to_string(&line).map(|line| text += &(line + "\n"))
        };
        line(None, &card, Some(tally.losses()), Some(chances.counted()))?;
        for (shift, card) in &mut self.shifts {
            line(Some(*shift), card, None, None)?;
            *card = Scorecard::default();
        }
        Ok(text)
    }
}
