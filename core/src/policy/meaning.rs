//! What a rule means, as a short text: two rules with the same one count the same things, so that counters go on when a
//! policy is edited elsewhere, and start from zero when this changes.

use sha2::{Digest, Sha256};

use super::{ModelRef, Rule, View};

/// Bytes of the digest: 64 bits, so that an edit never looks like none.
const DIGEST_BYTES: usize = 8;

impl Rule {
    /// 16 hexadecimal digits over everything that decides when the rule fires and how it is scored. Its name, its severity
    /// and how its alerts are put together do not.
    pub fn meaning(&self) -> String {
        let Self {
            name: _,
            view,
            thresholds,
            hold,
            keep_firing,
            severity: _,
            alert_per: _,
            model,
            confidence,
            max_false_alerts_per_day,
        } = self;
        let (model_kind, model_name, model_digest) = match model {
            ModelRef::Default => (0_u64, "", None),
            ModelRef::Builtin(name) => (1, name.as_str(), None),
            ModelRef::File { path, sha256 } => (2, path.as_str(), sha256.as_ref()),
            // Its digest decides: the ConfigMap's name does not forecast.
            ModelRef::Published { sha256, .. } => (3, "", Some(sha256)),
        };
        let numbers = [
            thresholds.breach_us(),
            thresholds.resolve_us(),
            u64::from(hold.k),
            u64::from(hold.of),
            keep_firing.get(),
            u64::from(confidence.get()),
            max_false_alerts_per_day.map_or(0, |budget| u64::from(budget.get())),
            model_kind,
            model_name.len() as u64,
        ];
        let mut hash = Sha256::new();
        // The signal, in front so that another one never means the same.
        hash.update(b"RttForecast\0");
        for number in numbers {
            hash.update(number.to_le_bytes());
        }
        hash.update(model_name);
        hash.update(model_digest.map_or(&[][..], |digest| &digest[..]));
        // Rules were scored before there were views: the default one adds nothing. A view's words are part of what is kept.
        if *view != View::default() {
            hash.update(b"\0view\0");
            hash.update(view.to_string());
        }
        let digits = hash.finalize()[..DIGEST_BYTES].iter().fold(0_u64, |digits, byte| digits << 8 | u64::from(*byte));
        format!("{digits:016x}")
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::{
        AlertPer, Confidence, Hold, KeepFiring, Measure, ModelRef, Name, Networks, Peers, Rule, Severity, Statistic,
        Thresholds, View, network,
    };

    fn rule() -> Rule {
        Rule {
            name: Name::label("rtt").unwrap(),
            view: View::default(),
            thresholds: Thresholds::new(200_000, None).unwrap(),
            hold: Hold::ticks(2).unwrap(),
            keep_firing: KeepFiring::default(),
            severity: Severity::Warning,
            alert_per: AlertPer::Workload,
            model: ModelRef::Default,
            confidence: Confidence::default(),
            max_false_alerts_per_day: None,
        }
    }

    #[test]
    fn everything_that_decides_is_part_of_the_meaning() {
        let published = |name: &str, byte| ModelRef::Published { name: name.to_owned(), sha256: [byte; 32] };
        let others = [
            Rule { thresholds: Thresholds::new(200_001, None).unwrap(), ..rule() },
            Rule { hold: Hold::debounce(2, 3).unwrap(), ..rule() },
            Rule { keep_firing: KeepFiring::ticks(1).unwrap(), ..rule() },
            Rule { model: ModelRef::Builtin("max-10".to_owned()), ..rule() },
            Rule { model: published("a/b", 1), ..rule() },
            Rule { model: published("a/b", 2), ..rule() },
            Rule { confidence: Confidence::percent(51).unwrap(), ..rule() },
            Rule { max_false_alerts_per_day: std::num::NonZeroU32::new(1), ..rule() },
            Rule { view: View { measure: Measure::Inflation, ..View::default() }, ..rule() },
            Rule { view: View { statistic: Statistic::P90, ..View::default() }, ..rule() },
            Rule { view: View { peers: Peers::External, ..View::default() }, ..rule() },
            Rule { view: View { peers: Peers::Cluster, ..View::default() }, ..rule() },
        ];
        let mut meanings: Vec<String> = others.iter().map(Rule::meaning).collect();
        meanings.push(rule().meaning());
        for (index, meaning) in meanings.iter().enumerate() {
            assert!(!meanings[..index].contains(meaning), "{meanings:?}");
        }
        let renamed = Rule { model: published("c/d", 1), ..rule() };
        assert_eq!(renamed.meaning(), meanings[4]);
    }

    #[test]
    fn name_and_severity_are_not() {
        let other = Rule { name: Name::label("other").unwrap(), severity: Severity::Critical, ..rule() };
        assert_eq!(other.meaning(), rule().meaning());
    }

    #[test]
    fn a_meaning_is_stable_across_releases() {
        assert_eq!(rule().meaning(), "b3a7caa6da4c924a");
        let net = |text| network(text).unwrap();
        let networks = Networks::new(vec![net("10.0.0.0/8")], vec![net("10.1.0.0/16")]).unwrap();
        let peers = Peers::Networks(networks.into());
        let view = View { measure: Measure::Inflation, statistic: Statistic::P90, peers };
        assert_eq!(Rule { view, ..rule() }.meaning(), "241322fef60d0918");
    }
}
