//! Whose a connection is, without entering any namespace: the kernel notes addresses and cgroups, and an address that comes
//! back under another pod is never taken for the old one's.

use std::{io::Write, net::SocketAddr, time::Instant};

use aya::maps::{HashMap, Map, MapData, PerCpuArray};
use netprecursor_agent::{
    sensors::{object::Object, tcp::Tcp, traffic::Traffic},
    targets::{identifier::ClaimKey, identities::Resident},
};
use netprecursor_agent_common::{Counter, identity::MAX_CLAIMS};
use netprecursor_core::signal::Signal;

use crate::fixture::{
    Behaviour, Driver, Family, Group, Host, Observation, Path, Server, alone, ask, exchange, wait_for,
};

/// The far end of every [`Path`], as the API would show it.
const FAR: [&str; 2] = ["10.77.0.2", "fd77::2"];

fn pod(uid: &str, addresses: &[&str]) -> Resident {
    let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
    Resident { uid: uid.to_owned(), static_uid: None, addresses, host_network: false }
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

/// Waits until the thread that tells pods apart has taken in what there is.
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
        let far = pod("far", &FAR);
        seen.suite.know(vec![far.clone()], Vec::new());
        let number = seen.watch_pod(0, &far);
        let took = call_until_seen(&mut seen, number, &path.near, server.address);
        assert!(took.as_secs_f64() < 2.0, "{family:?} took {took:?}");
        assert!(seen.max(number, Signal::RxBytes) > 0.0, "{family:?}: {}", seen.describe(number));
    }
}

#[test]
fn a_server_that_takes_ipv4_over_an_ipv6_socket_is_known_by_its_ipv4_address() {
    let Some(_alone) = alone() else { return };
    let path = Path::new();
    let any: SocketAddr = "[::]:0".parse().unwrap();
    let server = Server::start(&path.far, any, Behaviour::PROMPT);
    let mut seen = Observation::in_cluster();
    let far = pod("far", &["10.77.0.2"]);
    seen.suite.know(vec![far.clone()], Vec::new());
    let number = seen.watch_pod(0, &far);
    let address = Path::far_address(Family::V4, server.address.port());
    call_until_seen(&mut seen, number, &path.near, address);
}

#[test]
fn addresses_that_every_namespace_has_tell_nothing() {
    let Some(_alone) = alone() else { return };
    let host = Host::new();
    host.ip("addr add 169.254.7.7/16 dev lo");
    let servers = ["127.0.0.1:0", "[::1]:0", "169.254.7.7:0"]
        .map(|address| Server::start(&host, address.parse().unwrap(), Behaviour::PROMPT));
    let mut seen = Observation::in_cluster();
    let anybody = pod("anybody", &["127.0.0.1", "::1", "169.254.7.7"]);
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
    let old = pod("old", &FAR);
    seen.suite.know(vec![old.clone()], Vec::new());
    let number = seen.watch_pod(0, &old);
    call_until_seen(&mut seen, number, &old_path.near, old_server.address);
    let mut lingering = ask(&old_path.near, old_server.address);

    // The pod is gone; another one gets its address. Its namespace has not said anything yet.
    seen.unwatch_pod(number, &old);
    let new = pod("new", &FAR);
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

    // It talks; the old one goes on.
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
        let resident = pod(uid, &FAR);
        seen.suite.know(vec![resident.clone()], Vec::new());
        let number = seen.watch_pod(slot as u32, &resident);
        call_until_seen(&mut seen, number, &path.near, server.address);
        seen.unwatch_pod(number, &resident);
        seen.suite.know(Vec::new(), Vec::new());
        seen.until("nothing is left of it", |seen| seen.suite.identities().unwrap().installed == (0, 0));
    }
}

