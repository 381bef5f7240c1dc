//! The guest's files: busybox, the agent, iproute2 and iperf3 with the libraries they are linked with.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, bail};

use super::{kernel::Kernel, program};
use crate::process::{self, Log, Output, Stop};

const PACK_LIMIT: Duration = Duration::from_secs(2 * 60);

/// Packs the files that `e2e/vm/init` needs into the archive `out`.
///
/// # Errors
/// Something that belongs into it is missing, or the disk is full.
pub(super) fn build(agent: &Path, kernel: &Kernel, out: &Path, log: &Log, stop: &Stop) -> anyhow::Result<()> {
    let directory = tempfile::tempdir().context("making a temporary directory")?;
    let root = directory.path();
    put(Path::new("e2e/vm/init"), root, "init")?;
    let found = |name: &str| program(name).with_context(|| format!("{name} is not installed"));
    put(&found("busybox")?, root, "bin/busybox")?;
    for (source, place) in [
        (agent.to_path_buf(), "bin/netprecursor-agent"),
        (found("ip")?, "sbin/ip"),
        (found("tc")?, "sbin/tc"),
        (found("iperf3")?, "usr/bin/iperf3"),
    ] {
        put(&source, root, place)?;
        for library in libraries(&source)? {
            put(&library, root, &library.to_string_lossy())?;
        }
    }
    let run =
        |command: &mut Command, output: &Output<'_>| match process::run("vm", command, output, log, PACK_LIMIT, stop)?
            .problem()
        {
            None => Ok(()),
            Some(problem) => bail!("{}: {problem}; see {}", command.get_program().display(), log.path().display()),
        };
    // Debugging information is most of a test build.
    run(Command::new("strip").arg(root.join("bin/netprecursor-agent")), &Output::Log)?;
    let mut list = fs::File::create(root.join("modules"))?;
    for module in &kernel.modules {
        let name = module.file_name().context("a module without a name")?.to_string_lossy();
        put(module, root, &format!("lib/modules/{name}"))?;
        writeln!(list, "/lib/modules/{name}")?;
    }
    // The kernel reads cpio's "new ASCII" format alone (Documentation/driver-api/early-userspace/buffer-format.rst).
    run(Command::new("/bin/sh").args(["-c", "find . | busybox cpio -o -H newc"]).current_dir(root), &Output::File(out))
}

/// Copies `source` to `place` under `root`.
fn put(source: &Path, root: &Path, place: &str) -> anyhow::Result<()> {
    let target = root.join(place.trim_start_matches('/'));
    if let Some(directory) = target.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::copy(source, &target).with_context(|| format!("copying {} to {}", source.display(), target.display()))?;
    Ok(())
}

/// The shared libraries of a program, the loader among them.
///
/// # Errors
/// One is not installed.
pub(crate) fn libraries(program: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let output = Command::new("ldd").arg(program).output().context("starting ldd")?;
    let (listed, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // ldd ends with 1 for a static program, which needs none.
    if !output.status.success() && !listed.contains("statically linked") && !errors.contains("not a dynamic executable")
    {
        bail!("ldd {}: {}: {}", program.display(), output.status, errors.trim());
    }
    named(&listed).with_context(|| format!("libraries of {}", program.display()))
}

/// The paths in ldd's output, such as `libm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007f…)`.
fn named(listed: &str) -> anyhow::Result<Vec<PathBuf>> {
    if let Some(line) = listed.lines().find(|line| line.contains("not found")) {
        bail!("got {}; expected it to be installed", line.trim());
    }
    let paths = listed.lines().filter_map(|line| {
        let path = line.split(" => ").last()?.split_whitespace().next()?;
        path.starts_with('/').then(|| PathBuf::from(path))
    });
    Ok(paths.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_and_the_loader_are_found_and_the_kernels_own_is_left_out() {
        let listed = "\tlinux-vdso.so.1 (0x1)\n\tlibm.so.6 => /lib/m.so.6 (0x2)\n\t/lib64/ld-linux-x86-64.so.2 (0x3)\n";
        assert_eq!(named(listed).unwrap(), ["/lib/m.so.6", "/lib64/ld-linux-x86-64.so.2"].map(PathBuf::from));
        assert!(named("\tstatically linked\n").unwrap().is_empty());
    }

    #[test]
    fn a_library_that_is_not_there_is_named() {
        assert!(named("\tlibx.so => not found\n").unwrap_err().to_string().contains("libx.so"));
    }
}
