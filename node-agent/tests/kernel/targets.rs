//! Targets come and go, and nothing that belongs to one is ever attributed to another.

use std::{fs, net::TcpStream, path::PathBuf, process::Command};

use netprecursor_agent::{
    sensors::suite::{Setting, Suite},
    tick::{pipeline::Pipeline, target::Target},
};
use netprecursor_core::{
    alert::{AlertState, Transition},
    decide::Resolution,
    signal::Signal,
    tick::Tick,
};

use crate::fixture::{Behaviour, Family, Host, Observation, Path, Server, alone, ask, exchange};

/// A pipeline whose ticks come as fast as the test wants.
struct Ticking {
    pipeline: Pipeline,
    now: u64,
}

impl Ticking {
    fn start(host: &str, policy: Option<&str>) -> Self {
        let policies = policy.map(|yaml| netprecursor_crds::policies_from_yaml("test", yaml).unwrap());
        let selector = format!("netns:{host}").parse().unwrap();
        let pipeline =
            Pipeline::new(Suite::start(Setting::Host), vec![selector], policies.unwrap_or_default(), |_, _| None);
        Self { pipeline, now: 0 }
    }

    fn tick(&mut self) -> Vec<Transition> {
        self.now += 1;
        self.pipeline.tick(Tick(self.now), 1.0, self.now)
    }

    fn target(&self) -> &Target {
        assert_eq!(self.pipeline.targets.len(), 1);
        &self.pipeline.targets[0]
    }
}

#[test]
fn a_namespace_made_again_under_its_name_is_another_target_that_starts_at_zero() {
    let Some(_alone) = alone() else { return };
    let path = Path::new();
    let server = Server::start(&path.far, Path::far_address(Family::V4, 0), Behaviour::PROMPT);
    let name = path.near.name.clone();
    let mut ticking = Ticking::start(&name, None);
    ticking.tick();
    let mut survivor = ask(&path.near, server.address);
    exchange(&mut survivor, 64);
    ticking.tick();
    let before = (ticking.target().about.uid.clone(), ticking.target().about.origin.clone(), ticking.target().place);
    assert_eq!(ticking.target().plain().signals.get(Signal::Opens), 1.0);

    path.near.forget_name();
    let _again = Host::named(name);
    // The old namespace lives on, and its connection talks.
    exchange(&mut survivor, 64);
    ticking.tick();
    exchange(&mut survivor, 64);
    ticking.tick();

    let target = ticking.target();
    assert_ne!(target.about.uid, before.0);
    assert_ne!(target.about.origin, before.1);
    assert_ne!((target.place.cookie, target.place.slot), (before.2.cookie, before.2.slot));
    for signal in [Signal::Opens, Signal::RttAllCount, Signal::TxPackets, Signal::RxBytes, Signal::Retransmits] {
        assert_eq!(target.plain().signals.get(signal), 0.0, "{}", signal.name());
    }
}

/// Another name of a host's namespace. Gone when dropped.
struct Alias(PathBuf);

impl Alias {
    /// As a container engine links it.
    fn link(host: &Host) -> Self {
        let alias = Self::of(host, "link");
        std::os::unix::fs::symlink(format!("/run/netns/{}", host.name), &alias.0).unwrap();
        alias
    }

    /// As `ip netns attach` mounts it: it keeps the namespace when the first name goes.
    fn mount(host: &Host) -> Self {
        let alias = Self::of(host, "mount");
        fs::write(&alias.0, "").unwrap();
        let done = Command::new("mount").arg("--bind").arg(format!("/run/netns/{}", host.name)).arg(&alias.0).status();
        assert!(done.unwrap().success());
        alias
    }

    fn of(host: &Host, suffix: &str) -> Self {
        Self(PathBuf::from(format!("/run/netns/{}-{suffix}", host.name)))
    }

    fn name(&self) -> String {
        self.0.file_name().unwrap().to_str().unwrap().to_owned()
    }
}

impl Drop for Alias {
    fn drop(&mut self) {
        if !self.0.is_symlink() {
            let _ = Command::new("umount").arg(&self.0).status();
        }
        let _ = fs::remove_file(&self.0);
    }
}

/// Connections of a host that are counted in one tick.
fn opens(ticking: &mut Ticking, host: &Host, server: &Server) -> f32 {
    for _ in 0..3 {
        exchange(&mut ask(host, server.address), 64);
    }
    ticking.tick();
    ticking.target().plain().signals.get(Signal::Opens)
}

