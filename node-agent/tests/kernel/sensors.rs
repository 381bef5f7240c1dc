//! The sensors beside `tcp`, and all of them together.

use std::{io::Write, process::Stdio};

use netprecursor_agent::{
    sensors::{
        object::Descriptions,
        suite::{Setting, Suite},
    },
    status::State,
};
use netprecursor_child::{Ending, Running};
use netprecursor_core::signal::{Signal, Signals};

use crate::fixture::{Behaviour, Family, Host, Observation, Path, Server, alone, ask, exchange};

/// Processes that want a CPU all the time.
fn spinners(host: &Host, count: usize) -> Vec<Running> {
    let spin = |_| {
        let mut command = host.command("sh");
        command.args(["-c", "while :; do :; done"]).stdin(Stdio::null());
        Running::spawn(&mut command, Ending::Killed).unwrap()
    };
    (0..count).map(spin).collect()
}

#[test]
fn every_sensor_is_active_on_a_current_kernel_with_all_rights() {
    let Some(_alone) = alone() else { return };
    let suite = Suite::start(Setting::Host);
    let statuses = suite.statuses();
    let names: Vec<&str> = statuses.iter().map(|status| status.name).collect();
    assert_eq!(names, ["tcp", "traffic", "sched", "sockets", "node"]);
    for status in statuses {
        assert!(!matches!(status.state, State::Unavailable(_)), "{}: {}", status.name, status.state);
    }
}

#[test]
fn waits_for_a_cpu_are_counted_when_more_want_one_than_there_are() {
    let Some(_alone) = alone() else { return };
    let (busy, idle) = (Host::new(), Host::new());
    let mut seen = Observation::of(&[&busy, &idle]);
    let cpus = std::thread::available_parallelism().unwrap().get();
    let _spinners = spinners(&busy, 2 * cpus);
    seen.until("waits", |seen| seen.sum(0, Signal::RunQueueCount) >= 20.0);
    // Twice as many as can run: each waits about as long as it runs, which is milliseconds.
    assert!(seen.max(0, Signal::RunQueueMean) > 200.0, "{}", seen.describe(0));
    assert!(seen.max(0, Signal::RunQueueP99) >= seen.min(0, Signal::RunQueueMean), "{}", seen.describe(0));
    assert_eq!(seen.sum(1, Signal::RunQueueCount), 0.0, "the idle host: {}", seen.describe(1));
}

/// The kernel's own type information alone, and tracefs alone.
fn one_way_each() -> [Descriptions; 2] {
    let nowhere = std::path::PathBuf::from("/nonexistent");
    let Descriptions { btf, tracefs } = Descriptions::default();
    [Descriptions { btf, tracefs: nowhere.clone() }, Descriptions { btf: nowhere, tracefs }]
}

#[test]
fn waits_for_a_cpu_are_the_same_with_tracefs_and_without() {
    let Some(_alone) = alone() else { return };
    let busy = Host::new();
    let [mut without, mut with] = one_way_each().map(|descriptions| Observation::with(&descriptions, &[&busy]));
    let means = |seen: &Observation| {
        seen.suite
            .statuses()
            .iter()
            .find(|status| status.name == "sched")
            .and_then(|status| status.means)
            .unwrap_or_default()
    };
    assert!(
        means(&without).contains("BTF") && means(&with).contains("tracefs"),
        "{} {}",
        means(&without),
        means(&with)
    );
    let cpus = std::thread::available_parallelism().unwrap().get();
    // Some want to run all the time, others sleep in between.
    let spinners = spinners(&busy, 2 * cpus);
    let mut sleeper = busy.command("sh");
    sleeper.args(["-c", "while :; do sleep 0.01; done"]).stdin(Stdio::null());
    let sleeper = Running::spawn(&mut sleeper, Ending::Killed).unwrap();
    without.until("waits", |seen| seen.sum(0, Signal::RunQueueCount) >= 500.0);
    with.until("waits with tracefs", |seen| seen.sum(0, Signal::RunQueueCount) >= 500.0);
    // From here on both see the same tasks.
    for seen in [&mut without, &mut with] {
        seen.forget_all();
    }
    without.until("more waits", |seen| seen.sum(0, Signal::RunQueueCount) >= 1000.0);
    drop((spinners, sleeper));
    for seen in [&mut without, &mut with] {
        seen.tick();
    }
    let waits = [&without, &with].map(|seen| seen.sum(0, Signal::RunQueueCount));
    let waited = [&without, &with].map(|seen| {
        let of = |tick: &Signals| tick.get(Signal::RunQueueCount) * tick.get(Signal::RunQueueMean);
        seen.ticks(0).iter().map(of).filter(|us| us.is_finite()).sum::<f32>()
    });
    for (what, [without_tracefs, with_tracefs]) in [("waits", waits), ("time waited", waited)] {
        let ratio = without_tracefs / with_tracefs;
        assert!((0.9..1.1).contains(&ratio), "{what}: {without_tracefs} without, {with_tracefs} with tracefs");
    }
}