#[test]
fn where_cgroups_tell_what_is_left_of_an_older_pod_is_not_taken_for_the_new_one_after_a_restart() {
    let Some(_alone) = alone() else { return };
    for driver in [Driver::Cgroupfs, Driver::Systemd] {
        let (old_path, new_path) = (Path::new(), Path::new());
        let new_group = Group::new(driver);
        let old_group = new_group.beside(driver);
        let serve = |group: &Group, path: &Path| {
            group.within(|| Server::start(&path.far, Path::far_address(Family::V4, 0), Behaviour::PROMPT))
        };
        let (old_server, new_server) = (serve(&old_group, &old_path), serve(&new_group, &new_path));
        // The old pod ended while no agent ran: only its cgroup could tell, and that is gone.
        drop(old_group);
        let mut seen = Observation::below(new_group.root());
        let new = pod(&new_group.uid, &FAR);
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
    // One namespace with more addresses than the kernel notes at once stands in for as many namespaces.
    path.near.ip("route add local 10.78.0.0/16 dev lo");
    path.far.ip("route add 10.78.0.0/16 via 10.77.0.1");
    let server = Server::start(&path.far, Path::far_address(Family::V4, 0), Behaviour::PROMPT);
    // Nobody takes the notes out.
    let mut object = Object::load().unwrap();
    let _tcp = Tcp::start(&mut object.bpf, object.cpus, "tcp").unwrap();
    let _traffic = Traffic::start(&mut object.bpf, object.cpus).unwrap();
    let map = |object: &mut Object, name| -> Map { object.bpf.take_map(name).unwrap() };
    let claims: HashMap<MapData, ClaimKey, u64> = HashMap::try_from(map(&mut object, "CLAIMS")).unwrap();
    let counters: PerCpuArray<MapData, u64> = PerCpuArray::try_from(map(&mut object, "COUNTERS")).unwrap();
    let lost = || counters.get(&(Counter::ClaimLost as u32), 0).unwrap().iter().sum::<u64>();

    let addresses = MAX_CLAIMS + 40;
    path.near.within(|| {
        for number in 0..addresses {
            let local = [10, 78, (number / 250) as u8, (number % 250 + 1) as u8];
            call_from(local, server.address);
        }
    });
    assert!(lost() >= 40, "{} lost", lost());
    assert_eq!(claims.keys().filter_map(Result::ok).count(), MAX_CLAIMS as usize);
}

/// A short connection from an address of one's own choice.
fn call_from(local: [u8; 4], server: SocketAddr) {
    let SocketAddr::V4(server) = server else { panic!("IPv4 only") };
    let sockaddr = |address: std::net::Ipv4Addr, port: u16| libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(address.octets()) },
        sin_zero: [0; 8],
    };
    let (local, remote) = (sockaddr(local.into(), 0), sockaddr(*server.ip(), server.port()));
    let length = size_of::<libc::sockaddr_in>() as libc::socklen_t;
    // SAFETY: plain system calls with addresses that live through them.
    unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0);
        assert!(socket >= 0);
        assert_eq!(libc::bind(socket, (&raw const local).cast(), length), 0, "{}", std::io::Error::last_os_error());
        assert_eq!(libc::connect(socket, (&raw const remote).cast(), length), 0, "{}", std::io::Error::last_os_error());
        libc::close(socket);
    }
}

#[test]
fn a_pod_on_the_hosts_network_is_known_by_its_cgroup() {
    let Some(_alone) = alone() else { return };
    let (far, group) = (Host::new(), Group::new(Driver::Cgroupfs));
    let link = Link::to(&far);
    let server = Server::start(&far, "10.79.0.2:0".parse().unwrap(), Behaviour::PROMPT);
    let mut seen = Observation::below(group.root());
    let resident = Resident { host_network: true, ..pod(&group.uid, &["10.79.0.1"]) };
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
    let next = pod("next", &["10.99.0.1"]);
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
        ip(&format!("addr add 10.79.0.1/24 dev {name}"));
        ip(&format!("link set {name} up"));
        far.ip("addr add 10.79.0.2/24 dev e0");
        far.ip("link set e0 up");
        wait_for("the link answers", || {
            let nobody = "10.79.0.2:9".parse().unwrap();
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
