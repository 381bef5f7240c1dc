//! The manifest by which krew, the package manager of kubectl's plugins, finds and checks the command line's archives.

use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

use super::name;
use crate::{
    digest::sha256,
    program::{Platform, Program},
};

/// The plugin's name; the file must have it too.
const PLUGIN: &str = "netprecursor";
const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata,
    spec: Spec,
}

#[derive(Serialize)]
struct Metadata {
    name: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    version: String,
    homepage: &'static str,
    short_description: &'static str,
    description: &'static str,
    platforms: Vec<OfPlatform>,
}

#[derive(Serialize)]
struct OfPlatform {
    selector: Selector,
    uri: String,
    sha256: String,
    bin: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Selector {
    match_labels: Labels,
}

#[derive(Serialize)]
struct Labels {
    os: &'static str,
    arch: &'static str,
}

/// Writes the manifest for the archives in `out`; returns its file's name.
///
/// # Errors
/// An archive is missing.
pub(super) fn write(platforms: &[Platform], version: &str, out: &Path) -> anyhow::Result<String> {
    let digest = |platform: &Platform| {
        let archive = out.join(name(Program::Cli, version, *platform, "tar.gz"));
        Ok((*platform, sha256(&archive)?))
    };
    let archives = platforms.iter().map(digest).collect::<anyhow::Result<Vec<_>>>()?;
    let file = format!("{PLUGIN}.yaml");
    super::write(&out.join(&file), &render(version, &archives)?)?;
    Ok(file)
}

fn render(version: &str, archives: &[(Platform, String)]) -> anyhow::Result<String> {
    let platforms = archives.iter().map(|(platform, sha256)| OfPlatform {
        selector: Selector { match_labels: Labels { os: "linux", arch: platform.name() } },
        uri: format!("{REPOSITORY}/releases/download/v{version}/{}", name(Program::Cli, version, *platform, "tar.gz")),
        sha256: sha256.clone(),
        bin: Program::Cli.name(),
    });
    let manifest = Manifest {
        api_version: "krew.googlecontainertools.github.com/v1alpha2",
        kind: "Plugin",
        metadata: Metadata { name: PLUGIN },
        spec: Spec {
            version: format!("v{version}"),
            homepage: REPOSITORY,
            short_description: "Explain forecasts of pods' network trouble",
            description: "Shows policies, alerts with their causes and outcomes, and the agents of netprecursor, and checks an\n\
                          installation before and after.\n",
            platforms: platforms.collect(),
        },
    };
    serde_saphyr::to_string(&manifest).context("the krew manifest")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn each_archive_is_named_with_its_checksum_and_platform() {
        let archives = [(Platform::Amd64, "a".repeat(64)), (Platform::Arm64, "b".repeat(64))];
        let manifest: Value = serde_saphyr::from_str(&render("1.2.3", &archives).unwrap()).unwrap();
        assert_eq!((&manifest["metadata"]["name"], &manifest["spec"]["version"]), (&json!(PLUGIN), &json!("v1.2.3")));
        let arm64 = &manifest["spec"]["platforms"][1];
        assert_eq!(arm64["selector"]["matchLabels"], json!({"os": "linux", "arch": "arm64"}));
        assert_eq!(arm64["sha256"], json!("b".repeat(64)));
        let uri = format!("{REPOSITORY}/releases/download/v1.2.3/netprecursor_1.2.3_linux_arm64.tar.gz");
        assert_eq!((&arm64["uri"], &arm64["bin"]), (&json!(uri), &json!("netprecursor")));
    }

    #[test]
    fn the_short_description_fits_into_krews_list() {
        let manifest: Value = serde_saphyr::from_str(&render("1.2.3", &[]).unwrap()).unwrap();
        let description = manifest["spec"]["shortDescription"].as_str().unwrap();
        assert!(description.len() <= 50 && !description.ends_with('.'), "{description}");
    }
}
