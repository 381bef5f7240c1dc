//! What a host says to itself is no network, whichever of its addresses it uses.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::Command,
};

use netprecursor_agent::targets::ownership::Resident;
use netprecursor_core::signal::Signal;

use crate::fixture::{
    Behaviour, Driver, Family, Group, Host, Observation, Path, Server, addresses, alone, ask, ask_from, connect_from,
    exchange,
};

/// What a connection of the network would be counted in.
const COUNTED: [Signal; 7] = [
    Signal::RttAllCount,
    Signal::RttCount,
    Signal::HandshakeCount,
    Signal::Opens,
    Signal::Closes,
    Signal::FailedConnects,
    Signal::Established,
];

/// Packets of [`talk`] at least, both ends together.
const PACKETS: f32 = 40.0;

fn talk(mut stream: TcpStream) -> TcpStream {
    for _ in 0..20 {
        exchange(&mut stream, 64);
    }
    stream
}

/// Nothing was counted but packets, and the sockets that are still open count as covered.
fn assert_unmeasured(seen: &mut Observation, packets: f32, what: &str) {
    seen.until("its packets and a survey", |seen| {
        seen.sum(0, Signal::TxPackets) >= packets && seen.seen(0).coverage.is_some()
    });
    seen.settle();
    for signal in COUNTED {
        assert_eq!(seen.sum(0, signal), 0.0, "{what}: {}; {}", signal.name(), seen.describe(0));
    }
}

#[test]
fn a_connection_between_a_hosts_own_addresses_is_not_measured() {
    let Some(_alone) = alone() else { return };
    let path = Path::new();
    let (own, other) = (addresses::v4(1), addresses::v4(77));
    let (own6, other6) = (addresses::v6(1), addresses::v6(77));
    path.near.ip(&format!("addr add {other}/32 dev e0"));
    path.near.ip(&format!("addr add {other6}/128 dev lo"));
    let cases: [(IpAddr, IpAddr, IpAddr); 11] = [
        // Where the server listens, where it is called, and from where.
        ([127, 0, 0, 1].into(), [127, 0, 0, 1].into(), [127, 0, 0, 1].into()),
        (own.into(), own.into(), own.into()),
        (own.into(), own.into(), [127, 0, 0, 6].into()),
        (own.into(), own.into(), other.into()),
        (other.into(), other.into(), own.into()),
        ("::1".parse().unwrap(), "::1".parse().unwrap(), "::1".parse().unwrap()),
        (own6.into(), own6.into(), "::1".parse().unwrap()),
        (own6.into(), own6.into(), other6.into()),
        (other6.into(), other6.into(), own6.into()),
        // A server that takes IPv4 over an IPv6 socket.
        ("::".parse().unwrap(), own.into(), other.into()),
        ("::".parse().unwrap(), own.into(), [127, 0, 0, 6].into()),
    ];
    for (listens, called, from) in cases {
        let server = Server::start(&path.near, SocketAddr::new(listens, 0), Behaviour::PROMPT);
        let called = SocketAddr::new(called, server.address.port());
        let mut seen = Observation::of(&[&path.near]);
        let _open = talk(ask_from(&path.near, from, called));
        drop(talk(ask_from(&path.near, from, called)));
        assert_unmeasured(&mut seen, 2.0 * PACKETS, &format!("{from} to {called}, which listens at {listens}"));
    }
}

#[test]
fn a_connection_that_is_refused_by_an_own_address_is_no_failure_of_the_network() {
    let Some(_alone) = alone() else { return };
    let path = Path::new();
    path.near.ip(&format!("addr add {}/32 dev e0", addresses::v4(77)));
    let closed = {
        let listener = path.near.within(|| TcpListener::bind((addresses::v4(77), 0))).unwrap();
        listener.local_addr().unwrap()
    };
    let mut seen = Observation::of(&[&path.near]);
    path.near.within(|| TcpStream::connect(closed)).unwrap_err();
    assert_unmeasured(&mut seen, 1.0, "a refused connection");
}

