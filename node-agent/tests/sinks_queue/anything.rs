//! Anything, in any order.

use std::{collections::BTreeMap, time::Duration};

use fastrand::Rng;
use netprecursor_agent::publish::queue::{EventKey, Op, Outcome, Pick, entry::MAX_EVENTS};
use netprecursor_core::alert::{Alert, AlertState};
use proptest::prelude::*;

use super::{
    DAY, PLENTY, State, open, order,
    sinks::{self, disk::MemoryDisk},
    state,
};

/// What may happen, in any order.
#[derive(Debug, Clone)]
enum Happening {
    /// The alert changes: fires, gets worse, or is over.
    Transition { alert: usize, is_update: bool },
    /// The agent does one thing. `fate`: what becomes of it.
    Send { fate: Fate },
    /// The process dies and is restarted; `seed` decides what of the disk survives.
    Crash { seed: u64 },
    /// The disk is full, or no longer.
    DiskFull { is_full: bool },
}

#[derive(Debug, Clone, Copy)]
enum Fate {
    Works,
    AnswerLost,
    NeverArrives,
    ObjectDeleted,
    Forbidden,
}

fn happening() -> impl Strategy<Value = Happening> {
    let fate = prop_oneof![
        6 => Just(Fate::Works),
        1 => Just(Fate::AnswerLost),
        1 => Just(Fate::NeverArrives),
        1 => Just(Fate::ObjectDeleted),
        1 => Just(Fate::Forbidden),
    ];
    prop_oneof![
        6 => (0..4_usize, any::<bool>()).prop_map(|(alert, is_update)| Happening::Transition { alert, is_update }),
        6 => fate.prop_map(|fate| Happening::Send { fate }),
        1 => any::<u64>().prop_map(|seed| Happening::Crash { seed }),
        1 => any::<bool>().prop_map(|is_full| Happening::DiskFull { is_full }),
    ]
}

/// The server's side, as far as it matters.
#[derive(Debug, Default)]
struct Server {
    /// Objects that are there, with the number of their UID.
    objects: BTreeMap<String, (u64, State)>,
    uids: u64,
    history: BTreeMap<String, Vec<State>>,
    events: BTreeMap<String, Vec<EventKey>>,
}

impl Server {
    /// Does what is asked of it; `known` is the UID that the object must have.
    fn take(&mut self, op: &Op, known: Option<&str>) -> Outcome {
        let name = op.alert().to_owned();
        let mut uid = None;
        match op {
            Op::Object { delivered, .. } => {
                let found = self.objects.get(&name).map(|(uid, _)| *uid);
                if known.is_some() && known != found.map(|uid| uid.to_string()).as_deref() {
                    return Outcome::Outdated { reason: "uid mismatch".to_owned() };
                }
                let number = found.unwrap_or_else(|| {
                    self.uids += 1;
                    self.uids
                });
                let state = (delivered.count, delivered.state);
                self.objects.insert(name.clone(), (number, state));
                self.history.entry(name).or_default().push(state);
                uid = Some(number.to_string());
            }
            Op::Event { key, .. } => {
                let events = self.events.entry(name).or_default();
                if !events.contains(key) {
                    events.push(*key);
                }
            }
        }
        Outcome::Done { uid }
    }
}

/// The tick thread's side: it counts from one when the process starts, and then knows nothing of before.
#[derive(Debug, Default)]
struct Agent {
    alerts: BTreeMap<usize, Alert>,
    /// Never the same twice.
    clock: u64,
}

