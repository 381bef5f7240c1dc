//! One way to do what could be done in two: a module's file is `name.rs` beside the folder `name/`, and the version of a
//! dependency is in the workspace's table alone.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use toml::{Table, Value};

/// Built by another compiler, outside the workspace.
const APART: &str = "node-agent-ebpf";

/// Files in the other form, and how many files were checked.
///
/// # Errors
/// A file cannot be read.
pub(crate) fn check(checkout: &Path) -> anyhow::Result<(usize, Vec<String>)> {
    let manifest = read(&checkout.join("Cargo.toml"))?;
    let members = manifest.get("workspace").and_then(|workspace| workspace.get("members")).and_then(Value::as_array);
    let (mut looked_at, mut found) = (0, Vec::new());
    for member in members.into_iter().flatten().filter_map(Value::as_str) {
        let path = checkout.join(member).join("Cargo.toml");
        for name in own_versions(&read(&path)?) {
            found
                .push(format!("{member}/Cargo.toml: {name} has a version of its own, expected {{ workspace = true }}"));
        }
    }
    for file in sources(checkout)? {
        let name = file.strip_prefix(checkout).unwrap_or(&file).to_string_lossy().into_owned();
        looked_at += 1;
        if is_other_form(&name) {
            found.push(format!("{name}: expected the module's file beside its folder: git mv it"));
        }
    }
    Ok((looked_at, found))
}

fn read(path: &Path) -> anyhow::Result<Table> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    text.parse().with_context(|| format!("reading {}", path.display()))
}

/// Dependencies that do not take their version from the workspace.
fn own_versions(manifest: &Table) -> Vec<String> {
    let sections = ["dependencies", "dev-dependencies", "build-dependencies"];
    let all = sections.iter().filter_map(|section| manifest.get(*section)?.as_table()).flatten();
    all.filter(|(_, value)| value.get("workspace").and_then(Value::as_bool) != Some(true))
        .map(|(name, _)| name.clone())
        .collect()
}

/// A file right below `tests/` would be a test program: there the module needs its folder.
fn is_other_form(file: &str) -> bool {
    let Some(folder) = file.strip_suffix("/mod.rs") else { return false };
    let is_of_tests = Path::new(folder).parent().is_some_and(|parent| parent.ends_with("tests"));
    !is_of_tests
}

/// Rust's files, without what is built.
fn sources(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && !name.starts_with('.') && !["target", "out", APART].contains(&&*name) {
            files.extend(sources(&path)?);
        } else if path.extension() == Some("rs".as_ref()) {
            files.push(path);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_checkout_has_one_form() {
        let (files, found) = check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).unwrap();
        assert!(files > 100, "only {files} files were seen");
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn a_folder_with_its_module_inside_is_the_other_form_but_not_below_tests() {
        assert!(is_other_form("lab/src/load/mod.rs") && is_other_form("e2e/tests/story_product/nightly/mod.rs"));
        assert!(!is_other_form("lab/src/load.rs") && !is_other_form("models/tests/onnx/mod.rs"));
    }

    #[test]
    fn a_dependency_with_a_version_of_its_own_is_named() {
        let manifest =
            "[dependencies]\na = \"1\"\nb = { workspace = true }\n[dev-dependencies]\nc = { version = \"2\" }\n";
        assert_eq!(own_versions(&manifest.parse().unwrap()), ["a", "c"]);
    }
}
