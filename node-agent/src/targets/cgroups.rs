//! The cgroups of pods: which directory of the cgroup2 hierarchy is whose, and the tasks in it.
//!
//! The kubelet names a pod's directory after its UID, in one of two styles: `kubepods/<qos>/pod<UID>` (cgroupfs driver)
//! or `kubepods-<qos>-pod<UID with underscores>.slice` (systemd driver). Above it there may be anything, below it each
//! container has a directory, and may have more inside.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    os::unix::fs::{DirEntryExt, MetadataExt},
    path::{Path, PathBuf},
};

/// How deep below the root the kubelet's directories are looked for.
const MAX_DEPTH: usize = 8;
/// Directories looked at in one scan; the rest is left out and reported.
const MAX_DIRECTORIES: usize = 16_384;

/// A cgroup of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// What BPF programs call it: the inode of its directory.
    pub id: u64,
    /// Its directory.
    pub path: PathBuf,
}

/// The cgroups of all pods, as of one scan.
#[derive(Debug, Default, Clone)]
pub struct Index {
    pods: BTreeMap<String, Vec<Group>>,
    /// The pod of every cgroup below a pod's directory.
    by_id: HashMap<u64, String>,
    /// Whether there were more directories than are looked at.
    pub is_cut: bool,
}

/// The UID in the name of a directory, if it is a pod's: 32 hexadecimal digits, in groups or (static pods) without.
fn pod_in(name: &str) -> Option<String> {
    let name = name.strip_suffix(".slice").unwrap_or(name);
    let at = name.rfind("pod")?;
    let (before, uid) = (&name[..at], &name[at + 3..]);
    // `kubepods` itself ends in no UID; `notapod…` is nobody's style.
    if !(before.is_empty() || before.ends_with('-')) {
        return None;
    }
    let uid = uid.replace('_', "-");
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_plain = uid.len() == 32 && digits(&uid);
    let lengths = uid.split('-').map(str::len);
    let is_grouped = lengths.eq([8, 4, 4, 4, 12]) && uid.split('-').all(digits);
    (is_plain || is_grouped).then_some(uid)
}

impl Index {
    /// Looks through the hierarchy mounted at `root`.
    ///
    /// # Errors
    /// The root cannot be listed. What vanishes meanwhile is left out.
    pub fn scan(root: &Path) -> io::Result<Self> {
        let mut index = Self::default();
        let mut left = MAX_DIRECTORIES;
        let mut open = vec![(root.to_owned(), 0)];
        let mut is_root = true;
        while let Some((directory, depth)) = open.pop() {
            let entries = match fs::read_dir(&directory) {
                Ok(entries) => entries,
                Err(error) if is_root => return Err(error),
                Err(_) => continue,
            };
            is_root = false;
            for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
                if left == 0 {
                    index.is_cut = true;
                    return Ok(index);
                }
                left -= 1;
                match entry.file_name().to_str().and_then(pod_in) {
                    Some(uid) => index.add(&uid, entry.ino(), entry.path(), &mut left),
                    None if depth < MAX_DEPTH => open.push((entry.path(), depth + 1)),
                    None => {}
                }
            }
        }
        Ok(index)
    }

    /// Adds a pod's directory and all below it.
    fn add(&mut self, uid: &str, id: u64, path: PathBuf, left: &mut usize) {
        let mut open = vec![Group { id, path }];
        while let Some(group) = open.pop() {
            let entries = (!is_leaf(&group.path)).then(|| fs::read_dir(&group.path)).into_iter().flatten();
            for entry in entries.flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    if *left == 0 {
                        self.is_cut = true;
                        break;
                    }
                    *left -= 1;
                    open.push(Group { id: entry.ino(), path: entry.path() });
                }
            }
            self.by_id.insert(group.id, uid.to_owned());
            self.pods.entry(uid.to_owned()).or_default().push(group);
        }
    }

    /// The pod of the cgroup `id`, as its path calls it.
    pub fn pod_of(&self, id: u64) -> Option<&str> {
        self.by_id.get(&id).map(String::as_str)
    }

    /// The cgroups of a pod.
    pub fn groups(&self, pod: &str) -> &[Group] {
        self.pods.get(pod).map_or(&[], Vec::as_slice)
    }

    /// Pods that have a cgroup.
    pub fn pods(&self) -> usize {
        self.pods.len()
    }
}

/// Whether a directory has no other inside: the kernel counts them as links, and a look at that costs a tenth of listing
/// the dozens of files of a cgroup.
fn is_leaf(directory: &Path) -> bool {
    fs::metadata(directory).is_ok_and(|metadata| metadata.nlink() == 2)
}

impl Group {
    /// Its processes, as this process numbers them; zero stands for one outside of its PID namespace.
    pub fn processes(&self) -> Vec<u32> {
        numbers(&self.path.join("cgroup.procs"))
    }

    /// Its threads, likewise.
    pub fn threads(&self) -> Vec<u32> {
        numbers(&self.path.join("cgroup.threads"))
    }
}

/// The numbers in a file, one a line; none where it cannot be read: the cgroup has just gone.
fn numbers(file: &Path) -> Vec<u32> {
    fs::read_to_string(file).unwrap_or_default().lines().filter_map(|line| line.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "0f3c1b2a-1111-4222-8333-444455556666";

    #[test]
    fn both_drivers_name_a_pods_directory_after_its_uid() {
        let underscored = UID.replace('-', "_");
        let static_pod = UID.replace('-', "");
        for name in [
            format!("pod{UID}"),
            format!("kubepods-burstable-pod{underscored}.slice"),
            format!("kubepods-pod{underscored}.slice"),
            format!("kubelet-kubepods-besteffort-pod{underscored}.slice"),
        ] {
            assert_eq!(pod_in(&name).as_deref(), Some(UID), "{name}");
        }
        assert_eq!(pod_in(&format!("pod{static_pod}")), Some(static_pod));
        for name in ["kubepods", "kubepods.slice", "kubepods-burstable.slice", "pod", "podman.slice", "pod123", "ssh"] {
            assert_eq!(pod_in(name), None, "{name}");
        }
        assert_eq!(pod_in(&format!("tripod{UID}")), None);
    }

    #[test]
    fn every_directory_below_a_pods_is_the_pods() {
        let root = tempfile::tempdir().unwrap();
        let pod = root.path().join(format!("kubelet/kubepods/burstable/pod{UID}"));
        fs::create_dir_all(pod.join("container/inner")).unwrap();
        fs::create_dir_all(root.path().join("system.slice/ssh.service")).unwrap();
        fs::write(pod.join("container/cgroup.procs"), "12\n7\n0\n").unwrap();
        let index = Index::scan(root.path()).unwrap();
        assert_eq!((index.pods(), index.groups(UID).len()), (1, 3));
        assert!(index.groups(UID).iter().all(|group| index.pod_of(group.id) == Some(UID)));
        let processes: Vec<u32> = index.groups(UID).iter().flat_map(Group::processes).collect();
        assert_eq!(processes, [12, 7, 0]);
        assert_eq!(index.pod_of(1), None);
    }

    #[test]
    fn a_root_that_is_not_there_is_reported() {
        assert!(Index::scan(Path::new("/nowhere")).is_err());
    }
}
