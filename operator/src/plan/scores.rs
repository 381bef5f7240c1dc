//! Scores of rules as the status shows them, and the snapshots that they survive restarts by.
//!
//! How sure the warnings of a rule have to be differs by node, because each node learns by itself. The status shows the node
//! that comes nearest to a warning: a rule that is sure enough anywhere is shown so.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{ByteString, apimachinery::pkg::apis::meta::v1::Time};
use netprecursor_core::score::Scorecard;
use netprecursor_crds::{
    Duration,
    diagnosis::{reasons::Unannounced, some_of},
    policy::{RuleStatus, ScoreWindow, SkillPercent},
};
use serde_json::{Value, json};

use super::{
    Due, Write,
    condition::{Verdict, seconds},
};
use crate::{
    config::Settings,
    ledger::{Account, RuleKey, WINDOW_HOURS},
    observe::{Bar, Merit, Observed, Policy, Seen},
    owned,
};

/// Label of the ConfigMaps that hold snapshots.
pub const CONTENT: &str = "netprecursor.io/content";

/// Its value, and the key of the data.
pub const SCORES: &str = "scores";

const KEY: &str = "scores.json.gz";

/// Between two snapshots of a shard. An older one is as good: counting continues from there.
const KEEP_SECONDS: i64 = 600;

/// Seconds that a rule has watched, summed over its pods, before its status names what it cannot do.
const JUDGED_SECONDS: u64 = 3_600;

/// Decimals of false alerts per pod and day.
const DECIMALS: usize = 2;

pub(super) fn plan(observed: &Observed, settings: &Settings, due: &mut Due, writes: &mut Vec<Write>) {
    for shard in observed.ledger.changed() {
        if observed.kept.get(&shard).is_some_and(|kept| !due.passed(*kept, KEEP_SECONDS)) {
            continue;
        }
        match observed.ledger.snapshot(shard).pack() {
            Ok((packed, dropped)) => {
                if dropped > 0 {
                    tracing::warn!(
                        shard,
                        dropped,
                        "the snapshot is full: some rules lose their scores when the operator restarts"
                    );
                }
                writes.push(Write::KeepScores { shard, manifest: manifest(settings, shard, packed) });
            }
            Err(error) => tracing::error!(shard, %error, "cannot pack the scores"),
        }
    }
}

/// The ConfigMap of a shard. Nothing owns it: scores are all that cannot be made again, so they do not go with the anchor.
fn manifest(settings: &Settings, shard: u32, packed: Vec<u8>) -> Value {
    let base = settings.config.anchor.trim_end_matches("-anchor");
    let mut labels = owned::labels();
    labels.insert(CONTENT.to_owned(), SCORES.into());
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": format!("{base}-{SCORES}-{shard}"),
            "namespace": settings.namespace,
            "labels": labels,
        },
        "binaryData": {KEY: ByteString(packed)},
    })
}

/// The snapshot in a ConfigMap, if there is one.
pub fn snapshot_of(map: k8s_openapi::api::core::v1::ConfigMap) -> Option<Vec<u8>> {
    map.binary_data?.remove(KEY).map(|bytes| bytes.0)
}

/// The bar of each rule on the node that comes nearest to a warning.
pub(super) type Bars<'a> = BTreeMap<&'a RuleKey, &'a Bar>;

pub(super) fn bars(observed: &Observed) -> Bars<'_> {
    let mut bars = Bars::new();
    for (key, bar) in observed.reports.iter().flat_map(|(_, report)| &report.value.bars) {
        // The report of a node that has not yet seen a change is of another rule.
        let account = observed.ledger.account(&key.policy, &key.rule);
        if account.is_none_or(|account| account.hash() != bar.hash) {
            continue;
        }
        let nearest = bars.entry(key).or_insert(bar);
        if (bar.margin(), bar.reachable) > (nearest.margin(), nearest.reachable) {
            *nearest = bar;
        }
    }
    bars
}

/// What forecasts of each rule were worth, by node.
pub(super) type Merits<'a> = BTreeMap<&'a RuleKey, Vec<&'a Merit>>;

pub(super) fn merits(observed: &Observed) -> Merits<'_> {
    let mut merits = Merits::new();
    for (key, merit) in observed.reports.iter().flat_map(|(_, report)| &report.value.merits) {
        let account = observed.ledger.account(&key.policy, &key.rule);
        if account.is_some_and(|account| account.hash() == merit.hash) {
            merits.entry(key).or_default().push(merit);
        }
    }
    merits
}

/// The mean by the pods that nodes watch.
fn skill(merits: &[&Merit]) -> Option<SkillPercent> {
    let mean = |of: fn(&SkillPercent) -> Option<i64>| {
        let known = merits.iter().filter_map(|merit| Some((f64::from(merit.targets), of(&merit.skill)? as f64)));
        let (pods, sum) = known.fold((0.0, 0.0), |(pods, sum), (more, skill)| (pods + more, sum + more * skill));
        (pods > 0.0).then(|| SkillPercent::whole(sum / pods))
    };
    let skill =
        SkillPercent { q50: mean(|skill| skill.q50), q90: mean(|skill| skill.q90), q99: mean(|skill| skill.q99) };
    (skill != SkillPercent::default()).then_some(skill)
}

