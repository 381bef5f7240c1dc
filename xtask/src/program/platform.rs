//! Architectures that programs are published for.

use std::env;

use anyhow::bail;

/// Linux on one architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Platform {
    /// x86-64.
    Amd64,
    /// 64-bit ARM.
    Arm64,
}

impl Platform {
    /// Those of a release.
    pub(crate) const ALL: [Self; 2] = [Self::Amd64, Self::Arm64];

    /// This machine's.
    ///
    /// # Errors
    /// Nothing is published for it.
    pub(crate) fn host() -> anyhow::Result<Self> {
        match env::consts::ARCH {
            "x86_64" if cfg!(target_env = "gnu") => Ok(Self::Amd64),
            "aarch64" if cfg!(target_env = "gnu") => Ok(Self::Arm64),
            other => bail!("got a machine with {other}, expected x86_64 or aarch64 with glibc: build on one of them"),
        }
    }

    /// Its name in images, archives and the krew manifest.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// The compiler's target: with glibc, which can be linked statically and still resolves names.
    pub(crate) const fn triple(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-gnu",
            Self::Arm64 => "aarch64-unknown-linux-gnu",
        }
    }

    /// The variable in which cargo looks for a setting of the target, such as `LINKER`.
    pub(crate) fn cargo_variable(self, setting: &str) -> String {
        format!("CARGO_TARGET_{}_{setting}", self.triple().replace('-', "_").to_uppercase())
    }

    /// The C compiler on machines of another architecture, and Debian's packages that bring it.
    pub(crate) const fn cross_compiler(self) -> (&'static str, &'static str) {
        match self {
            Self::Amd64 => ("x86_64-linux-gnu-gcc", "gcc-x86-64-linux-gnu and libc6-dev-amd64-cross"),
            Self::Arm64 => ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu and libc6-dev-arm64-cross"),
        }
    }

    /// Runs its programs on machines of another architecture.
    pub(crate) const fn emulator(self) -> &'static str {
        match self {
            Self::Amd64 => "qemu-x86_64-static",
            Self::Arm64 => "qemu-aarch64-static",
        }
    }

    /// How `readelf` names its machine.
    pub(crate) const fn machine(self) -> &'static str {
        match self {
            Self::Amd64 => "X86-64",
            Self::Arm64 => "AArch64",
        }
    }
}
