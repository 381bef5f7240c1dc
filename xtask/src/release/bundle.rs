//! An archive with one program: the same files make the same bytes.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, bail};

use crate::{image, program::Source};

/// Packs a program, the license and the SBOM into `archive`.
///
/// # Errors
/// A file cannot be read, or tar fails.
pub(super) fn pack(binary: &Path, components: &Path, source: &Source, archive: &Path) -> anyhow::Result<()> {
    let directory = image::context(binary, components, source)?;
    tar(directory.path(), source.epoch, archive)
}

fn tar(directory: &Path, epoch: u64, archive: &Path) -> anyhow::Result<()> {
    let mut tar = Command::new("tar");
    tar.args(["--create", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--format=ustar"])
        .arg(format!("--mtime=@{epoch}"))
        // Without a name and a time in its header.
        .arg("--use-compress-program=gzip --best --no-name")
        .arg("--file")
        .arg(archive)
        .arg("--directory")
        .arg(directory);
    let mut names: Vec<_> =
        fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name())).collect::<anyhow::Result<_>>()?;
    names.sort();
    let output = tar.args(names).output().context("starting tar")?;
    if !output.status.success() {
        bail!("{}: tar: {}", archive.display(), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_files_make_the_same_archive_whenever_they_were_written() {
        let directory = tempfile::tempdir().unwrap();
        let archive = |name: &str, second: u64| {
            let files = directory.path().join(name);
            fs::create_dir(&files).unwrap();
            for file in ["program", "LICENSE"] {
                fs::write(files.join(file), file).unwrap();
                let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(second);
                fs::File::options().write(true).open(files.join(file)).unwrap().set_modified(time).unwrap();
            }
            let archive = directory.path().join(format!("{name}.tar.gz"));
            tar(&files, 1_000_000_000, &archive).unwrap();
            fs::read(archive).unwrap()
        };
        assert_eq!(archive("a", 5), archive("b", 1_700_000_000));
    }
}