/// The expert that leads on the most pods; of equals the first by name.
fn leading(merits: &[&Merit]) -> Option<String> {
    let mut pods: BTreeMap<&str, u64> = BTreeMap::new();
    for (leading, targets) in merits.iter().filter_map(|merit| Some((merit.leading.as_deref()?, merit.targets))) {
        *pods.entry(leading).or_default() += u64::from(targets);
    }
    let (expert, _) = pods.into_iter().rev().max_by_key(|(_, pods)| *pods)?;
    Some(expert.to_owned())
}

/// How the rules of a policy did.
pub(super) fn rules(
    observed: &Observed,
    policy: &Seen<Policy>,
    bars: &Bars<'_>,
    merits: &Merits<'_>,
    now: Timestamp,
) -> Vec<RuleStatus> {
    let accounts = accounts(observed, policy).map(|(key, account)| {
        let merits = merits.get(&key).map_or(&[][..], Vec::as_slice);
        let day = RuleStatus {
            skill_percent: skill(merits),
            leading_expert: leading(merits),
            ..day(&key.rule, account, bars.get(&key).copied(), now)
        };
        [day, since_change(&key.rule, account)]
    });
    accounts.flatten().collect()
}

fn accounts<'a>(observed: &'a Observed, policy: &'a Seen<Policy>) -> impl Iterator<Item = (RuleKey, &'a Account)> {
    let rules = policy.value.spec.iter().flat_map(|spec| spec.policy.rules.iter());
    rules.filter_map(|rule| {
        let key = RuleKey { policy: policy.uid.clone(), rule: rule.name.as_str().to_owned() };
        let account = observed.ledger.account(&key.policy, &key.rule)?;
        Some((key, account))
    })
}

/// Whether incidents came without a warning because no rule was as sure as its warnings have to be. Nothing is reported of a
/// rule that has not watched for long, nor of one that warned in the last day or had nothing to warn of: a calm network has
/// low chances and is well.
pub(super) fn unannounced(
    observed: &Observed,
    policy: &Seen<Policy>,
    bars: &Bars<'_>,
    now: Timestamp,
) -> Option<Verdict> {
    let found = accounts(observed, policy).filter_map(|(key, account)| {
        let bar = bars.get(&key).filter(|bar| !bar.is_reached())?;
        let day = account.window(now);
        let is_silent = day.alerts <= day.late && day.missed > 0;
        (is_silent && account.total().target_seconds >= JUDGED_SECONDS).then(|| {
            let incidents = if day.missed == 1 { "incident" } else { "incidents" };
            format!(
                "rule {}: the highest recent chance is {} %, but a warning needs {} %; {} {incidents} of the last 24 hours came \
                 without a warning",
                key.rule, bar.reachable, bar.needed, day.missed
            )
        })
    });
    let found: Vec<String> = found.collect();
    (!found.is_empty()).then(|| Verdict::new(Unannounced::ConfidenceNotReached, some_of(found, 3)))
}

fn day(name: &str, account: &Account, bar: Option<&Bar>, now: Timestamp) -> RuleStatus {
    let begin = now - SignedDuration::from_hours(WINDOW_HOURS);
    let since = (account.since() > begin).then(|| account.since());
    RuleStatus {
        needed_percent: bar.map(|bar| bar.needed.min(100)),
        reachable_percent: bar.map(|bar| bar.reachable.min(100)),
        ..rule(name, ScoreWindow::Day, since, &account.window(now))
    }
}

fn since_change(name: &str, account: &Account) -> RuleStatus {
    rule(name, ScoreWindow::SinceChange, Some(account.since()), account.total())
}

fn rule(name: &str, window: ScoreWindow, since: Option<Timestamp>, card: &Scorecard) -> RuleStatus {
    let percent = |share: f64| (share * 100.0).round() as u8;
    let lead = |seconds: u64| Duration::new(format!("{seconds}s"));
    RuleStatus {
        name: name.to_owned(),
        window,
        since: since.map(|since| Time(seconds(since))),
        alerts: card.alerts,
        confirmed: card.confirmed,
        late: card.late,
        unconfirmed: card.unconfirmed,
        unjudged: card.unjudged,
        incidents: card.incidents,
        warned: card.warned,
        missed: card.missed,
        precision_percent: card.precision().map(percent),
        recall_percent: card.recall().map(percent),
        lead_median: card.median_lead().map(lead),
        lead_p10: card.lead_quantile(0.1).map(lead),
        needed_percent: None,
        reachable_percent: None,
        skill_percent: None,
        leading_expert: None,
        false_alerts_per_pod_day: card.false_alerts_per_day().map(|rate| format!("{rate:.DECIMALS$}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_shown_in_whole_percent_and_seconds() {
        let mut card =
            Scorecard { alerts: 9, confirmed: 7, unconfirmed: 2, warned: 7, missed: 1, ..Scorecard::default() };
        card.lead_seconds[6] = 7;
        card.target_seconds = 8 * 86_400;
        let status = rule("rtt", ScoreWindow::Day, None, &card);
        assert_eq!((status.precision_percent, status.recall_percent), (Some(78), Some(88)));
        assert_eq!(
            (status.lead_median, status.false_alerts_per_pod_day.as_deref()),
            (Some(Duration::new("6s")), Some("0.25"))
        );
    }

    #[test]
    fn without_evidence_there_is_no_figure() {
        let status = rule("rtt", ScoreWindow::SinceChange, None, &Scorecard::default());
        assert_eq!((status.precision_percent, status.recall_percent, status.lead_median), (None, None, None));
        assert_eq!(status.false_alerts_per_pod_day, None);
    }
}