#[test]
fn without_tracefs_and_without_types_sched_says_what_it_lacks() {
    let Some(_alone) = alone() else { return };
    let [without_tracefs, without_types] = one_way_each();
    let neither = Descriptions { btf: without_types.btf, tracefs: without_tracefs.tracefs };
    let suite = Suite::start_with(Setting::Host, &neither);
    let sched = suite.statuses().into_iter().find(|status| status.name == "sched").unwrap();
    assert!(matches!(sched.state, State::Unavailable(_)));
    let reason = sched.state.reason();
    for word in ["CONFIG_DEBUG_INFO_BTF", "tracefs", "expected one of them"] {
        assert!(reason.contains(word), "{word}: {reason}");
    }
}

#[test]
fn the_nodes_pressure_is_a_share_and_a_filled_queue_has_a_backlog() {
    let Some(_alone) = alone() else { return };
    let path = Path::through_a_queue(2, 100_000);
    let server = Server::start(&path.far, Path::far_address(Family::V4, 0), Behaviour::Swallow);
    let mut seen = Observation::of(&[&path.near]);
    let mut stream = ask(&path.near, server.address);
    stream.set_nonblocking(true).unwrap();
    seen.until("a backlog", |seen| {
        // Until the socket's buffer is full.
        while stream.write(&[b'x'; 16 * 1024]).is_ok() {}
        seen.max(0, Signal::QdiscBacklog) > 10_000.0
    });
    for signal in [Signal::PressureCpu, Signal::PressureMemory, Signal::PressureIo] {
        let (min, max) = (seen.min(0, signal), seen.max(0, signal));
        assert!(min >= 0.0 && max <= 1.0, "{}: {min}…{max}", signal.name());
    }
}

#[test]
fn two_agents_side_by_side_count_the_same() {
    let Some(_alone) = alone() else { return };
    let path = Path::new();
    let server = Server::start(
        &path.far,
        Path::far_address(Family::V4, 0),
        Behaviour::Answer { bytes: 5_000, after: std::time::Duration::ZERO },
    );
    // The end that sends full segments: its samples are clean.
    let mut first = Observation::of(&[&path.far]);
    let mut second = Observation::of(&[&path.far]);
    for _ in 0..5 {
        let mut stream = ask(&path.near, server.address);
        for _ in 0..20 {
            exchange(&mut stream, 5_000);
        }
    }
    for seen in [&mut first, &mut second] {
        seen.until("five connections", |seen| seen.sum(0, Signal::Closes) >= 5.0);
        seen.settle();
    }
    let described = format!("{}\nand {}", first.describe(0), second.describe(0));
    for signal in [
        Signal::Opens,
        Signal::Closes,
        Signal::RttAllCount,
        Signal::RttCount,
        Signal::HandshakeCount,
        Signal::Retransmits,
    ] {
        assert_eq!(first.sum(0, signal), second.sum(0, signal), "{}: {described}", signal.name());
    }
    assert!(first.sum(0, Signal::RttCount) > 50.0, "{described}");
    // One started to look before the other, and IPv6 neighbours talk all the time.
    for signal in [Signal::RxBytes, Signal::TxBytes, Signal::RxPackets] {
        let ratio = first.sum(0, signal) / second.sum(0, signal);
        assert!((0.9..1.1).contains(&ratio), "{}: {described}", signal.name());
    }
}
