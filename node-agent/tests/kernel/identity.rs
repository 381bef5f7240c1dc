//! Whose a connection is, without entering any namespace: the kernel notes addresses and cgroups, and an address that comes
//! back under another pod is never taken for the old one's.

use std::{
    io::Write,
    net::{IpAddr, SocketAddr},
    time::Instant,
};

use aya::maps::{HashMap, Map, MapData, PerCpuArray};
use netprecursor_agent::{
    sensors::{object::Object, tcp::Tcp, traffic::Traffic},
    targets::{identifier::ClaimKey, ownership::Resident},
};
use netprecursor_agent_common::{Counter, identity::MAX_CLAIMS, names};
use netprecursor_core::signal::Signal;

use crate::fixture::{
    Behaviour, Driver, Family, Group, Host, Observation, Path, Server, addresses, alone, ask, ask_from, exchange,
    wait_for,
};

fn pod(uid: &str, addresses: &[IpAddr]) -> Resident {
    Resident { uid: uid.to_owned(), static_uid: None, addresses: addresses.to_vec(), host_network: false }
}

/// The far end of a [`Path`], as the API would show it.
fn far_pod(uid: &str) -> Resident {
    pod(uid, &Path::far_addresses())
}

/// One short connection.
fn call(from: &Host, to: SocketAddr) {
    exchange(&mut ask(from, to), 64);
}

/// Calls the server again and again until the pod `number` has opened a connection; how long that took.
fn call_until_seen(seen: &mut Observation, number: usize, from: &Host, to: SocketAddr) -> std::time::Duration {
    let begun = Instant::now();
    seen.until("the pod's connections are counted", |seen| {
        call(from, to);
        seen.sum(number, Signal::Opens) > 0.0
    });
    begun.elapsed()
}

/// Waits until the thread that identifies pods has taken in what there is.
fn settle(seen: &mut Observation) {
    let mut rounds = 0;
    seen.until("three looks", |_| {
        rounds += 1;
        rounds > 5
    });
}

#[test]
fn a_pod_is_known_by_its_address_in_either_family_within_two_seconds_of_its_first_connection() {
    let Some(_alone) = alone() else { return };
    for family in [Family::V4, Family::V6] {
        let path = Path::new();
        let server = Server::start(&path.far, Path::far_address(family, 0), Behaviour::PROMPT);
        let mut seen = Observation::in_cluster();
        let far = far_pod("far");
        seen.suite.know(vec![far.clone()], Vec::new());
        let number = seen.watch_pod(0, &far);
        let took = call_until_seen(&mut seen, number, &path.near, server.address);
        assert!(took.as_secs_f64() < 2.0, "{family:?} took {took:?}");
        assert!(seen.max(number, Signal::RxBytes) > 0.0, "{family:?}: {}", seen.describe(number));
    }
}

#[test]
fn a_pod_whose_connections_are_all_older_than_the_agent_is_known_by_their_packets() {
    for family in [Family::V4, Family::V6] {
        let Some(_alone) = alone() else { return };
        let path = Path::new();
        let server = Server::start(&path.far, Path::far_address(family, 0), Behaviour::PROMPT);
        let mut older = ask(&path.near, server.address);
        exchange(&mut older, 64);
        let mut seen = Observation::in_cluster();
        let far = far_pod("far");
        seen.suite.know(vec![far.clone()], Vec::new());
        let number = seen.watch_pod(0, &far);
        seen.until("its bytes are counted", |seen| {
            exchange(&mut older, 64);
            seen.sum(number, Signal::RxBytes) > 0.0 && seen.sum(number, Signal::TxBytes) > 0.0
        });
    }
}

#[test]
fn a_server_that_takes_ipv4_over_an_ipv6_socket_is_known_by_its_ipv4_address() {
    let Some(_alone) = alone() else { return };
    let path = Path::new();
    let any: SocketAddr = "[::]:0".parse().unwrap();
    let server = Server::start(&path.far, any, Behaviour::PROMPT);
    let mut seen = Observation::in_cluster();
    let far = pod("far", &[Path::far_address(Family::V4, 0).ip()]);
    seen.suite.know(vec![far.clone()], Vec::new());
    let number = seen.watch_pod(0, &far);
    let address = Path::far_address(Family::V4, server.address.port());
    call_until_seen(&mut seen, number, &path.near, address);
}

#[test]
fn addresses_that_every_namespace_has_prove_nothing() {
    let Some(_alone) = alone() else { return };
    let host = Host::new();
    host.ip("addr add 169.254.7.7/16 dev lo");
    let servers = ["127.0.0.1:0", "[::1]:0", "169.254.7.7:0"]
        .map(|address| Server::start(&host, address.parse().unwrap(), Behaviour::PROMPT));
    let mut seen = Observation::in_cluster();
    let anybody = pod("anybody", &["127.0.0.1", "::1", "169.254.7.7"].map(|address| address.parse().unwrap()));
    seen.suite.know(vec![anybody.clone()], Vec::new());
    let number = seen.watch_pod(0, &anybody);
    for _ in 0..3 {
        servers.iter().for_each(|server| call(&host, server.address));
        settle(&mut seen);
    }
    assert_eq!(seen.suite.identities().unwrap().installed.0, 0);
    assert_eq!(seen.sum(number, Signal::TxBytes), 0.0);
}

