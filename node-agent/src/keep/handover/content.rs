//! The content of a file: `magic, length of the body, SHA-256 of the body`, and the body: `length of the head, head (JSON),
//! numbers (f32)`. Integers and numbers are little-endian.

use std::io;

use netprecursor_agent_common::{MAX_SLOTS, view::MAX_VIEWS};
use netprecursor_core::{
    alert::{Alert, CAPACITY, Group},
    features::COUNT,
    hex,
    policy::Statistic,
    schema,
    signal::{Signal, Signals},
    source::Source,
    tick::Tick,
    watch::Kept,
    window,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::{CLOCK_TOLERANCE, MAX_AGE, Moment};
use crate::{
    targets::registry::MAX_SPARE,
    tick::handover::{HandedRule, HandedTarget, HandedView, Handover},
};

/// Raised with any change of what is written that the schema's hash does not show.
const VERSION: u32 = 3;

const MAGIC: &[u8; 8] = b"npt-hand";
const PREAMBLE: usize = MAGIC.len() + size_of::<u64>() + DIGEST;
const DIGEST: usize = 32;

/// Numbers of a tick and of a vector of features, in bytes.
const TICK_BYTES: usize = Signal::COUNT * size_of::<f32>();
const VECTOR_BYTES: usize = COUNT * size_of::<f32>();

/// What the head says of a target, an alert or a group of them, by far: a dozen rules watch a target.
const HEAD_BYTES: usize = 16 * 1024;

/// A file larger than this was not written by us.
pub(super) const MAX_BYTES: usize = (MAX_SLOTS as usize + MAX_FURTHER) * (window::LENGTH * TICK_BYTES + VECTOR_BYTES)
    + (MAX_SLOTS as usize + 2 * CAPACITY) * HEAD_BYTES;

/// Views beside the RTT of all connections: each statistic of each further slot, and of the target's own.
const MAX_FURTHER: usize = Statistic::ALL.len() * (MAX_SLOTS + MAX_SPARE) as usize;
/// The same of one target.
const MAX_VIEWS_OF_ONE: usize = Statistic::ALL.len() * (MAX_VIEWS as usize + 1);

/// Why a file is not taken up.
#[derive(Debug, Error)]
pub(super) enum Refused {
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error("got more than {MAX_BYTES} bytes, expected fewer")]
    TooLarge,
    #[error("got no handover, expected a file as the agent writes it")]
    NotOurs,
    #[error("got a checksum that does not fit: the agent was stopped while it was writing, or the file was changed")]
    Corrupt,
    #[error(
        "got version {version} with schema {schema:.12}, expected {VERSION} with {expected:.12}: another release wrote it"
    )]
    Schema { version: u32, schema: String, expected: String },
    #[error("got boot {got}, expected {expected}: the machine has rebooted")]
    Boot { got: String, expected: String },
    #[error("got a handover that is {seconds} s old, expected at most {} s", MAX_AGE.as_secs())]
    Old { seconds: u64 },
    #[error("got current tick {}, expected {}: the clock was set", got.0, expected.0)]
    Clock { got: Tick, expected: Tick },
    #[error("got invalid content: {0}")]
    Unsound(&'static str),
    #[error("cannot parse the header: {0}")]
    Head(#[from] serde_json::Error),
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
    schema: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    version: u32,
    schema: String,
    boot: String,
    tick: Tick,
    monotonic_ns: u64,
    rules: Vec<HandedRule>,
    targets: Vec<TargetHead>,
    alerts: Vec<Alert>,
    groups: Vec<Group>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TargetHead {
    uid: String,
    since: Tick,
    views: Vec<ViewHead>,
    watches: Vec<(usize, Kept)>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ViewHead {
    rules: Vec<usize>,
    last: Tick,
    source: Source,
    ticks: usize,
    has_usual: bool,
}

impl Refused {
    /// Whether it comes of a reboot, an upgrade or a pause, and so is nothing to look into.
    pub(super) const fn is_expected(&self) -> bool {
        matches!(self, Self::Boot { .. } | Self::Old { .. } | Self::Schema { .. })
    }
}

/// What came of encoding.
pub(super) enum Encoded {
    Fits(Vec<u8>),
    /// So many bytes.
    TooLarge(usize),
}

/// A hash of what the numbers mean: features by their schema, signals by their order.
fn schema_hash() -> String {
    let names = Signal::ALL.iter().fold(schema::hash().to_owned(), |text, signal| text + " " + signal.name());
    hex(&Sha256::digest(names))
}

pub(super) fn encode(handover: &Handover, boot: &str) -> io::Result<Encoded> {
    let view = |view: &HandedView| ViewHead {
        rules: view.rules.clone(),
        last: view.last,
        source: view.source.clone(),
        ticks: view.signals.len(),
        has_usual: view.usual.is_some(),
    };
    let target = |target: &HandedTarget| TargetHead {
        uid: target.uid.clone(),
        since: target.since,
        views: target.views.iter().map(view).collect(),
        watches: target.watches.clone(),
    };
    let head = serde_json::to_vec(&Head {
        version: VERSION,
        schema: schema_hash(),
        boot: boot.to_owned(),
        tick: handover.tick,
        monotonic_ns: handover.monotonic_ns,
        rules: handover.rules.clone(),
        targets: handover.targets.iter().map(target).collect(),
        alerts: handover.alerts.clone(),
        groups: handover.groups.clone(),
    })?;
    let mut body = (head.len() as u64).to_le_bytes().to_vec();
    body.extend(head);
    for view in handover.targets.iter().flat_map(|target| &target.views) {
        let usual = view.usual.iter().flat_map(|usual| usual.as_slice());
        let numbers = view.signals.iter().flat_map(Signals::as_slice).chain(usual);
        body.extend(numbers.flat_map(|number| number.to_le_bytes()));
    }
    let length = PREAMBLE + body.len();
    Ok(if length > MAX_BYTES { Encoded::TooLarge(length) } else { Encoded::Fits(sealed(&body)) })
}

/// The file around a body.
fn sealed(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(PREAMBLE + body.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend((body.len() as u64).to_le_bytes());
    bytes.extend(Sha256::digest(body));
    bytes.extend_from_slice(body);
    bytes
}

/// A file with another word in its head.
#[cfg(test)]
pub(super) fn reworded(file: &[u8], from: &str, to: &str) -> Vec<u8> {
    let (length, rest) = number(&file[PREAMBLE..]).unwrap();
    let (head, numbers) = rest.split_at(length);
    let head = std::str::from_utf8(head).unwrap();
    assert!(head.contains(from), "{from}");
    let head = head.replacen(from, to, 1);
    sealed(&[&(head.len() as u64).to_le_bytes(), head.as_bytes(), numbers].concat())
}

pub(super) fn decode(bytes: &[u8], boot: &str, moment: Moment) -> Result<Handover, Refused> {
    if bytes.len() > MAX_BYTES {
        return Err(Refused::TooLarge);
    }
    let rest = bytes.strip_prefix(MAGIC).ok_or(Refused::NotOurs)?;
    let (length, rest) = number(rest)?;
    let (digest, body) = rest.split_at_checked(DIGEST).ok_or(Refused::NotOurs)?;
    // What a longer one left behind it is not part of it.
    let body = body.get(..length).ok_or(Refused::Corrupt)?;
    if Sha256::digest(body).as_slice() != digest {
        return Err(Refused::Corrupt);
    }
    let (length, rest) = number(body)?;
    let (head, numbers) = rest.split_at_checked(length).ok_or(Refused::NotOurs)?;
    let Versioned { version, schema } = serde_json::from_slice(head)?;
    let expected = schema_hash();
    if (version, &schema) != (VERSION, &expected) {
        return Err(Refused::Schema { version, schema, expected });
    }
    let head: Head = serde_json::from_slice(head)?;
    check(&head, boot, moment)?;
    let targets = Numbers(numbers).targets(head.targets)?;
    let Head { tick, monotonic_ns, rules, alerts, groups, .. } = head;
    Ok(Handover { tick, monotonic_ns, rules, targets, alerts, groups })
}

/// Whether the head fits this moment and itself.
fn check(head: &Head, boot: &str, moment: Moment) -> Result<(), Refused> {
    if head.boot != boot {
        return Err(Refused::Boot { got: head.boot.clone(), expected: boot.to_owned() });
    }
    let elapsed = moment.monotonic_ns.checked_sub(head.monotonic_ns);
    let seconds = elapsed.ok_or(Refused::Unsound("it is from the future"))? / 1_000_000_000;
    if seconds > MAX_AGE.as_secs() {
        return Err(Refused::Old { seconds });
    }
    let expected = head.tick.plus(seconds);
    if moment.now.0.abs_diff(expected.0) > CLOCK_TOLERANCE || moment.now < head.tick {
        return Err(Refused::Clock { got: moment.now, expected });
    }
    let is_rule = |rule: usize| rule < head.rules.len();
    let is_sound_view = |view: &ViewHead| {
        view.rules.iter().all(|rule| is_rule(*rule))
            && view.last <= head.tick
            && view.ticks <= window::LENGTH
            && view.source.is_sound()
    };
    let is_sound = |target: &TargetHead| {
        target.since <= head.tick
            && target.views.len() <= MAX_VIEWS_OF_ONE
            && target.views.iter().all(is_sound_view)
            && target.watches.iter().all(|(rule, _)| is_rule(*rule))
    };
    if head.targets.len() > MAX_SLOTS as usize || head.alerts.len() > CAPACITY || head.groups.len() > CAPACITY {
        return Err(Refused::Unsound("more targets or alerts than there may be"));
    }
    if head.targets.iter().all(is_sound) {
        Ok(())
    } else {
        Err(Refused::Unsound("a target with ticks or rules out of range"))
    }
}

/// A length.
fn number(bytes: &[u8]) -> Result<(usize, &[u8]), Refused> {
    let (number, rest) = bytes.split_first_chunk().ok_or(Refused::NotOurs)?;
    let number = usize::try_from(u64::from_le_bytes(*number)).map_err(|_| Refused::NotOurs)?;
    Ok((number, rest))
}

/// What is left of the numbers.
struct Numbers<'a>(&'a [u8]);

impl Numbers<'_> {
    fn targets(mut self, heads: Vec<TargetHead>) -> Result<Vec<HandedTarget>, Refused> {
        let mut targets = Vec::with_capacity(heads.len());
        for TargetHead { uid, since, views, watches } in heads {
            let views = views.into_iter().map(|view| self.view(view)).collect::<Result<_, _>>()?;
            targets.push(HandedTarget { uid, since, views, watches });
        }
        if self.0.is_empty() { Ok(targets) } else { Err(Refused::Unsound("more numbers than its targets have")) }
    }

    fn view(&mut self, head: ViewHead) -> Result<HandedView, Refused> {
        let ViewHead { rules, last, source, ticks, has_usual } = head;
        let mut signals = Vec::with_capacity(ticks);
        for _ in 0..ticks {
            signals.push(Signals::from_values(&self.take()?));
        }
        let usual = if has_usual { Some(Box::new(self.take::<COUNT>()?)) } else { None };
        if usual.iter().any(|usual| !usual.iter().all(|value| value.is_finite())) {
            return Err(Refused::Unsound("features that are no numbers"));
        }
        Ok(HandedView { rules, last, source, signals, usual })
    }

    fn take<const N: usize>(&mut self) -> Result<[f32; N], Refused> {
        let mut numbers = [0.0; N];
        for number in &mut numbers {
            let (bytes, rest) =
                self.0.split_first_chunk().ok_or(Refused::Unsound("fewer numbers than its targets have"))?;
            (*number, self.0) = (f32::from_le_bytes(*bytes), rest);
        }
        Ok(numbers)
    }
}
