//! The crates linked into a binary, as CycloneDX. No serial number and no time: the same sources give the same list.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use super::{Platform, Program};
use crate::cargo::cargo;

/// Name and version; one registry holds a crate of both only once.
type Id = (String, String);

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Bom {
    bom_format: &'static str,
    spec_version: &'static str,
    version: u8,
    metadata: About,
    components: Vec<Component>,
    dependencies: Vec<Edges>,
}

#[derive(Debug, Serialize)]
struct About {
    component: Component,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Component {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "bom-ref")]
    reference: String,
    name: String,
    version: String,
    purl: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    licenses: Vec<License>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<Hash>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct License {
    expression: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Hash {
    alg: &'static str,
    content: String,
}

#[derive(Debug, PartialEq, Serialize)]
struct Edges {
    #[serde(rename = "ref")]
    reference: String,
    #[serde(rename = "dependsOn")]
    depends_on: BTreeSet<String>,
}

/// `cargo metadata`.
#[derive(Debug, Default, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Debug, Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Debug, Deserialize)]
struct Kind {
    kind: Option<String>,
}

/// `Cargo.lock`.
#[derive(Debug, Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Debug, Deserialize)]
struct Locked {
    name: String,
    version: String,
    checksum: Option<String>,
}

/// Crates that are linked together, from one `Cargo.lock`.
struct Linked {
    metadata: Metadata,
    /// Those that the program really has: features and target are decided.
    used: BTreeSet<Id>,
    checksums: BTreeMap<Id, String>,
}

/// The list for `program`, built for `platform`.
///
/// # Errors
/// Cargo refuses, or does not know a crate that it names.
pub(crate) fn of(program: Program, platform: Platform) -> anyhow::Result<String> {
    let mut all = vec![Linked::read(Path::new("."), Some(program.package()), platform.triple())?];
    for directory in program.embedded() {
        all.push(Linked::read(Path::new(directory), None, "bpfel-unknown-none")?);
    }
    let bom = bom(program.package(), &all)?;
    Ok(serde_json::to_string_pretty(&bom)? + "\n")
}

impl Linked {
    fn read(directory: &Path, package: Option<&str>, target: &str) -> anyhow::Result<Self> {
        let run = |arguments: &[&str]| {
            let output = cargo(arguments).current_dir(directory).output().context("starting cargo")?;
            if !output.status.success() {
                bail!("cargo {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
            }
            Ok(output.stdout)
        };
        let mut tree = vec![
            "tree",
            "--locked",
            "--edges",
            "normal,no-proc-macro",
            "--prefix",
            "none",
            "--format",
            "{p}",
            "--target",
            target,
        ];
        tree.extend(package.iter().flat_map(|package| ["--package", package]));
        let used = String::from_utf8(run(&tree)?).context("cargo tree: expected UTF-8")?;
        let metadata = run(&["metadata", "--locked", "--format-version", "1", "--filter-platform", target])?;
        let lock = directory.join("Cargo.lock");
        let lock = fs::read_to_string(&lock).with_context(|| format!("reading {}", lock.display()))?;
        let lock: Lock = toml::from_str(&lock).context("Cargo.lock")?;
        let checksums =
            lock.package.into_iter().filter_map(|locked| Some(((locked.name, locked.version), locked.checksum?)));
        Ok(Self {
            metadata: serde_json::from_slice(&metadata).context("cargo metadata")?,
            used: used.lines().filter_map(id).collect(),
            checksums: checksums.collect(),
        })
    }

    /// The components and what each depends on.
    fn components(&self) -> anyhow::Result<BTreeMap<String, (Component, Edges)>> {
        let known: BTreeMap<&str, &Package> =
            self.metadata.packages.iter().map(|package| (package.id.as_str(), package)).collect();
        let is_used = |package: &Package| self.used.contains(&(package.name.clone(), package.version.clone()));
        let mut components = BTreeMap::new();
        for node in &self.metadata.resolve.nodes {
            let Some(package) = known.get(node.id.as_str()).filter(|package| is_used(package)) else { continue };
            let is_linked = |dependency: &&Dependency| dependency.dep_kinds.iter().any(|kind| kind.kind.is_none());
            let uses = node.deps.iter().filter(is_linked).filter_map(|dependency| known.get(dependency.pkg.as_str()));
            let depends_on =
                uses.filter(|package| is_used(package)).map(|package| purl(&package.name, &package.version));
            let component = self.component(package);
            let edges = Edges { reference: component.reference.clone(), depends_on: depends_on.collect() };
            components.insert(component.reference.clone(), (component, edges));
        }
        if components.len() != self.used.len() {
            bail!(
                "got {} crates from cargo metadata, expected the {} of cargo tree",
                components.len(),
                self.used.len()
            );
        }
        Ok(components)
    }

    fn component(&self, package: &Package) -> Component {
        let purl = purl(&package.name, &package.version);
        let checksum = self.checksums.get(&(package.name.clone(), package.version.clone()));
        // Older crates separate alternatives by a slash, which is no expression.
        let license = package.license.as_ref().map(|license| License { expression: license.replace('/', " OR ") });
        Component {
            kind: "library",
            reference: purl.clone(),
            name: package.name.clone(),
            version: package.version.clone(),
            purl,
            licenses: license.into_iter().collect(),
            hashes: checksum.map(|content| Hash { alg: "SHA-256", content: content.clone() }).into_iter().collect(),
        }
    }
}

/// `name v1.2.3 (…)`, as `cargo tree` prints a crate.
fn id(line: &str) -> Option<Id> {
    let mut words = line.split_whitespace();
    let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
    Some((name.to_owned(), version.to_owned()))
}

fn purl(name: &str, version: &str) -> String {
    // A plus sign separates metadata of the build from the version, and means a space in a URL.
    format!("pkg:cargo/{name}@{}", version.replace('+', "%2B"))
}

fn bom(program: &str, all: &[Linked]) -> anyhow::Result<Bom> {
    let mut components = BTreeMap::new();
    for linked in all {
        components.extend(linked.components()?);
    }
    let root =
        components.iter().find(|(_, (component, _))| component.name == program).map(|(reference, _)| reference.clone());
    let root = root.with_context(|| format!("got no crate {program} from cargo, expected the program itself"))?;
    let (mut about, edges) = components.remove(&root).context("just found")?;
    about.kind = "application";
    let (components, mut dependencies): (Vec<_>, Vec<_>) = components.into_values().unzip();
    dependencies.insert(0, edges);
    Ok(Bom {
        bom_format: "CycloneDX",
        spec_version: "1.6",
        version: 1,
        metadata: About { component: about },
        components,
        dependencies,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linked() -> Linked {
        let metadata = r#"{"packages": [
            {"id": "p", "name": "program", "version": "1.0.0", "license": null},
            {"id": "a", "name": "a", "version": "2.0.0+x", "license": "MIT/Apache-2.0"},
            {"id": "t", "name": "t", "version": "3.0.0", "license": "MIT"}],
          "resolve": {"nodes": [
            {"id": "p", "deps": [{"pkg": "a", "dep_kinds": [{"kind": null}]}, {"pkg": "t", "dep_kinds": [{"kind": "dev"}]}]},
            {"id": "a", "deps": []}, {"id": "t", "deps": []}]}}"#;
        Linked {
            metadata: serde_json::from_str(metadata).unwrap(),
            used: "program v1.0.0 (/somewhere)\na v2.0.0+x\na v2.0.0+x (*)\n".lines().filter_map(id).collect(),
            checksums: BTreeMap::from([(("a".to_owned(), "2.0.0+x".to_owned()), "00".to_owned())]),
        }
    }

    #[test]
    fn what_is_linked_in_is_listed_with_license_and_checksum() {
        let bom = bom("program", &[linked()]).unwrap();
        assert_eq!(bom.metadata.component.kind, "application");
        let [a] = bom.components.as_slice() else { panic!("{:?}", bom.components) };
        assert_eq!((a.purl.as_str(), a.hashes[0].content.as_str()), ("pkg:cargo/a@2.0.0%2Bx", "00"));
        assert_eq!(a.licenses[0].expression, "MIT OR Apache-2.0");
    }

    #[test]
    fn what_only_tests_use_is_no_dependency() {
        let bom = bom("program", &[linked()]).unwrap();
        assert_eq!(bom.dependencies[0].reference, "pkg:cargo/program@1.0.0");
        assert_eq!(bom.dependencies[0].depends_on, BTreeSet::from(["pkg:cargo/a@2.0.0%2Bx".to_owned()]));
    }

    #[test]
    fn a_crate_that_cargo_does_not_describe_is_an_error() {
        let mut linked = linked();
        linked.used.insert(("ghost".to_owned(), "1.0.0".to_owned()));
        assert!(bom("program", &[linked]).unwrap_err().to_string().contains("expected the 3"));
    }
}
