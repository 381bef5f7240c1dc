//! The programs that are published: what each is called, how it is built for each platform, and what is linked into it.

pub(crate) mod binary;
mod platform;
pub(crate) mod sbom;
mod source;
mod toolchain;

pub(crate) use platform::Platform;
pub(crate) use source::Source;
pub(crate) use toolchain::Toolchain;

/// A program of the workspace that users run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// The node's agent.
    Agent,
    /// The operator.
    Operator,
    /// The command line, which is the kubectl plugin too.
    Cli,
}

impl Program {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Agent, Self::Operator, Self::Cli];

    /// Its file.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Agent => "netprecursor-agent",
            Self::Operator => "netprecursor-operator",
            Self::Cli => "netprecursor",
        }
    }

    /// The package that it is built from.
    pub(crate) const fn package(self) -> &'static str {
        match self {
            Self::Agent | Self::Operator => self.name(),
            Self::Cli => "netprecursor-cli",
        }
    }

    /// Crates outside the workspace whose code it carries.
    const fn embedded(self) -> &'static [&'static str] {
        match self {
            Self::Agent => &["node-agent-ebpf"],
            Self::Operator | Self::Cli => &[],
        }
    }
}
