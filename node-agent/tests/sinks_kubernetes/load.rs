//! More to write than may be written, and servers that are away or busy.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_storm_keeps_to_the_budget_and_nothing_of_it_is_lost() {
    let (world, directory) = (World::new(), tempfile::tempdir().unwrap());
    let agent = Agent::start(&world, directory.path());
    const STORM: usize = 40;
    for alert in 0..STORM {
        agent.send(world.transition(alert, 1, AlertState::Firing)).await;
    }
    tokio::time::sleep(SECOND).await;
    let at_once = (0..STORM).filter(|alert| world.state(*alert).is_some()).count();
    assert_eq!((world.writes().len(), at_once), (30, 30), "one write makes an alert visible");
    for alert in 0..STORM {
        agent.send(world.transition(alert, 1, AlertState::Resolved)).await;
    }
    let took = until(4 * HOUR, "all is told", || {
        (0..STORM).all(|alert| world.state(alert).as_deref() == Some("Resolved")) && world.events().len() == 2 * STORM
    })
    .await;
    let writes = world.writes();
    println!("{STORM} alerts, {} writes, drained after {took:?}", writes.len());
    // Alerts that were over before they were first published take one state less.
    assert_eq!(writes.len(), 30 * 4 + 10 * 3);
    let first = writes[0].0;
    for (index, (at, _)) in writes.iter().enumerate() {
        let allowed = 30.0 + (*at - first).as_secs_f64() / 18.0;
        assert!((index + 1) as f64 <= allowed + 1.0, "write {index} after {:?}", *at - first);
    }
    agent.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_happens_during_an_outage_arrives_once_after_it() {
    let (world, directory) = (World::new(), tempfile::tempdir().unwrap());
    let agent = Agent::start(&world, directory.path());
    agent.send(world.transition(0, 1, AlertState::Firing)).await;
    until(SECOND, "the alert fires", || world.events().len() == 1).await;
    let is_down = Arc::new(AtomicBool::new(true));
    world.server.set_faults(Outage::new(AGENT, {
        let is_down = Arc::clone(&is_down);
        move || is_down.load(Ordering::Relaxed)
    }));
    world.server.clear_log();
    agent.send(world.transition(0, 1, AlertState::Resolved)).await;
    for alert in 1..5 {
        agent.send(world.transition(alert, 1, AlertState::Firing)).await;
    }
    tokio::time::sleep(5 * MINUTE).await;
    agent.send(world.transition(1, 1, AlertState::Resolved)).await;
    until(SECOND, "the outage shows", || agent.board.read().error.is_some()).await;
    assert!(agent.board.read().failures > 3);
    is_down.store(false, Ordering::Relaxed);
    let took = until(2 * MINUTE, "all is told", || {
        let over = |alert| world.state(alert).as_deref() == Some("Resolved");
        over(0) && over(1) && (2..5).all(|alert| world.state(alert).is_some()) && world.events().len() == 7
    })
    .await;
    println!("drained {took:?} after the outage");
    let changes: Vec<_> =
        world.server.log().into_iter().filter(|entry| entry.verb.is_write() && entry.code < 300).collect();
    // One state of each alert; one Event for each transition.
    assert_eq!(changes.len(), 1 + 4 + 6, "{changes:#?}");
    assert!(agent.board.read().error.is_none());
    agent.stop().await;
}

/// Refuses the first writes with a wish to be left alone.
struct Busy {
    left: Arc<AtomicU32>,
    seconds: u64,
}

impl Faults for Busy {
    fn next(&mut self, call: &Call) -> Option<Fault> {
        let is_due = call.user == AGENT
            && self.left.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        is_due.then(|| Fault::Refuse(Refusal::too_many_requests(self.seconds)))
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_wants_to_be_left_alone_is() {
    let (world, directory) = (World::new(), tempfile::tempdir().unwrap());
    world.server.set_faults(Busy { left: Arc::new(AtomicU32::new(1)), seconds: 45 });
    let agent = Agent::start(&world, directory.path());
    for alert in 0..3 {
        agent.send(world.transition(alert, 1, AlertState::Firing)).await;
    }
    until(3 * MINUTE, "all is told", || world.events().len() == 3).await;
    // The refusal is not in the log: it was not the server's own.
    let first = &world.server.log()[0];
    assert!(first.at >= 45 * SECOND && first.at < MINUTE, "{first:?}");
    agent.stop().await;
}

/// Sheds load for a minute: refuses all of the agent's requests, and wants to be left alone for 20 s each time.
struct Shedding {
    until: Instant,
    refused: Arc<Mutex<Vec<Instant>>>,
}

impl Faults for Shedding {
    fn next(&mut self, call: &Call) -> Option<Fault> {
        if call.user != AGENT || Instant::now() >= self.until {
            return None;
        }
        self.refused.lock().unwrap().push(Instant::now());
        Some(Fault::Refuse(Refusal::too_many_requests(20)))
    }
}

#[tokio::test(start_paused = true)]
async fn a_storm_leaves_a_server_alone_that_sheds_load_and_is_shown_soon_after() {
    let (world, directory) = (World::new(), tempfile::tempdir().unwrap());
    let share = directory.path().join("share.json");
    fs::write(&share, Share::of(3).text()).unwrap();
    let agent = Agent::start_in(&world, directory.path(), Limits::default(), Some(share));
    const STORM: usize = 40;
    let refused = Arc::new(Mutex::new(Vec::new()));
    let until_then = Instant::now() + MINUTE;
    world.server.set_faults(Shedding { until: until_then, refused: Arc::clone(&refused) });
    for alert in 0..STORM {
        agent.send(world.transition(alert, 1, AlertState::Firing)).await;
    }
    tokio::time::sleep(MINUTE).await;
    let refused = refused.lock().unwrap().clone();
    assert!((2..=3).contains(&refused.len()), "{refused:?}");
    assert!(refused.windows(2).all(|pair| pair[1] - pair[0] >= 20 * SECOND), "{refused:?}");
    let all = || (0..STORM).all(|alert| world.state(alert).as_deref() == Some("Firing"));
    let took = until(MINUTE, "all is shown", all).await;
    println!("{STORM} alerts shown {took:?} after the server took requests again");
    agent.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_share_that_is_dealt_while_the_agent_runs_is_in_force_seconds_later() {
    let (world, directory) = (World::new(), tempfile::tempdir().unwrap());
    let share = directory.path().join("share.json");
    let agent = Agent::start_in(&world, directory.path(), Limits::default(), Some(share.clone()));
    agent.report.send(report_data(SensorState::Active)).unwrap();
    let degraded = || {
        let report = world.server.object(REPORTS, "", "node1");
        report.is_some_and(|report| report["status"]["conditions"][2]["message"].to_string().contains("share.json"))
    };
    until(MINUTE, "the report says why the agent is slow", degraded).await;
    const STORM: usize = 50;
    for alert in 0..STORM {
        agent.send(world.transition(alert, 1, AlertState::Firing)).await;
    }
    let shown = || (0..STORM).filter(|alert| world.state(*alert).is_some()).count();
    tokio::time::sleep(5 * SECOND).await;
    assert!(shown() < 30, "{} shown", shown());
    fs::write(&share, Share::of(3).text()).unwrap();
    let took = until(MINUTE, "all is shown", || shown() == STORM).await;
    assert!(took < 10 * SECOND, "{took:?}");
    until(MINUTE, "the report has nothing to complain of", || !degraded()).await;
    agent.stop().await;
}
