//! The static, reproducible binaries of images and archives.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, anyhow, bail};

use super::{Platform, Program, Toolchain, toolchain::asked};
use crate::{
    cache::cache,
    process::{self, Log, Output, Stop},
};

/// A cold release build on two slow cores fits.
const LIMIT: Duration = Duration::from_secs(90 * 60);

/// Programs that are built in one go: what they share is built once. What else is built with a program decides which features
/// its dependencies have, so that the same group always makes the same program.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Group {
    /// Agent and operator.
    Images,
    /// The command line.
    Cli,
}

impl Group {
    /// All of them.
    pub(crate) const ALL: [Self; 2] = [Self::Images, Self::Cli];

    const fn programs(self) -> &'static [Program] {
        match self {
            Self::Images => &[Program::Agent, Program::Operator],
            Self::Cli => &[Program::Cli],
        }
    }
}

/// Builds the programs of a group: release profile, linked statically, without a path or time of this machine.
///
/// # Errors
/// They do not build.
pub(crate) fn build(group: Group, toolchain: &Toolchain, log: &Log, stop: &Stop) -> anyhow::Result<()> {
    let mut command = cargo(toolchain, "build")?;
    for program in group.programs() {
        command.args(["--package", program.package(), "--bin", program.name()]);
    }
    let end = process::run("programs", &mut command, &Output::Log, log, LIMIT, stop)?;
    if let Some(problem) = end.problem() {
        bail!("the programs did not build ({problem}); the compiler's messages are in {}", log.path().display());
    }
    Ok(())
}

/// Cargo with everything that decides about the code of a published program.
///
/// # Errors
/// The compiler cannot be asked.
pub(crate) fn cargo(toolchain: &Toolchain, verb: &str) -> anyhow::Result<Command> {
    let directory = directory(toolchain.platform())?;
    let mut command = toolchain.cargo(verb);
    command
        .args(["--locked", "--release"])
        // Names of local functions carry a hash of where they were compiled: only without names two builds are the same.
        .args(["--config", "profile.release.strip=\"symbols\""])
        .arg("--target-dir")
        .arg(&directory)
        .env("CARGO_BUILD_BUILD_DIR", &directory)
        .env("CARGO_INCREMENTAL", "0")
        // Nothing that is compiled shows a time. The commit's would have every dependency with C in it, and all that use
        // them, compiled again for each commit.
        .env("SOURCE_DATE_EPOCH", "0")
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            flags(&toolchain.root().map_err(|error| anyhow!(error))?, &directory)?.join("\u{1f}"),
        )
        .env_remove("RUSTFLAGS");
    Ok(command)
}

/// The file of a program that [`build`] made.
///
/// # Errors
/// It is for another platform, or needs a loader.
pub(crate) fn of(program: Program, platform: Platform) -> anyhow::Result<PathBuf> {
    let binary = directory(platform)?.join(platform.triple()).join("release").join(program.name());
    check_static(&binary, platform)?;
    Ok(binary)
}

/// Separate from other builds: with other flags, each would rebuild everything of the other, and with another compiler wait for
/// it.
fn directory(platform: Platform) -> anyhow::Result<PathBuf> {
    let is_host = Platform::host()? == platform;
    let name = if is_host { "images".to_owned() } else { format!("images-{}", platform.name()) };
    Ok(cache()?.join(name))
}

/// Flags for the target's code: static, and with the same paths wherever it is built.
fn flags(root: &Path, directory: &Path) -> anyhow::Result<Vec<String>> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
    let home =
        home.context("got neither CARGO_HOME nor HOME; expected to know where cargo keeps sources: set one of them")?;
    // The linker would compute an ID from sections that are stripped afterwards, paths included.
    let mut flags = ["-Ctarget-feature=+crt-static", "-Clink-arg=-Wl,--build-id=none"].map(str::to_owned).to_vec();
    // Not the checkout: cargo names our own files relative to it. As a flag it would have every clone build every
    // dependency again. The last that fits wins.
    for (path, name) in [(root, "/rust"), (&*home, "/cargo"), (directory, "/build")] {
        flags.push(format!("--remap-path-prefix={}={name}", path.display()));
    }
    Ok(flags)
}

/// An image from scratch has no loader: a binary that asks for one does not start there.
fn check_static(binary: &Path, platform: Platform) -> anyhow::Result<()> {
    let path = binary.display();
    let headers = asked(Command::new("readelf").args(["--file-header", "--program-headers", "--wide"]).arg(binary));
    let headers = headers.map_err(|error| anyhow!(error))?;
    if !headers.contains(platform.machine()) {
        bail!("{path}: got a program for another machine, expected one for {}", platform.name());
    }
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
        let error = check_static(&env::current_exe().unwrap(), Platform::host().unwrap()).unwrap_err().to_string();
        assert!(error.contains("expected a static one"), "{error}");
    }

    #[test]
    fn a_program_for_another_machine_is_refused() {
        let other = Platform::ALL.into_iter().find(|other| *other != Platform::host().unwrap()).unwrap();
        let error = check_static(&env::current_exe().unwrap(), other).unwrap_err().to_string();
        assert!(error.contains("for another machine"), "{error}");
    }

    #[test]
    fn no_path_of_this_machine_stays_in_the_binary() {
        let flags = flags(Path::new("/some/rust"), Path::new("/some/build")).unwrap();
        assert!(flags.contains(&"--remap-path-prefix=/some/build=/build".to_owned()), "{flags:?}");
        let own = env::current_dir().unwrap();
        assert!(!flags.iter().any(|flag| flag.contains(&own.display().to_string())), "{flags:?}");
    }
}
