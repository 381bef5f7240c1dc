//! Where the cgroup2 hierarchy is mounted: alone, or beside the v1 controllers.

use std::{fs, io, path::PathBuf};

use thiserror::Error;

/// Why there is no cgroup2 root to attach to.
#[derive(Debug, Error)]
pub enum CgroupError {
    /// The list of mounts could not be read.
    #[error("cannot read /proc/self/mountinfo; expected a mounted /proc")]
    Mounts(#[source] io::Error),
    /// No cgroup2 is mounted.
    #[error("no cgroup2 mount in /proc/self/mountinfo")]
    NotMounted,
    /// The mount point could not be opened.
    #[error("cannot open the cgroup2 root {path}")]
    Open {
        /// The mount point.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The first cgroup2 mount point named in a `mountinfo` file (proc(5)), with its escapes undone.
fn cgroup2_mount(mountinfo: &str) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (mount, filesystem) = line.split_once(" - ")?;
        (filesystem.split(' ').next()? == "cgroup2").then(|| {
            let point = mount.split(' ').nth(4).unwrap_or_default();
            PathBuf::from(point.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\"))
        })
    })
}

/// The mount point of the cgroup2 root.
pub fn path() -> Result<PathBuf, CgroupError> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(CgroupError::Mounts)?;
    cgroup2_mount(&mounts).ok_or(CgroupError::NotMounted)
}

/// The cgroup2 root, open.
pub fn root() -> Result<fs::File, CgroupError> {
    let path = path()?;
    fs::File::open(&path).map_err(|source| CgroupError::Open { path, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cgroup2_mount_is_found_beside_v1_controllers() {
        let mounts = "29 23 0:25 / /sys/fs/cgroup ro shared:9 - tmpfs tmpfs ro\n\
                      30 29 0:26 / /sys/fs/cgroup/my\\040unified rw shared:10 - cgroup2 cgroup2 rw\n\
                      31 29 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n";
        assert_eq!(cgroup2_mount(mounts), Some(PathBuf::from("/sys/fs/cgroup/my unified")));
    }

    #[test]
    fn a_machine_without_cgroup2_has_none() {
        assert_eq!(cgroup2_mount("31 29 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"), None);
    }
}
