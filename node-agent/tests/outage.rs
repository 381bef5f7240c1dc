//! A thousand agents with ten alerts each while the API server is away, in paused time: the agents' own queue, budget and
//! writer, and a fake API server that loses answers as well as requests.
#![expect(clippy::unwrap_used, reason = "tests say what they expect by unwrapping")]

mod sinks;

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use netprecursor_agent::{
    publish::{
        kubernetes::{Settings, board, budget, publish_from},
        queue::{Limits, Queue, disk::Disk},
    },
    tick::report::ReportData,
};
use netprecursor_core::{
    alert::{self, Alert, PodRef, PolicyRef, Subject, Transition},
    policy::Name,
};
use netprecursor_fakeapi::{
    Call, Entry, Server,
    fault::{Fault, Faults, READ_TIMEOUT},
};
use serde_json::Value;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::Instant,
};

const AGENTS: usize = 1_000;
const ALERTS_OF_EACH: usize = 10;

/// What is drained this long after the API server is back.
const DRAINED_WITHIN: Duration = Duration::from_secs(60);

/// The last Event: what outlives the burst goes by one request in 20 s.
const EVENTS_WITHIN: Duration = Duration::from_secs(900);

/// A disk that outlives nothing: crashes are another test's.
#[derive(Debug, Default)]
struct Memory(BTreeMap<String, Vec<u8>>);

impl Disk for Memory {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.keys().cloned().collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.0.get(name).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn write(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        self.0.insert(name.to_owned(), content.to_vec());
        Ok(())
    }

    fn sync(&mut self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let content = self.0.remove(from).ok_or(io::ErrorKind::NotFound)?;
        self.0.insert(to.to_owned(), content);
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.0.remove(name);
        Ok(())
    }

