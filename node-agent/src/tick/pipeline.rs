//! The tick itself: sensors → windows → features → forecasts → decisions → alerts. Targets are discovered after the
//! measurement: by name on one host ([`namespaces`]), from the API in a cluster ([`pods`]).

mod course;
mod namespaces;
mod pods;
mod resume;
mod revision;
mod rewatch;
mod views;

use std::{borrow::Cow, sync::Arc, time::Instant};

use netprecursor_core::{
    alert::{self, Groups, Model, Subject, Transition},
    decide::Action,
    gate::Start,
    policy::{AlertPer, Mode, Policy, Rule},
    tick::Tick,
    watch::{Ledger, Watch},
    window::Window,
};

use super::{
    active::{ActivePolicy, ActiveRule},
    alerts::AlertBook,
    forecaster::Forecasters,
    memories::Memories,
    selection::{News, Selection},
    snapshot::{Counters, Moment, Point, PolicyState, Recent, RuleState, SensorState, Snapshot, TargetState},
    target::{RuleId, Target, Watched},
};
use crate::{
    desired::{ClusterNetworks, Desired},
    sensors::suite::Suite,
    targets::{registry::Slots, selector::Selector},
};
use namespaces::Namespaces;
use pods::Pods;
use resume::Handed;

/// Everything that a tick needs and changes.
pub struct Pipeline {
    /// The sensors.
    pub suite: Suite,
    /// The watched targets, by name.
    pub targets: Vec<Target>,
    /// The policies at work.
    pub policies: Vec<ActivePolicy>,
    /// Their forecasters.
    pub forecasters: Forecasters,
    /// The alerts.
    pub alerts: AlertBook,
    /// Counters.
    pub counters: Counters,
    /// What targets and policies select, outside a cluster and after the first look.
    pub selection: Option<Arc<Selection>>,
    /// What workloads were like whose targets are gone.
    pub memories: Memories,
    /// The last tick.
    pub now: Tick,
    /// Alerts on pods, put together by their workloads.
    groups: Groups,
    /// This node; empty outside a cluster.
    node: String,
    /// What peers are classed by; unknown outside a cluster.
    networks: Arc<ClusterNetworks>,
    recent: Recent,
    namespaces: Option<Namespaces>,
    pods: Option<Pods>,
    slots: Slots,
    start: Start,
    handed: Option<Handed>,
    /// What came of the look before the first tick, which publishes it.
    begun: Vec<Transition>,
}

impl Pipeline {
    /// A pipeline that watches what `selectors` match, under `policies` with what is remembered of their rules.
    pub fn new(
        suite: Suite,
        selectors: Vec<Selector>,
        policies: Vec<Policy>,
        remembered: impl FnMut(&Policy, &Rule) -> Option<Ledger>,
    ) -> Self {
        let mut pipeline = Self::empty(suite);
        pipeline.namespaces = Some(Namespaces::new(selectors));
        let policies = policies.into_iter().map(|policy| (policy, None)).collect();
        pipeline.revise(policies, 0, remembered);
        pipeline
    }

    /// A pipeline that watches the latest desired pods of `node` under the latest desired policies.
    pub fn of_pods(suite: Suite, node: String, desired: tokio::sync::watch::Receiver<Arc<Desired>>) -> Self {
        let mut pipeline = Self { node, ..Self::empty(suite) };
        pipeline.pods = Some(Pods::new(desired));
        pipeline
    }

    fn empty(suite: Suite) -> Self {
        Self {
            suite,
            targets: Vec::new(),
            policies: Vec::new(),
            forecasters: Forecasters::default(),
            alerts: AlertBook::default(),
            counters: Counters::default(),
            selection: None,
            memories: Memories::default(),
            now: Tick::default(),
            groups: Groups::default(),
            node: String::new(),
            networks: Arc::default(),
            recent: Recent::default(),
            namespaces: None,
            pods: None,
            slots: Slots::default(),
            start: Start::Fresh,
            handed: None,
            begun: Vec::new(),
        }
    }

