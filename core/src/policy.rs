//! What a user wants to be warned of. A value of these types is valid by construction: reading a policy means
//! building one of them or learning why it cannot be built.

mod confidence;
mod identity;
mod meaning;
mod name;
mod peers;
mod selector;
mod view;

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use confidence::{Confidence, ConfidenceError};
pub use identity::{Identity, Kind};
pub use name::{Name, NameError};
pub use peers::{MAX_NETWORKS, Networks, Peers, PeersError, network};
pub use selector::{Labels, Operator, Requirement, Selector};
pub use view::{Measure, Statistic, View};

/// The longest hold in ticks: what lies further back than the window is no evidence for the next ten seconds.
pub const MAX_HOLD_TICKS: u32 = 60;

/// The longest time in ticks for which an alert may be kept firing.
pub const MAX_KEEP_FIRING_TICKS: u64 = 3_600;

/// The largest threshold in µs: a quarter of an hour, longer than any TCP connection waits for an ACK.
pub const MAX_THRESHOLD_US: u64 = 900_000_000;

/// The rules for a set of targets.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Its name in the namespace (or the cluster).
    pub name: Name,
    /// What alerts are keyed by: never reused, unlike the name.
    pub uid: String,
    /// Where targets are looked for.
    pub scope: Scope,
    /// Whether alerts are published.
    pub mode: Mode,
    /// Which targets in scope.
    pub target: Selector,
    /// What is watched of each.
    pub rules: Rules,
}

/// Where a policy looks for targets.
#[derive(Debug, Clone, PartialEq)]
pub enum Scope {
    /// In one namespace; `None` outside Kubernetes, where there is only one.
    Namespace(Option<Name>),
    /// In the namespaces whose labels match.
    Cluster(Selector),
}

/// Whether alerts are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Mode {
    /// Alerts are published.
    #[default]
    Active,
    /// The policy keeps score but publishes no alerts.
    Shadow,
}

/// At least one rule, no two of one name.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules(Vec<Rule>);

/// One condition that is watched for.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Its name in the policy.
    pub name: Name,
    /// What it means by RTT.
    pub view: View,
    /// When RTT is in breach, and when it is over.
    pub thresholds: Thresholds,
    /// How much breach it takes to fire.
    pub hold: Hold,
    /// For how long RTT has to stay below the resolve threshold until the alert resolves.
    pub keep_firing: KeepFiring,
    /// How urgent an alert is.
    pub severity: Severity,
    /// What has an alert of its own.
    pub alert_per: AlertPer,
    /// What forecasts.
    pub model: ModelRef,
    /// How likely a breach has to be for a warning.
    pub confidence: Confidence,
    /// False alerts per target and day that the rule may cost. Moves the confidence up, never the threshold.
    pub max_false_alerts_per_day: Option<NonZeroU32>,
}

/// The RTT above which a target is in breach and the lower one below which it has recovered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    breach_us: u64,
    resolve_us: u64,
}

/// How much breach it takes to fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    k: u32,
    of: u32,
}

/// Ticks below the resolve threshold until an alert resolves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeepFiring(u64);

/// How urgent an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Severity {
    /// For the record.
    Info,
    /// Look at it today.
    #[default]
    Warning,
    /// Look at it now.
    Critical,
}

/// What has an alert of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum AlertPer {
    /// The pods of one workload on one node. A pod that nothing controls, and a target outside a cluster, is one by itself.
    #[default]
    Workload,
    /// Each pod.
    Pod,
}

/// What forecasts for a rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ModelRef {
    /// Whatever this release forecasts best with.
    Default,
    /// A model or rule of thumb that comes with the release, by name.
    Builtin(String),
    /// An ONNX file (outside Kubernetes).
    File {
        /// Where it is.
        path: String,
        /// Its digest, when the policy pins it.
        sha256: Option<[u8; 32]>,
    },
    /// A user's model, of which the operator publishes a checked copy under its digest (in a cluster).
    Published {
        /// What the user calls it: ConfigMap and key.
        name: String,
        /// Its digest.
        sha256: [u8; 32],
    },
}

