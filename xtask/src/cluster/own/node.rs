//! The node image for machines that reach no image registry: Debian by debootstrap, Kubernetes from its Go modules. What
//! comes out is a Docker data directory with that one image in it, in the cache; each cluster starts from a copy whose
//! layers are hard links.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, bail};
use netprecursor_testbed::{Module, Programs, Version, cache, module};

use super::sandbox::{Place, docker};
use crate::cluster::commands::{Work, output};

/// The image's name in the data directory.
pub(in crate::cluster) const IMAGE: &str = "netprecursor/kind-node:1";
/// The source of the control plane images and of the node image.
const BASE: &str = "netprecursor/kind-base:1";

const DEBIAN: &str = "bookworm";
/// Programs that a node needs: for kubelet and kube-proxy (conntrack, ethtool, socat, iptables, nftables), the runtime, the entry point.
const PACKAGES: &[&str] = &[
    "ca-certificates",
    "conntrack",
    "containerd",
    "containernetworking-plugins",
    "ethtool",
    "hostname",
    "iproute2",
    "iptables",
    "jq",
    "kmod",
    "mount",
    "nftables",
    "procps",
    "runc",
    "socat",
    "util-linux",
];

const MINUTES: Duration = Duration::from_secs(30 * 60);

/// The images that kubeadm asks for by the program inside, and whether every node needs them.
const IMAGES: &[(&str, bool)] = &[
    ("kube-proxy", true),
    ("pause", true),
    ("coredns", true),
    ("etcd", false),
    ("kube-apiserver", false),
    ("kube-controller-manager", false),
    ("kube-scheduler", false),
];

/// Everything that determines the image.
struct Parts {
    kubernetes: Programs,
    etcd: Programs,
    coredns: Programs,
    pause: Programs,
    wrapper: Programs,
}

/// The data directory with the node image, from the cache or made now.
///
/// # Errors
/// Something does not build.
pub(in crate::cluster) fn provide(work: &Work) -> anyhow::Result<PathBuf> {
    let parts = Parts {
        kubernetes: work.programs(Module::kubernetes(Version::DEFAULT))?,
        etcd: work.programs(module::ETCD)?,
        coredns: work.programs(module::COREDNS)?,
        pause: work.programs(module::PAUSE)?,
        wrapper: work.programs(module::RUNC_WRAPPER)?,
    };
    let store = cache::kind()?.join("node");
    fs::create_dir_all(&store).with_context(|| format!("making {}", store.display()))?;
    let target = store.join(parts.digest()?);
    // With its name it is whole.
    if target.is_dir() {
        return Ok(target);
    }
    let lock = fs::File::create(store.join("lock")).context("writing the node image's lock")?;
    lock.lock().context("locking the node image")?;
    if target.is_dir() {
        return Ok(target);
    }
    println!("making the node image (minutes, once)");
    // Leftovers of a killed build.
    let staging = store.join("staging");
    let places = [
        Place { directory: staging.join("build"), group: "netprecursor-image".to_owned() },
        Place { directory: staging.join("final"), group: "netprecursor-image".to_owned() },
    ];
    remove(&staging)?;
    let made = parts.make(&staging, &places, work);
    let result = made.and_then(|data| {
        // Other sources' images: a checkout uses one.
        for entry in fs::read_dir(&store)?.flatten().filter(|entry| entry.path() != staging && entry.path().is_dir()) {
            remove(&entry.path())?;
        }
        fs::rename(&data, &target).with_context(|| format!("moving the node image to {}", target.display()))
    });
    let cleared = remove(&staging);
    result.and(cleared).map(|()| target)
}

impl Parts {
    fn digest(&self) -> anyhow::Result<String> {
        let mut text = format!("{DEBIAN} {PACKAGES:?} {IMAGES:?}\n");
        for programs in [&self.kubernetes, &self.etcd, &self.coredns, &self.pause, &self.wrapper] {
            // Their directories are named by the digest of their sources.
            text += &format!("{}\n", programs.directory().display());
        }
        for folder in ["node", "images"] {
            let folder = Path::new(module::DIRECTORY).join(folder);
            for file in files(&folder)? {
                let content = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
                // Its place in the folder: all checkouts share the image.
                let place = file.strip_prefix(&folder).context("a file outside its folder")?;
                text += &format!("{} {}\n{content}\n", place.display(), content.len());
            }
        }
        digest_of(&text)
    }

