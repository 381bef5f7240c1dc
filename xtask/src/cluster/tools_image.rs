//! The image that stories make traffic and faults with: nginx, wrk, iperf3, tc and busybox as this machine has them, with
//! their libraries and nothing else.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, bail};

use super::{commands::Work, instance::Instance, kind::Surroundings};
use crate::{process::program, vm::libraries};

/// Its name; the stories use it under this one.
const IMAGE: &str = "netprecursor/e2e-tools:1";
const LIMIT: Duration = Duration::from_secs(5 * 60);

/// Programs with the Debian package of each.
pub(super) const PROGRAMS: &[(&str, &str)] = &[
    ("nginx", "nginx-light"),
    ("wrk", "wrk"),
    ("iperf3", "iperf3"),
    ("ip", "iproute2"),
    ("tc", "iproute2"),
    ("busybox", "busybox-static"),
];

/// Builds the image with the cluster's Docker, and gives it to every node.
///
/// # Errors
/// A program is missing, or Docker or kind fails.
pub(super) fn load(surroundings: &Surroundings, instance: &Instance, work: &Work) -> anyhow::Result<()> {
    let context = instance.directory.join("tools-image");
    fill(&context.join("root"))?;
    fs::write(
        context.join("Containerfile"),
        "FROM scratch\nCOPY root/ /\nENV PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nCMD [\"/bin/sh\"]\n",
    )?;
    let archive = instance.directory.join("tools-image.tar");
    let docker = |words: &[&str]| {
        let mut command = surroundings.command("docker");
        command.args(words);
        command
    };
    let mut build = docker(&["build", "--quiet", "--tag", IMAGE, "--file"]);
    work.run(build.arg(context.join("Containerfile")).arg(&context), LIMIT)?;
    work.run(docker(&["save", IMAGE, "--output"]).arg(&archive), LIMIT)?;
    surroundings.load(&archive, work)?;
    fs::remove_file(&archive).context("removing the archive of the tools' image")
}

/// Puts the programs below `root`, with their libraries and the files that they need.
fn fill(root: &Path) -> anyhow::Result<()> {
    for (name, package) in PROGRAMS {
        let path = program(name).with_context(|| format!("got no {name}, expected one: install {package}"))?;
        put(&path, root, &path)?;
        for library in libraries(&path)? {
            put(&library, root, &library)?;
        }
    }
    let busybox = program("busybox").context("busybox is not installed")?;
    let inside = Path::new("/bin/busybox");
    put(&busybox, root, inside)?;
    let listed = Command::new(&busybox).arg("--list").output().context("starting busybox")?;
    if !listed.status.success() {
        bail!("busybox --list: {}", listed.status);
    }
    for name in String::from_utf8_lossy(&listed.stdout).lines() {
        let link = root.join("bin").join(name);
        // The real programs come first.
        let is_program = PROGRAMS.iter().any(|(program, _)| *program == name);
        if !is_program && fs::symlink_metadata(&link).is_err() {
            std::os::unix::fs::symlink("busybox", &link).with_context(|| format!("linking {}", link.display()))?;
        }
    }
    for directory in ["tmp", "run", "proc", "sys", "dev", "var/log/nginx", "var/lib/nginx", "srv"] {
        fs::create_dir_all(root.join(directory))?;
    }
    fs::create_dir_all(root.join("etc"))?;
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")?;
    fs::write(root.join("etc/group"), "root:x:0:\nnogroup:x:65534:\n")?;
    fs::write(root.join("etc/nsswitch.conf"), "hosts: files dns\nservices: files\n")?;
    // wrk asks for the service of its URL by name.
    fs::write(root.join("etc/services"), "http\t80/tcp\nhttps\t443/tcp\n")?;
    Ok(())
}

fn put(from: &Path, root: &Path, place: &Path) -> anyhow::Result<()> {
    let to: PathBuf = root.join(place.strip_prefix("/").unwrap_or(place));
    let directory = to.parent().context("a file at the root")?;
    fs::create_dir_all(directory).with_context(|| format!("making {}", directory.display()))?;
    fs::copy(from, &to).with_context(|| format!("copying {} to {}", from.display(), to.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn every_program_has_its_libraries_and_the_shell_is_there() {
        if PROGRAMS.iter().any(|(name, _)| program(name).is_none()) {
            println!("skipped: nginx, wrk, iperf3, iproute2 or busybox is not installed");
            return;
        }
        let root = tempfile::tempdir().unwrap();
        fill(root.path()).unwrap();
        let shell = fs::metadata(root.path().join("bin/sh")).unwrap();
        assert!(shell.permissions().mode() & 0o111 != 0);
        for (name, _) in PROGRAMS {
            let path = program(name).unwrap();
            assert!(root.path().join(path.strip_prefix("/").unwrap()).is_file(), "{name}");
        }
        let loader = libraries(&program("wrk").unwrap()).unwrap();
        assert!(loader.iter().all(|library| root.path().join(library.strip_prefix("/").unwrap()).is_file()));
    }
}
