//! `/metrics` in the OpenMetrics text format; base units are seconds and bytes.

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};

use crate::metrics::{families::FAMILIES, figures::Figures, seen::Seen};

/// Of the exposition.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The series of one scrape. They are bounded: targets by the slots, rules by [`crate::metrics::figures::MAX_RULES`].
#[derive(Debug)]
struct Scrape(Figures);

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        for family in &FAMILIES {
            let kind = match family.is_counter() {
                true => ConstCounter::new(0.0).metric_type(),
                false => ConstGauge::new(0.0).metric_type(),
            };
            let name = family.prometheus();
            let mut metrics = encoder.encode_descriptor(&name, family.help, None, kind)?;
            for point in self.0.points(family.name) {
                let labels: Vec<_> = point.labels.iter().map(|(label, value)| (label.label, value.as_str())).collect();
                let metric = metrics.encode_family(&labels)?;
                match family.is_counter() {
                    true => ConstCounter::new(point.value).encode(metric)?,
                    false => ConstGauge::new(point.value).encode(metric)?,
                }
            }
        }
        Ok(())
    }
}

/// What was seen as text.
pub fn encode(seen: &Seen) -> String {
    let mut registry = Registry::with_prefix("netprecursor");
    registry.register_collector(Box::new(Scrape(Figures::of(seen))));
    let mut out = String::new();
    match text::encode(&mut out, &registry) {
        Ok(()) => out,
        Err(error) => {
            tracing::error!(%error, "metrics cannot be encoded");
            String::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use std::sync::Arc;

    use netprecursor_core::{policy::Rule, watch::Ledger};

    use super::*;
    use crate::{
        metrics::seen::SeenRule,
        tick::{
            active::ActiveRule,
            forecaster::Forecasters,
            snapshot::{PolicyState, RuleState},
        },
    };

    const NAMESAKES: &str = include_str!("../../tests/namesakes.yaml");

    #[test]
    fn rules_of_policies_of_one_name_have_series_of_their_own() {
        let policies = netprecursor_crds::policies_from_yaml("namesakes", NAMESAKES).unwrap();
        let mut forecasters = Forecasters::default();
        let mut state = |rule: &Rule| {
            let forecaster = forecasters.load(&rule.model);
            let rule = Arc::new(rule.clone());
            let active = ActiveRule { rule, ledger: Ledger::default(), forecaster, since: 0, kept: None };
            RuleState::of(&active, forecasters.model(forecaster))
        };
        let policies = policies.into_iter().map(|policy| PolicyState {
            rules: policy.rules.iter().map(&mut state).collect(),
            policy: Arc::new(policy),
            reference: None,
        });
        let rules = policies.flat_map(|policy| {
            let seen = |rule| SeenRule::of(&policy, rule, true);
            policy.rules.iter().map(seen).collect::<Vec<_>>()
        });
        let rules = rules.collect();
        let text = encode(&Seen { rules, ..Seen::default() });
        let series: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("netprecursor_rule"))
            .filter_map(|line| line.rsplit_once(' '))
            .map(|s| s.0)
            .collect();
        // Four policies: thirteen families, shares of eleven members of a mixture at three quantiles and of three sources, and
        // two counts of ten bins. Nobody has a lead, nor a skill before a minute.
        let expected = 4 * (13 + 11 * 3 + 3 + 2 * 10);
        assert_eq!((series.len(), series.iter().collect::<BTreeSet<_>>().len()), (expected, expected), "{text}");
        assert!(text.contains(r#"rule="rtt",expert="regression",quantile="0.99"} "#), "{text}");
        let labels = r#"{policy_kind="ClusterPrecursorPolicy",policy="checkout",rule="rtt"}"#;
        assert!(series.contains(&format!("netprecursor_rule_alerts_total{labels}").as_str()), "{text}");
        let needed = format!("netprecursor_rule_chance_needed_ratio{labels} 0.8");
        assert!(text.lines().any(|line| line.starts_with(&needed)), "a new rule needs more than 50 %: {text}");
        assert!(text.contains(&format!("netprecursor_rule_chance_reachable_ratio{labels} 0.0\n")), "{text}");
    }
}
