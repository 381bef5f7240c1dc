//! Plays a scene with the real operator: its watches, its rounds, its writes; only HTTP and time are not real.

use std::{sync::Arc, time::Duration};

use futures::FutureExt as _;
use netprecursor_fakeapi::{Entry, Frozen, Server, fault::Faults};
use netprecursor_operator::{config::Settings, election::Leadership, metrics::Metrics, reconcile::Context, run::lead};
use tokio::time::Instant;

use crate::{
    scenes::{INSTALL, SCENES, Scene, cluster, kubernetes, settings},
    state::{self, State},
};

/// Who the operator is to the API server.
pub(crate) const OPERATOR: &str = "operator";

/// Between a crash and the next start of the operator.
const RESTART: Duration = Duration::from_secs(1);

/// How often Kubernetes looks after its own.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What a scene ended with.
pub(crate) struct Outcome {
    /// The cluster.
    pub(crate) state: State,
    /// What the operator wrote, or tried to.
    pub(crate) writes: Vec<Entry>,
    /// How often it crashed.
    pub(crate) crashes: u64,
    /// How long the scene was.
    pub(crate) length: Duration,
}

/// Runs a future in paused time.
pub(crate) fn in_paused_time<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(future)
}

/// Clusters as scenes find them at their start: without and with agents at work.
pub(crate) struct Starts {
    empty: Frozen,
    running: Frozen,
}

impl Starts {
    /// Makes both; the agents are started by the operator.
    pub(crate) fn make() -> Self {
        in_paused_time(async {
            let server = cluster();
            let empty = server.freeze();
            follow(&server, &SCENES[0]).await;
            Self { empty, running: server.freeze() }
        })
    }
}

/// Plays a scene. Faults meet the operator's requests only.
pub(crate) fn play(starts: &Starts, scene: &Scene, seed: u64, faults: impl Faults + 'static) -> Outcome {
    in_paused_time(async {
        fastrand::seed(seed);
        let start = if scene.is_running { &starts.running } else { &starts.empty };
        let server = start.start(seed);
        (scene.start)(&server);
        server.clear_log();
        server.set_faults(faults);
        let crashes = follow(&server, scene).await;
        let is_write = |entry: &Entry| entry.user == OPERATOR && entry.verb.is_write();
        Outcome {
            state: state::of(&server),
            writes: server.log().into_iter().filter(is_write).collect(),
            crashes,
            length: Duration::from_secs(scene.seconds),
        }
    })
}

/// Lets everybody act until the scene is over. A request that hangs is the operator's crash. Returns how many there were.
async fn follow(server: &Server, scene: &Scene) -> u64 {
    let end = Instant::now() + Duration::from_secs(scene.seconds);
    let mut crashes = 0;
    tokio::select! {
        never = world(server, scene) => match never {},
        () = operate(server, settings(scene), &mut crashes) => {}
        () = tokio::time::sleep_until(end) => {}
    }
    crashes
}

/// What never ends.
pub(crate) enum Never {}

/// Users, Kubernetes and agents, as the scene wants them.
pub(crate) async fn world(server: &Server, scene: &Scene) -> Never {
    let start = Instant::now();
    let mut acts = scene.acts.iter().peekable();
    loop {
        while let Some((_, act)) = acts.next_if(|(at, _)| start.elapsed() >= Duration::from_secs(*at)) {
            act(server);
        }
        kubernetes(server);
        let until_act = acts.peek().map(|(at, _)| Duration::from_secs(*at).saturating_sub(start.elapsed()));
        tokio::time::sleep(until_act.unwrap_or(LOOK_EVERY).min(LOOK_EVERY)).await;
    }
}

async fn operate(server: &Server, settings: Settings, crashes: &mut u64) {
    let settings = Arc::new(settings);
    loop {
        let mut hung = server.hung();
        hung.mark_unchanged();
        let client = server.client(OPERATOR, INSTALL);
        let now = server.clone();
        let context = Context {
            client: client.clone(),
            settings: Arc::clone(&settings),
            leadership: Leadership::alone(),
            clock: Arc::new(move || now.now()),
            checker: Arc::new(|_| futures::future::ready(Ok(())).boxed()),
            metrics: Metrics::default(),
        };
        tokio::select! {
            () = lead(&client, &context) => {}
            _ = hung.changed() => {}
        }
        *crashes += 1;
        tokio::time::sleep(RESTART).await;
    }
}