impl Agent {
    fn transition(&mut self, alert: usize, is_update: bool) -> Alert {
        self.clock += 1;
        let now = DAY + self.clock;
        let record = match self.alerts.remove(&alert) {
            Some(known) if known.is_firing() && is_update => Alert { predicted_us: Some(self.clock as f32), ..known },
            Some(known) if known.is_firing() => {
                Alert { state: AlertState::Resolved, resolved_unix: Some(now), ..known }
            }
            known => Alert { count: known.map_or(1, |known| known.count + 1), fired_unix: now, ..sinks::alert(alert) },
        };
        self.alerts.insert(alert, record.clone());
        record
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whatever happens: in the end the server holds the latest state of every alert, states reached it in order, and
    /// no transition that was accepted and kept is without its Event.
    #[test]
    fn the_latest_state_arrives_in_order_and_none_is_lost(happenings in prop::collection::vec(happening(), 1..120)) {
        let (disk, mut rng) = (MemoryDisk::default(), Rng::with_seed(7));
        let (mut queue, mut server, mut agent) = (open(&disk), Server::default(), Agent::default());
        let mut now = Duration::ZERO;
        let mut is_full = false;
        let mut dropped = 0;
        // Transitions in memory only die with the process: the one loss that a full disk may cause.
        let mut expected: BTreeMap<String, Vec<State>> = BTreeMap::new();
        for happening in happenings {
            now += Duration::from_secs(5);
            match happening {
                Happening::Transition { alert, is_update } => {
                    let record = agent.transition(alert, is_update);
                    let name = record.name.clone();
                    queue.accept(record);
                    let accepted = state(&queue.entry(&name).unwrap().alert);
                    let states = expected.entry(name).or_default();
                    if states.last() != Some(&accepted) {
                        prop_assert!(states.last().is_none_or(|last| order(*last) < order(accepted)), "{states:?} {accepted:?}");
                        states.push(accepted);
                    }
                }
                Happening::Send { fate } => if let Pick::Do(op) = queue.pick(now, DAY, PLENTY) {
                    let known = queue.entry(op.alert()).and_then(|entry| entry.object.clone());
                    let down = Outcome::Down { reason: "down".to_owned(), wait: None };
                    let outcome = match fate {
                        Fate::Works => server.take(&op, known.as_deref()),
                        Fate::AnswerLost => { server.take(&op, known.as_deref()); down }
                        Fate::NeverArrives => down,
                        Fate::ObjectDeleted => {
                                // What was published already and is deleted then stays deleted: somebody wanted it so.
                                if matches!(op, Op::Object { .. }) {
                                    server.objects.remove(op.alert());
                                }
                                server.take(&op, known.as_deref())
                            }
                            Fate::Forbidden => Outcome::Failed { reason: "forbidden".to_owned() },
                    };
                    queue.settle(&op, &outcome, now, &mut rng);
                },
                Happening::Crash { seed } if !is_full => {
                    queue.save_unsaved();
                    dropped += queue.counters().events_dropped;
                    drop(queue);
                    disk.crash(&mut Rng::with_seed(seed));
                    agent.alerts.clear();
                    queue = open(&disk);
                    prop_assert_eq!(queue.counters().set_aside, 0);
                }
                Happening::Crash { .. } => {}
                Happening::DiskFull { is_full: full } => {
                    is_full = full;
                    disk.fill_up(full);
                }
            }
        }
        for _ in 0..1000 {
            now += Duration::from_secs(100);
            let Pick::Do(op) = queue.pick(now, DAY, PLENTY) else { break };
            let known = queue.entry(op.alert()).and_then(|entry| entry.object.clone());
            let outcome = server.take(&op, known.as_deref());
            queue.settle(&op, &outcome, now, &mut rng);
        }
        prop_assert_eq!(queue.pick(now, DAY, PLENTY), Pick::Nothing);
        prop_assert_eq!(queue.pending(), 0);
        prop_assert_eq!(queue.counters().dropped, 0);
        dropped += queue.counters().events_dropped;
        for (name, states) in &expected {
            prop_assert_eq!(server.objects.get(name).map(|(_, state)| *state), states.last().copied(), "{}", name);
            let history = server.history.get(name).cloned().unwrap_or_default();
            prop_assert!(history.is_sorted_by_key(|state| order(*state)), "{}: {:?}", name, history);
            let events = server.events.get(name).map_or(0, Vec::len);
            prop_assert!(events as u64 + dropped >= states.len() as u64, "{}: {} events, {:?}", name, events, states);
            prop_assert!(events <= states.len());
            if states.len() <= MAX_EVENTS {
                prop_assert_eq!(events, states.len());
            }
        }
    }
}
