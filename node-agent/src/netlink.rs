//! One netlink dump: ask, and hand over each message of the answer.

use std::{
    io,
    os::fd::{AsRawFd, RawFd},
    time::Duration,
};

use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NetlinkDeserializable, NetlinkHeader, NetlinkMessage, NetlinkPayload,
    NetlinkSerializable,
};
use netlink_sys::{Socket, SocketAddr};
use thiserror::Error;

/// Why a dump ended early.
#[derive(Debug, Error)]
pub enum DumpError {
    /// The socket failed, or the kernel did not answer in time.
    #[error("netlink")]
    Io(#[from] io::Error),
    /// The answer was not understood.
    #[error("cannot decode the kernel's netlink response: {0}")]
    Decode(String),
    /// The kernel refused.
    #[error("the kernel refused the netlink dump")]
    Refused(#[source] io::Error),
    /// A dump never ends: more messages than any of ours can have.
    #[error("the netlink dump has more than {0} messages; the rest is ignored")]
    TooLong(usize),
}

/// Messages of one dump at most.
const MAX_MESSAGES: usize = 65_536;
/// The kernel answers from memory.
const TIMEOUT: Duration = Duration::from_millis(500);

/// A netlink socket in the calling thread's network namespace, where it stays.
pub fn open(protocol: isize) -> io::Result<Socket> {
    let mut socket = Socket::new(protocol)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    set_receive_timeout(socket.as_raw_fd())?;
    Ok(socket)
}

fn set_receive_timeout(fd: RawFd) -> io::Result<()> {
    let timeout = libc::timeval { tv_sec: 0, tv_usec: TIMEOUT.as_micros() as libc::suseconds_t };
    // SAFETY: `timeout` is valid for reads of its own size.
    let result = unsafe {
        libc::setsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_RCVTIMEO,
            (&raw const timeout).cast(),
            size_of::<libc::timeval>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Sends `request` as a dump and calls `each` for every message of the answer.
pub fn dump<M>(socket: &Socket, request: M, mut each: impl FnMut(M)) -> Result<(), DumpError>
where
    M: NetlinkSerializable + NetlinkDeserializable,
{
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let mut packet = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(request));
    packet.finalize();
    let mut request = vec![0; packet.buffer_len()];
    packet.serialize(&mut request);
    socket.send(&request, 0)?;
    let mut seen = 0;
    loop {
        let (answer, _) = socket.recv_from_full()?;
        if answer.is_empty() {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let mut rest = answer.as_slice();
        while !rest.is_empty() {
            let message =
                NetlinkMessage::<M>::deserialize(rest).map_err(|error| DumpError::Decode(error.to_string()))?;
            let length = (message.header.length as usize).next_multiple_of(4);
            match message.payload {
                NetlinkPayload::InnerMessage(inner) => each(inner),
                NetlinkPayload::Done(_) => return Ok(()),
                NetlinkPayload::Error(error) => return Err(DumpError::Refused(error.to_io())),
                _ => {}
            }
            seen += 1;
            if seen > MAX_MESSAGES {
                return Err(DumpError::TooLong(MAX_MESSAGES));
            }
            rest = rest.get(length.max(4)..).unwrap_or_default();
        }
    }
}
