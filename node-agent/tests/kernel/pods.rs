//! Pods under the whole pipeline: they come and go by the thousand, policies change under them, and from outside their
//! namespaces sockets and tasks are still seen.

use std::{
    fs,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Instant,
};

use netprecursor_agent::{
    desired::{ClusterNetworks, Desired, DesiredPolicy, Pod},
    sensors::suite::{Setting, Suite},
    status::State,
    targets::ownership::Resident,
    tick::{pipeline::Pipeline, report::ReportData, snapshot::Moment},
};
use netprecursor_agent_common::MAX_SLOTS;
use netprecursor_core::{
    alert::{PodRef, PolicyRef, Transition, Workload},
    policy::{Kind as PolicyKind, Peers, Policy, Rule, Rules, View},
    signal::Signal,
    tick::Tick,
};
use netprecursor_kit::{Networks, networks::Origin};
use tokio::sync::watch;

use crate::fixture::{Behaviour, Driver, Family, Group, Observation, Path, Server, alone, ask, exchange};

/// A pipeline that receives what is desired, ticking as fast as the test wants.
struct Cluster {
    pipeline: Pipeline,
    desired: watch::Sender<Arc<Desired>>,
    networks: Arc<ClusterNetworks>,
    now: u64,
}

impl Cluster {
    fn start() -> Self {
        let (desired, seen) = watch::channel(Arc::default());
        let pipeline = Pipeline::of_pods(Suite::start(Setting::Cluster { cgroups: None }), "node1".to_owned(), seen);
        Self { pipeline, desired, networks: Arc::default(), now: 1000 }
    }

    fn desire(&mut self, policies: &[Policy], pods: Vec<Pod>) -> Vec<Transition> {
        let policies = policies
            .iter()
            .map(|policy| DesiredPolicy {
                reference: PolicyRef {
                    kind: PolicyKind::Namespaced,
                    namespace: Some("shop".to_owned()),
                    name: policy.name.to_string(),
                    uid: policy.uid.clone(),
                },
                policy: policy.clone(),
                remembered: Vec::new(),
            })
            .collect();
        let networks = Arc::clone(&self.networks);
        self.desired.send_replace(Arc::new(Desired { synced: true, policies, pods, networks, ..Desired::default() }));
        self.tick()
    }

    fn tick(&mut self) -> Vec<Transition> {
        self.now += 1;
        self.pipeline.tick(Tick(self.now), 1.0, self.now)
    }
}

fn policy(threshold: &str) -> Policy {
    let yaml = format!(
        "apiVersion: netprecursor.io/v1alpha1\nkind: PrecursorPolicy\nmetadata: {{name: web, uid: u-web}}\nspec: \
         {{target: {{podSelector: {{}}}}, rules: [{{name: rtt, signal: RttForecast, rttForecast: {{threshold: \
         {threshold}}}}}, {{name: slow, signal: RttForecast, rttForecast: {{threshold: 5s}}}}]}}\n"
    );
    netprecursor_crds::policies_from_yaml("test", &yaml).unwrap().remove(0)
}

fn pod(uid: &str, address: &str, watched_by: &[&str]) -> Pod {
    Pod {
        reference: Arc::new(PodRef {
            namespace: "shop".to_owned(),
            name: format!("pod-{uid}"),
            uid: uid.to_owned(),
            workload: None,
            controller: None,
        }),
        labels: Default::default(),
        addresses: vec![address.parse().unwrap()],
        host_network: false,
        static_uid: None,
        watched_by: watched_by.iter().map(|uid| (*uid).to_owned()).collect(),
    }
}

/// Descriptors and threads of this process.
fn held() -> (usize, usize) {
    let count = |directory: &str| fs::read_dir(directory).unwrap().count();
    (count("/proc/self/fd"), count("/proc/self/task"))
}