#[test]
fn a_connection_that_the_firewall_hands_to_a_sidecar_is_not_measured_and_others_are() {
    let Some(_alone) = alone() else { return };
    let path = Path::new();
    let sidecar = Server::start(&path.near, "127.0.0.1:0".parse().unwrap(), Behaviour::PROMPT);
    let peer = Server::start(&path.far, Path::far_address(Family::V4, 0), Behaviour::PROMPT);
    redirect(&path.near, peer.address.port(), sidecar.address.port());
    let mut seen = Observation::of(&[&path.near]);
    // It asks the peer, and its own sidecar answers.
    let _open = talk(ask(&path.near, peer.address));
    assert_unmeasured(&mut seen, PACKETS, "redirected");

    let outside = Server::start(&path.far, Path::far_address(Family::V4, 0), Behaviour::PROMPT);
    let _measured = talk(ask(&path.near, outside.address));
    seen.until("the connection that leaves", |seen| seen.sum(0, Signal::RttAllCount) > 0.0);
    assert_eq!((seen.sum(0, Signal::Opens), seen.sum(0, Signal::HandshakeCount)), (1.0, 1.0), "{}", seen.describe(0));
}

/// Sends connections to this port of anybody to an own one, as service meshes do.
fn redirect(host: &Host, from: u16, to: u16) {
    let chain = "add chain ip mesh output { type nat hook output priority -100; }";
    let rule = format!("add rule ip mesh output tcp dport {from} redirect to :{to}");
    for command in ["add table ip mesh", chain, &rule] {
        let output = host.command("nft").arg(command).output().unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn an_address_that_has_moved_to_another_host_is_measured_from_then_on() {
    let Some(_alone) = alone() else { return };
    let path = Path::new();
    let moving = addresses::v4(77);
    path.near.ip(&format!("addr add {moving}/32 dev e0"));
    let server = Server::start(&path.near, (moving, 0).into(), Behaviour::PROMPT);
    let mut seen = Observation::of(&[&path.near]);
    drop(talk(ask(&path.near, server.address)));
    assert_unmeasured(&mut seen, PACKETS, "before");

    path.near.ip(&format!("addr del {moving}/32 dev e0"));
    path.far.ip(&format!("addr add {moving}/24 dev e0"));
    let server = Server::start(&path.far, (moving, 0).into(), Behaviour::PROMPT);
    drop(talk(ask(&path.near, server.address)));
    seen.until("the connection that leaves", |seen| seen.sum(0, Signal::Closes) > 0.0);
    assert_eq!((seen.sum(0, Signal::Opens), seen.sum(0, Signal::HandshakeCount)), (1.0, 1.0), "{}", seen.describe(0));
}

#[test]
fn pods_on_the_hosts_network_that_talk_to_their_own_node_are_not_measured() {
    let Some(_alone) = alone() else { return };
    let group = Group::new(Driver::Cgroupfs);
    let (first, second) = (addresses::other_v4(1), addresses::other_v4(2));
    let _own = [first, second].map(OwnAddress::of_this_host);
    let resident =
        Resident { uid: group.uid.clone(), static_uid: None, addresses: vec![first.into()], host_network: true };
    let mut seen = Observation::below(group.root());
    seen.suite.know(vec![resident.clone()], resident.addresses.clone());
    let number = seen.watch_pod(0, &resident);
    let listener = group.within(|| TcpListener::bind((first, 0)).unwrap());
    let server = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        // It answers as long as the test lasts.
        for stream in listener.incoming().flatten() {
            let _ = answer(stream);
        }
    });
    let call = || drop(talk(group.within(|| connect_from(second.into(), server))));
    seen.until("the pod's packets are counted", |seen| {
        call();
        seen.sum(number, Signal::TxPackets) > PACKETS
    });
    for signal in [Signal::RttAllCount, Signal::HandshakeCount, Signal::Opens] {
        assert_eq!(seen.sum(number, signal), 0.0, "{}; {}", signal.name(), seen.describe(number));
    }
}

/// Answers what [`exchange`] asks.
fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut request = [0; 7];
    loop {
        stream.read_exact(&mut request)?;
        stream.write_all(&[b'a'; 64])?;
    }
}

/// An address of the machine itself. Gone when dropped.
struct OwnAddress(Ipv4Addr);

impl OwnAddress {
    fn of_this_host(address: Ipv4Addr) -> Self {
        let output = Command::new("ip").args(["addr", "add", &format!("{address}/32"), "dev", "lo"]).output().unwrap();
        assert!(output.status.success(), "{address}: {}", String::from_utf8_lossy(&output.stderr));
        Self(address)
    }
}

impl Drop for OwnAddress {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["addr", "del", &format!("{}/32", self.0), "dev", "lo"]).output();
    }
}
