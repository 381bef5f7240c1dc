//! One HTTP connection that never blocks.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::fd::AsRawFd as _,
};

use nix::{
    errno::Errno,
    sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, connect, socket},
};

use crate::{load::tools::range_header, topology::Address};

/// Longest head of an answer.
const HEAD_BYTES: usize = 4096;

/// The state of a connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    Nothing,
    Connected { response_bytes: u64 },
    Head(Vec<u8>),
    Body { remaining: u64 },
}

pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) server: usize,
    /// Whether it closes after one answer.
    pub(super) single: bool,
    pub(super) waiting: Waiting,
}

/// What happened on a connection.
pub(super) enum Step {
    Wait,
    Answered,
    Failed,
}

/// Begins to connect, without waiting.
pub(super) fn dial(address: Address) -> io::Result<TcpStream> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let family = if address.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet };
    let socket = socket(family, SockType::Stream, flags, None)?;
    match connect(socket.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(address, 80))) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(TcpStream::from(socket)),
        Err(error) => Err(error.into()),
    }
}

impl Connection {
    /// Sends a request for an answer of this size.
    pub(super) fn ask(&mut self, response_bytes: u64) -> io::Result<()> {
        let close = if self.single { "Connection: close\r\n" } else { "" };
        let range = range_header(response_bytes);
        let request = format!("GET /blob HTTP/1.1\r\nHost: lab\r\n{range}\r\n{close}\r\n");
        self.waiting = Waiting::Head(Vec::new());
        // A request is far smaller than an empty send buffer.
        self.stream.write_all(request.as_bytes())
    }

    /// Goes on as far as possible without waiting.
    pub(super) fn step(&mut self, buffer: &mut [u8]) -> Step {
        if let Waiting::Connected { response_bytes } = self.waiting {
            match self.stream.take_error() {
                Ok(None) => {}
                _ => return Step::Failed,
            }
            match self.ask(response_bytes) {
                Ok(()) => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::NotConnected | io::ErrorKind::WouldBlock) => {
                    self.waiting = Waiting::Connected { response_bytes };
                    return Step::Wait;
                }
                Err(_) => return Step::Failed,
            }
        }
        loop {
            let length = match self.stream.read(buffer) {
                Ok(0) => return Step::Failed,
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Step::Wait,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return Step::Failed,
            };
            match self.waiting.take(&buffer[..length]) {
                Some(true) => return Step::Answered,
                Some(false) => {}
                None => return Step::Failed,
            }
        }
    }
}

impl Waiting {
    pub(super) const fn is_connecting(&self) -> bool {
        matches!(self, Self::Connected { .. })
    }

    /// Takes in received bytes. Returns whether the answer is complete, `None` if it is no valid answer.
    fn take(&mut self, bytes: &[u8]) -> Option<bool> {
        let remaining = match self {
            Self::Nothing | Self::Connected { .. } => return None,
            Self::Body { remaining } => remaining.checked_sub(bytes.len() as u64)?,
            Self::Head(head) => {
                head.extend_from_slice(bytes);
                let Some(end) = head.windows(4).position(|window| window == b"\r\n\r\n") else {
                    return (head.len() <= HEAD_BYTES).then_some(false);
                };
                content_length(&head[..end])?.checked_sub((head.len() - end - 4) as u64)?
            }
        };
        *self = if remaining == 0 { Self::Nothing } else { Self::Body { remaining } };
        Some(remaining == 0)
    }
}

fn content_length(head: &[u8]) -> Option<u64> {
    let head = std::str::from_utf8(head).ok()?;
    let mut lines = head.split("\r\n");
    if !lines.next()?.starts_with("HTTP/1.1 2") {
        return None;
    }
    let (_, value) =
        lines.filter_map(|line| line.split_once(':')).find(|(name, _)| name.eq_ignore_ascii_case("content-length"))?;
    value.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"HTTP/1.1 206 Partial Content\r\nServer: x\r\nContent-Length: 5\r\n\r\n";

    #[test]
    fn an_answer_is_complete_however_it_is_cut() {
        let whole = [HEAD, b"hello"].concat();
        for cut in 1..whole.len() {
            let mut waiting = Waiting::Head(Vec::new());
            assert_eq!(waiting.take(&whole[..cut]), Some(false), "cut at {cut}");
            assert_eq!(waiting.take(&whole[cut..]), Some(true), "cut at {cut}");
            assert_eq!(waiting, Waiting::Nothing);
        }
    }

    #[test]
    fn an_error_answer_and_too_long_a_body_are_failures() {
        assert_eq!(Waiting::Head(Vec::new()).take(b"HTTP/1.1 416 No\r\nContent-Length: 0\r\n\r\n"), None);
        assert_eq!(Waiting::Head(Vec::new()).take(&[HEAD, b"hello, world"].concat()), None);
        assert_eq!(Waiting::Head(Vec::new()).take(&[b'x'; HEAD_BYTES + 1]), None);
    }
}
