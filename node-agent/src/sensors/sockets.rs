//! How many sockets a target has, and how many of them the `tcp` sensor sees: the kernel's own list (sock_diag, asked
//! inside the target's network namespace) against the lines that the sensor wrote.
//!
//! A socket is *seen* when a line carries its cookie and has kept up with what the kernel reports as acknowledged at the
//! previous survey: all of it had been sent by the line's last callback, after which the kernel owes none before something
//! that was sent later is acknowledged (`tcp_rtt_estimator`: once a round trip). So sockets older than the agent count as
//! unseen, and so do those whose callbacks another program switched off: setting callback flags overwrites what others have
//! set. Of the unseen, those count as *smoothed* that the egress program has looked at and that sent within a minute.

use std::{collections::HashMap, ops::Add};

use aya::Ebpf;
use netlink_packet_sock_diag::{
    SockDiagMessage,
    constants::{AF_INET, AF_INET6, IPPROTO_TCP},
    inet::{ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags, nlas::Nla},
};
use netlink_sys::Socket;
use netprecursor_agent_common::{
    names::map,
    older::{OLDER_LINES, OlderLine, moment},
    tcp::{LINES, Line},
};
use serde::Serialize;

use super::{
    ends::{Ends, Remotes},
    mapped::{Mapped, MappedError},
};
use crate::{
    host::monotonic_ns,
    netlink::{self, DumpError},
};

/// Established sockets of a target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// As the kernel lists them, without those whose other end is in the same namespace.
    pub established: u32,
    /// Of these, the ones that the `tcp` sensor sees.
    pub seen: u32,
    /// Of the others, the ones whose smoothed RTT is looked at.
    pub smoothed: u32,
}

impl Add for Coverage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            established: self.established.saturating_add(other.established),
            seen: self.seen.saturating_add(other.seen),
            smoothed: self.smoothed.saturating_add(other.smoothed),
        }
    }
}

impl Coverage {
    /// Share of the established sockets that is seen; all of none is all.
    pub fn ratio(&self) -> f32 {
        if self.established == 0 { 1.0 } else { self.seen as f32 / self.established as f32 }
    }

    /// Share of the established sockets whose smoothed RTT stands in for samples.
    pub fn smoothed_ratio(&self) -> f32 {
        if self.established == 0 { 0.0 } else { self.smoothed as f32 / self.established as f32 }
    }
}

/// What the kernel side remembers of sockets.
#[derive(Debug)]
pub struct Lines {
    /// Those that callbacks have come of.
    pub seen: Mapped<Line>,
    /// Those that are older than the agent.
    pub older: Mapped<OlderLine>,
}

impl Lines {
    /// Takes the tables of the loaded object.
    pub fn take(bpf: &mut Ebpf) -> Result<Self, MappedError> {
        Ok(Self { seen: Mapped::take(bpf, map::SOCKET_LINES)?, older: Mapped::take(bpf, map::OLDER_LINES)? })
    }

    fn is_older(&self, cookie: u64) -> bool {
        let line = self.older.read(cookie as usize & (OLDER_LINES as usize - 1));
        line.is_some_and(|line| line.cookie == cookie && self.is_smoothed(&line))
    }

    /// Whether the smoothed RTT of this line's socket is looked at. Once a callback has come of it nobody does, but its line
    /// stays. The clock is read after the line: a socket that sends meanwhile must not have sent in the future.
    pub(super) fn is_smoothed(&self, line: &OlderLine) -> bool {
        line.is_in_use(moment(monotonic_ns())) && !self.has_called(line.cookie)
    }

    fn has_called(&self, cookie: u64) -> bool {
        let line = self.seen.read(cookie as usize & (LINES as usize - 1));
        line.is_some_and(|line| line.cookie == cookie && is_called(&line))
    }
}

/// The surveys of one target.
#[derive(Debug)]
pub struct Sockets {
    diag: Socket,
    /// Bytes acknowledged at the last survey, by cookie.
    acked: HashMap<u64, u64>,
}