    /// Makes the image; gives back the data directory that holds it alone.
    fn make(&self, staging: &Path, [build, last]: &[Place; 2], work: &Work) -> anyhow::Result<PathBuf> {
        fs::create_dir_all(staging).with_context(|| format!("making {}", staging.display()))?;
        let archive = staging.join("rootfs.tar");
        let kept = root_file_system(staging, work)?;
        fs::hard_link(&kept, &archive).with_context(|| format!("linking {}", kept.display()))?;
        let node = staging.join("node.tar");
        fs::create_dir_all(&build.directory)?;
        in_sandbox(build, work, &mut |docker| {
            work.run(docker(&["import"])?.arg(&archive).arg(BASE), MINUTES)?;
            let images = self.images(staging, docker, work)?;
            let context = self.context(staging, &archive, &images)?;
            work.run(
                docker(&["build", "--quiet", "--tag", IMAGE])?
                    .arg(&context)
                    .arg("--file")
                    .arg(context.join("Containerfile")),
                MINUTES,
            )?;
            work.run(docker(&["save", IMAGE, "--output"])?.arg(&node), MINUTES)
        })?;
        fs::create_dir_all(&last.directory)?;
        in_sandbox(last, work, &mut |docker| work.run(docker(&["load", "--input"])?.arg(&node), MINUTES))?;
        Ok(last.data())
    }

    /// The control plane's images as two archives: for every node, and for the control plane's.
    fn images(&self, staging: &Path, docker: Docker<'_>, work: &Work) -> anyhow::Result<[PathBuf; 2]> {
        let context = staging.join("images");
        fs::create_dir_all(&context)?;
        for file in ["Containerfile", "collect"] {
            copy(&Path::new(module::DIRECTORY).join("images").join(file), &context.join(file))?;
        }
        for (program, _) in IMAGES {
            copy(&self.program(program)?, &context.join(program))?;
        }
        let references = self.references()?;
        let archives = [staging.join("every-node.tar"), staging.join("control-plane.tar")];
        let mut groups = [Vec::new(), Vec::new()];
        for (program, everywhere) in IMAGES {
            let found = references.iter().find(|reference| names(reference, program));
            let reference =
                found.with_context(|| format!("kubeadm asks for no image {program}; it asks for {references:?}"))?;
            let mut command = docker(&["build", "--quiet", "--target", program, "--tag", reference])?;
            work.run(command.arg(&context).arg("--file").arg(context.join("Containerfile")), MINUTES)?;
            groups[usize::from(!everywhere)].push(reference.clone());
        }
        for (archive, group) in archives.iter().zip(&groups) {
            work.run(docker(&["save", "--output"])?.arg(archive).args(group), MINUTES)?;
        }
        Ok(archives)
    }

    /// The directory that the node image is built from.
    fn context(&self, staging: &Path, rootfs: &Path, images: &[PathBuf; 2]) -> anyhow::Result<PathBuf> {
        let context = staging.join("node");
        let source = Path::new(module::DIRECTORY).join("node");
        for file in files(&source)? {
            let place = file.strip_prefix(&source).context("a file outside its folder")?;
            copy(&file, &context.join(place))?;
        }
        let configuration = context.join("files/etc/containerd/config.toml");
        let text = fs::read_to_string(&configuration).context("reading containerd's configuration")?;
        let references = self.references()?;
        let pause =
            references.iter().find(|reference| names(reference, "pause")).context("kubeadm asks for no pause image")?;
        fs::write(&configuration, text.replace("@PAUSE@", pause))?;
        fs::write(context.join("version"), self.version()?)?;
        for program in ["kubelet", "kubeadm", "kubectl", "coredns", "runc-wrapper"] {
            copy(&self.program(program)?, &context.join("bin").join(program))?;
        }
        fs::rename(rootfs, context.join("rootfs.tar")).context("moving the root file system")?;
        for (archive, name) in images.iter().zip(["every-node.tar", "control-plane.tar"]) {
            let place = context.join("images").join(name);
            fs::create_dir_all(context.join("images"))?;
            fs::rename(archive, &place).with_context(|| format!("moving {}", archive.display()))?;
        }
        Ok(context)
    }

    fn program(&self, name: &str) -> anyhow::Result<PathBuf> {
        let programs = match name {
            "etcd" => &self.etcd,
            "coredns" => &self.coredns,
            "pause" => &self.pause,
            "runc-wrapper" => &self.wrapper,
            _ => &self.kubernetes,
        };
        Ok(programs.program(name)?)
    }

    /// Such as `v1.34.4`, by kubeadm's own word.
    fn version(&self) -> anyhow::Result<String> {
        let listed = output(Command::new(self.program("kubeadm")?).args(["version", "--output", "short"]))?;
        Ok(listed.trim().to_owned())
    }

    /// The images' names as kubeadm expects them.
    fn references(&self) -> anyhow::Result<Vec<String>> {
        let mut command = Command::new(self.program("kubeadm")?);
        let listed = output(command.args(["config", "images", "list", "--kubernetes-version", &self.version()?]))?;
        Ok(listed.lines().map(|line| line.trim().to_owned()).collect())
    }
}