/// Why a rule has no internal form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RuleError {
    /// A threshold of zero is always breached, one beyond [`MAX_THRESHOLD_US`] never.
    #[error(
        "got {got_us}us, expected more than 0 and at most {max}s: write for example `200ms`",
        max = MAX_THRESHOLD_US / 1_000_000
    )]
    ThresholdOutOfRange {
        /// µs.
        got_us: u64,
    },
    /// The alert could resolve while in breach.
    #[error(
        "got {resolve_us}us, expected less than the threshold of {breach_us}us: lower it, or leave it out for 80 %"
    )]
    ResolveNotBelow {
        /// µs.
        resolve_us: u64,
        /// µs.
        breach_us: u64,
    },
    /// A hold beyond the window.
    #[error("got {got}s, expected at most {MAX_HOLD_TICKS}s, because forecasts look 10s ahead: write for example `2s`")]
    HoldTooLong {
        /// Ticks.
        got: u64,
    },
    /// A debounce that can never or always fire.
    #[error(
        "got k: {k}, of: {of}; expected 1 ≤ k ≤ of ≤ {MAX_HOLD_TICKS}, as in 3 of 5 seconds: write for example `{{k: 3, of: 5}}`"
    )]
    DebounceOutOfRange {
        /// Breaches wanted.
        k: u32,
        /// Ticks looked at.
        of: u32,
    },
    /// An alert that would hardly ever resolve.
    #[error("got {got}s, expected at most {MAX_KEEP_FIRING_TICKS}s: write for example `10s`")]
    KeepFiringTooLong {
        /// Ticks.
        got: u64,
    },
}

/// Why rules do not make a policy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RulesError {
    /// Nothing to watch.
    #[error("got no rules, expected at least one: add an entry with name, signal and threshold")]
    Empty,
    /// Alerts are keyed by the rule's name.
    #[error("got `{name}` a second time, expected each rule to have its own name: rename one of them")]
    Duplicate {
        /// The position of the second one.
        index: usize,
        /// The name that both have.
        name: Name,
    },
}

impl Rules {
    /// # Errors
    /// No rules, or two of one name.
    pub fn new(rules: Vec<Rule>) -> Result<Self, RulesError> {
        if rules.is_empty() {
            return Err(RulesError::Empty);
        }
        let repeated = |(index, rule): &(usize, &Rule)| rules[..*index].iter().any(|earlier| earlier.name == rule.name);
        match rules.iter().enumerate().find(repeated) {
            Some((index, rule)) => Err(RulesError::Duplicate { index, name: rule.name.clone() }),
            None => Ok(Self(rules)),
        }
    }

    /// The rules in the order in which they were written.
    pub fn iter(&self) -> std::slice::Iter<'_, Rule> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Rules {
    type Item = &'a Rule;
    type IntoIter = std::slice::Iter<'a, Rule>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Thresholds {
    /// Thresholds in µs; without `resolve_us` it is 80 % of the breach threshold.
    ///
    /// # Errors
    /// A threshold out of range, or a resolve threshold that is not below it.
    pub const fn new(breach_us: u64, resolve_us: Option<u64>) -> Result<Self, RuleError> {
        if breach_us == 0 || breach_us > MAX_THRESHOLD_US {
            return Err(RuleError::ThresholdOutOfRange { got_us: breach_us });
        }
        let resolve_us = match resolve_us {
            Some(us) => us,
            None => breach_us * 4 / 5,
        };
        if resolve_us >= breach_us {
            return Err(RuleError::ResolveNotBelow { resolve_us, breach_us });
        }
        Ok(Self { breach_us, resolve_us })
    }

    /// µs above which RTT is in breach.
    pub const fn breach_us(self) -> u64 {
        self.breach_us
    }

    /// µs below which RTT has recovered.
    pub const fn resolve_us(self) -> u64 {
        self.resolve_us
    }

    /// Whether an RTT in µs is in breach.
    pub const fn breached(self, us: f32) -> bool {
        us > self.breach_us as f32
    }

    /// Whether an RTT in µs has recovered.
    pub const fn recovered(self, us: f32) -> bool {
        us < self.resolve_us as f32
    }
}