impl Sockets {
    /// Surveys through `diag`, a `NETLINK_SOCK_DIAG` socket opened inside the target's namespace.
    pub fn new(diag: Socket) -> Self {
        Self { diag, acked: HashMap::new() }
    }

    /// Counts now.
    pub fn survey(&mut self, lines: &Lines) -> Result<Coverage, DumpError> {
        let mut all = Vec::with_capacity(self.acked.len());
        for (family, id) in [(AF_INET, SocketId::new_v4()), (AF_INET6, SocketId::new_v6())] {
            let request = InetRequest {
                family,
                protocol: IPPROTO_TCP,
                extensions: ExtensionFlags::INFO,
                states: StateFlags::ESTABLISHED,
                socket_id: id,
            };
            netlink::dump(&self.diag, SockDiagMessage::InetRequest(request), |message| {
                if let SockDiagMessage::InetResponse(socket) = message {
                    all.push(Established::from(&*socket));
                }
            })?;
        }
        let remotes = Remotes::of(all.iter().map(|socket| socket.ends));
        let mut coverage = Coverage::default();
        let mut acked = HashMap::with_capacity(all.len());
        for socket in all.iter().filter(|socket| remotes.is_elsewhere(&socket.ends)) {
            coverage.established += 1;
            if is_seen(&lines.seen, socket.cookie, self.acked.get(&socket.cookie).copied()) {
                coverage.seen += 1;
            } else if lines.is_older(socket.cookie) {
                coverage.smoothed += 1;
            }
            acked.extend(socket.acked.map(|bytes| (socket.cookie, bytes)));
        }
        self.acked = acked;
        Ok(coverage)
    }
}

/// An established socket as the kernel lists it.
struct Established {
    ends: Ends,
    cookie: u64,
    /// Bytes acknowledged so far.
    acked: Option<u64>,
}

impl From<&InetResponse> for Established {
    fn from(socket: &InetResponse) -> Self {
        let id = &socket.header.socket_id;
        Self {
            ends: Ends::new((id.source_address, id.source_port), (id.destination_address, id.destination_port)),
            cookie: u64::from_ne_bytes(id.cookie),
            acked: bytes_acked(socket),
        }
    }
}

fn is_seen(lines: &Mapped<Line>, cookie: u64, acked_before: Option<u64>) -> bool {
    let line = lines.read(cookie as usize & (LINES as usize - 1));
    line.is_some_and(|line| {
        line.cookie == cookie && is_called(&line) && acked_before.is_none_or(|before| keeps_up(&line, before))
    })
}

/// Whether a callback has come; a packet's line says only which cgroup the socket is of.
pub(super) const fn is_called(line: &Line) -> bool {
    line.acked != Line::UNKNOWN
}

/// Whether no callback is missing of a socket that had so many bytes acknowledged a while ago. After a retransmission the
/// next one may be far away, and has not been missed.
const fn keeps_up(line: &Line, acked_before: u64) -> bool {
    line.sent == Line::UNKNOWN || line.sent >= acked_before
}

/// `tcpi_bytes_acked` of `struct tcp_info` (include/uapi/linux/tcp.h, since Linux 4.1): eight bytes at 120.
fn bytes_acked(socket: &InetResponse) -> Option<u64> {
    socket.nlas.iter().find_map(|attribute| match attribute {
        Nla::TcpInfo(info) => info.get(120..128)?.try_into().ok().map(u64::from_ne_bytes),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_is_missing_once_what_was_sent_after_the_last_one_is_acknowledged() {
        let line = Line::new(7, 1_000, 20_000, 0);
        // The rest of a flight yields no callback.
        assert!(keeps_up(&line, 1_000) && keeps_up(&line, 20_000) && !keeps_up(&line, 20_001));
        assert!(keeps_up(&Line::new(7, 1_000, Line::UNKNOWN, 0), 20_001));
    }

    #[test]
    fn a_target_without_sockets_is_covered_in_full() {
        assert_eq!(Coverage::default().ratio(), 1.0);
        assert_eq!(Coverage { established: 4, seen: 1, smoothed: 2 }.ratio(), 0.25);
    }
}
