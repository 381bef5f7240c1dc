//! `cargo xtask release`: everything that a release publishes. Uploading and signing need the identity of the workflow that a
//! tag starts (`.github/workflows/release.yml`), which runs this too; so a release can be rehearsed on any machine.

mod bundle;
mod changelog;
mod chart;
mod checksums;
mod krew;
mod tried;
mod versions;

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use serde::Serialize;

use crate::{
    image::{self, Image, Layout, Part},
    process::{Log, Stop},
    program::{
        Platform, Program, Source, Toolchain,
        binary::{self, Group},
        sbom,
    },
};

/// Makes everything that a release publishes: programs, images, SBOMs, chart, krew manifest, checksums
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Everything but signatures and upload, which are the workflow's job
    #[arg(long)]
    dry_run: bool,
    /// Only checks that all versions agree
    #[arg(long)]
    check: bool,
    /// Where it goes; what an earlier run left there is removed
    #[arg(long, value_name = "DIRECTORY", default_value = "out/release")]
    out: PathBuf,
    /// The tag, such as v1.2.3: needs a changelog entry, a clean checkout, and every platform built and tried
    #[arg(long)]
    tag: Option<String>,
    /// Where images are pushed to: the packaged chart takes them from there
    #[arg(long, value_name = "REGISTRY", default_value = "ghcr.io/netprecursor")]
    registry: String,
    /// Helm 4, which packages the chart; built from its Go module when none is given
    #[arg(long, value_name = "PROGRAM")]
    helm: Option<PathBuf>,
}

/// Programs that are published by themselves; the operator works in a cluster only.
const ARCHIVED: [Program; 2] = [Program::Cli, Program::Agent];

/// `release.json`: what was made, for the workflow that uploads it.
#[derive(Debug, Serialize)]
struct Release<'a> {
    version: &'a str,
    revision: &'a str,
    images: Vec<Made>,
    chart: String,
    /// Files of the release's page, without the checksums.
    files: Vec<String>,
}

/// An image in its layout.
#[derive(Debug, Serialize)]
struct Made {
    name: &'static str,
    /// The directory, below that of the release.
    layout: String,
    /// The SBOM of a platform is `PROGRAM_VERSION_linux_ARCHITECTURE.cdx.json`.
    program: &'static str,
    #[serde(flatten)]
    content: Layout,
}

/// Makes the release.
///
/// # Errors
/// Versions disagree, something does not build, or (with a tag) changes are not committed, or a platform is missing or
/// untried.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let source = Source::of_checkout()?;
    let notes = versions::check(Path::new("."), &source.version, args.tag.as_deref())?;
    if args.tag.is_some() {
        source.expect_committed()?;
    }
    println!("version {}: workspace, chart and BPF programs agree", source.version);
    if args.check {
        return Ok(ExitCode::SUCCESS);
    }
    if !args.dry_run {
        bail!(
            "got no --dry-run; expected it: only the workflow has the identity that signs and the right to push \
             (.github/workflows/release.yml). To release, push the tag v{}; to rehearse, add --dry-run",
            source.version
        );
    }
    empty(&args.out)?;
    let log = Log::create(args.out.join("release.log"))?;
    make(args, &source, &notes, &log, &Stop::on_signals()?).inspect_err(|_| println!("{}", log.tail(40)))?;
    println!("not uploaded, not signed: a dry run; the release is in {}", args.out.display());
    Ok(ExitCode::SUCCESS)
}

fn make(args: &Args, source: &Source, notes: &str, log: &Log, stop: &Stop) -> anyhow::Result<()> {
    let out = &args.out;
    let (mut platforms, mut files) = (Vec::new(), Vec::new());
    for platform in Platform::ALL {
        match Toolchain::of(platform) {
            Ok(toolchain) => {
                files.extend(programs(&toolchain, source, args, log, stop)?);
                platforms.push(platform);
            }
            Err(reason) if args.tag.is_some() => bail!("{}: {reason}", platform.name()),
            Err(reason) => println!("{} NOT BUILT: {reason}", platform.name()),
        }
    }
    let images = images(&platforms, source, out, log, stop)?;
    let chart = chart::package(args.helm.as_deref(), &args.registry, source, out)?;
    println!("chart: {chart}");
    files.push(chart.clone());
    files.push(krew::write(&platforms, &source.version, out)?);
    files.sort();
    checksums::write(&files, out)?;
    let release = Release { version: &source.version, revision: &source.revision, images, chart, files };
    write(&out.join("release.json"), &(serde_json::to_string_pretty(&release)? + "\n"))?;
    write(&out.join("NOTES.md"), notes)
}

