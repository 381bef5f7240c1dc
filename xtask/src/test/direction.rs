//! Dependencies between the workspace's crates point in one direction, and some dependencies stay in one crate.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use serde::Deserialize;

use crate::cargo::cargo;

/// What each crate may use of the workspace. A crate that is not here is refused: its place must be decided first.
const MAY_USE: &[(&str, &[&str])] = &[
    ("netprecursor-agent-common", &[]),
    ("netprecursor-core", &[]),
    ("netprecursor-models", &["netprecursor-core"]),
    ("netprecursor-crds", &["netprecursor-core"]),
    ("netprecursor-settings", &[]),
    ("netprecursor-kit", &[]),
    (
        "netprecursor-agent",
        &[
            "netprecursor-agent-common",
            "netprecursor-core",
            "netprecursor-crds",
            "netprecursor-kit",
            "netprecursor-models",
            "netprecursor-settings",
        ],
    ),
    (
        "netprecursor-operator",
        &["netprecursor-core", "netprecursor-crds", "netprecursor-kit", "netprecursor-models", "netprecursor-settings"],
    ),
    ("netprecursor-lab", &["netprecursor-core", "netprecursor-crds"]),
    (
        "netprecursor-cli",
        &[
            "netprecursor-core",
            "netprecursor-crds",
            "netprecursor-kit",
            "netprecursor-lab",
            "netprecursor-models",
            "netprecursor-settings",
        ],
    ),
    ("netprecursor-testbed", &[]),
    ("netprecursor-fakeapi", &[]),
    // What needs more of the workspace is a story: tests may use what the crate itself may not.
    ("netprecursor-e2e", &["netprecursor-testbed"]),
    (
        "xtask",
        &[
            "netprecursor-agent",
            "netprecursor-agent-common",
            "netprecursor-core",
            "netprecursor-crds",
            "netprecursor-lab",
            "netprecursor-models",
            "netprecursor-testbed",
        ],
    ),
];

/// What the pure domain must never reach: kernel, cluster, runtime, inference, randomness.
const NOT_IN_CORE: &[&str] = &["aya", "kube", "libc", "nix", "rand", "rand_chacha", "tokio", "tract-onnx"];

/// Dependencies that only some crates may have, because they exist to keep them out of the others.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("aya", &["netprecursor-agent"]),
    ("axum", &["netprecursor-agent", "netprecursor-operator"]),
    ("parquet", &["netprecursor-cli"]),
    ("indicatif", &["netprecursor-cli"]),
];

/// A package as `cargo metadata` tells it.
#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    /// `null`: normal; else `build` or `dev`. Tests may use what the crate itself may not.
    kind: Option<String>,
    /// Set for crates of the workspace.
    path: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

/// Every edge of the workspace that points the wrong way, in words; none is good. Counts the edges that were looked at.
pub(crate) fn check() -> anyhow::Result<(usize, Vec<String>)> {
    let output =
        cargo(&["metadata", "--no-deps", "--format-version", "1"]).output().context("starting cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    let metadata: Metadata = serde_json::from_slice(&output.stdout).context("reading cargo metadata")?;
    let edges = metadata.packages.iter().map(|package| package.dependencies.len()).sum();
    Ok((edges, violations(&metadata.packages)))
}

fn violations(packages: &[Package]) -> Vec<String> {
    let may_use: BTreeMap<&str, &[&str]> = MAY_USE.iter().copied().collect();
    let only_in: BTreeMap<&str, &[&str]> = ONLY_IN.iter().copied().collect();
    let mut found = Vec::new();
    for package in packages {
        let name = package.name.as_str();
        let Some(allowed) = may_use.get(name) else {
            found.push(format!("crate {name} has no place in the table of {}: decide what it may use", file!()));
            continue;
        };
        for used in package.dependencies.iter().filter(|dependency| dependency.kind.as_deref() != Some("dev")) {
            let used_name = used.name.as_str();
            if used.path.is_some() && !allowed.contains(&used_name) {
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

    fn package(name: &str, dependencies: &[(&str, Option<&str>, bool)]) -> Package {
        let dependencies = dependencies.iter().map(|(name, kind, is_ours)| Dependency {
            name: (*name).to_owned(),
            kind: kind.map(str::to_owned),
            path: is_ours.then(|| "/somewhere".to_owned()),
        });
        Package { name: name.to_owned(), dependencies: dependencies.collect() }
    }

    #[test]
    fn this_workspace_points_in_one_direction() {
        let (edges, found) = check().unwrap();
        assert!(edges > 20, "only {edges} edges were seen");
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn an_edge_against_the_direction_is_named() {
        let found = violations(&[package("netprecursor-core", &[("netprecursor-models", None, true)])]);
        assert!(found.len() == 1 && found[0].contains("netprecursor-models"), "{found:?}");
    }

    #[test]
    fn tests_of_a_crate_may_use_what_it_may_not() {
        assert!(violations(&[package("netprecursor-core", &[("netprecursor-models", Some("dev"), true)])]).is_empty());
    }

    #[test]
    fn what_one_crate_keeps_out_stays_out_of_the_others() {
        let found = violations(&[package("netprecursor-lab", &[("aya", None, false)])]);
        assert!(found.len() == 1 && found[0].contains("netprecursor-agent alone"), "{found:?}");
        assert_eq!(violations(&[package("netprecursor-core", &[("tokio", Some("build"), false)])]).len(), 1);
    }

    #[test]
    fn a_crate_without_a_place_is_refused() {
        let found = violations(&[package("netprecursor-new", &[])]);
        assert!(found.len() == 1 && found[0].contains("netprecursor-new"), "{found:?}");
    }
}
