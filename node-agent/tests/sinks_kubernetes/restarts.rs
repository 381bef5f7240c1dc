//! Agents that end, and what the next one makes of what they left.

use super::*;

#[tokio::test(start_paused = true)]
async fn agents_that_are_killed_again_and_again_lose_nothing_and_repeat_little() {
    let (world, directory) = (World::new(), tempfile::tempdir().unwrap());
    const ROUNDS: usize = 6;
    for round in 0..ROUNDS {
        let agent = Agent::start(&world, directory.path());
        agent.send(world.transition(round, 1, AlertState::Firing)).await;
        let file = directory.path().join("alerts").join(format!("{}.json", name(round)));
        until(SECOND, "the alert is on disk", || file.exists()).await;
        // Somewhere between its writes.
        for _ in 0..round {
            tokio::task::yield_now().await;
        }
        agent.kill().await;
    }
    let agent = Agent::start(&world, directory.path());
    until(MINUTE, "all is told", || {
        (0..ROUNDS).all(|alert| world.state(alert).is_some()) && world.events().len() == ROUNDS
    })
    .await;
    for round in 0..ROUNDS {
        let times =
            world.writes().iter().filter(|(_, what)| *what == format!("precursoralerts {}", name(round))).count();
        assert!(times <= 2, "alert {round} was told {times} times");
    }
    agent.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_repeat_after_a_restart_updates_in_place_and_has_events_of_its_own() {
    let (world, directory) = (World::new(), tempfile::tempdir().unwrap());
    let agent = Agent::start(&world, directory.path());
    agent.send(world.transition(1, 1, AlertState::Firing)).await;
    until(SECOND, "the alert fires", || world.events().len() == 1).await;
    agent.kill().await;
    let agent = Agent::start(&world, directory.path());
    // The new process counts from one; the clock went on.
    let Transition::Fired(mut again) = world.transition(1, 1, AlertState::Firing) else { panic!() };
    again.fired_unix += 500;
    agent.send(Transition::Fired(again)).await;
    until(SECOND, "it counts on", || world.alert(1).is_some_and(|alert| alert["status"]["count"] == 2)).await;
    until(SECOND, "its event", || world.events().len() == 2).await;
    assert_eq!(world.server.objects(ALERTS).len(), 1);
    agent.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_alert_that_fired_before_a_restart_and_not_since_is_over_after_a_while() {
    let (world, directory) = (World::new(), tempfile::tempdir().unwrap());
    let agent = Agent::start(&world, directory.path());
    agent.send(world.transition(1, 1, AlertState::Firing)).await;
    until(SECOND, "the alert fires", || world.events().len() == 1).await;
    agent.kill().await;
    let agent = Agent::start(&world, directory.path());
    tokio::time::sleep(2 * MINUTE).await;
    assert_eq!(world.state(1).as_deref(), Some("Firing"));
    until(3 * MINUTE, "it is over", || world.state(1).as_deref() == Some("Resolved")).await;
    assert_eq!(world.alert(1).unwrap()["status"]["resolution"], "AgentLost");
    agent.stop().await;
}