/// Builds the programs for a platform, tries and packs them.
fn programs(
    toolchain: &Toolchain,
    source: &Source,
    args: &Args,
    log: &Log,
    stop: &Stop,
) -> anyhow::Result<Vec<String>> {
    let out = &args.out;
    let platform = toolchain.platform();
    println!("{}: building with {} (a cold build takes minutes)", platform.name(), toolchain.describe());
    for group in Group::ALL {
        binary::build(group, toolchain, log, stop)?;
    }
    println!("{}: {}", platform.name(), tried::check(toolchain, source, args.tag.is_some(), log, stop)?);
    let mut files = Vec::new();
    for program in Program::ALL {
        let components = name(program, &source.version, platform, "cdx.json");
        write(&out.join(&components), &sbom::of(program, platform)?)?;
        if ARCHIVED.contains(&program) {
            let archive = name(program, &source.version, platform, "tar.gz");
            bundle::pack(&binary::of(program, platform)?, &out.join(&components), source, &out.join(&archive))?;
            println!("{}: {archive}", platform.name());
            files.push(archive);
        }
        files.push(components);
    }
    Ok(files)
}

fn images(platforms: &[Platform], source: &Source, out: &Path, log: &Log, stop: &Stop) -> anyhow::Result<Vec<Made>> {
    let mut made = Vec::new();
    for image in Image::ALL {
        let part = |platform: &Platform| {
            let components = out.join(name(image.program(), &source.version, *platform, "cdx.json"));
            Ok(Part { platform: *platform, binary: binary::of(image.program(), *platform)?, components })
        };
        let parts = platforms.iter().map(part).collect::<anyhow::Result<Vec<_>>>()?;
        let layout = format!("images/{}", image.name());
        let content = image::publishable(image, &parts, source, &out.join(&layout), log, stop)?;
        println!("image {}: {} {}", image.name(), out.join(&layout).display(), content.digest);
        made.push(Made { name: image.name(), layout, program: image.program().name(), content });
    }
    Ok(made)
}

/// The name of a file of the release: what, which version, where it runs.
fn name(program: Program, version: &str, platform: Platform, extension: &str) -> String {
    format!("{}_{version}_linux_{}.{extension}", program.name(), platform.name())
}

/// Makes an empty directory for what is to be published: an old file would be published again.
fn empty(directory: &Path) -> anyhow::Result<()> {
    let is_ours = !directory.exists() || directory.join("release.log").exists();
    let is_free = fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none());
    if !is_ours && !is_free {
        bail!("{}: got a directory with other files, expected an empty one or an earlier release", directory.display());
    }
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("removing {}", directory.display()));
        }
        _ => {}
    }
    let images = directory.join("images");
    fs::create_dir_all(&images).with_context(|| format!("making {}", images.display()))
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_by_program_version_and_platform() {
        assert_eq!(name(Program::Cli, "1.2.3", Platform::Arm64, "tar.gz"), "netprecursor_1.2.3_linux_arm64.tar.gz");
        assert_eq!(
            name(Program::Agent, "1.2.3", Platform::Amd64, "cdx.json"),
            "netprecursor-agent_1.2.3_linux_amd64.cdx.json"
        );
    }

    #[test]
    fn an_earlier_release_is_removed_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path().join("out");
        empty(&out).unwrap();
        fs::write(out.join("release.log"), "").unwrap();
        fs::write(out.join("netprecursor_0.0.1_linux_amd64.tar.gz"), "").unwrap();
        empty(&out).unwrap();
        assert!(!out.join("netprecursor_0.0.1_linux_amd64.tar.gz").exists() && out.join("images").is_dir());
        fs::write(directory.path().join("precious"), "").unwrap();
        assert!(empty(directory.path()).unwrap_err().to_string().contains("other files"));
        assert!(directory.path().join("precious").exists());
    }
}