#[test]
fn an_address_that_comes_back_is_the_new_pods_while_the_old_namespace_lingers_and_talks() {
    let Some(_alone) = alone() else { return };
    let (old_path, new_path) = (Path::new(), Path::new());
    let old_server = Server::start(&old_path.far, Path::far_address(Family::V4, 0), Behaviour::PROMPT);
    let new_server = Server::start(&new_path.far, Path::far_address(Family::V4, 0), Behaviour::Swallow);
    let mut seen = Observation::in_cluster();
    let old = far_pod("old");
    seen.suite.know(vec![old.clone()], Vec::new());
    let number = seen.watch_pod(0, &old);
    call_until_seen(&mut seen, number, &old_path.near, old_server.address);
    let mut lingering = ask(&old_path.near, old_server.address);

    // The pod is gone; another one gets its address. Its namespace has not sent anything yet.
    seen.unwatch_pod(number, &old);
    let new = far_pod("new");
    seen.suite.know(vec![new.clone()], Vec::new());
    let number = seen.watch_pod(1, &new);
    seen.forget(number);
    for _ in 0..10 {
        exchange(&mut lingering, 64);
        call(&old_path.near, old_server.address);
        seen.tick();
        settle(&mut seen);
    }
    assert_eq!(seen.sum(number, Signal::Opens) + seen.sum(number, Signal::RxBytes), 0.0, "{}", seen.describe(number));

    // It talks; the old one still does.
    let mut stream = ask(&new_path.near, new_server.address);
    seen.until("the new pod is counted", |seen| {
        stream.write_all(&[0; 1000]).unwrap();
        exchange(&mut lingering, 64);
        seen.sum(number, Signal::RxBytes) > 0.0
    });
    seen.forget(number);
    for _ in 0..50 {
        exchange(&mut lingering, 64);
    }
    settle(&mut seen);
    assert_eq!(seen.sum(number, Signal::RxBytes), 0.0, "{}", seen.describe(number));
}

#[test]
fn an_address_that_comes_back_is_the_new_pods_after_the_old_namespace_is_gone() {
    let Some(_alone) = alone() else { return };
    let mut seen = Observation::in_cluster();
    for (slot, uid) in ["first", "second", "third"].into_iter().enumerate() {
        let path = Path::new();
        let server = Server::start(&path.far, Path::far_address(Family::V6, 0), Behaviour::PROMPT);
        let resident = far_pod(uid);
        seen.suite.know(vec![resident.clone()], Vec::new());
        let number = seen.watch_pod(slot as u32, &resident);
        call_until_seen(&mut seen, number, &path.near, server.address);
        seen.unwatch_pod(number, &resident);
        seen.suite.know(Vec::new(), Vec::new());
        seen.until("nothing is left of it", |seen| seen.suite.identities().unwrap().installed == (0, 0));
    }
}

#[test]
fn where_cgroups_are_known_what_is_left_of_an_older_pod_is_not_taken_for_the_new_one_after_a_restart() {
    let Some(_alone) = alone() else { return };
    for driver in [Driver::Cgroupfs, Driver::Systemd] {
        let (old_path, new_path) = (Path::new(), Path::new());
        let new_group = Group::new(driver);
        let old_group = new_group.beside(driver);
        let serve = |group: &Group, path: &Path| {
            group.within(|| Server::start(&path.far, Path::far_address(Family::V4, 0), Behaviour::PROMPT))
        };
        let (old_server, new_server) = (serve(&old_group, &old_path), serve(&new_group, &new_path));
        // The old pod ended while no agent ran: only its cgroup could show it, and that is gone.
        drop(old_group);
        let mut seen = Observation::below(new_group.root());
        let new = far_pod(&new_group.uid);
        seen.suite.know(vec![new.clone()], Vec::new());
        let number = seen.watch_pod(0, &new);
        for _ in 0..5 {
            call(&old_path.near, old_server.address);
            settle(&mut seen);
        }
        assert_eq!(seen.sum(number, Signal::Opens), 0.0, "{driver:?}: {}", seen.describe(number));
        call_until_seen(&mut seen, number, &new_path.near, new_server.address);
    }
}

#[test]
fn a_pod_whose_address_the_api_does_not_know_yet_is_known_by_its_cgroup() {
    let Some(_alone) = alone() else { return };
    let path = Path::new();
    let group = Group::new(Driver::Systemd);
    let server = group.within(|| Server::start(&path.far, Path::far_address(Family::V4, 0), Behaviour::PROMPT));
    let mut seen = Observation::below(group.root());
    let unaddressed = pod(&group.uid, &[]);
    seen.suite.know(vec![unaddressed.clone()], Vec::new());
    let number = seen.watch_pod(0, &unaddressed);
    call_until_seen(&mut seen, number, &path.near, server.address);
}

