//! `cargo xtask images`: the container images of agent and operator. Each holds one static binary and the list of what is
//! linked into it; built twice from the same commit, they are the same to the byte.

mod archive;
mod buildah;
mod engine;
mod layout;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, anyhow};
use serde::Serialize;

use crate::{
    digest::sha256,
    process::{Log, Stop},
    program::{
        Platform, Program, Source, Toolchain,
        binary::{self, Group},
        sbom,
    },
};
use engine::Engine;
pub(crate) use layout::{Layout, Part, publishable};

/// Builds the container images into out/images, as archives for `kind load image-archive` and `docker load`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which; both when none is named
    #[arg(value_enum)]
    images: Vec<Image>,
    /// What builds them: buildah where it is installed, else docker
    #[arg(long, value_enum)]
    engine: Option<Engine>,
    /// Where archives, SBOMs and `images.json` go
    #[arg(long, value_name = "DIRECTORY", default_value = "out/images")]
    out: PathBuf,
    /// Only the binaries and lists, without an engine
    #[arg(long)]
    binaries_only: bool,
}

/// An image of the project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Image {
    /// The node's agent.
    Agent,
    /// The operator.
    Operator,
}

impl Image {
    /// All of them.
    pub(crate) const ALL: [Self; 2] = [Self::Agent, Self::Operator];

    /// Its name without the project's.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Operator => "operator",
        }
    }

    /// The one program in it.
    pub(crate) const fn program(self) -> Program {
        match self {
            Self::Agent => Program::Agent,
            Self::Operator => Program::Operator,
        }
    }

    /// How it is built.
    fn containerfile(self) -> PathBuf {
        PathBuf::from(format!("images/{}.Containerfile", self.name()))
    }
}

/// The images that were built, for their installation and checks.
#[derive(Debug, Serialize)]
struct Made {
    name: &'static str,
    /// Name and tag in the archive.
    reference: String,
    archive: PathBuf,
    /// Digest of the image's configuration: names its content, layers included.
    id: String,
    /// SHA-256 of the binary.
    binary: String,
    /// The SBOM.
    sbom: PathBuf,
}

/// Builds the selected images.
///
/// # Errors
/// A binary does not build or is not static, no engine is there, or an image is not what it should be.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let log = Log::create(args.out.join("images.log"))?;
    make(args, &log, &Stop::on_signals()?)?;
    Ok(ExitCode::SUCCESS)
}

/// Builds both images into out/images, and names their archives.
///
/// # Errors
/// As [`run`].
pub(crate) fn archives(log: &Log, stop: &Stop) -> anyhow::Result<Vec<PathBuf>> {
    let args = Args { images: Vec::new(), engine: None, out: PathBuf::from("out/images"), binaries_only: false };
    fs::create_dir_all(&args.out).with_context(|| format!("making {}", args.out.display()))?;
    Ok(make(&args, log, stop)?.into_iter().map(|made| made.archive).collect())
}

/// Builds the selected images.
fn make(args: &Args, log: &Log, stop: &Stop) -> anyhow::Result<Vec<Made>> {
    let images: &[Image] = if args.images.is_empty() { &Image::ALL } else { &args.images };
    // Before the build, which takes minutes.
    let engine = if args.binaries_only { None } else { Some(args.engine.map_or_else(Engine::found, Ok)?) };
    let source = Source::of_checkout()?;
    let platform = Platform::host()?;
    let toolchain = Toolchain::of(platform).map_err(|reason| anyhow!(reason))?;
    println!("building the programs (a cold build takes minutes)");
    binary::build(Group::Images, &toolchain, log, stop).inspect_err(|_| println!("{}", log.tail(40)))?;
    let mut made = Vec::new();
    for image in images {
        let binary = binary::of(image.program(), platform)?;
        let components = args.out.join(format!("{}.cdx.json", image.name()));
        fs::write(&components, sbom::of(image.program(), platform)?)
            .with_context(|| format!("writing {}", components.display()))?;
        let digest = sha256(&binary)?;
        let Some(engine) = engine else {
            println!("{}: {digest}", binary.display());
            continue;
        };
        let context = context(&binary, &components, &source)?;
        let reference = format!("netprecursor/{}:{}", image.name(), source.version);
        let archive = args.out.join(format!("{}.tar", image.name()));
        let build = engine::Build {
            containerfile: &image.containerfile(),
            context: context.path(),
            reference: &reference,
            source: &source,
        };
        engine.build(&build, &archive, log, stop).inspect_err(|_| println!("{}", log.tail(40)))?;
        let id = archive::check(&archive, &reference)?;
        println!("{reference}: {} {id}", archive.display());
        made.push(Made { name: image.name(), reference, archive, id, binary: digest, sbom: components });
    }
    if engine.is_some() {
        let list = args.out.join("images.json");
        fs::write(&list, serde_json::to_string_pretty(&made)? + "\n")
            .with_context(|| format!("writing {}", list.display()))?;
    }
    Ok(made)
}

/// A directory with the files that go into an image or an archive, with fixed modes and times.
pub(crate) fn context(binary: &Path, components: &Path, source: &Source) -> anyhow::Result<tempfile::TempDir> {
    use std::os::unix::fs::PermissionsExt as _;

    let directory = tempfile::tempdir().context("making a directory for the image's files")?;
    let name = binary.file_name().context("expected a file")?;
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(source.epoch);
    let files = [
        (binary, name.as_ref(), 0o755),
        (components, Path::new("sbom.cdx.json"), 0o644),
        (Path::new("LICENSE"), Path::new("LICENSE"), 0o644),
    ];
    for (from, to, mode) in files {
        let to = directory.path().join(to);
        fs::copy(from, &to).with_context(|| format!("copying {}", from.display()))?;
        let file = fs::File::options().write(true).open(&to)?;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.set_modified(time)?;
    }
    Ok(directory)
}