impl Hold {
    /// Fires once the breach has lasted `ticks` ticks without a break; 0 and 1 both mean the first breach.
    ///
    /// # Errors
    /// More than [`MAX_HOLD_TICKS`].
    pub fn ticks(ticks: u64) -> Result<Self, RuleError> {
        match u32::try_from(ticks) {
            Ok(of) if of <= MAX_HOLD_TICKS => Ok(Self { k: of.max(1), of: of.max(1) }),
            _ => Err(RuleError::HoldTooLong { got: ticks }),
        }
    }

    /// Fires once `k` of the last `of` ticks were in breach.
    ///
    /// # Errors
    /// Anything but 1 ≤ k ≤ of ≤ [`MAX_HOLD_TICKS`].
    pub const fn debounce(k: u32, of: u32) -> Result<Self, RuleError> {
        if k >= 1 && k <= of && of <= MAX_HOLD_TICKS {
            Ok(Self { k, of })
        } else {
            Err(RuleError::DebounceOutOfRange { k, of })
        }
    }

    /// The most ticks by which the hold delays an alert after the first breach that counts.
    pub const fn delay(self) -> u64 {
        self.of as u64 - 1
    }

    /// The part of a history of breaches (newest in the lowest bit) that counts.
    pub const fn relevant(self, history: u64) -> u64 {
        history & ((1 << self.of) - 1)
    }

    /// Whether a history of breaches (newest in the lowest bit) is enough.
    pub const fn satisfied(self, history: u64) -> bool {
        self.relevant(history).count_ones() >= self.k
    }
}

impl KeepFiring {
    /// # Errors
    /// More than [`MAX_KEEP_FIRING_TICKS`].
    pub const fn ticks(ticks: u64) -> Result<Self, RuleError> {
        if ticks <= MAX_KEEP_FIRING_TICKS { Ok(Self(ticks)) } else { Err(RuleError::KeepFiringTooLong { got: ticks }) }
    }

    /// Ticks.
    pub const fn get(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resolve_threshold_is_four_fifths_unless_set() {
        assert_eq!(Thresholds::new(200_000, None).unwrap().resolve_us(), 160_000);
        assert_eq!(Thresholds::new(200_000, Some(199_999)).unwrap().resolve_us(), 199_999);
        assert!(matches!(Thresholds::new(10, Some(10)), Err(RuleError::ResolveNotBelow { .. })));
    }

    #[test]
    fn a_threshold_that_always_or_never_holds_has_no_form() {
        for got_us in [0, MAX_THRESHOLD_US + 1, u64::MAX] {
            assert_eq!(Thresholds::new(got_us, None), Err(RuleError::ThresholdOutOfRange { got_us }));
        }
    }

    #[test]
    fn between_the_thresholds_rtt_is_neither_breached_nor_recovered() {
        let thresholds = Thresholds::new(100, Some(80)).unwrap();
        for (us, breached, recovered) in
            [(79.0, false, true), (80.0, false, false), (100.0, false, false), (101.0, true, false)]
        {
            assert_eq!((thresholds.breached(us), thresholds.recovered(us)), (breached, recovered), "{us}");
        }
    }

    #[test]
    fn a_hold_wants_breaches_in_a_row_and_a_debounce_k_of_n() {
        let hold = Hold::ticks(3).unwrap();
        assert!(hold.satisfied(0b111) && !hold.satisfied(0b1011) && hold.satisfied(0b1111));
        let debounce = Hold::debounce(3, 5).unwrap();
        assert!(debounce.satisfied(0b10101) && !debounce.satisfied(0b1000101) && !debounce.satisfied(0b11));
        assert_eq!(Hold::ticks(0), Hold::ticks(1));
        assert_eq!((Hold::ticks(0).unwrap().delay(), hold.delay(), debounce.delay()), (0, 2, 4));
    }

    #[test]
    fn holds_out_of_range_have_no_form() {
        assert_eq!(Hold::ticks(61), Err(RuleError::HoldTooLong { got: 61 }));
        for (k, of) in [(0, 5), (6, 5), (1, 61)] {
            assert_eq!(Hold::debounce(k, of), Err(RuleError::DebounceOutOfRange { k, of }));
        }
    }
}
