//! The version is written in `Cargo.toml`; what repeats it must repeat the same.

use std::{fs, path::Path};

use anyhow::{Context as _, bail};
use serde::Deserialize;

use super::changelog::{UNRELEASED, entry};

/// A file that repeats the version.
#[derive(Debug)]
struct Repeated {
    place: &'static str,
    version: String,
    /// What brings it up to date.
    remedy: &'static str,
}

const BLESS: &str = "run cargo xtask bless chart";
const EDIT: &str = "set it";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chart {
    version: String,
    app_version: String,
}

#[derive(Deserialize)]
struct Manifest {
    package: Package,
}

#[derive(Deserialize)]
struct Package {
    version: String,
}

/// The changelog's entry of the release.
///
/// # Errors
/// A version differs, or (with a tag) the changelog has no entry; the text lists everything that is wrong.
pub(super) fn check(checkout: &Path, version: &str, tag: Option<&str>) -> anyhow::Result<String> {
    let read = |path: &str| {
        let path = checkout.join(path);
        fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
    };
    let chart: Chart =
        serde_saphyr::from_str(&read("charts/netprecursor/Chart.yaml")?).context("charts/netprecursor/Chart.yaml")?;
    let bpf: Manifest = toml::from_str(&read("node-agent-ebpf/Cargo.toml")?).context("node-agent-ebpf/Cargo.toml")?;
    let repeated = [
        Repeated { place: "version in charts/netprecursor/Chart.yaml", version: chart.version, remedy: BLESS },
        Repeated { place: "appVersion in charts/netprecursor/Chart.yaml", version: chart.app_version, remedy: BLESS },
        Repeated { place: "version in node-agent-ebpf/Cargo.toml", version: bpf.package.version, remedy: EDIT },
    ];
    let changelog = read("CHANGELOG.md")?;
    let problems = problems(version, &repeated, &changelog, tag);
    if !problems.is_empty() {
        bail!("versions disagree; Cargo.toml has {version}:\n  {}", problems.join("\n  "));
    }
    let own = entry(&changelog, version);
    if own.is_none() {
        println!("CHANGELOG.md has no entry {version} yet, which its tag will need: taking {UNRELEASED}");
    }
    Ok(own.or_else(|| entry(&changelog, UNRELEASED)).unwrap_or_default().to_owned() + "\n")
}

fn problems(version: &str, repeated: &[Repeated], changelog: &str, tag: Option<&str>) -> Vec<String> {
    let differs = repeated.iter().filter(|repeated| repeated.version != version);
    let mut problems: Vec<String> = differs
        .map(|other| format!("{}: got {}, expected {version}: {}", other.place, other.version, other.remedy))
        .collect();
    if let Some(tag) = tag.filter(|tag| tag.strip_prefix('v') != Some(version)) {
        problems.push(format!("tag: got {tag}, expected v{version}"));
    }
    let is_ready = entry(changelog, version).is_some() || (tag.is_none() && entry(changelog, UNRELEASED).is_some());
    if !is_ready {
        problems.push(format!("CHANGELOG.md: got no entry \"## {version}\", expected one: rename {UNRELEASED}"));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repeated(version: &str) -> [Repeated; 1] {
        [Repeated { place: "version in Chart.yaml", version: version.to_owned(), remedy: BLESS }]
    }

    #[test]
    fn this_checkout_agrees() {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        assert!(check(&checkout, env!("CARGO_PKG_VERSION"), None).unwrap().len() > 1);
    }

    #[test]
    fn a_version_that_was_forgotten_is_named_with_the_remedy() {
        let problems = problems("1.2.0", &repeated("1.1.0"), "\n## 1.2.0\n", Some("v1.2.0"));
        let [problem] = problems.as_slice() else { panic!("{problems:?}") };
        assert!(problem.contains("Chart.yaml: got 1.1.0, expected 1.2.0: run cargo xtask bless"), "{problem}");
    }

    #[test]
    fn a_rehearsal_may_be_unreleased_and_a_tag_may_not() {
        let changelog = "# Changelog\n\n## Unreleased\n- a\n";
        assert!(problems("1.2.0", &repeated("1.2.0"), changelog, None).is_empty());
        let with_tag = problems("1.2.0", &repeated("1.2.0"), changelog, Some("v1.2.0"));
        assert!(with_tag.len() == 1 && with_tag[0].contains("no entry"), "{with_tag:?}");
    }

    #[test]
    fn a_tag_for_another_version_is_refused() {
        for tag in ["v1.2.1", "1.2.0", "v1.2.0-rc.1"] {
            let problems = problems("1.2.0", &[], "\n## 1.2.0\n", Some(tag));
            assert_eq!(problems, [format!("tag: got {tag}, expected v1.2.0")]);
        }
    }
}