#[test]
fn a_thousand_pods_that_share_addresses_leave_nothing_behind_and_are_never_mistaken() {
    let Some(_alone) = alone() else { return };
    let path = Path::new();
    let server = Server::start(&path.far, Path::far_address(Family::V4, 0), Behaviour::PROMPT);
    let mut talking = ask(&path.near, server.address);
    let mut cluster = Cluster::start();
    let policy = policy("200ms");
    let far = Path::far_address(Family::V4, 0).ip().to_string();
    // The first one is who talks.
    cluster.desire(std::slice::from_ref(&policy), vec![pod("u0", &far, &["u-web"])]);
    for _ in 0..100 {
        exchange(&mut talking, 64);
        drop(ask(&path.near, server.address));
        cluster.tick();
        if cluster.pipeline.targets[0].plain().signals.get(Signal::TxBytes) > 0.0 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(cluster.pipeline.targets[0].plain().signals.get(Signal::TxBytes) > 0.0, "the first pod is counted");
    let before = held();

    let batch = 100;
    for first in (1..=1200).step_by(batch) {
        let pods = (first..first + batch)
            .map(|number| {
                // Every tenth gets the address that is talked from, one at a time.
                let address = if number % batch == 1 { far.clone() } else { format!("10.88.0.{}", number % batch) };
                pod(&format!("u{number}"), &address, &["u-web"])
            })
            .collect();
        cluster.desire(std::slice::from_ref(&policy), pods);
        for _ in 0..4 {
            exchange(&mut talking, 64);
            drop(ask(&path.near, server.address));
            cluster.tick();
        }
        assert_eq!(cluster.pipeline.targets.len(), batch);
        for target in &cluster.pipeline.targets {
            let heard = target.plain().signals.get(Signal::TxBytes) + target.plain().signals.get(Signal::Opens);
            assert_eq!(heard, 0.0, "{} got what was not its", target.about.name);
        }
    }
    cluster.desire(&[], Vec::new());
    assert!(cluster.pipeline.targets.is_empty() && cluster.pipeline.policies.is_empty());
    assert_eq!(cluster.pipeline.counters.over_capacity, 0);
    crate::fixture::wait_for("the kernel's tables are empty", || {
        (cluster.pipeline.suite.identities().unwrap().installed == (0, 0)).then_some(())
    });
    crate::fixture::wait_for("descriptors and threads are given back", || {
        let now = held();
        (now.0 <= before.0 && now.1 <= before.1).then_some(())
    });
    // Every slot can be given out again.
    for _ in 0..4 {
        cluster.tick();
    }
    let all = (0..MAX_SLOTS).map(|number| pod(&format!("v{number}"), "10.99.0.1", &["u-web"])).collect();
    cluster.desire(std::slice::from_ref(&policy), all);
    assert_eq!(cluster.pipeline.targets.len(), MAX_SLOTS as usize);
    assert_eq!(cluster.pipeline.counters.over_capacity, 0);
}

#[test]
fn a_policy_that_is_edited_keeps_windows_and_the_counters_of_rules_that_mean_the_same() {
    let Some(_alone) = alone() else { return };
    let mut cluster = Cluster::start();
    let pods = || vec![pod("u1", "10.88.0.1", &["u-web"])];
    let original = policy("200ms");
    cluster.desire(std::slice::from_ref(&original), pods());
    for _ in 0..20 {
        cluster.tick();
    }
    let seconds =
        |cluster: &Cluster, rule: usize| cluster.pipeline.policies[0].rules[rule].ledger.scorecard.target_seconds;
    let (since, place) = (cluster.pipeline.targets[0].about.since, cluster.pipeline.targets[0].place);
    let (before_rtt, before_slow) = (seconds(&cluster, 0), seconds(&cluster, 1));
    assert!(before_rtt >= 20 && before_slow >= 20);

    // The first rule's threshold changes, and the rules change places.
    let edited = policy("300ms");
    let rules: Vec<_> = edited.rules.iter().rev().cloned().collect();
    let edited = Policy { rules: Rules::new(rules).unwrap(), ..edited };
    cluster.desire(std::slice::from_ref(&edited), pods());
    cluster.tick();
    assert_eq!(seconds(&cluster, 0), before_slow + 2, "the rule that means the same goes on");
    assert_eq!(seconds(&cluster, 1), 1, "the rule that means something else counts anew");
    let target = &cluster.pipeline.targets[0];
    assert_eq!((target.about.since, target.place, target.watches.len()), (since, place, 2));

    // Without a policy, it is not watched; another policy begins with nothing.
    cluster.desire(&[], vec![pod("u1", "10.88.0.1", &[])]);
    assert!(cluster.pipeline.targets.is_empty());
    let moment = Moment { unix_ms: 1_000, monotonic_ns: 0, instant: Instant::now() };
    let report = ReportData::of(&cluster.pipeline.snapshot(moment), 0);
    assert!(report.rules.is_empty() && report.targets == 0);
}

#[test]
fn a_rule_about_peers_in_the_cluster_is_taken_up_once_the_networks_are_known() {
    let Some(_alone) = alone() else { return };
    let mut cluster = Cluster::start();
    let pods = || vec![pod("u1", "10.88.0.1", &["u-web"])];
    let plain = policy("200ms");
    let in_cluster = |rule: &Rule| Rule { view: View { peers: Peers::Cluster, ..View::default() }, ..rule.clone() };
    let rules = Rules::new(plain.rules.iter().map(in_cluster).collect()).unwrap();
    let policy = Policy { rules, ..plain };
    let views = |cluster: &Cluster| -> Vec<_> {
        cluster.pipeline.targets[0].watches.iter().map(|watched| watched.view).collect()
    };
    let tcp = |cluster: &Cluster| {
        let statuses = cluster.pipeline.suite.statuses();
        statuses.iter().find(|status| status.name == "tcp").unwrap().state.reason().to_owned()
    };
    cluster.desire(std::slice::from_ref(&policy), pods());
    assert_eq!((views(&cluster), cluster.pipeline.counters.views_uncounted), (vec![None, None], 1));
    assert!(tcp(&cluster).contains("--networks-file"), "{}", tcp(&cluster));

    let networks = vec!["10.88.0.0/16".parse().unwrap()];
    let known = Some(Networks { from: Origin::Nodes, reason: None, networks });
    cluster.networks = Arc::new(ClusterNetworks { known, problem: None });
    cluster.desire(std::slice::from_ref(&policy), pods());
    assert_eq!(views(&cluster), [Some(1), Some(1)]);
    assert!(!tcp(&cluster).contains("networks"), "{}", tcp(&cluster));
    let moment = Moment { unix_ms: 1_000, monotonic_ns: 0, instant: Instant::now() };
    assert_eq!(ReportData::of(&cluster.pipeline.snapshot(moment), 0).networks, cluster.networks);
}

#[test]
fn nothing_is_taken_away_before_everything_was_listed() {
    let Some(_alone) = alone() else { return };
    let mut cluster = Cluster::start();
    cluster.desire(&[policy("200ms")], vec![pod("u1", "10.88.0.1", &["u-web"])]);
    assert_eq!(cluster.pipeline.targets.len(), 1);
    cluster.desired.send_replace(Arc::new(Desired::default()));
    cluster.tick();
    assert_eq!(cluster.pipeline.targets.len(), 1);
}

#[test]
fn a_new_pod_begins_with_what_is_known_of_its_workload_and_another_workloads_pod_does_not() {
    let Some(_alone) = alone() else { return };
    let mut cluster = Cluster::start();
    let of = |uid: &str, workload: Option<&str>| {
        let pod = pod(uid, "10.88.0.1", &["u-web"]);
        let workload = workload.map(|name| Workload { kind: "Deployment".to_owned(), name: name.to_owned() });
        Pod { reference: Arc::new(PodRef { workload, ..(*pod.reference).clone() }), ..pod }
    };
    let policies = [policy("200ms")];
    cluster.desire(&policies, vec![of("u1", Some("web"))]);
    for _ in 0..100 {
        cluster.tick();
    }
    // Beside the old one, then after it.
    for uid in ["u2", "u3"] {
        cluster.desire(&policies, vec![of(uid, Some("web")), of("alone", None), of("db", Some("db"))]);
        let bins = |uid: &str| {
            let target = cluster.pipeline.targets.iter().find(|target| target.about.uid == uid).unwrap();
            (target.plain().window.memory().bins().len(), target.plain().window.len())
        };
        assert!(bins(uid).0 >= 9 && bins(uid).1 == 0, "{:?}", bins(uid));
        assert_eq!((bins("alone").0, bins("db").0), (0, 0));
    }
    let kept = cluster.pipeline.memories.snapshot(&cluster.pipeline.targets);
    assert_eq!(kept.into_keys().collect::<Vec<_>>(), ["shop/Deployment/db", "shop/Deployment/web"]);
}

/// A process of a pod that lives as long as this value.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn sockets_and_tasks_of_a_pod_are_seen_from_outside_its_namespace() {
    let Some(_alone) = alone() else { return };
    let path = Path::new();
    let group = Group::new(Driver::Cgroupfs);
    let server = group.within(|| Server::start(&path.far, Path::far_address(Family::V4, 0), Behaviour::PROMPT));
    let mut older = ask(&path.near, server.address);
    exchange(&mut older, 64);
    // It wakes up again and again.
    let mut command: Command = path.far.command("sh");
    command.args(["-c", "while :; do sleep 0.02; done"]).stdout(Stdio::null());
    group.hold(&mut command);
    let _process = Process(command.spawn().unwrap());

    let mut seen = Observation::below(group.root());
    let addresses = vec![Path::far_address(Family::V4, 0).ip()];
    let resident = Resident { uid: group.uid.clone(), static_uid: None, addresses, host_network: false };
    seen.suite.know(vec![resident.clone()], Vec::new());
    let number = seen.watch_pod(0, &resident);
    seen.until("a survey and waits for a CPU", |seen| {
        seen.seen(number).coverage.is_some() && seen.sum(number, Signal::RunQueueCount) > 0.0
    });
    let coverage = seen.seen(number).coverage.unwrap();
    assert_eq!((coverage.established, coverage.seen), (1, 0), "the connection is older than the agent");

    let mut younger = Vec::new();
    seen.until("a younger connection is seen", |seen| {
        let mut stream = ask(&path.near, server.address);
        exchange(&mut stream, 64);
        younger.push(stream);
        seen.seen(number).coverage.is_some_and(|coverage| coverage.seen > 0)
    });
    let statuses = seen.suite.statuses();
    let sockets = statuses.iter().find(|status| status.name == "sockets").unwrap();
    assert_eq!(sockets.state, State::Active, "what no agent in a cluster can see is no degradation");
    assert!(sockets.limits.unwrap().contains("queueing disciplines are not visible"));
}
