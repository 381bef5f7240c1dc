//! Scores of rules as the status tells them, and the snapshots that they survive restarts by.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{ByteString, apimachinery::pkg::apis::meta::v1::Time};
use netprecursor_core::score::Scorecard;
use netprecursor_crds::{
    Duration,
    policy::{RuleStatus, ScoreWindow},
};
use serde_json::{Value, json};

use super::{Due, Write, condition::seconds};
use crate::{
    config::Settings,
    ledger::{Account, WINDOW_HOURS},
    observe::{Observed, Policy, Seen},
    owned,
};

/// Label of the ConfigMaps that hold snapshots.
pub const CONTENT: &str = "netprecursor.io/content";

/// Its value, and the key of the data.
pub const SCORES: &str = "scores";

const KEY: &str = "scores.json.gz";

/// Between two snapshots of a shard. An older one is as good: counting goes on from where it was.
const KEEP_SECONDS: i64 = 600;

/// Decimals of false alerts per pod and day.
const DECIMALS: usize = 2;

pub(super) fn plan(
    observed: &Observed,
    settings: &Settings,
    anchor: Option<&str>,
    due: &mut Due,
    writes: &mut Vec<Write>,
) {
    let Some(anchor) = anchor else { return };
    for shard in observed.ledger.changed() {
        if observed.kept.get(&shard).is_some_and(|kept| !due.passed(*kept, KEEP_SECONDS)) {
            continue;
        }
        match observed.ledger.snapshot(shard).pack() {
            Ok((packed, dropped)) => {
                if dropped > 0 {
                    tracing::warn!(shard, dropped, "scores of some rules are not kept across restarts: no room");
                }
                writes.push(Write::KeepScores { shard, manifest: manifest(settings, anchor, shard, packed) });
            }
            Err(error) => tracing::error!(shard, %error, "scores cannot be packed"),
        }
    }
}

fn manifest(settings: &Settings, anchor: &str, shard: u32, packed: Vec<u8>) -> Value {
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
            "ownerReferences": [owned::reference(&settings.config.anchor, anchor)],
        },
        "binaryData": {KEY: ByteString(packed)},
    })
}

/// The snapshot in a ConfigMap, if there is one.
pub fn snapshot_of(map: k8s_openapi::api::core::v1::ConfigMap) -> Option<Vec<u8>> {
    map.binary_data?.remove(KEY).map(|bytes| bytes.0)
}

/// How the rules of a policy did.
pub(super) fn rules(observed: &Observed, policy: &Seen<Policy>, now: Timestamp) -> Vec<RuleStatus> {
    let Ok(spec) = &policy.value.spec else { return Vec::new() };
    let rules = spec.policy.rules.iter().filter_map(|rule| {
        let name = rule.name.as_str();
        let account = observed.ledger.account(&policy.uid, name)?;
        Some([day(name, account, now), since_change(name, account)])
    });
    rules.flatten().collect()
}

fn day(name: &str, account: &Account, now: Timestamp) -> RuleStatus {
    let begin = now - SignedDuration::from_hours(WINDOW_HOURS);
    let since = (account.since() > begin).then(|| account.since());
    rule(name, ScoreWindow::Day, since, &account.window(now))
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
        false_alerts_per_pod_day: card.false_alerts_per_day().map(|rate| format!("{rate:.DECIMALS$}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_told_in_whole_percent_and_seconds() {
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