    fn sync_names(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const UP: u8 = 0;
/// Requests are done, but the answer to each agent's next one is lost.
const FALLING: u8 = 1;
const DOWN: u8 = 2;

/// The API server goes down: first one answer of every agent is lost, then nothing arrives; some agents hear that the
/// connection is refused, others nothing at all.
struct Failing {
    phase: Arc<AtomicU8>,
    lost: BTreeMap<String, bool>,
}

impl Faults for Failing {
    fn next(&mut self, call: &Call) -> Option<Fault> {
        if !call.user.starts_with("agent-") {
            return None;
        }
        match self.phase.load(Ordering::Relaxed) {
            FALLING if call.verb.is_write() => {
                let lost = self.lost.entry(call.user.clone()).or_default();
                (!std::mem::replace(lost, true)).then_some(Fault::CutAfter)
            }
            DOWN if call.user.ends_with(['0', '5']) => Some(Fault::TimeoutBefore(READ_TIMEOUT)),
            DOWN => Some(Fault::CutBefore),
            _ => None,
        }
    }
}

fn alert(policy: &PolicyRef, agent: usize, number: usize) -> Alert {
    let (name, rule) = (Name::subdomain("checkout").unwrap(), Name::label("rtt").unwrap());
    let uid = format!("pod-{agent}-{number}");
    let pod = PodRef { namespace: "shop".to_owned(), name: uid.clone(), uid: uid.clone(), ..PodRef::default() };
    Alert {
        name: alert::name(&name, &policy.uid, &uid, &rule),
        target: uid.clone(),
        target_uid: uid,
        fired_unix: 1_750_000_000,
        subject: Some(Arc::new(Subject { policy: policy.clone(), pod: Arc::new(pod) })),
        part_of: None,
        affected: None,
        ..sinks::alert(0)
    }
}

/// Starts an agent's writer; what is sent into the channel is an alert's turn.
fn start(
    server: &Server,
    agent: usize,
    agents: &mut JoinSet<()>,
) -> (mpsc::Sender<Transition>, watch::Sender<Arc<ReportData>>) {
    let (turns, transitions) = mpsc::channel(256);
    let (report, reports) = watch::channel(Arc::new(ReportData::default()));
    let settings = Settings {
        node: format!("n{agent}"),
        instance: format!("agent-{agent}"),
        state_dir: "/nowhere".into(),
        limits: Limits::default(),
        share_file: None,
        kernel: "6.18.4".to_owned(),
    };
    let client = server.client(&format!("agent-{agent}"), "default");
    let queue = Queue::open(Memory::default(), settings.limits);
    agents.spawn(publish_from(
        queue,
        budget(),
        client,
        settings,
        transitions,
        reports,
        board(),
        std::future::pending(),
    ));
    (turns, report)
}

fn is_published(object: &Value) -> bool {
    object["status"]["state"] == "Firing"
}

fn published(server: &Server) -> usize {
    server.objects("precursoralerts.netprecursor.io").iter().filter(|alert| is_published(alert)).count()
}

/// How often each object's part was written with success, by agents.
fn writes(log: &[Entry]) -> BTreeMap<(String, String), usize> {
    let mut writes = BTreeMap::new();
    for entry in log.iter().filter(|entry| entry.user.starts_with("agent-") && entry.verb.is_write()) {
        if entry.code < 300 || entry.code == 409 {
            *writes.entry((entry.resource.clone(), entry.name.clone())).or_default() += 1;
        }
    }
    writes
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_alerts_survive_an_outage_and_are_published_within_a_minute() {
    let begun = std::time::Instant::now();
    let (server, policy) = sinks::checkout::server(3);
    let phase = Arc::new(AtomicU8::new(UP));
    server.set_faults(Failing { phase: Arc::clone(&phase), lost: BTreeMap::new() });
    let mut agents = JoinSet::new();
    let ends: Vec<_> = (0..AGENTS).map(|agent| start(&server, agent, &mut agents)).collect();
    phase.store(FALLING, Ordering::Relaxed);
    for number in 0..ALERTS_OF_EACH {
        for (agent, (turns, _)) in ends.iter().enumerate() {
            turns.send(Transition::Fired(alert(&policy, agent, number))).await.unwrap();
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        // From the second alert on nothing arrives.
        phase.store(DOWN, Ordering::Relaxed);
    }
    tokio::time::sleep(Duration::from_secs(170)).await;
    let before = published(&server);
    phase.store(UP, Ordering::Relaxed);
    let back = Instant::now();
    while published(&server) < AGENTS * ALERTS_OF_EACH && back.elapsed() < 4 * DRAINED_WITHIN {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let drained = back.elapsed();
    let wanted: Vec<String> = (0..AGENTS)
        .flat_map(|agent| (0..ALERTS_OF_EACH).map(move |number| (agent, number)))
        .map(|(agent, number)| alert(&policy, agent, number).name)
        .collect();
    let lost = wanted.iter().filter(|name| {
        !server.object("precursoralerts.netprecursor.io", "shop", name).is_some_and(|alert| is_published(&alert))
    });
    let lost = lost.count();
    // Events come after alerts, as the budget allows; what is written twice is written by then.
    while server.objects("events.events.k8s.io").len() < wanted.len() && back.elapsed() < EVENTS_WITHIN {
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    let events = (server.objects("events.events.k8s.io").len(), back.elapsed());
    let writes = writes(&server.log());
    let most = writes.iter().max_by_key(|(_, count)| **count).map(|(object, count)| (object.clone(), *count)).unwrap();
    let twice = writes.values().filter(|count| **count > 1).count();
    println!(
        "{} alerts of {AGENTS} agents: {before} told when the outage ended, {lost} lost, drained {:.1} s after it, {} Events \
         {:.0} s after it; {twice} objects written twice, none more often than {}; {:.1} s in real time",
        wanted.len(),
        drained.as_secs_f64(),
        events.0,
        events.1.as_secs_f64(),
        most.1,
        begun.elapsed().as_secs_f64()
    );
    assert_eq!(lost, 0);
    assert_eq!(server.objects("precursoralerts.netprecursor.io").len(), wanted.len());
    assert_eq!(events.0, wanted.len());
    assert!(most.1 <= 2, "{most:?}");
    assert_eq!(server.forgotten(), 0);
    assert!(drained <= DRAINED_WITHIN, "{drained:?}");
}
