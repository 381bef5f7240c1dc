//! One rule.

use std::num::NonZeroU32;

use netprecursor_core::policy as core;

use super::Place;
use crate::{
    Duration, Fault,
    duration::Field,
    policy::{self as spec, ConfigMapKeyRef, ModelReference},
    problem::Problems,
};

const US_PER_SECOND: u64 = 1_000_000;

/// Letters of a key in a ConfigMap.
const MAX_KEY: usize = 253;

/// The domain's rule; `None` when a problem was added.
pub(crate) fn rule(rule: &spec::Rule, place: Place, path: &str, problems: &mut Problems) -> Option<core::Rule> {
    // Each part adds its problems before any of them ends the rule.
    let name = problems.keep(format!("{path}.name"), core::Name::label(&rule.name));
    let thresholds = thresholds(rule, path, problems);
    let view = view(rule, place, path, problems);
    let hold = hold(rule, path, problems);
    let keep_firing = match &rule.keep_firing_for {
        None => Some(core::KeepFiring::default()),
        Some(duration) => {
            let at = format!("{path}.keepFiringFor");
            seconds(duration, core::KeepFiring::ticks, 10, &at, problems)
        }
    };
    let model = match &rule.model {
        None => Some(core::ModelRef::Default),
        Some(model) => self::model(model, place, &format!("{path}.model"), problems),
    };
    let confidence = match rule.min_confidence_percent {
        None => Some(core::Confidence::default()),
        Some(percent) => problems.keep(format!("{path}.minConfidencePercent"), core::Confidence::percent(percent)),
    };
    let budget = match rule.max_false_alerts_per_day.map(NonZeroU32::new) {
        Some(None) => {
            problems.add(format!("{path}.maxFalseAlertsPerDay"), Fault::BudgetZero);
            None
        }
        Some(some) => Some(some),
        None => Some(None),
    };
    Some(core::Rule {
        name: name?,
        view: view?,
        thresholds: thresholds?,
        hold: hold?,
        keep_firing: keep_firing?,
        severity: rule.severity,
        alert_per: rule.alert_per,
        model: model?,
        confidence: confidence?,
        max_false_alerts_per_day: budget?,
    })
}

fn thresholds(rule: &spec::Rule, path: &str, problems: &mut Problems) -> Option<core::Thresholds> {
    let spec::Signal::RttForecast = rule.signal;
    let at = format!("{path}.rttForecast");
    let Some(member) = &rule.rtt_forecast else {
        problems.add(at, Fault::MemberMissing { signal: "RttForecast", member: "rttForecast" });
        return None;
    };
    let breach = Field { takes: &|us| core::Thresholds::new(us, None).is_ok(), example_us: 200_000 };
    let breach_us = problems.keep(format!("{at}.threshold"), member.threshold.us_in(breach));
    let resolve_us = match &member.resolve_threshold {
        None => Some(None),
        Some(duration) => {
            // A threshold that is wrong itself bounds nothing.
            let below = breach_us.unwrap_or(core::MAX_THRESHOLD_US);
            let resolve = Field { takes: &|us| us < below, example_us: below.min(200_000) * 4 / 5 };
            problems.keep(format!("{at}.resolveThreshold"), duration.us_in(resolve)).map(Some)
        }
    };
    let (breach_us, resolve_us) = (breach_us?, resolve_us?);
    core::Thresholds::new(breach_us, resolve_us)
        .map_err(|error| match error {
            core::RuleError::ResolveNotBelow { .. } => problems.add(format!("{at}.resolveThreshold"), error),
            _ => problems.add(format!("{at}.threshold"), error),
        })
        .ok()
}

/// What the rule means by RTT; a member that is missing is another's problem.
fn view(rule: &spec::Rule, place: Place, path: &str, problems: &mut Problems) -> Option<core::View> {
    let Some(member) = &rule.rtt_forecast else { return Some(core::View::default()) };
    let peers = match &member.peers {
        None => core::Peers::All,
        Some(peers) => self::peers(peers, place, &format!("{path}.rttForecast.peers"), problems)?,
    };
    Some(core::View {
        measure: member.measure.unwrap_or_default(),
        statistic: member.statistic.unwrap_or_default(),
        peers,
    })
}

fn peers(peers: &spec::Peers, place: Place, path: &str, problems: &mut Problems) -> Option<core::Peers> {
    let mut list = |field: &str, texts: &[String]| {
        let nets = texts.iter().enumerate();
        // Each that is wrong adds its problem before any of them ends the list.
        let nets = nets.map(|(at, text)| problems.keep(format!("{path}.{field}[{at}]"), core::network(text)));
        nets.collect::<Vec<_>>().into_iter().collect::<Option<Vec<_>>>()
    };
    let (cidrs, except) = (list("cidrs", &peers.cidrs), list("except", &peers.except));
    let scope = match (peers.scope, peers.cidrs.is_empty()) {
        (Some(scope), true) => scope,
        (None, false) => {
            let networks = core::Networks::new(cidrs?, except?);
            let path = match &networks {
                Err(core::PeersError::Outside { .. }) => format!("{path}.except"),
                _ => format!("{path}.cidrs"),
            };
            return problems.keep(path, networks).map(|networks| core::Peers::Networks(networks.into()));
        }
        (scope, _) => {
            let got = if scope.is_some() { "both" } else { "neither" };
            problems.add(path, Fault::PeersMembers { got });
            return None;
        }
    };
    if let Some(outside) = except?.first() {
        problems.add(format!("{path}.except"), core::PeersError::Outside { got: *outside });
        return None;
    }
    match (scope, place) {
        (spec::PeerScope::All, _) => Some(core::Peers::All),
        (spec::PeerScope::Cluster, Place::Cluster) => Some(core::Peers::Cluster),
        (spec::PeerScope::External, Place::Cluster) => Some(core::Peers::External),
        (spec::PeerScope::Cluster, Place::Standalone) => {
            problems.add(format!("{path}.scope"), Fault::PeersInCluster { scope: "Cluster" });
            None
        }
        (spec::PeerScope::External, Place::Standalone) => {
            problems.add(format!("{path}.scope"), Fault::PeersInCluster { scope: "External" });
            None
        }
    }
}

