//! What a child does between fork and exec: system calls alone, nothing is allocated.

use std::{
    ffi::CString,
    io,
    os::{
        fd::{AsFd as _, BorrowedFd},
        unix::{ffi::OsStrExt as _, process::CommandExt as _},
    },
    path::Path,
    process::Command,
};

use rustix::{
    io::Errno,
    mount::{MountPropagationFlags, UnmountFlags, mount_change, unmount},
    process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal},
    thread::{CpuSet, LinkNameSpaceType, UnshareFlags, move_into_link_name_space, sched_setaffinity, unshare_unsafe},
};

/// Where and how a command's process starts. What is asked for happens in the order of the calls.
pub trait Prepare {
    /// The kernel kills it when the **thread** that starts it ends, however that ends.
    fn kill_with_this_thread(&mut self) -> &mut Self;

    /// Inside this network namespace.
    ///
    /// # Errors
    /// The process has no descriptor left.
    fn in_network_namespace(&mut self, namespace: BorrowedFd<'_>) -> io::Result<&mut Self>;

    /// On this CPU alone.
    fn on_cpu(&mut self, cpu: usize) -> &mut Self;

    /// In a mount namespace of its own, where nothing is mounted at `point`.
    ///
    /// # Errors
    /// `point` is no path.
    fn without_mount(&mut self, point: &Path) -> io::Result<&mut Self>;
}

impl Prepare for Command {
    fn kill_with_this_thread(&mut self) -> &mut Self {
        end_with_parent(self, Signal::KILL)
    }

    fn in_network_namespace(&mut self, namespace: BorrowedFd<'_>) -> io::Result<&mut Self> {
        let namespace = namespace.try_clone_to_owned()?;
        Ok(before_exec(self, move || move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))))
    }

    fn on_cpu(&mut self, cpu: usize) -> &mut Self {
        before_exec(self, move || {
            if cpu >= CpuSet::MAX_CPU {
                return Err(Errno::INVAL);
            }
            let mut set = CpuSet::new();
            set.set(cpu);
            sched_setaffinity(None, &set)
        })
    }

    fn without_mount(&mut self, point: &Path) -> io::Result<&mut Self> {
        let point = CString::new(point.as_os_str().as_bytes())?;
        Ok(before_exec(self, move || {
            // SAFETY: it shares no descriptor with another thread that could miss it: only mounts become its own.
            unsafe { unshare_unsafe(UnshareFlags::NEWNS) }?;
            mount_change(c"/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
            unmount(point.as_c_str(), UnmountFlags::DETACH)
        }))
    }
}

/// The kernel sends it `signal` when the thread that starts it ends.
pub(crate) fn end_with_parent(command: &mut Command, signal: Signal) -> &mut Command {
    let parent: Pid = getpid();
    before_exec(command, move || {
        set_parent_process_death_signal(Some(signal))?;
        // Nobody would end it if the parent died before the line above.
        if getppid() == Some(parent) { Ok(()) } else { Err(Errno::SRCH) }
    })
}

fn before_exec(
    command: &mut Command,
    mut step: impl FnMut() -> rustix::io::Result<()> + Send + Sync + 'static,
) -> &mut Command {
    // SAFETY: every step of this file makes system calls alone, of values that it owns; nothing is allocated or locked.
    unsafe { command.pre_exec(move || Ok(step()?)) }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn a_command_runs_on_the_one_cpu_that_it_was_given() {
        let mut command = Command::new("nproc");
        let output = command.on_cpu(0).env_remove("OMP_NUM_THREADS").output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "1");
    }

    #[test]
    fn a_cpu_that_no_machine_has_is_refused() {
        let error = Command::new("true").on_cpu(usize::MAX).output().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn what_is_no_network_namespace_is_refused() {
        let file = File::open("/proc/self/status").unwrap();
        let mut command = Command::new("true");
        command.in_network_namespace(file.as_fd()).unwrap();
        assert!(command.output().is_err());
    }
}
