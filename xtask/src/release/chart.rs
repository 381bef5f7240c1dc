//! The chart as it is published: that of the checkout, but its images come from the registry that the release is pushed to.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, bail};

use crate::{
    chart,
    files::{copy, entries},
    program::Source,
};

/// What the checkout's chart says: the image of a cluster for tests has no registry.
const NO_REGISTRY: &str = "\nimageRegistry: \"\"\n";
/// How images begin in the description of the chart.
const IMAGE: &str = "image: netprecursor/";

/// Packages the chart into `out`; returns its file's name.
///
/// # Errors
/// Helm fails, or the chart has no place for the registry.
pub(super) fn package(helm: Option<&Path>, registry: &str, source: &Source, out: &Path) -> anyhow::Result<String> {
    let helm = match helm {
        Some(given) => given.to_path_buf(),
        None => netprecursor_testbed::module::TOOLS.provide()?.program("helm")?,
    };
    let work = tempfile::tempdir().context("making a directory for the chart")?;
    let staged = work.path().join("netprecursor");
    copy(Path::new(chart::CHART), &staged)?;
    with_registry(&staged, registry)?;
    set_times(&staged, SystemTime::UNIX_EPOCH + Duration::from_secs(source.epoch))?;
    for arguments in [["lint", "--strict"].as_slice(), &["package", "--destination"]] {
        let mut command = Command::new(&helm);
        command.args(arguments);
        if arguments[0] == "package" {
            command.arg(out);
        }
        let output = command.arg(&staged).output().with_context(|| format!("starting {}", helm.display()))?;
        if !output.status.success() {
            let words = [output.stdout, output.stderr].concat();
            bail!("helm {}: {}", arguments.join(" "), String::from_utf8_lossy(&words).trim());
        }
    }
    let file = format!("netprecursor-{}.tgz", source.version);
    fs::metadata(out.join(&file)).with_context(|| format!("helm package: expected {file}"))?;
    Ok(file)
}

/// Names the registry in the values, in what is generated from them, and in the list of images.
fn with_registry(staged: &Path, registry: &str) -> anyhow::Result<()> {
    change(&staged.join("values.yaml"), |text| {
        replaced(text, NO_REGISTRY, &format!("\nimageRegistry: {registry}\n"), 1)
    })?;
    change(&staged.join("Chart.yaml"), |text| replaced(text, IMAGE, &format!("image: {registry}/netprecursor/"), 2))?;
    fs::write(staged.join("README.md"), chart::readme(staged)?).context("writing the chart's README")
}

fn change(path: &Path, change: impl FnOnce(&str) -> anyhow::Result<String>) -> anyhow::Result<()> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let text = change(&text).with_context(|| format!("changing {}", path.display()))?;
    fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

fn replaced(text: &str, from: &str, to: &str, times: usize) -> anyhow::Result<String> {
    let got = text.matches(from).count();
    if got != times {
        bail!("got {:?} {got} times, expected {times}", from.trim());
    }
    Ok(text.replace(from, to))
}

/// Helm packs files with their own times.
fn set_times(directory: &Path, time: SystemTime) -> anyhow::Result<()> {
    for path in entries(directory)? {
        if path.is_dir() {
            set_times(&path, time)?;
        } else {
            let file = fs::File::options().write(true).open(&path);
            file.and_then(|file| file.set_modified(time)).with_context(|| format!("the time of {}", path.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_chart_takes_its_images_from_the_registry_everywhere() {
        let (work, checkout) = (tempfile::tempdir().unwrap(), Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
        let staged = work.path().join("chart");
        copy(&checkout.join(chart::CHART), &staged).unwrap();
        with_registry(&staged, "images.example.com/team").unwrap();
        let read = |name: &str| fs::read_to_string(staged.join(name)).unwrap();
        assert!(read("values.yaml").contains("\nimageRegistry: images.example.com/team\n"));
        assert_eq!(read("Chart.yaml").matches("image: images.example.com/team/netprecursor/").count(), 2);
        assert!(read("README.md").contains("| `imageRegistry` | string | `\"images.example.com/team\"` |"));
        assert!(staged.join("templates").is_dir());
    }

    #[test]
    fn a_chart_without_a_place_for_the_registry_is_refused() {
        let error = replaced("a: b", NO_REGISTRY, "", 1).unwrap_err().to_string();
        assert!(error.contains("0 times, expected 1"), "{error}");
    }
}