#[test]
fn another_name_of_a_watched_namespace_is_the_same_target_and_leaves_it_when_it_goes() {
    let Some(_alone) = alone() else { return };
    for make in [Alias::link, Alias::mount] {
        let path = Path::new();
        let server = Server::start(&path.far, Path::far_address(Family::V4, 0), Behaviour::PROMPT);
        let mut ticking = Ticking::start(&format!("{}*", path.near.name), None);
        ticking.tick();
        assert_eq!(opens(&mut ticking, &path.near, &server), 3.0);
        let (uid, place) = (ticking.target().about.uid.clone(), ticking.target().place);

        let alias = make(&path.near);
        ticking.tick();
        assert_eq!(ticking.target().about.aliases, [alias.name()]);
        assert!(ticking.target().about.is_named(&alias.name()) && ticking.target().about.is_named(&path.near.name));
        assert_eq!(opens(&mut ticking, &path.near, &server), 3.0, "beside {alias}", alias = alias.name());

        let gone = alias.name();
        drop(alias);
        ticking.tick();
        assert_eq!(opens(&mut ticking, &path.near, &server), 3.0, "after {gone}");
        assert!(ticking.target().about.aliases.is_empty());
        assert_eq!((&ticking.target().about.uid, ticking.target().place), (&uid, place));
    }
}

#[test]
fn a_namespace_that_loses_its_first_name_goes_on_under_the_other() {
    let Some(_alone) = alone() else { return };
    let path = Path::new();
    let server = Server::start(&path.far, Path::far_address(Family::V4, 0), Behaviour::PROMPT);
    let alias = Alias::mount(&path.near);
    let mut ticking = Ticking::start(&format!("{}*", path.near.name), None);
    ticking.tick();
    assert_eq!(ticking.target().about.name, path.near.name);
    let (uid, place) = (ticking.target().about.uid.clone(), ticking.target().place);

    let Path { near, far: _far } = path;
    near.forget_name();
    ticking.tick();
    assert_eq!(ticking.target().about.name, alias.name());
    assert_eq!(opens(&mut ticking, &near, &server), 3.0);
    assert_eq!((&ticking.target().about.uid, ticking.target().place), (&uid, place));

    drop(alias);
    ticking.tick();
    assert!(ticking.pipeline.targets.is_empty(), "no name is left");
}

#[test]
fn namespaces_with_the_same_addresses_are_distinguished() {
    let Some(_alone) = alone() else { return };
    let (busy, quiet) = (Path::new(), Path::new());
    let server = Server::start(&busy.far, Path::far_address(Family::V6, 0), Behaviour::PROMPT);
    let _same = Server::start(&quiet.far, server.address, Behaviour::PROMPT);
    let mut seen = Observation::of(&[&busy.near, &quiet.near, &quiet.far]);
    for _ in 0..5 {
        exchange(&mut ask(&busy.near, server.address), 64);
    }
    seen.until("connections", |seen| seen.sum(0, Signal::Closes) >= 5.0);
    assert_eq!(seen.sum(0, Signal::Opens), 5.0);
    for host in [1, 2] {
        for signal in [Signal::Opens, Signal::Closes, Signal::RttAllCount, Signal::HandshakeCount] {
            assert_eq!(seen.sum(host, signal), 0.0, "{}: {}", signal.name(), seen.describe(host));
        }
    }
}

/// Every path is slower than this. One second without a sample, on a busy machine, is no recovery.
const ALWAYS_BREACHED: &str = "apiVersion: netprecursor.io/v1alpha1\nkind: PrecursorPolicy\nmetadata: {name: test}\n\
    spec: {target: {podSelector: {}}, rules: [{name: rtt, signal: RttForecast, rttForecast: {threshold: 2us}, \
    keepFiringFor: 60s}]}\n";

#[test]
fn the_alert_of_a_namespace_that_vanishes_is_resolved() {
    let Some(_alone) = alone() else { return };
    let path = Path::new();
    let server = Server::start(&path.far, Path::far_address(Family::V4, 0), Behaviour::PROMPT);
    let mut ticking = Ticking::start(&path.near.name, Some(ALWAYS_BREACHED));
    let mut transitions = Vec::new();
    // A minute of warm-up, one connection and so one clean sample each tick.
    for _ in 0..70 {
        let _stream: TcpStream = ask(&path.near, server.address);
        transitions.extend(ticking.tick());
    }
    let fired = transitions.iter().find(|transition| matches!(transition, Transition::Fired(_)));
    let name = fired.unwrap_or_else(|| panic!("nothing fired: {transitions:?}")).alert().name.clone();

    drop(path.near);
    let transitions = ticking.tick();
    assert!(ticking.pipeline.targets.is_empty());
    let resolved = transitions.iter().find(|transition| matches!(transition, Transition::Resolved(_)));
    let alert = resolved.unwrap_or_else(|| panic!("nothing resolved: {transitions:?}")).alert();
    assert_eq!((&alert.name, alert.state), (&name, AlertState::Resolved));
    assert_eq!(alert.resolution, Some(Resolution::Gone));
}
