//! The static, reproducible binaries of the images.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, bail};

use super::{Image, Source};
use crate::{
    cache::cache,
    cargo::cargo,
    process::{self, Log, Output, Stop},
};

/// A cold release build on two slow cores fits.
const LIMIT: Duration = Duration::from_secs(90 * 60);

/// The target of the binary: this machine's architecture with glibc, which can be linked statically and still resolves names.
///
/// # Errors
/// rustc cannot be asked.
pub(super) fn target() -> anyhow::Result<String> {
    let version = asked("rustc", &["-vV"])?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("got no host from rustc -vV")?;
    if !host.ends_with("-linux-gnu") {
        bail!("got the host {host}, expected …-linux-gnu: build images on Linux with glibc");
    }
    Ok(host.to_owned())
}

/// Builds the programs of all images: release profile, linked statically, without a path or time of this machine. Always
/// all of them, in one build: what they share is built once, and a program is the same whichever image is asked for.
///
/// # Errors
/// They do not build.
pub(super) fn build(source: &Source, log: &Log, stop: &Stop) -> anyhow::Result<()> {
    let target = target()?;
    let directory = directory()?;
    let mut command = cargo(&["build", "--locked", "--release", "--target", &target]);
    for image in Image::ALL {
        command.args(["--package", image.program(), "--bin", image.program()]);
    }
    command
        // Names of local functions carry a hash of where they were compiled: only without names two builds are the same.
        .args(["--config", "profile.release.strip=\"symbols\""])
        .arg("--target-dir")
        .arg(&directory)
        .env("CARGO_BUILD_BUILD_DIR", &directory)
        .env("CARGO_INCREMENTAL", "0")
        .env("SOURCE_DATE_EPOCH", source.epoch.to_string())
        .env("CARGO_ENCODED_RUSTFLAGS", flags(&directory)?.join("\u{1f}"))
        .env_remove("RUSTFLAGS");
    let end = process::run("images", &mut command, &Output::Log, log, LIMIT, stop)?;
    if let Some(problem) = end.problem() {
        bail!("the programs did not build ({problem}); the compiler's messages are in {}", log.path().display());
    }
    Ok(())
}

/// The program of `image` that [`build`] made.
///
/// # Errors
/// It needs a loader.
pub(super) fn of(image: Image) -> anyhow::Result<PathBuf> {
    let binary = directory()?.join(target()?).join("release").join(image.program());
    check_static(&binary)?;
    Ok(binary)
}

/// Separate from other builds: with other flags, each would rebuild everything of the other.
fn directory() -> anyhow::Result<PathBuf> {
    Ok(cache()?.join("images"))
}

/// Flags for the target's code: static, and with the same paths wherever it is built.
fn flags(directory: &Path) -> anyhow::Result<Vec<String>> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
    let home =
        home.context("got neither CARGO_HOME nor HOME; expected to know where cargo keeps sources: set one of them")?;
    let sysroot = PathBuf::from(asked("rustc", &["--print", "sysroot"])?);
    // The linker would compute an ID from sections that are stripped afterwards, paths included.
    let mut flags = ["-Ctarget-feature=+crt-static", "-Clink-arg=-Wl,--build-id=none"].map(str::to_owned).to_vec();
    // Not the checkout: cargo names our own files relative to it. As a flag it would have every clone build every
    // dependency again. The last that fits wins.
    for (path, name) in [(&*sysroot, "/rust"), (&*home, "/cargo"), (directory, "/build")] {
        flags.push(format!("--remap-path-prefix={}={name}", path.display()));
    }
    Ok(flags)
}

fn asked(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program).args(arguments).output().with_context(|| format!("starting {program}"))?;
    if !output.status.success() {
        bail!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// An image from scratch has no loader: a binary that asks for one does not start there.
fn check_static(binary: &Path) -> anyhow::Result<()> {
    let path = binary.to_str().context("expected a path in UTF-8")?;
    let headers = asked("readelf", &["--program-headers", "--wide", path])?;
    if !headers.contains("LOAD") || headers.contains("INTERP") {
        bail!("{path}: got a program that needs a loader, expected a static one: a dependency links a shared library");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_needs_a_loader_is_refused() {
        let error = check_static(&env::current_exe().unwrap()).unwrap_err().to_string();
        assert!(error.contains("expected a static one"), "{error}");
    }

    #[test]
    fn no_path_of_this_machine_stays_in_the_binary() {
        let flags = flags(Path::new("/some/build")).unwrap();
        assert!(flags.contains(&"--remap-path-prefix=/some/build=/build".to_owned()), "{flags:?}");
        let own = env::current_dir().unwrap();
        assert!(!flags.iter().any(|flag| flag.contains(&own.display().to_string())), "{flags:?}");
    }
}
