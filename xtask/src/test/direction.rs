//! Dependencies between the workspace's crates point in one direction, and some dependencies stay in one crate.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use serde::Deserialize;

use crate::cargo::cargo;

/// The page with the table of crates and their allowed dependencies.
const PICTURE: &str = "ARCHITECTURE.md";

/// Crates that the pure domain must not depend on: kernel, cluster, runtime, inference, randomness.
const NOT_IN_CORE: &[&str] = &["aya", "kube", "libc", "nix", "rand", "rand_chacha", "tokio", "tract-onnx"];

/// Dependencies that only some crates may have, because they exist to keep them out of the others.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("aya", &["netprecursor-agent"]),
    // In the kit for programs that run on alone: who may read their metrics is one piece of middleware. In the CLI for its
    // dashboard. In the models, as a feature, for the one route that agent and dashboard share.
    (
        "axum",
        &["netprecursor-agent", "netprecursor-operator", "netprecursor-kit", "netprecursor-cli", "netprecursor-models"],
    ),
    ("parquet", &["netprecursor-cli"]),
    ("indicatif", &["netprecursor-cli"]),
];

/// A package as `cargo metadata` describes it.
#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    /// `null`: normal; else `build` or `dev`. Tests may use what the crate itself may not.
    kind: Option<String>,
    /// The folder, for crates of the workspace.
    path: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_root: PathBuf,
}

/// Folders of crates, and of those that each may use.
type Table = BTreeMap<String, Vec<String>>;

/// Every edge of the workspace that points the wrong way, in words; none is good. Counts the edges that were looked at.
pub(crate) fn check() -> anyhow::Result<(usize, Vec<String>)> {
    let output =
        cargo(&["metadata", "--no-deps", "--format-version", "1"]).output().context("starting cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    let metadata: Metadata = serde_json::from_slice(&output.stdout).context("reading cargo metadata")?;
    let root = &metadata.workspace_root;
    let picture = fs::read_to_string(root.join(PICTURE)).with_context(|| format!("reading {PICTURE}"))?;
    let table = table(&picture);
    let mut found = violations(&metadata.packages, root, &table);
    let gone = table.keys().filter(|folder| !root.join(folder).join("Cargo.toml").is_file());
    found.extend(gone.map(|folder| format!("{PICTURE} has a crate {folder}, expected one that is there")));
    let edges = metadata.packages.iter().map(|package| package.dependencies.len()).sum();
    Ok((edges, found))
}

/// The table below `## Crates`: folders are code spans in its first and last column, other text is for the reader.
fn table(picture: &str) -> Table {
    let section = picture.split("\n## ").find(|section| section.starts_with("Crates\n")).unwrap_or_default();
    let code = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let row = |line: &str| {
        let (folder, rest) = line.strip_prefix('|')?.trim_end().strip_suffix('|')?.split_once('|')?;
        let (_, may_use) = rest.rsplit_once('|')?;
        Some((code(folder).pop()?, code(may_use)))
    };
    section.lines().filter_map(row).collect()
}

fn violations(packages: &[Package], root: &Path, table: &Table) -> Vec<String> {
    let only_in: BTreeMap<&str, &[&str]> = ONLY_IN.iter().copied().collect();
    let folder = |path: &Path| path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned();
    let mut found = Vec::new();
    for package in packages {
        let name = package.name.as_str();
        let Some(allowed) = package.manifest_path.parent().and_then(|own| table.get(&folder(own))) else {
            found.push(format!("crate {name} has no place in the table of {PICTURE}: decide what it may use"));
            continue;
        };
        for used in package.dependencies.iter().filter(|dependency| dependency.kind.as_deref() != Some("dev")) {
            let used_name = used.name.as_str();
            if used.path.as_ref().is_some_and(|path| !allowed.contains(&folder(path))) {
                found.push(format!("{name} uses {used_name}, expected at most {allowed:?}: turn the edge round"));
            }
            if name == "netprecursor-core" && NOT_IN_CORE.contains(&used_name) {
                found.push(format!("{name} uses {used_name}, expected a pure domain: move the effect to its caller"));
            }
            if let Some(only) = only_in.get(used_name).filter(|only| !only.contains(&name) && name != "xtask") {
                let only = only.join(" and ");
                found.push(format!("{name} uses {used_name}, expected it in {only} alone: ask that crate instead"));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, dependency: Option<(&str, Option<&str>, bool)>) -> Vec<String> {
        let folder = |name: &str| Path::new("/w").join(name.trim_start_matches("netprecursor-"));
        let dependency = dependency.map(|(name, kind, is_ours)| Dependency {
            name: name.to_owned(),
            kind: kind.map(str::to_owned),
            path: is_ours.then(|| folder(name)),
        });
        let manifest_path = folder(name).join("Cargo.toml");
        let package = Package { name: name.to_owned(), manifest_path, dependencies: dependency.into_iter().collect() };
        let picture = "# A\n\n## Crates\nWords.\n\n| crate | is | may use |\n|---|---|---|\n| `core` | pure: no `clock` | – |\n\
            | `models` | nets | `core`, and tract |\n| `lab` | faults | `core` |\n\n## More\n| `new` | no crate | – |\n";
        violations(&[package], Path::new("/w"), &table(picture))
    }

    #[test]
    fn this_workspace_points_in_one_direction() {
        let (edges, found) = check().unwrap();
        assert!(edges > 20, "only {edges} edges were seen");
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn an_edge_that_the_picture_has_is_allowed_and_the_other_way_round_is_named() {
        assert_eq!(found("netprecursor-models", Some(("netprecursor-core", None, true))), Vec::<String>::new());
        let found = found("netprecursor-core", Some(("netprecursor-models", None, true)));
        assert!(found.len() == 1 && found[0].contains("netprecursor-models"), "{found:?}");
    }

    #[test]
    fn tests_of_a_crate_may_use_what_it_may_not() {
        assert!(found("netprecursor-core", Some(("netprecursor-models", Some("dev"), true))).is_empty());
    }

    #[test]
    fn what_one_crate_keeps_out_stays_out_of_the_others() {
        let aya = found("netprecursor-lab", Some(("aya", None, false)));
        assert!(aya.len() == 1 && aya[0].contains("netprecursor-agent alone"), "{aya:?}");
        assert_eq!(found("netprecursor-core", Some(("tokio", Some("build"), false))).len(), 1);
    }

    #[test]
    fn a_crate_without_a_place_is_refused() {
        let found = found("netprecursor-new", None);
        assert!(found.len() == 1 && found[0].contains("netprecursor-new"), "{found:?}");
    }
}