/// Debian as an archive, kept beside the images: it takes longest, and changes least.
fn root_file_system(staging: &Path, work: &Work) -> anyhow::Result<PathBuf> {
    let store = staging.parent().context("a staging directory without a parent")?;
    let digest = digest_of(&format!("{DEBIAN} {PACKAGES:?}"))?;
    let kept = store.join(format!("{DEBIAN}-{digest}.tar"));
    if kept.is_file() {
        return Ok(kept);
    }
    let rootfs = staging.join("rootfs");
    let mut debootstrap = Command::new("debootstrap");
    debootstrap.args(["--variant=minbase", &format!("--include={}", PACKAGES.join(",")), DEBIAN]).arg(&rootfs);
    work.run(&mut debootstrap, MINUTES)?;
    remove(&rootfs.join("var/cache/apt"))?;
    remove(&rootfs.join("var/lib/apt/lists"))?;
    let archive = staging.join("debian.tar");
    work.run(Command::new("tar").arg("-cf").arg(&archive).arg("-C").arg(&rootfs).arg("."), MINUTES)?;
    remove(&rootfs)?;
    // Of other lists of packages.
    for entry in fs::read_dir(store)?.flatten().map(|entry| entry.path()) {
        if entry.extension().is_some_and(|extension| extension == "tar") {
            fs::remove_file(&entry).with_context(|| format!("removing {}", entry.display()))?;
        }
    }
    fs::rename(&archive, &kept).with_context(|| format!("moving Debian to {}", kept.display()))?;
    Ok(kept)
}

/// Sixteen digits of a text's checksum.
fn digest_of(text: &str) -> anyhow::Result<String> {
    let file = tempfile::NamedTempFile::new().context("making a temporary file")?;
    fs::write(file.path(), text).context("writing a temporary file")?;
    let sum = output(Command::new("sha256sum").arg(file.path()))?;
    Ok(sum.chars().take(16).collect())
}

/// Whether an image's reference is of `name`.
fn names(reference: &str, name: &str) -> bool {
    reference.rsplit('/').next().and_then(|last| last.split(':').next()) == Some(name)
}

type Docker<'a> = &'a dyn Fn(&[&str]) -> anyhow::Result<Command>;

/// Starts a daemon in `place`, does `what` with it, and ends it.
fn in_sandbox(
    place: &Place,
    work: &Work,
    what: &mut dyn FnMut(Docker<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let holder = place.start(work, true)?;
    let done = what(&|words| {
        let mut command = docker()?;
        // BuildKit wants a plugin that the distribution does not have.
        command.args(words).env("DOCKER_HOST", place.host()).env("DOCKER_BUILDKIT", "0");
        Ok(command)
    });
    // In order, so that the daemon's own files are whole.
    let ended = place.finish(holder);
    done.and(ended)
}

/// Makes `to` a copy of the data directory `from`. Layers are hard links: nothing ever writes to them.
///
/// # Errors
/// They are on different file systems, or the disk is full.
pub(in crate::cluster) fn copy_data(from: &Path, to: &Path, work: &Work) -> anyhow::Result<()> {
    fs::create_dir_all(to).with_context(|| format!("making {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("listing {}", from.display()))? {
        let entry = entry?;
        let mut command = Command::new("cp");
        command.arg("--archive");
        if entry.file_name() == "overlay2" {
            command.arg("--link");
        }
        work.run(command.arg(entry.path()).arg(to), MINUTES)?;
    }
    Ok(())
}

/// Every file below `directory`, in order.
fn files(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).with_context(|| format!("listing {}", directory.display()))? {
        let path = entry?.path();
        if path.is_dir() { found.extend(files(&path)?) } else { found.push(path) }
    }
    found.sort();
    Ok(found)
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    if let Some(directory) = to.parent() {
        fs::create_dir_all(directory).with_context(|| format!("making {}", directory.display()))?;
    }
    fs::copy(from, to).with_context(|| format!("copying {} to {}", from.display(), to.display()))?;
    Ok(())
}

/// Removes a directory with all in it, if it is there.
///
/// # Errors
/// Something does not go.
pub(in crate::cluster) fn remove(directory: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            bail!("removing {}: {error}; expected it to be nobody's mount point", directory.display())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_found_by_its_program_wherever_it_is_kept() {
        assert!(names("example.org/kube-proxy:v1.34.4", "kube-proxy"));
        assert!(names("example.org/coredns/coredns:v1.12.1", "coredns"));
        assert!(!names("example.org/kube-proxy:v1.34.4", "kube"));
    }

    #[test]
    fn every_image_has_a_target() {
        let text = fs::read_to_string(Path::new(module::DIRECTORY).join("images/Containerfile")).unwrap();
        for (image, _) in IMAGES {
            assert!(text.lines().any(|line| line.ends_with(&format!(" AS {image}"))), "{image}");
        }
    }
}