#[test]
fn more_new_namespaces_than_there_is_room_for_are_counted_and_disturb_nobody() {
    let Some(_alone) = alone() else { return };
    let path = Path::new();
    // One namespace with more addresses than the kernel notes at once simulates as many namespaces.
    // Of the range for such tests (RFC 2544).
    path.near.ip("route add local 198.18.0.0/16 dev lo");
    path.far.ip(&format!("route add 198.18.0.0/16 via {}", addresses::v4(1)));
    let server = Server::start(&path.far, Path::far_address(Family::V4, 0), Behaviour::PROMPT);
    // Nobody takes the notes out.
    let mut object = Object::load().unwrap();
    let _tcp = Tcp::start(&mut object.bpf, object.cpus).unwrap();
    let _traffic = Traffic::start(&mut object.bpf, object.cpus).unwrap();
    let map = |object: &mut Object, name| -> Map { object.bpf.take_map(name).unwrap() };
    let claims: HashMap<MapData, ClaimKey, u64> = HashMap::try_from(map(&mut object, names::map::CLAIMS)).unwrap();
    let counters: PerCpuArray<MapData, u64> = PerCpuArray::try_from(map(&mut object, names::map::COUNTERS)).unwrap();
    let lost = || counters.get(&(Counter::ClaimLost as u32), 0).unwrap().iter().sum::<u64>();

    let addresses = MAX_CLAIMS + 40;
    for number in 0..addresses {
        let local = [198, 18, (number / 250) as u8, (number % 250 + 1) as u8];
        drop(ask_from(&path.near, local.into(), server.address));
    }
    assert!(lost() >= 40, "{} lost", lost());
    assert_eq!(claims.keys().filter_map(Result::ok).count(), MAX_CLAIMS as usize);
}

#[test]
fn a_pod_on_the_hosts_network_is_known_by_its_cgroup() {
    let Some(_alone) = alone() else { return };
    let (far, group) = (Host::new(), Group::new(Driver::Cgroupfs));
    let link = Link::to(&far);
    let server = Server::start(&far, (addresses::other_v4(2), 0).into(), Behaviour::PROMPT);
    let mut seen = Observation::below(group.root());
    let resident = Resident { host_network: true, ..pod(&group.uid, &[addresses::other_v4(1).into()]) };
    seen.suite.know(vec![resident.clone()], resident.addresses.clone());
    let number = seen.watch_pod(0, &resident);
    let mut own = group.within(|| std::net::TcpStream::connect(server.address).unwrap());
    let mut other = std::net::TcpStream::connect(server.address).unwrap();
    // The node's namespace is noted with the next connections.
    seen.until("the pod's packets are counted", |seen| {
        exchange(&mut own, 64);
        drop(std::net::TcpStream::connect(server.address).unwrap());
        seen.sum(number, Signal::TxBytes) > 0.0
    });
    seen.until("its round trips are measured", |seen| {
        exchange(&mut own, 64);
        seen.sum(number, Signal::RttAllCount) > 0.0
    });
    seen.settle();
    seen.forget(number);
    for _ in 0..20 {
        exchange(&mut other, 64);
    }
    settle(&mut seen);
    assert_eq!(seen.sum(number, Signal::TxBytes) + seen.sum(number, Signal::RttAllCount), 0.0);

    // Whoever gets the slot next gets nothing of its sockets.
    seen.unwatch_pod(number, &resident);
    let next = pod("next", &[addresses::other_v4(99).into()]);
    let number = seen.watch_pod(0, &next);
    seen.forget(number);
    for _ in 0..20 {
        exchange(&mut own, 64);
    }
    settle(&mut seen);
    assert_eq!(seen.sum(number, Signal::TxBytes) + seen.sum(number, Signal::RttAllCount), 0.0);
    drop(link);
}

/// A link from the namespace of the tests to a host. Gone when dropped.
struct Link(String);

impl Link {
    fn to(far: &Host) -> Self {
        let name = format!("npt{}", std::process::id());
        let ip = |arguments: &str| {
            let output = std::process::Command::new("ip").args(arguments.split(' ')).output().unwrap();
            assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
        };
        ip(&format!("link add {name} type veth peer name e0 netns {}", far.name));
        ip(&format!("addr add {}/24 dev {name}", addresses::other_v4(1)));
        ip(&format!("link set {name} up"));
        far.ip(&format!("addr add {}/24 dev e0", addresses::other_v4(2)));
        far.ip("link set e0 up");
        wait_for("the link answers", || {
            let nobody = (addresses::other_v4(2), 9).into();
            let refused = std::net::TcpStream::connect_timeout(&nobody, std::time::Duration::from_millis(200));
            (refused.unwrap_err().kind() == std::io::ErrorKind::ConnectionRefused).then_some(())
        });
        Self(name)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let _ = std::process::Command::new("ip").args(["link", "del", &self.0]).output();
    }
}
