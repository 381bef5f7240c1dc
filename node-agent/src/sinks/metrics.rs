//! `/metrics` in the OpenMetrics text format; base units are seconds and bytes.

use netprecursor_agent_common::{Counter, MAX_SLOTS};
use netprecursor_core::{adapt, forecast::QUANTILES, policy::Identity, score::Scorecard};
use netprecursor_models::builtin;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};

use super::sink::Health;
use crate::tick::{
    forecaster::Forecasters,
    pipeline::{ActivePolicy, ActiveRule, Pipeline},
};

/// Of the exposition.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The numbers of one scrape. Series are bounded: targets by the slots, rules by the policies.
#[derive(Debug, Default)]
struct Scrape {
    families: Vec<Family>,
}

#[derive(Debug)]
struct Family {
    name: &'static str,
    help: &'static str,
    kind: Kind,
    series: Vec<(Vec<(&'static str, String)>, f64)>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Gauge,
    Counter,
}

impl Scrape {
    fn family(&mut self, name: &'static str, help: &'static str, kind: Kind) -> &mut Family {
        self.families.push(Family { name, help, kind, series: Vec::new() });
        let last = self.families.len() - 1;
        &mut self.families[last]
    }

    fn text(self) -> String {
        let mut registry = Registry::with_prefix("netprecursor");
        registry.register_collector(Box::new(self));
        let mut out = String::new();
        match text::encode(&mut out, &registry) {
            Ok(()) => out,
            Err(error) => {
                tracing::error!(%error, "metrics cannot be encoded");
                String::new()
            }
        }
    }
}

impl Family {
    fn add(&mut self, labels: &[(&'static str, &str)], value: f64) {
        self.series.push((labels.iter().map(|(key, value)| (*key, (*value).to_owned())).collect(), value));
    }
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        for family in &self.families {
            let kind = match family.kind {
                Kind::Gauge => ConstGauge::new(0.0).metric_type(),
                Kind::Counter => ConstCounter::new(0.0).metric_type(),
            };
            let mut metrics = encoder.encode_descriptor(family.name, family.help, None, kind)?;
            for (labels, value) in &family.series {
                let metric = metrics.encode_family(labels)?;
                match family.kind {
                    Kind::Gauge => ConstGauge::new(*value).encode(metric)?,
                    Kind::Counter => ConstCounter::new(*value).encode(metric)?,
                }
            }
        }
        Ok(())
    }
}

/// The state of the agent as text.
pub fn encode(pipeline: &Pipeline, stream_lost: u64, health: &[Health]) -> String {
    let mut scrape = Scrape::default();
    agent(&mut scrape, pipeline, stream_lost);
    identities(&mut scrape, pipeline);
    targets(&mut scrape, pipeline);
    rules(&mut scrape, &pipeline.policies, &pipeline.forecasters);
    merits(&mut scrape, &pipeline.policies, &pipeline.forecasters);
    sinks(&mut scrape, health);
    scrape.text()
}

fn agent(scrape: &mut Scrape, pipeline: &Pipeline, stream_lost: u64) {
    let counters = &pipeline.counters;
    let plain = [
        ("ticks", "Ticks done", counters.ticks as f64),
        ("ticks_skipped", "Seconds that no tick was done for", counters.skipped as f64),
        ("targets_unwatchable", "Namespaces that matched but could not be entered", counters.unwatchable as f64),
        ("targets_over_capacity", "Namespaces that found no free slot", counters.over_capacity as f64),
        ("alerts_evicted", "Alerts that made room for newer ones", pipeline.alerts.evicted() as f64),
        ("stream_ticks_lost", "Ticks that slow listeners of the stream lost", stream_lost as f64),
        ("survey_failures", "Questions that the kernel did not answer", pipeline.suite.survey_failures() as f64),
    ];
    for (name, help, value) in plain {
        scrape.family(name, help, Kind::Counter).add(&[], value);
    }
    let kernel = scrape.family("kernel_events", "What the BPF programs could not count as they should", Kind::Counter);
    for (event, counter) in [
        ("smoothed_sample", Counter::SmoothedSample),
        ("line_taken", Counter::LineTaken),
        ("task_lost", Counter::TaskLost),
        ("packet_unknown", Counter::PacketUnknown),
    ] {
        kernel.add(&[("event", event)], pipeline.suite.counter(counter) as f64);
    }
    scrape
        .family("tick_duration_seconds", "How long the last tick took", Kind::Gauge)
        .add(&[], counters.last.as_secs_f64());
    scrape.family("targets", "Targets watched", Kind::Gauge).add(&[], pipeline.targets.len() as f64);
    scrape.family("targets_limit", "Targets that can be watched", Kind::Gauge).add(&[], f64::from(MAX_SLOTS));
    scrape.family("alerts_firing", "Alerts that are out", Kind::Gauge).add(&[], pipeline.alerts.firing() as f64);
    let sensors = scrape.family("sensor_state", "1 for the state that a sensor is in", Kind::Gauge);
    for status in pipeline.suite.statuses() {
        for state in ["Active", "Degraded", "Unavailable"] {
            let is = f64::from(u8::from(status.state.word() == state));
            sensors.add(&[("sensor", status.name), ("state", state)], is);
        }
    }
}

/// In a cluster: what is remembered of namespaces, all of it bounded, so that churn of pods shows as numbers that come back.
fn identities(scrape: &mut Scrape, pipeline: &Pipeline) {
    let Some(known) = pipeline.suite.identities() else { return };
    let namespaces = scrape.family("identity_namespaces", "Network namespaces by what is known of them", Kind::Gauge);
    namespaces.add(&[("state", "bound")], known.tally.bound as f64);
    namespaces.add(&[("state", "open")], known.tally.open as f64);
    let entries = scrape.family("identity_entries", "Entries in the kernel's tables of whose is what", Kind::Gauge);
    entries.add(&[("table", "namespaces")], known.installed.0 as f64);
    entries.add(&[("table", "cgroups")], known.installed.1 as f64);
    scrape
        .family("identity_doubts", "How often two namespaces claimed the address of one pod", Kind::Counter)
        .add(&[], known.tally.doubts as f64);
}

fn targets(scrape: &mut Scrape, pipeline: &Pipeline) {
    let gauge = |scrape: &mut Scrape, name, help, value: &dyn Fn(&crate::tick::target::Target) -> Option<f64>| {
        let family = scrape.family(name, help, Kind::Gauge);
        for target in &pipeline.targets {
            if let Some(value) = value(target) {
                family.add(&[("target", &target.name)], value);
            }
        }
    };
    gauge(scrape, "rtt_max_seconds", "Maximum clean RTT, or stall, of the last tick", &|target| {
        target.history.latest()?.measured_us.map(|us| f64::from(us) / 1e6)
    });
    gauge(scrape, "rtt_forecast_seconds", "Forecast maximum RTT of the next ten seconds", &|target| {
        target.history.latest()?.predicted_us.map(|us| f64::from(us) / 1e6)
    });
    gauge(
        scrape,
        "rtt_breach_chance_ratio",
        "Chance that the next ten seconds breach the threshold of the target's first rule",
        &|target| target.history.latest()?.chance.map(f64::from),
    );
    gauge(scrape, "socket_coverage_ratio", "Share of established sockets that the tcp sensor sees", &|target| {
        target.coverage.map(|coverage| f64::from(coverage.ratio()))
    });
}

fn rules(scrape: &mut Scrape, policies: &[ActivePolicy], forecasters: &Forecasters) {
    type Column = (&'static str, &'static str, fn(&Scorecard) -> u64);
    let columns: [Column; 6] = [
        ("rule_alerts", "Alerts fired", |card| card.alerts),
        ("rule_alerts_confirmed", "Warnings that an incident followed in time", |card| card.confirmed),
        ("rule_alerts_unconfirmed", "Warnings that no incident followed", |card| card.unconfirmed),
        ("rule_alerts_late", "Alerts that fired on the incident itself", |card| card.late),
        ("rule_incidents", "Incidents", |card| card.incidents),
        ("rule_incidents_missed", "Incidents that no warning preceded", |card| card.missed),
    ];
    for (name, help, value) in columns {
        let family = scrape.family(name, help, Kind::Counter);
        for active in policies {
            for rule in &active.rules {
                family.add(&rule_labels(&active.policy.identity(), rule), value(&rule.ledger.scorecard) as f64);
            }
        }
    }
    type Bar = (&'static str, &'static str, fn(&ActiveRule) -> f64);
    let bars: [Bar; 2] = [
        ("rule_chance_needed_ratio", "Chance of a breach that a warning needs", |active| {
            active.ledger.caution.needed(active.rule.confidence)
        }),
        (
            "rule_chance_reachable_ratio",
            "Highest chance of a breach of late; half of it is forgotten within a day",
            |active| active.ledger.reliability.highest().into(),
        ),
    ];
    for (name, help, value) in bars {
        let family = scrape.family(name, help, Kind::Gauge);
        for active in policies {
            for rule in &active.rules {
                family.add(&rule_labels(&active.policy.identity(), rule), value(rule));
            }
        }
    }
    let ready = scrape.family(
        "rule_model_ready",
        "1 when the rule's own model speaks, 0 when a rule of thumb stands in",
        Kind::Gauge,
    );
    for active in policies {
        for rule in &active.rules {
            let speaker = forecasters.speaker(rule.forecaster);
            let identity = active.policy.identity();
            let [kind, namespace, policy, name] = rule_labels(&identity, rule);
            let labels = [kind, namespace, policy, name, ("model", &speaker.name)];
            ready.add(&labels, f64::from(u8::from(speaker.stands_in.is_none())));
        }
    }
}

/// What forecasts of the rules are worth, and what they are made of; experts, quantiles, sources and bins are fixed sets.
fn merits(scrape: &mut Scrape, policies: &[ActivePolicy], forecasters: &Forecasters) {
    let quantiles = QUANTILES.map(|quantile| quantile.to_string());
    let (mut skill, mut expert_skill, mut weight, mut source_weight) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut said, mut came_true) = (Vec::new(), Vec::new());
    let of = |policy: &Identity, rule: &ActiveRule, more: &[(&'static str, &str)]| -> Vec<(&'static str, String)> {
        let labels = rule_labels(policy, rule).into_iter().chain(more.iter().copied());
        labels.map(|(name, value)| (name, value.to_owned())).collect()
    };
    for active in policies {
        let identity = active.policy.identity();
        for rule in &active.rules {
            for (bin, counts) in rule.ledger.reliability.bins().iter().enumerate() {
                let labels = of(&identity, rule, &[("bin", &bin.to_string())]);
                said.push((labels.clone(), counts.said as f64));
                came_true.push((labels, counts.came_true as f64));
            }
            if forecasters.speaker(rule.forecaster).name != builtin::ADAPTIVE {
                continue;
            }
            let ledger = &rule.ledger;
            for (quantile, value) in quantiles.iter().zip(adapt::skills(ledger.merits.mixture())) {
                skill.extend(value.map(|value| (of(&identity, rule, &[("quantile", quantile)]), value)));
            }
            for standing in adapt::standings(&ledger.learned, &ledger.merits) {
                let figures = adapt::skills(standing.merits).into_iter().zip(standing.weights);
                for (quantile, (value, heard)) in quantiles.iter().zip(figures) {
                    let labels = of(&identity, rule, &[("expert", standing.name), ("quantile", quantile)]);
                    expert_skill.extend(value.map(|value| (labels.clone(), value)));
                    weight.push((labels, heard));
                }
            }
            for (source, heard) in ledger.learned.sources() {
                source_weight.push((of(&identity, rule, &[("source", source.name())]), heard));
            }
        }
    }
    for (name, help, kind, series) in [
        ("rule_skill_ratio", "Skill of the forecast over the best rule of thumb of late", Kind::Gauge, skill),
        (
            "rule_expert_skill_ratio",
            "Skill of an expert over the best rule of thumb of late, while it had a forecast",
            Kind::Gauge,
            expert_skill,
        ),
        ("rule_expert_weight_ratio", "Share of an expert in the forecast", Kind::Gauge, weight),
        ("rule_source_weight_ratio", "Share of a regression in the chance", Kind::Gauge, source_weight),
        ("rule_chances_said", "Chances of a breach that were said, by bin of a tenth", Kind::Counter, said),
        (
            "rule_chances_came_true",
            "Chances that a breach followed in time, by bin of a tenth",
            Kind::Counter,
            came_true,
        ),
    ] {
        scrape.family(name, help, kind).series = series;
    }
}

/// A rule with all that tells it from others of its name.
fn rule_labels<'a>(policy: &'a Identity, rule: &'a ActiveRule) -> [(&'static str, &'a str); 4] {
    [
        ("policy_kind", policy.kind.name()),
        ("policy_namespace", policy.namespace_or_empty()),
        ("policy", policy.name.as_str()),
        ("rule", rule.rule.name.as_str()),
    ]
}

fn sinks(scrape: &mut Scrape, health: &[Health]) {
    type Column = (&'static str, &'static str, Kind, fn(&Health) -> u64);
    let columns: [Column; 4] = [
        ("sink_pending", "What waits to be told", Kind::Gauge, |health| health.pending),
        ("sink_sent", "What was told", Kind::Counter, |health| health.sent),
        ("sink_dropped", "What was given up untold", Kind::Counter, |health| health.dropped),
        (
            "sink_failures",
            "Attempts that failed since one worked; /api/v1/sinks and the log say why",
            Kind::Gauge,
            |health| health.failures.into(),
        ),
    ];
    for (name, help, kind, value) in columns {
        let family = scrape.family(name, help, kind);
        for sink in health {
            family.add(&[("sink", sink.name)], value(sink) as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use netprecursor_core::watch::Ledger;

    use super::*;

    const NAMESAKES: &str = include_str!("../../tests/namesakes.yaml");

    #[test]
    fn rules_of_policies_of_one_name_have_series_of_their_own() {
        let policies = netprecursor_crds::policies_from_yaml("namesakes", NAMESAKES).unwrap();
        let mut forecasters = Forecasters::default();
        let mut active = |rule: &netprecursor_core::policy::Rule| ActiveRule {
            rule: rule.clone(),
            ledger: Ledger::default(),
            forecaster: forecasters.load(&rule.model),
            since: 0,
            kept: None,
        };
        let policies: Vec<ActivePolicy> = policies
            .into_iter()
            .map(|policy| ActivePolicy {
                rules: policy.rules.iter().map(&mut active).collect(),
                policy,
                reference: None,
            })
            .collect();
        let mut scrape = Scrape::default();
        rules(&mut scrape, &policies, &forecasters);
        merits(&mut scrape, &policies, &forecasters);
        let text = scrape.text();
        let series: Vec<&str> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.rsplit_once(' '))
            .map(|s| s.0)
            .collect();
        // Four policies: nine families, shares of eleven members of a mixture at three quantiles and of three sources, and two
        // counts of ten bins. Nobody has a skill before a minute.
        let expected = 4 * (9 + 11 * 3 + 3 + 2 * 10);
        assert_eq!((series.len(), series.iter().collect::<BTreeSet<_>>().len()), (expected, expected), "{text}");
        assert!(text.contains(r#"rule="rtt",expert="regression",quantile="0.99"} "#), "{text}");
        let labels = r#"{policy_kind="ClusterPrecursorPolicy",policy_namespace="",policy="checkout",rule="rtt"}"#;
        assert!(series.contains(&format!("netprecursor_rule_alerts_total{labels}").as_str()), "{text}");
        let needed = format!("netprecursor_rule_chance_needed_ratio{labels} 0.8");
        assert!(text.lines().any(|line| line.starts_with(&needed)), "a new rule needs more than 50 %: {text}");
        assert!(text.contains(&format!("netprecursor_rule_chance_reachable_ratio{labels} 0.0\n")), "{text}");
    }
}