    /// Does the tick `now`, which lasted `seconds` and ended at `unix`. Returns what changed for those to whom
    /// it is published.
    pub fn tick(&mut self, now: Tick, seconds: f64, unix: u64) -> Vec<Transition> {
        let begun = Instant::now();
        let mut transitions = std::mem::take(&mut self.begun);
        let epoch = self.suite.end_tick(seconds);
        self.forecasters.clear();
        let mut rows = 0;
        for target in &mut self.targets {
            views::measure(&mut self.suite, target, now, epoch);
            for viewed in &mut target.views {
                self.forecasters.add(&viewed.window, &viewed.features);
                viewed.row = rows;
                rows += 1;
            }
        }
        self.forecasters.run();
        let points = (0..self.targets.len()).map(|row| self.step_target(row, now, unix, &mut transitions)).collect();
        self.recent.push(unix, &self.targets, points);
        if self.counters.ticks > 0 {
            self.counters.skipped += now.since(self.now).saturating_sub(1);
        }
        self.now = now;
        self.counters.ticks += 1;
        self.counters.last = begun.elapsed();
        // After the measurement: a target that appears now is measured from the next tick on.
        self.discover(now, unix, &mut transitions);
        self.groups.fold(transitions)
    }

    /// The second that the last tick ended.
    pub fn snapshot(&mut self, moment: Moment) -> Snapshot {
        let rule = |active: &ActiveRule| RuleState::of(active, self.forecasters.model(active.forecaster));
        let policies = self.policies.iter().map(|active| PolicyState {
            policy: Arc::clone(&active.policy),
            reference: active.reference.clone(),
            rules: active.rules.iter().map(rule).collect(),
        });
        Snapshot {
            tick: self.now,
            moment,
            targets: self.targets.iter().map(TargetState::from).collect(),
            policies: policies.collect(),
            alerts: self.alerts.all(),
            alerts_evicted: self.alerts.evicted(),
            selection: self.selection.clone(),
            counters: self.counters,
            networks: Arc::clone(&self.networks),
            sensors: SensorState::of(&self.suite),
            recent: self.recent.clone(),
        }
    }

    /// Steps every rule of one target. Returns what charts draw of it.
    fn step_target(&mut self, row: usize, now: Tick, unix: u64, transitions: &mut Vec<Transition>) -> Point {
        let Self { targets, policies, forecasters, alerts, node, .. } = self;
        let target = &mut targets[row];
        // Charts draw what the target's first rule sees.
        let drawn = target.watches.first().map_or(Some(0), |watched| watched.view);
        let measured_us = drawn.and_then(|drawn| target.views[drawn].signals.measured_rtt_us());
        let mut point = Point { measured_us, ..Point::default() };
        for index in 0..target.watches.len() {
            let Watched { rule: id, view, watch } = &mut target.watches[index];
            let view = *view;
            let mut viewed = view.and_then(|view| target.views.get_mut(view));
            let active = &mut policies[id.policy];
            let mode = active.policy.mode;
            let ActiveRule { rule, ledger, forecaster, .. } = &mut active.rules[id.rule];
            let measured_us = viewed.as_ref().and_then(|viewed| viewed.signals.measured_rtt_us());
            let basis = viewed
                .as_ref()
                .and_then(|viewed| forecasters.basis(*forecaster, viewed.row, &viewed.window, &viewed.features));
            let Some(step) = watch.step(now, measured_us, basis.as_ref(), rule, ledger) else { continue };
            if view == drawn {
                point.predicted_us = point.predicted_us.or(step.predicted_us);
                point.chance = point.chance.or(step.chance);
            }
            if let Some(viewed) = &mut viewed {
                viewed.is_troubled |= measured_us.is_some_and(|us| rule.thresholds.breached(us)) || step.is_likely();
            }
            if mode == Mode::Shadow || (step.action.is_none() && step.verdict.is_none()) {
                continue;
            }
            let name = alert::name(&active.policy.name, &active.policy.uid, &target.about.uid, &rule.name);
            if let (Some(Action::Fire { .. }), Some(viewed)) = (step.action, viewed) {
                let baseline = viewed.baseline.median();
                let (window, features, from) = (&viewed.window, &viewed.features, viewed.from);
                let causes = forecasters.causes(*forecaster, window, features, baseline.as_ref());
                let model = Model::clone(forecasters.model(*forecaster));
                let fired = course::fire(name.clone(), &active.policy, rule, target, from, &step, causes, model, unix);
                if let Some(mut alert) = fired {
                    if let Some((policy, pod)) = active.reference.as_ref().zip(target.about.pod()) {
                        let Policy { name, uid, .. } = active.policy.as_ref();
                        alert.part_of = match rule.alert_per {
                            AlertPer::Workload => alert::workload_name(name, uid, pod, node, &rule.name),
                            AlertPer::Pod => None,
                        };
                        alert.subject = Some(Arc::new(Subject { policy: policy.clone(), pod: Arc::clone(pod) }));
                    }
                    let (alert, gone) = alerts.fire(alert);
                    transitions.push(Transition::Fired(alert));
                    transitions.extend(gone.map(|gone| Transition::gone(gone, unix)));
                }
            }
            if let Some(alert) = alerts.get_mut(&name) {
                course::follow(alert, &step, unix, transitions);
            }
        }
        // The baseline stays what it was before the fault.
        for viewed in target.views.iter_mut().filter(|viewed| !viewed.is_troubled && viewed.window.is_full()) {
            viewed.baseline.observe(now, &viewed.features);
        }
        Point { firing: target.is_firing(), ..point }
    }

