//! A clean RTT is the network's: no receiver's delayed ACK is in it, whatever the flights look like.

use std::{
    thread,
    time::{Duration, Instant},
};

use netprecursor_core::signal::Signal;

use crate::fixture::{Behaviour, Family, Host, Observation, Path, Server, Step, alone, converse};

use Step::{Await, Close, Pause, Send};

/// The wire's segment: an MTU of 1,500 less headers with timestamps.
const SEGMENT: usize = 1448;
/// A delayed ACK takes 40 ms at least (include/net/tcp.h, TCP_DELACK_MIN); an idle veth pair takes less than one.
const DELAYED_US: f32 = 30_000.0;
/// How long each conversation is kept up, and how long the asking end rests in between.
const TALK: Duration = Duration::from_secs(3);
const REST: Duration = Duration::from_millis(100);

/// What the client asks for and how the server answers.
struct Conversation {
    what: &'static str,
    request: usize,
    steps: &'static [Step],
    /// Whether more than a segment is sent at once, so that there are clean samples beside the handshake's.
    has_clean: bool,
}

const fn talk(what: &'static str, request: usize, steps: &'static [Step], has_clean: bool) -> Conversation {
    Conversation { what, request, steps, has_clean }
}

const CONVERSATIONS: &[Conversation] = &[
    talk("a page and a small answer", 80, &[Send(1_000_000), Await, Send(300)], true),
    talk("a medium page and a small answer", 80, &[Send(5_000), Await, Send(300)], true),
    talk("small answers", 80, &[Send(300)], false),
    talk("a segment", 80, &[Send(SEGMENT)], false),
    talk("a segment and a byte", 80, &[Send(SEGMENT + 1)], true),
    talk("two segments", 80, &[Send(2 * SEGMENT)], true),
    talk("three segments", 80, &[Send(3 * SEGMENT)], true),
    talk("three segments and a rest", 80, &[Send(3 * SEGMENT + 500)], true),
    talk("a hundred and one segments", 80, &[Send(101 * SEGMENT)], true),
    talk("a page, then one segment", 80, &[Send(100_000), Await, Send(SEGMENT)], true),
    talk("a header, then the body when it is ready", 80, &[Send(300), Pause(35), Send(5_000)], false),
    talk("a segment, then the body when it is ready", 80, &[Send(SEGMENT), Pause(35), Send(60_000)], false),
    talk("three segments, then the body when it is ready", 80, &[Send(3 * SEGMENT), Pause(35), Send(60_000)], true),
    talk("two headers, then the body", 80, &[Send(300), Pause(17), Send(300), Pause(17), Send(5_000)], false),
    talk(
        "a dribble and a body",
        80,
        &[Send(40), Pause(11), Send(40), Pause(11), Send(40), Pause(11), Send(9_000)],
        false,
    ),
    talk("a page and the end", 80, &[Send(60_000), Close], true),
    talk("a small answer and the end", 80, &[Send(300), Close], false),
    talk("a page, a pause and the end", 80, &[Send(3 * SEGMENT), Pause(30), Close], true),
    talk("a page, a small answer and the end", 80, &[Send(2 * SEGMENT), Pause(5), Send(300), Close], true),
    talk(
        "idle for longer than a retransmission timeout",
        80,
        &[Send(20_000), Pause(700), Send(300), Await, Send(300)],
        true,
    ),
    talk("an upload", 100_000, &[Send(300)], true),
    talk("an upload of an odd length", 5 * SEGMENT + 700, &[Pause(10), Send(1_000)], true),
];

/// A conversation on a path of its own.
struct Scene {
    talk: &'static Conversation,
    path: Path,
}

/// Keeps all conversations up for a while, side by side.
fn converse_everywhere(scenes: &[Scene], seen: &mut Observation, family: Family) {
    let end = Instant::now() + TALK;
    thread::scope(|scope| {
        for Scene { talk, path } in scenes {
            scope.spawn(move || {
                let behaviour = Behaviour::Script { request: talk.request, steps: talk.steps };
                let server = Server::start(&path.far, Path::far_address(family, 0), behaviour);
                converse(&path.near, server.address, behaviour, REST, end);
            });
        }
        seen.until("the conversations are over", |_| Instant::now() > end + REST);
    });
    seen.tick();
}

/// No clean sample holds a delayed ACK, and there are clean ones where more than a segment was sent at once.
fn check(scenes: &[Scene], seen: &Observation, how: &str) {
    let mut delayed = Vec::new();
    for (number, Scene { talk, .. }) in scenes.iter().enumerate() {
        let ends = [2 * number, 2 * number + 1];
        for host in ends {
            let (clean, described) = (seen.max(host, Signal::RttMax), seen.describe(host));
            assert!(clean < DELAYED_US, "{}, {how}: a clean RTT of {clean} µs; {described}", talk.what);
        }
        let sum = |signal| ends.iter().map(|host| seen.sum(*host, signal)).sum::<f32>();
        let clean = sum(Signal::RttCount) - sum(Signal::HandshakeCount);
        let described = seen.describe(ends[1]);
        assert!(!talk.has_clean || clean >= 5.0, "{}, {how}: {clean} clean samples; {described}", talk.what);
        if ends.iter().any(|host| seen.max(*host, Signal::RttAllMax) >= DELAYED_US) {
            delayed.push(talk.what);
        }
    }
    // Otherwise the machine delays no ACK, and nothing was tested.
    assert!(delayed.len() >= 3, "{how}: of {} conversations ACKs were delayed in {delayed:?} alone", scenes.len());
}

#[test]
fn no_delayed_ack_is_clean() {
    let Some(_alone) = alone() else { return };
    let scenes: Vec<Scene> = CONVERSATIONS.iter().map(|talk| Scene { talk, path: Path::new() }).collect();
    let hosts: Vec<&Host> = scenes.iter().flat_map(|scene| [&scene.path.near, &scene.path.far]).collect();
    let mut seen = Observation::of(&hosts);
    for family in [Family::V4, Family::V6] {
        converse_everywhere(&scenes, &mut seen, family);
        check(&scenes, &seen, &format!("{family:?} with offloads"));
        seen.forget_all();
    }
    scenes.iter().for_each(|scene| scene.path.without_offloads());
    converse_everywhere(&scenes, &mut seen, Family::V4);
    check(&scenes, &seen, "without offloads");
}
