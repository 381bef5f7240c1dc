//! A network namespace under `/run/netns`: its identity, and the sockets that ask the kernel about it from inside.

use std::{
    fs::{self, File},
    io,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    path::Path,
    thread,
    time::SystemTime,
};

use netlink_sys::{
    Socket,
    protocols::{NETLINK_ROUTE, NETLINK_SOCK_DIAG},
};
use thiserror::Error;

use crate::netlink;

/// Where iproute2 keeps names of network namespaces.
pub const DIRECTORY: &str = "/run/netns";

/// Why a namespace cannot be watched.
#[derive(Debug, Error)]
pub enum NamespaceError {
    /// It vanished, or it may not be opened.
    #[error("cannot open network namespace {name}; expected a name that `ip netns list` prints")]
    Open {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It may not be entered.
    #[error("cannot enter network namespace {name} (needs CAP_SYS_ADMIN)")]
    Enter {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A question inside it failed.
    #[error("cannot read the cookie of network namespace {name} (needs kernel 5.14)")]
    Cookie {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No thread could be started to enter it.
    #[error("cannot start a thread to enter network namespace {name}")]
    Thread {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A namespace, entered once. The sockets keep it alive until they are dropped.
#[derive(Debug)]
pub struct Namespace {
    /// Distinguishes it from all others that this kernel ever had.
    pub cookie: u64,
    /// As `/proc/PID/ns/net` shows it.
    pub inode: u64,
    /// Lists its sockets.
    pub diag: Socket,
    /// Lists its queueing disciplines.
    pub route: Socket,
}

/// When a name last came or went; `None` when there never was one.
pub fn changed() -> Option<SystemTime> {
    fs::metadata(DIRECTORY).ok()?.modified().ok()
}

/// Names and inodes of the namespaces that have a name.
pub fn named() -> io::Result<Vec<(String, u64)>> {
    let entries = match fs::read_dir(DIRECTORY) {
        Ok(entries) => entries,
        // Made with the first namespace.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    Ok(entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name().into_string().ok()?;
            // Between `ip netns add`'s steps the name is a plain file, on another device than the namespaces'.
            let inode = fs::metadata(entry.path()).ok()?.ino();
            Some((name, inode))
        })
        .collect())
}

impl Namespace {
    /// Enters the namespace `name` on a thread of its own, so that no other thread is ever in the wrong one.
    pub fn enter(name: &str) -> Result<Self, NamespaceError> {
        let owned = name.to_owned();
        thread::Builder::new()
            .name("enter-netns".to_owned())
            .spawn(move || Self::enter_here(&owned))
            .map_err(|source| NamespaceError::Thread { name: name.to_owned(), source })?
            .join()
            .unwrap_or_else(|_| {
                Err(NamespaceError::Thread { name: name.to_owned(), source: io::Error::other("it panicked") })
            })
    }

    fn enter_here(name: &str) -> Result<Self, NamespaceError> {
        let open = |source| NamespaceError::Open { name: name.to_owned(), source };
        let enter = |source| NamespaceError::Enter { name: name.to_owned(), source };
        let cookie = |source| NamespaceError::Cookie { name: name.to_owned(), source };
        let file = File::open(Path::new(DIRECTORY).join(name)).map_err(open)?;
        let inode = file.metadata().map_err(open)?.ino();
        // SAFETY: a valid descriptor; only this thread changes its namespace, and it ends after this function.
        if unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) } != 0 {
            return Err(enter(io::Error::last_os_error()));
        }
        Ok(Self {
            cookie: cookie_of_this_thread().map_err(cookie)?,
            inode,
            diag: netlink::open(NETLINK_SOCK_DIAG).map_err(enter)?,
            route: netlink::open(NETLINK_ROUTE).map_err(enter)?,
        })
    }
}

/// SO_NETNS_COOKIE (include/uapi/asm-generic/socket.h).
const SO_NETNS_COOKIE: libc::c_int = 71;

/// The cookie of the calling thread's network namespace, as BPF programs see it.
pub fn cookie_of_this_thread() -> io::Result<u64> {
    // SAFETY: no pointers.
    let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a fresh descriptor that nobody else owns.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    let mut cookie = 0u64;
    let mut length = size_of::<u64>() as libc::socklen_t;
    // SAFETY: `cookie` is valid for writes of `length` bytes.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    if result == 0 { Ok(cookie) } else { Err(io::Error::last_os_error()) }
}
