//! Two operators and one lease: never two leaders, and the work is done whatever happens to their requests.

use std::{sync::Arc, time::Duration};

use futures::FutureExt as _;
use netprecursor_fakeapi::{
    Call, Server,
    fault::{Drawn, Fault, Faults, Nothing},
};
use netprecursor_operator::{
    config::Settings,
    election::{Candidate, Leadership},
    http::Health,
    metrics::Metrics,
    reconcile::Context,
    run::lead,
};
use tokio::time::Instant;

use crate::{
    play::{in_paused_time, world},
    scenes::{INSTALL, SCENES, cluster, settings},
    state,
};

/// Both names; faults are drawn for each.
const NAMES: [&str; 2] = ["operator-0", "operator-1"];

pub(crate) const LEASE: &str = "netprecursor-operator";

const LENGTH: Duration = Duration::from_secs(500);

/// How often it is looked who leads.
const LOOK_EVERY: Duration = Duration::from_millis(100);

struct Both([Drawn; 2]);

impl Faults for Both {
    fn next(&mut self, call: &Call) -> Option<Fault> {
        self.0.iter_mut().find_map(|drawn| drawn.next(call))
    }
}

/// An operator as `run` has it: it campaigns, and leads while it may. `on_start` gets to know its standing.
pub(crate) async fn operate(server: &Server, name: &str, settings: Arc<Settings>, on_start: impl FnOnce(Leadership)) {
    let client = server.client(name, INSTALL);
    let metrics = Metrics::default();
    let health = Health::new(metrics.clone());
    let (mut candidate, leadership) = Candidate::new(client.clone(), INSTALL, LEASE, name, health);
    on_start(leadership.clone());
    let now = server.clone();
    let context = Context {
        client: client.clone(),
        settings,
        leadership: leadership.clone(),
        clock: Arc::new(move || now.now()),
        checker: Arc::new(|_| futures::future::ready(Ok(())).boxed()),
        metrics,
    };
    let work = async {
        let mut leadership = leadership;
        loop {
            while leadership.left().is_none() {
                leadership.changed().await;
            }
            lead(&client, &context).await;
        }
    };
    tokio::select! {
        () = candidate.campaign() => {}
        () = work => {}
    }
}

/// Plays the first scene with two operators; returns how often both led, and what the cluster ended with.
fn play(seed: u64, faults: impl Faults + 'static) -> (u32, state::State) {
    in_paused_time(async {
        fastrand::seed(seed);
        let server = cluster();
        server.set_faults(faults);
        let end = Instant::now() + LENGTH;
        let settings = Arc::new(settings(&SCENES[0]));
        let (first, is_first) = tokio::sync::oneshot::channel();
        let (second, is_second) = tokio::sync::oneshot::channel();
        let mut both = 0;
        let watching = async {
            let leaderships: [Leadership; 2] = [is_first.await.unwrap(), is_second.await.unwrap()];
            loop {
                both += u32::from(leaderships.iter().all(|leadership| leadership.left().is_some()));
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::select! {
            _ = world(&server, &SCENES[0]) => {}
            () = operate(&server, NAMES[0], Arc::clone(&settings), |leadership| _ = first.send(leadership)) => {}
            () = operate(&server, NAMES[1], settings, |leadership| _ = second.send(leadership)) => {}
            () = watching => {}
            () = tokio::time::sleep_until(end) => {}
        }
        (both, state::of(&server))
    })
}

#[test]
fn two_operators_never_lead_at_once_and_the_work_is_done() {
    let (both, expected) = play(0, Nothing);
    assert_eq!(both, 0);
    assert!(expected.keys().any(|name| name.starts_with("daemonsets.apps")), "{:?}", expected.keys());
    for seed in 1..300 {
        let chance = [16, 64, 128][(seed % 3) as usize];
        let drawn = [0, 1].map(|index: usize| Drawn::new(seed * 2 + index as u64, NAMES[index], 12, chance));
        let (both, got) = play(seed, Both(drawn));
        assert_eq!(both, 0, "seed {seed}: two leaders");
        let found = state::differences(&got, &expected);
        assert!(found.is_empty(), "seed {seed}: {}", found.join("\n"));
    }
}