fn hold(rule: &spec::Rule, path: &str, problems: &mut Problems) -> Option<core::Hold> {
    match (&rule.hold_for, &rule.debounce) {
        (Some(_), Some(_)) => {
            problems.add(format!("{path}.debounce"), Fault::TwoHolds);
            None
        }
        (None, Some(debounce)) => {
            problems.keep(format!("{path}.debounce"), core::Hold::debounce(debounce.k, debounce.of))
        }
        (Some(duration), None) => seconds(duration, core::Hold::ticks, 2, &format!("{path}.holdFor"), problems),
        (None, None) => problems.keep(path, core::Hold::ticks(0)),
    }
}

/// What a field of whole seconds makes of its ticks; `example` is a number of them that it takes.
fn seconds<T>(
    duration: &Duration,
    ticks: impl Fn(u64) -> Result<T, core::RuleError>,
    example: u64,
    path: &str,
    problems: &mut Problems,
) -> Option<T> {
    let takes = |us: u64| us.is_multiple_of(US_PER_SECOND) && ticks(us / US_PER_SECOND).is_ok();
    let field = Field { takes: &takes, example_us: example * US_PER_SECOND };
    let us = problems.keep(path, duration.us_in(field))?;
    if us.is_multiple_of(US_PER_SECOND) {
        return problems.keep(path, ticks(us / US_PER_SECOND));
    }
    let above = us.next_multiple_of(US_PER_SECOND);
    let write = Duration::from_us(if takes(above) { above } else { field.example_us });
    problems.add(path, Fault::NotWholeSeconds { got: duration.to_string(), write });
    None
}

fn model(model: &ModelReference, place: Place, path: &str, problems: &mut Problems) -> Option<core::ModelRef> {
    let members = [
        ("builtin", model.builtin.is_some()),
        ("configMapKeyRef", model.config_map_key_ref.is_some()),
        ("file", model.file.is_some()),
    ];
    if model.sha256.is_some() && model.file.is_none() {
        problems.add(format!("{path}.sha256"), Fault::DigestAlone);
    }
    let pinned = match &model.sha256 {
        None => Some(None),
        Some(text) => problems.keep(format!("{path}.sha256"), digest(text)).map(Some),
    };
    match (&model.builtin, &model.config_map_key_ref, &model.file, place) {
        (Some(name), None, None, _) => model.sha256.is_none().then(|| core::ModelRef::Builtin(name.clone())),
        (None, None, Some(file), Place::Standalone) => {
            let path = problems.keep(format!("{path}.file"), model_file(file));
            Some(core::ModelRef::File { path: path?.to_owned(), sha256: pinned? })
        }
        (None, None, Some(_), Place::Cluster) => {
            problems.add(format!("{path}.file"), Fault::ModelOutside);
            None
        }
        (None, Some(_), None, Place::Standalone) => {
            problems.add(format!("{path}.configMapKeyRef"), Fault::ModelInCluster);
            None
        }
        (None, Some(reference), None, Place::Cluster) => {
            let ConfigMapKeyRef { name, key, sha256 } = reference;
            let at = |field: &str| format!("{path}.configMapKeyRef.{field}");
            let name = problems.keep(at("name"), core::Name::subdomain(name));
            let key = problems.keep(at("key"), config_map_key(key));
            let sha256 = problems.keep(at("sha256"), digest(sha256));
            Some(core::ModelRef::Published { name: format!("{}/{}", name?, key?), sha256: sha256? })
        }
        _ => {
            let there: Vec<_> = members.iter().filter(|(_, there)| *there).map(|(name, _)| *name).collect();
            let got = if there.is_empty() { "none".to_owned() } else { there.join(" and ") };
            problems.add(path, Fault::ModelMembers { got, expected: place.models() });
            None
        }
    }
}

/// A path as it is: there is no shell here that would put a home directory in place of `~`.
fn model_file(text: &str) -> Result<&str, Fault> {
    if text.is_empty() || text.starts_with('~') { Err(Fault::ModelFile { got: text.to_owned() }) } else { Ok(text) }
}

fn config_map_key(text: &str) -> Result<&str, Fault> {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !text.is_empty() && text.len() <= MAX_KEY && text.bytes().all(inner) {
        Ok(text)
    } else {
        Err(Fault::ConfigMapKey { got: text.chars().take(80).collect() })
    }
}

fn digest(text: &str) -> Result<[u8; 32], Fault> {
    let wrong = || Fault::Digest { got: text.chars().take(80).collect() };
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    let mut digest = [0; 32];
    for (byte, at) in digest.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| wrong())?;
    }
    Ok(digest)
}
