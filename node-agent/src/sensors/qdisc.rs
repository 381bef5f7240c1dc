//! What waits in the queueing disciplines of a network namespace, and what they dropped, by rtnetlink.

use netlink_packet_route::{
    RouteNetlinkMessage,
    tc::{TcAttribute, TcMessage, TcStats2},
};
use netlink_sys::Socket;

use crate::netlink::{self, DumpError};

/// The queues of a namespace together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Queues {
    /// Bytes that wait now.
    pub backlog_bytes: u64,
    /// Packets dropped since the queues exist.
    pub drops: u64,
}

/// Asks through `route`, a `NETLINK_ROUTE` socket opened inside the namespace.
pub fn survey(route: &Socket) -> Result<Queues, DumpError> {
    let mut queues = Queues::default();
    netlink::dump(route, RouteNetlinkMessage::GetQueueDiscipline(TcMessage::default()), |message| {
        let RouteNetlinkMessage::NewQueueDiscipline(qdisc) = message else { return };
        // A child's backlog is part of its parent's: only roots count.
        if qdisc.header.parent != netlink_packet_route::tc::TcHandle::ROOT {
            return;
        }
        for attribute in qdisc.attributes {
            let TcAttribute::Stats2(statistics) = attribute else { continue };
            for queue in statistics {
                if let TcStats2::Queue(queue) = queue {
                    queues.backlog_bytes += u64::from(queue.backlog);
                    queues.drops += u64::from(queue.drops);
                }
            }
        }
    })?;
    Ok(queues)
}
