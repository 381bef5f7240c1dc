//! The parts of the chart that are generated, so that each fact has one source. The version is the workspace's. The table
//! of values and the schema's descriptions come from the comments of `values.yaml`, the definitions of custom resources
//! from the types in Rust, dashboards from their descriptions, and the manifests for `kubectl apply -k` from the chart.

mod crds;
mod kustomize;
mod readme;
mod schema;
mod values;
mod version;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

use crate::monitoring;

/// Where the chart is.
pub(crate) const CHART: &str = "charts/netprecursor";

/// A file that is made, not written.
#[derive(Debug, PartialEq, Eq)]
struct Generated {
    path: PathBuf,
    text: String,
}

impl Generated {
    fn new(path: impl Into<PathBuf>, text: String) -> Self {
        Self { path: path.into(), text }
    }

    /// Whether the checkout holds the same.
    fn is_current(&self) -> anyhow::Result<bool> {
        match fs::read_to_string(&self.path) {
            Ok(text) => Ok(text == self.text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).with_context(|| format!("reading {}", self.path.display())),
        }
    }

    fn write(&self) -> anyhow::Result<()> {
        let directory = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(directory).with_context(|| format!("making {}", directory.display()))?;
        fs::write(&self.path, &self.text).with_context(|| format!("writing {}", self.path.display()))
    }
}

/// Writes the files that differ, or lists them.
///
/// # Errors
/// A source is not understood, Helm fails, or (when only `check`ed) something differs.
pub(crate) fn settle(check: bool, helm: Option<&Path>) -> anyhow::Result<()> {
    let mut stale = stale(check, of_sources(Path::new("."))?)?;
    // Rendered from the chart, so only after the chart's own parts are in place.
    let helm = match helm {
        Some(given) => given.to_path_buf(),
        None => netprecursor_testbed::module::TOOLS.provide()?.program("helm")?,
    };
    stale.extend(self::stale(check, kustomize::render(&helm)?)?);
    match stale.as_slice() {
        [] => println!("chart: everything generated is current"),
        stale if check => {
            bail!("{} differ from what they are made of; run cargo xtask bless and commit them", stale.join(", "))
        }
        stale => println!("chart: wrote {}", stale.join(", ")),
    }
    Ok(())
}

/// Files generated from the checkout alone.
fn of_sources(checkout: &Path) -> anyhow::Result<Vec<Generated>> {
    let read = |path: &str| {
        let path = checkout.join(path);
        fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
    };
    let entries = values::read(&read(&format!("{CHART}/values.yaml"))?)?;
    let schema = schema::describe(&read(&format!("{CHART}/values.schema.json"))?, &entries)?;
    let description = version::stamp(&read(&format!("{CHART}/Chart.yaml"))?, env!("CARGO_PKG_VERSION"));
    let readme = readme::render(&read(&format!("{CHART}/README.md.in"))?, &description, &entries)?;
    let mut generated = vec![
        Generated::new(format!("{CHART}/Chart.yaml"), description),
        Generated::new(format!("{CHART}/values.schema.json"), schema),
        Generated::new(format!("{CHART}/README.md"), readme),
    ];
    generated.extend(crds::templates(&checkout.join("crds/yaml"))?);
    generated.extend(monitoring::files(checkout)?.into_iter().map(|(path, text)| Generated::new(path, text)));
    Ok(generated)
}

/// The README of the chart in `directory`, of its own values.
///
/// # Errors
/// A source is missing or not understood.
pub(crate) fn readme(directory: &Path) -> anyhow::Result<String> {
    let read = |name: &str| {
        let path = directory.join(name);
        fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
    };
    readme::render(&read("README.md.in")?, &read("Chart.yaml")?, &values::read(&read("values.yaml")?)?)
}

/// Those that differ, by path; written unless only `check`ed.
fn stale(check: bool, generated: Vec<Generated>) -> anyhow::Result<Vec<String>> {
    let mut stale = Vec::new();
    for file in generated {
        if file.is_current()? {
            continue;
        }
        if !check {
            file.write()?;
        }
        stale.push(file.path.display().to_string());
    }
    Ok(stale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_generated_is_current() {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for file in of_sources(&checkout).unwrap() {
            let committed = Generated { path: checkout.join(&file.path), text: file.text };
            assert!(committed.is_current().unwrap(), "{} is stale: run cargo xtask bless", file.path.display());
        }
    }
}