    /// Looks for targets before the first tick, so that it measures those that are there at the start.
    pub fn begin(&mut self, now: Tick, unix: u64) {
        let mut transitions = std::mem::take(&mut self.begun);
        self.discover(now, unix, &mut transitions);
        self.begun = transitions;
    }

    /// Admits new targets and lets go of those that are gone.
    fn discover(&mut self, now: Tick, unix: u64, transitions: &mut Vec<Transition>) {
        if let Some(mut namespaces) = self.namespaces.take() {
            namespaces.look(self, now, unix, transitions);
            self.namespaces = Some(namespaces);
        }
        if let Some(mut pods) = self.pods.take() {
            pods.look(self, now, unix, transitions);
            self.pods = Some(pods);
        }
    }

    /// Records that the ledgers have been handed over to be kept.
    pub fn mark_kept(&mut self) {
        for rule in self.policies.iter_mut().flat_map(|active| &mut active.rules) {
            rule.kept = Some(rule.counted());
        }
    }

    /// Logs what selects nothing, and what has begun to select something, when that has changed.
    fn select(&mut self, selectors: &[Selector], named: &[(String, u64)]) {
        let policies = self.policies.iter().map(|active| active.policy.as_ref());
        let selection = Selection::of(selectors, policies, named);
        selection.news(self.selection.as_deref()).iter().for_each(News::log);
        self.selection = Some(Arc::new(selection));
    }

    /// The rules of the policies that `selects` takes.
    fn rules_for(&self, selects: impl Fn(&ActivePolicy) -> bool) -> Vec<RuleId> {
        self.policies
            .iter()
            .enumerate()
            .filter(|(_, active)| selects(active))
            .flat_map(|(policy, active)| (0..active.rules.len()).map(move |rule| RuleId { policy, rule }))
            .collect()
    }

    /// Admits a target, with what is remembered of its workload, and what the last run of the agent knew of itself.
    fn admit(&mut self, mut target: Target, now: Tick) {
        if let Some(workload) = target.about.workload() {
            target.views[0].window = Window::remembering(self.memories.recall(&workload, &self.targets));
        }
        let position = self.targets.len();
        self.targets.push(target);
        self.align_views(position, now);
        self.resume(position);
    }

    /// Lets go of the targets that are gone.
    fn let_go_unless(
        &mut self,
        now: Tick,
        unix: u64,
        transitions: &mut Vec<Transition>,
        is_there: impl Fn(&Target) -> bool,
    ) {
        let mut position = 0;
        while position < self.targets.len() {
            if is_there(&self.targets[position]) {
                position += 1;
            } else {
                let gone = self.targets.remove(position);
                self.let_go(gone, now, unix, transitions);
            }
        }
    }

    fn let_go(&mut self, target: Target, now: Tick, unix: u64, transitions: &mut Vec<Transition>) {
        tracing::info!(target = target.about.name, "gone");
        self.drop_views(&target, now);
        self.suite.unwatch(target.place, &target.about.uid);
        self.slots.give_back(target.place.slot, now.0);
        if let Some(workload) = target.about.workload().map(Cow::into_owned) {
            self.memories.leave(workload, target.plain().window.memory().clone(), now);
        }
        for Watched { rule: id, watch, .. } in target.watches {
            let active = &self.policies[id.policy];
            let rule = &active.rules[id.rule].rule;
            let name = alert::name(&active.policy.name, &active.policy.uid, &target.about.uid, &rule.name);
            if let (Some(action), Some(alert)) = (Watch::retire(watch), self.alerts.get_mut(&name)) {
                course::act(alert, &action, unix, transitions);
            }
        }
    }
}
