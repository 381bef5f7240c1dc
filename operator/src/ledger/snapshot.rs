//! A shard of the ledger as bytes: JSON with one short list per rule, compressed, of bounded size.

use std::io::{self, Read, Write};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Account, NodeCard, RuleKey, card};

/// Packed bytes at most: what fits into an object beside its metadata.
const PACKED_BYTES: usize = 900 << 10;

/// Unpacked bytes at most.
pub const UNPACKED_BYTES: u64 = 64 << 20;

/// The format's version.
const VERSION: u32 = 1;

/// A shard of the ledger.
#[derive(Debug)]
pub struct Snapshot<'a>(pub(super) Vec<(&'a RuleKey, &'a Account)>);

/// Bytes that are no snapshot.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// Not compressed, or too much.
    #[error(
        "snapshot of scores: {0}; expected at most {UNPACKED_BYTES} bytes of gzip: delete it to start counting from zero"
    )]
    Packed(#[from] io::Error),
    /// Not what a snapshot holds.
    #[error("snapshot of scores: {0}; expected the format of a release: delete it to start counting from zero")]
    Format(#[from] serde_json::Error),
    /// Of a release to come.
    #[error("snapshot of scores: got format {0}, expected {VERSION}: use the newer release, or delete it")]
    Version(u32),
}

#[derive(Serialize, Deserialize)]
struct File {
    version: u32,
    rules: Vec<Line>,
}

/// Cards are sparse.
#[derive(Serialize, Deserialize)]
struct Line {
    policy: String,
    rule: String,
    hash: String,
    since: i64,
    total: Vec<u64>,
    hours: Vec<(i64, Vec<u64>)>,
    nodes: Vec<(String, i64, Vec<u64>)>,
}

impl Snapshot<'_> {
    /// The bytes, and how many of the rules found no room; the ones with the fewest alerts go first.
    ///
    /// # Errors
    /// None in practice: memory does not fail.
    pub fn pack(mut self) -> io::Result<(Vec<u8>, usize)> {
        let all = self.0.len();
        self.0.sort_by_key(|(key, account)| (std::cmp::Reverse(account.total.alerts), *key));
        loop {
            let lines = self.0.iter().map(|(key, account)| Line::new(key, account)).collect();
            // No time stamp in the header: the same rules are the same bytes.
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            serde_json::to_writer(&mut encoder, &File { version: VERSION, rules: lines })?;
            encoder.flush()?;
            let packed = encoder.finish()?;
            if packed.len() <= PACKED_BYTES || self.0.is_empty() {
                return Ok((packed, all - self.0.len()));
            }
            // In proportion, with a margin, so that it takes one more round or two.
            let keep = self.0.len() * PACKED_BYTES / packed.len() * 9 / 10;
            self.0.truncate(keep);
        }
    }
}

impl Line {
    fn new(key: &RuleKey, account: &Account) -> Self {
        Self {
            policy: key.policy.clone(),
            rule: key.rule.clone(),
            hash: account.hash.clone(),
            since: account.since.as_second(),
            total: card::sparse(&account.total),
            hours: account.hours.iter().map(|(hour, card)| (*hour, card::sparse(card))).collect(),
            nodes: account
                .nodes
                .iter()
                .map(|(name, node)| (name.clone(), node.heard, card::sparse(&node.card)))
                .collect(),
        }
    }

    fn account(self) -> (RuleKey, Account) {
        let account = Account {
            hash: self.hash,
            since: Timestamp::from_second(self.since).unwrap_or(Timestamp::UNIX_EPOCH),
            total: card::dense(&self.total),
            hours: self.hours.iter().map(|(hour, card)| (*hour, card::dense(card))).collect(),
            nodes: self
                .nodes
                .into_iter()
                .map(|(name, heard, card)| (name, NodeCard { card: card::dense(&card), heard }))
                .collect(),
        };
        (RuleKey { policy: self.policy, rule: self.rule }, account)
    }
}

/// The rules in a snapshot.
pub(super) fn unpack(packed: &[u8]) -> Result<Vec<(RuleKey, Account)>, SnapshotError> {
    let mut text = Vec::new();
    GzDecoder::new(packed).take(UNPACKED_BYTES + 1).read_to_end(&mut text)?;
    if text.len() as u64 > UNPACKED_BYTES {
        return Err(io::Error::other("got more when unpacked").into());
    }
    let file: File = serde_json::from_slice(&text)?;
    if file.version != VERSION {
        return Err(SnapshotError::Version(file.version));
    }
    Ok(file.rules.into_iter().map(Line::account).collect())
}

#[cfg(test)]
mod tests {
    use super::super::{
        Ledger, Reported, SHARDS,
        tests::{at, reported},
    };
    use super::*;

    fn packed(ledger: &Ledger) -> Vec<(Vec<u8>, usize)> {
        (0..SHARDS).map(|shard| ledger.snapshot(shard).pack().unwrap()).collect()
    }

    fn restored(snapshots: &[(Vec<u8>, usize)]) -> Ledger {
        let mut ledger = Ledger::default();
        snapshots.iter().for_each(|(packed, _)| ledger.restore(packed).unwrap());
        ledger
    }

    #[test]
    fn counting_goes_on_from_an_older_snapshot_as_if_nothing_had_happened() {
        let mut ledger = Ledger::default();
        ledger.absorb("a", &reported("h", 0, 3), at(1));
        let snapshots = packed(&ledger);
        ledger.absorb("a", &reported("h", 0, 5), at(1));
        let mut after = restored(&snapshots);
        after.absorb("a", &reported("h", 0, 5), at(1));
        let total = |ledger: &Ledger| ledger.account("uid", "rtt").unwrap().total().clone();
        assert_eq!(total(&after), total(&ledger));
        assert_eq!(packed(&after), packed(&ledger));
    }

    #[test]
    fn what_is_no_snapshot_is_refused_in_words() {
        let mut ledger = Ledger::default();
        let mut newer = GzEncoder::new(Vec::new(), Compression::default());
        newer.write_all(br#"{"version":2,"rules":[]}"#).unwrap();
        for bytes in [b"nonsense".to_vec(), newer.finish().unwrap()] {
            let text = ledger.restore(&bytes).unwrap_err().to_string();
            assert!(text.contains("expected"), "{text}");
        }
    }

    #[test]
    fn a_snapshot_never_outgrows_its_object_and_keeps_the_rules_with_most_alerts() {
        let mut ledger = Ledger::default();
        for rule in 0..60_u64 {
            let mut reported: Reported = reported("h", 0, rule);
            reported.key.rule = format!("rule-{rule}");
            for node in 0..1_000_u64 {
                // Numbers that do not compress.
                let noise = (rule * 1_000 + node).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                reported.card.lead_seconds = std::array::from_fn(|bucket| noise.rotate_left(bucket as u32) >> 20);
                ledger.absorb(&format!("node-{node}"), &reported, at(1));
            }
        }
        let snapshots = packed(&ledger);
        assert!(snapshots.iter().all(|(packed, _)| packed.len() <= PACKED_BYTES));
        assert!(snapshots.iter().any(|(_, dropped)| *dropped > 0));
        let after = restored(&snapshots);
        assert!(after.account("uid", "rule-59").is_some() && after.account("uid", "rule-0").is_none());
    }
}
