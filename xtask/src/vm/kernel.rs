//! A kernel from the distribution's package: downloaded and unpacked into the cache, never installed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, bail};

use crate::process::{self, Log, Output, Stop};

/// A kernel to boot.
#[derive(Debug)]
pub(super) struct Kernel {
    /// The compressed image.
    pub(super) image: PathBuf,
    /// The modules that the guest needs, each after those that it depends on.
    pub(super) modules: Vec<PathBuf>,
}

/// Debian 12's kernel for virtual machines.
const PREFIX: &str = "linux-image-";
const SERIES: &str = "6.1.0-";
const FLAVOUR: &str = "-cloud-amd64";

/// Virtual links and the queue between the namespaces, and the list of their sockets.
const MODULES: &[&str] = &["veth", "sch_tbf", "inet_diag", "tcp_diag"];

const DOWNLOAD_LIMIT: Duration = Duration::from_secs(10 * 60);
const UNPACK_LIMIT: Duration = Duration::from_secs(2 * 60);

/// The newest kernel of the series in the cache `directory`, put there first when there is none.
///
/// # Errors
/// The distribution has no such package, or it cannot be had.
pub(super) fn provide(directory: &Path, log: &Log, stop: &Stop) -> anyhow::Result<Kernel> {
    fs::create_dir_all(directory).with_context(|| format!("making {}", directory.display()))?;
    let cached = fs::read_dir(directory)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let package = match newest(cached) {
        Some(package) => package,
        None => fetch(directory, log, stop)?,
    };
    open(&directory.join(&package), package.trim_start_matches(PREFIX))
}

/// The package of the series with the highest number.
fn newest(names: impl Iterator<Item = String>) -> Option<String> {
    let number = |name: &str| {
        let number = name.strip_prefix(PREFIX)?.strip_prefix(SERIES)?.strip_suffix(FLAVOUR)?;
        number.parse::<u32>().ok()
    };
    names.filter_map(|name| Some((number(&name)?, name))).max().map(|(_, name)| name)
}

fn fetch(directory: &Path, log: &Log, stop: &Stop) -> anyhow::Result<String> {
    let find = || -> anyhow::Result<Option<String>> {
        let list = Command::new("apt-cache").args(["pkgnames", PREFIX]).output().context("starting apt-cache")?;
        Ok(newest(String::from_utf8_lossy(&list.stdout).lines().map(str::to_owned)))
    };
    let make = |command: &mut Command, limit| -> anyhow::Result<()> {
        match process::run("vm", command, &Output::Log, log, limit, stop)?.problem() {
            None => Ok(()),
            Some(problem) => bail!("{}: {problem}; see {}", command.get_program().display(), log.path().display()),
        }
    };
    let staging = tempfile::tempdir_in(directory).context("making a temporary directory in the cache")?;
    let download =
        |package: &str| make(Command::new("apt-get").args(["download", package]).current_dir(&staging), DOWNLOAD_LIMIT);
    let known = find()?.filter(|package| download(package).is_ok());
    let package = match known {
        Some(package) => package,
        // The lists of packages are older than the archive, or were never read.
        None => {
            make(Command::new("apt-get").args(["update", "-qq"]), DOWNLOAD_LIMIT)?;
            let package = find()?.with_context(|| {
                format!("apt knows no package {PREFIX}{SERIES}N{FLAVOUR}; expected the archive of Debian 12")
            })?;
            download(&package)?;
            package
        }
    };
    let archive = fs::read_dir(&staging)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .context("apt-get download left no .deb file")?;
    let root = staging.path().join("root");
    make(Command::new("dpkg-deb").arg("-x").arg(&archive).arg(&root), UNPACK_LIMIT)?;
    // The package has no modules.dep: it is made where the package is installed.
    let release = package.trim_start_matches(PREFIX);
    let depmod = super::program("depmod").context("depmod is not installed; expected kmod")?;
    make(Command::new(depmod).arg("-b").arg(&root).arg(release), UNPACK_LIMIT)?;
    let target = directory.join(&package);
    // With its name it is whole.
    fs::rename(&root, &target).with_context(|| format!("moving the kernel to {}", target.display()))?;
    Ok(package)
}

fn open(root: &Path, release: &str) -> anyhow::Result<Kernel> {
    let image = root.join(format!("boot/vmlinuz-{release}"));
    let modules = root.join("lib/modules").join(release);
    if !image.is_file() {
        bail!("got no {}; expected a kernel image there: remove {} and run again", image.display(), root.display());
    }
    let read = |name: &str| {
        let path = modules.join(name);
        fs::read_to_string(&path)
            .with_context(|| format!("reading {}; remove {} and run again", path.display(), root.display()))
    };
    let ordered = in_order(&read("modules.dep")?, &read("modules.builtin")?, MODULES)?;
    Ok(Kernel { image, modules: ordered.into_iter().map(|module| modules.join(module)).collect() })
}

/// The files of the `wanted` modules, each after those that it depends on; what is built in needs no file. `modules.dep`
/// names after each file all that it needs, directly or not, the first to load last (depmod(8)).
fn in_order(dependencies: &str, builtin: &str, wanted: &[&str]) -> anyhow::Result<Vec<PathBuf>> {
    let named =
        |path: &str, name: &str| path.rsplit('/').next().is_some_and(|file| file.split(".ko").next() == Some(name));
    let mut ordered: Vec<PathBuf> = Vec::new();
    for name in wanted {
        if builtin.lines().any(|path| named(path, name)) {
            continue;
        }
        let line = dependencies.lines().filter_map(|line| line.split_once(':')).find(|(path, _)| named(path, name));
        let (path, needs) = line.with_context(|| format!("the kernel has no module {name}; expected one"))?;
        for path in needs.split_whitespace().rev().chain([path]).map(PathBuf::from) {
            if !ordered.contains(&path) {
                ordered.push(path);
            }
        }
    }
    Ok(ordered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_number_is_the_newest() {
        let names = [
            "linux-image-6.1.0-9-cloud-amd64",
            "linux-image-6.1.0-56-cloud-amd64",
            "linux-image-6.12.1-cloud-amd64",
            "linux-image-6.1.0-99-cloud-amd64-dbg",
            ".tmp1",
        ];
        let newest = |names: &[&str]| newest(names.iter().map(|name| (*name).to_owned()));
        assert_eq!(newest(&names).as_deref(), Some("linux-image-6.1.0-56-cloud-amd64"));
        assert_eq!(newest(&["linux-image-cloud-amd64"]), None);
    }

    #[test]
    fn modules_come_after_what_they_need() {
        let dependencies = "kernel/a/tcp_diag.ko: kernel/b/inet_diag.ko kernel/c/base.ko\n\
            kernel/b/inet_diag.ko: kernel/c/base.ko\nkernel/v/veth.ko.xz:\n";
        let ordered =
            in_order(dependencies, "kernel/x/built.ko\n", &["tcp_diag", "built", "inet_diag", "veth"]).unwrap();
        let expected = ["kernel/c/base.ko", "kernel/b/inet_diag.ko", "kernel/a/tcp_diag.ko", "kernel/v/veth.ko.xz"];
        assert_eq!(ordered, expected.map(PathBuf::from));
    }

    #[test]
    fn a_module_that_the_kernel_lacks_is_named() {
        assert!(in_order("", "", &["veth"]).unwrap_err().to_string().contains("veth"));
    }
}
