//! `cargo xtask images`: the container images of agent and operator. Each holds one static binary and the list of what is
//! linked into it; built twice from the same commit, they are the same to the byte.

mod archive;
mod binary;
mod engine;
mod sbom;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context as _, bail};
use serde::Serialize;

use crate::process::{Log, Stop};
use engine::Engine;

/// Builds the container images into out/images, as archives for `kind load image-archive` and `docker load`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which; both when none is named
    #[arg(value_enum)]
    images: Vec<Image>,
    /// What builds them: buildah where it is installed, else docker
    #[arg(long, value_enum)]
    engine: Option<Engine>,
    /// Where archives, lists of components and `images.json` go
    #[arg(long, value_name = "DIRECTORY", default_value = "out/images")]
    out: PathBuf,
    /// Only the binaries and lists, without an engine
    #[arg(long)]
    binaries_only: bool,
}

/// An image of the project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Image {
    /// The node's agent.
    Agent,
    /// The operator.
    Operator,
}

impl Image {
    const ALL: [Self; 2] = [Self::Agent, Self::Operator];

    const fn name(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Operator => "operator",
        }
    }

    /// The package and its program, which have one name.
    const fn program(self) -> &'static str {
        match self {
            Self::Agent => "netprecursor-agent",
            Self::Operator => "netprecursor-operator",
        }
    }

    /// Crates outside the workspace whose code the program carries.
    const fn embedded(self) -> &'static [&'static str] {
        match self {
            Self::Agent => &["node-agent-ebpf"],
            Self::Operator => &[],
        }
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
    /// The list of components.
    sbom: PathBuf,
}

/// The settings that all images of a build share.
struct Source {
    /// The workspace's version: tag of the images.
    version: String,
    /// The commit; ends with `-dirty` when the checkout differs from it.
    revision: String,
    /// Seconds since 1970: the only time in an image.
    epoch: u64,
}

impl Source {
    fn of_checkout() -> anyhow::Result<Self> {
        let revision = git(&["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"])?;
        let epoch = match std::env::var("SOURCE_DATE_EPOCH") {
            Ok(given) => given,
            Err(_) => git(&["log", "-1", "--format=%ct"])?,
        };
        let epoch =
            epoch.parse().with_context(|| format!("got SOURCE_DATE_EPOCH {epoch}, expected seconds since 1970"))?;
        Ok(Self { version: env!("CARGO_PKG_VERSION").to_owned(), revision, epoch })
    }
}

fn git(arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("git").args(arguments).output().context("starting git")?;
    if !output.status.success() {
        bail!("git {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
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
    println!("building the programs (a cold build takes minutes)");
    binary::build(&source, log, stop).inspect_err(|_| println!("{}", log.tail(40)))?;
    let mut made = Vec::new();
    for image in images {
        let binary = binary::of(*image)?;
        let components = args.out.join(format!("{}.cdx.json", image.name()));
        fs::write(&components, sbom::of(*image, &binary::target()?)?)
            .with_context(|| format!("writing {}", components.display()))?;
        let digest = sha256(&binary)?;
        let Some(engine) = engine else {
            println!("{}: {digest}", binary.display());
            continue;
        };
        let context = context(&binary, &components, &source)?;
        let reference = format!("netprecursor/{}:{}", image.name(), source.version);
        let archive = args.out.join(format!("{}.tar", image.name()));
        let containerfile = PathBuf::from(format!("images/{}.Containerfile", image.name()));
        let build = engine::Build {
            containerfile: &containerfile,
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

/// A directory with the files that go into an image, with fixed modes and times.
fn context(binary: &Path, components: &Path, source: &Source) -> anyhow::Result<tempfile::TempDir> {
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

fn sha256(path: &Path) -> anyhow::Result<String> {
    let output = Command::new("sha256sum").arg("--").arg(path).output().context("starting sha256sum")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let digest = text.split_whitespace().next().filter(|digest| output.status.success() && digest.len() == 64);
    Ok(digest.with_context(|| format!("sha256sum {}: {text}", path.display()))?.to_owned())
}
