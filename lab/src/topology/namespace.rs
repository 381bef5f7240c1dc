//! One network namespace, and how to do something inside it.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd},
    path::{Path, PathBuf},
    thread,
};

use nix::sched::{CloneFlags, setns};

use crate::LabError;

const DIRECTORY: &str = "/run/netns";

/// A namespace made by `ip netns add`. Its owner, the lab's claim, deletes it.
#[derive(Debug)]
pub(crate) struct Namespace {
    name: String,
    handle: File,
}

/// Where iproute2 keeps the handle of a namespace.
pub(super) fn path(name: &str) -> PathBuf {
    Path::new(DIRECTORY).join(name)
}

impl Namespace {
    /// Opens a namespace that exists.
    pub(super) fn open(name: &str) -> Result<Self, LabError> {
        let handle = File::open(path(name)).map_err(LabError::namespace(name, "open"))?;
        Ok(Self { name: name.into(), handle })
    }

    /// Another handle of the same namespace, for a thread of its own.
    pub(crate) fn try_clone(&self) -> Result<Self, LabError> {
        let handle = self.handle.try_clone().map_err(LabError::namespace(&self.name, "share"))?;
        Ok(Self { name: self.name.clone(), handle })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Moves the calling thread into the namespace, for good.
    pub(crate) fn enter(&self) -> io::Result<()> {
        Ok(setns(&self.handle, CloneFlags::CLONE_NEWNET)?)
    }

    /// Runs `action` in a thread of its own inside the namespace. Sockets and devices made there stay there.
    pub(crate) fn within<T: Send>(
        &self,
        what: &'static str,
        action: impl FnOnce() -> io::Result<T> + Send,
    ) -> Result<T, LabError> {
        let result = thread::scope(|scope| {
            scope.spawn(|| self.enter().and_then(|()| action())).join().map_err(|_| io::Error::other("panicked"))
        });
        result.flatten().map_err(LabError::namespace(&self.name, what))
    }

    /// Sets kernel parameters below `/proc/sys/net` as seen from inside.
    pub(super) fn set(&self, parameters: &[(&str, &str)]) -> Result<(), LabError> {
        self.within("set kernel parameters", || {
            parameters.iter().try_for_each(|(name, value)| {
                let path = Path::new("/proc/sys/net").join(name);
                std::fs::write(&path, value)
                    .map_err(|error| io::Error::new(error.kind(), format!("{}={value}: {error}", path.display())))
            })
        })
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}
