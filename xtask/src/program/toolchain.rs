//! The compilers for a platform: this machine's for its own, else a C compiler for the other one and a Rust compiler that
//! has the standard library for it, as a component or as source.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use super::Platform;
use crate::cargo::cargo;

/// Where the source of Rust's standard library lies below a compiler's root.
const LIBRARY: &str = "lib/rustlib/src/rust/library/Cargo.lock";

/// What makes programs for a platform.
#[derive(Debug)]
pub(crate) struct Toolchain {
    platform: Platform,
    rust: Rust,
    /// The linker and C compiler, unless it is the machine's own.
    cross_compiler: Option<&'static str>,
}

/// A Rust compiler.
#[derive(Debug)]
enum Rust {
    /// The one that xtask was built with, with the target's library installed (`rustup target add`).
    Own,
    /// The one in this place, which builds the library from its source first.
    FromSource(PathBuf),
}

impl Toolchain {
    /// The one for `platform`, or why this machine has none.
    ///
    /// # Errors
    /// A compiler is missing; the text says which and how to install it.
    pub(crate) fn of(platform: Platform) -> Result<Self, String> {
        let is_host = Platform::host().is_ok_and(|host| host == platform);
        let cross_compiler = if is_host { None } else { Some(c_compiler(platform)?) };
        Ok(Self { platform, rust: rust(platform)?, cross_compiler })
    }

    /// A command of the cargo that belongs to the compiler, with its settings.
    pub(crate) fn cargo(&self, verb: &str) -> Command {
        let mut command = match &self.rust {
            Rust::Own => cargo(&[verb]),
            Rust::FromSource(rustc) => {
                let mut command = Command::new(rustc.with_file_name("cargo"));
                cargo(&[]).get_envs().for_each(|(name, _)| {
                    command.env_remove(name);
                });
                // Rustup's choice would have its compiler instead of the one that has the source.
                command.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO");
                command.arg(verb).args(["-Z", "build-std=std,panic_unwind"]);
                command.env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1");
                command
            }
        };
        command.args(["--target", self.platform.triple()]);
        if let Some(compiler) = self.cross_compiler {
            command.env(self.platform.cargo_variable("LINKER"), compiler);
            command.env(format!("CC_{}", self.platform.triple().replace('-', "_")), compiler);
        }
        command
    }

    /// The root of the Rust compiler.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) fn root(&self) -> Result<PathBuf, String> {
        match &self.rust {
            Rust::Own => root(&mut Command::new("rustc")),
            Rust::FromSource(rustc) => root(Command::new(rustc).env_remove("RUSTUP_TOOLCHAIN")),
        }
    }

    /// The platform that it builds for.
    pub(crate) const fn platform(&self) -> Platform {
        self.platform
    }

    /// The compilers in words.
    pub(crate) fn describe(&self) -> String {
        let rust = match &self.rust {
            Rust::Own => "this Rust compiler".to_owned(),
            Rust::FromSource(rustc) => {
                let version = asked(Command::new(rustc).env_remove("RUSTUP_TOOLCHAIN").arg("--version"));
                format!("{} with the standard library built from its source", version.unwrap_or_default())
            }
        };
        match self.cross_compiler {
            Some(compiler) => format!("{rust}, {compiler}"),
            None => rust,
        }
    }
}

/// A C compiler for another architecture, with a C library to link statically.
fn c_compiler(platform: Platform) -> Result<&'static str, String> {
    let (compiler, packages) = platform.cross_compiler();
    // It repeats the name where it has no such file.
    let library = asked(Command::new(compiler).arg("--print-file-name=libc.a"));
    match library {
        Ok(library) if Path::new(&library).is_absolute() => Ok(compiler),
        _ => Err(format!(
            "got no {compiler} with a static C library, expected Debian's {packages}: run scripts/setup.sh release"
        )),
    }
}

fn rust(platform: Platform) -> Result<Rust, String> {
    let installed = asked(Command::new("rustc").args(["--print", "target-libdir", "--target", platform.triple()]));
    if installed.is_ok_and(|library| Path::new(&library).is_dir()) {
        return Ok(Rust::Own);
    }
    let own = root(&mut Command::new("rustc")).ok().map(|root| root.join("bin/rustc"));
    let nightly = asked(Command::new("rustup").args(["which", "--toolchain", "nightly", "rustc"])).ok();
    let candidates = [own, Some(PathBuf::from("/usr/bin/rustc")), nightly.map(PathBuf::from)];
    let with_source = candidates.into_iter().flatten().find(|rustc| {
        let root = root(Command::new(rustc).env_remove("RUSTUP_TOOLCHAIN"));
        rustc.with_file_name("cargo").is_file() && root.is_ok_and(|root| root.join(LIBRARY).is_file())
    });
    with_source.map(Rust::FromSource).ok_or_else(|| {
        format!(
            "got no Rust compiler with the standard library for {triple}, nor with its source; expected one of them: run \
             rustup target add {triple}, or install Debian's rustc-web, cargo-web and rust-web-src",
            triple = platform.triple()
        )
    })
}

fn root(rustc: &mut Command) -> Result<PathBuf, String> {
    Ok(PathBuf::from(asked(rustc.args(["--print", "sysroot"]))?))
}

/// The output of a short command.
pub(crate) fn asked(command: &mut Command) -> Result<String, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let words: Vec<OsString> = command.get_args().map(OsString::from).collect();
    let output = command.output().map_err(|error| format!("starting {program}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{program} {words:?}: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::env;

    use super::*;

    fn variable(command: &Command, name: &str) -> Option<String> {
        command.get_envs().find(|(known, _)| *known == name)?.1.map(|value| value.to_string_lossy().into_owned())
    }

    #[test]
    fn this_machine_builds_for_itself_with_its_own_compilers() {
        let toolchain = Toolchain::of(Platform::host().unwrap()).unwrap();
        assert_eq!((toolchain.cross_compiler, toolchain.describe().as_str()), (None, "this Rust compiler"));
        assert!(toolchain.root().unwrap().is_dir());
    }

    #[test]
    fn another_platform_gets_its_own_linker_and_the_library_from_source() {
        let rust = Rust::FromSource(PathBuf::from("/opt/rust/bin/rustc"));
        let toolchain =
            Toolchain { platform: Platform::Arm64, rust, cross_compiler: Some(Platform::Arm64.cross_compiler().0) };
        let command = toolchain.cargo("build");
        assert_eq!(command.get_program(), "/opt/rust/bin/cargo");
        let words: Vec<_> = command.get_args().collect();
        assert_eq!(words, ["build", "-Z", "build-std=std,panic_unwind", "--target", "aarch64-unknown-linux-gnu"]);
        let linker = variable(&command, "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER");
        assert_eq!(linker.as_deref(), Some("aarch64-linux-gnu-gcc"));
        assert_eq!(variable(&command, "CC_aarch64_unknown_linux_gnu"), linker);
    }

    #[test]
    fn a_compiler_that_is_missing_is_named_with_its_packages() {
        let other = if env::consts::ARCH == "x86_64" { Platform::Arm64 } else { Platform::Amd64 };
        if let Err(reason) = c_compiler(other) {
            assert!(reason.contains("setup.sh release") && reason.contains("-cross"), "{reason}");
        }
        assert!(asked(&mut Command::new("/nowhere/gcc")).unwrap_err().contains("/nowhere/gcc"));
    }
}
