//! What users are told about conditions is complete.

use std::{collections::BTreeSet, fs, path::Path};

use crate::helm::checkout;

/// The first string after each place where `call` stands, in the code of `path` without its tests.
fn reasons(path: &Path, calls: &[&str], found: &mut BTreeSet<String>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            reasons(&entry.unwrap().path(), calls, found);
        }
        return;
    }
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]").next().unwrap();
    for call in calls {
        for after in code.split(call).skip(1) {
            let first = after.trim_start().strip_prefix('"').and_then(|text| text.split('"').next());
            let is_reason =
                |text: &&str| text.starts_with(char::is_uppercase) && text.chars().all(char::is_alphanumeric);
            found.extend(first.filter(is_reason).map(str::to_owned));
        }
    }
}

#[test]
fn every_reason_of_a_condition_is_explained() {
    let root = checkout();
    let mut found = BTreeSet::new();
    reasons(&root.join("operator/src/plan"), &["Verdict::yes(", "Verdict::no(", "Verdict::unknown("], &mut found);
    reasons(&root.join("operator/src/models/check.rs"), &["=>"], &mut found);
    reasons(&root.join("node-agent/src/publish/words.rs"), &["=>"], &mut found);
    reasons(
        &root.join("node-agent/src/publish/kubernetes/report.rs"),
        &["(\"True\",", "(\"False\",", "(\"Unknown\","],
        &mut found,
    );
    reasons(
        &root.join("node-agent/src/publish/kubernetes/alerts.rs"),
        &["(\"True\",", "(\"False\",", "(\"Unknown\","],
        &mut found,
    );
    assert!(found.len() > 30, "only {found:?}");
    let page = fs::read_to_string(root.join("docs/troubleshooting.md")).unwrap();
    let missing: Vec<_> = found.iter().filter(|reason| !page.contains(&format!("`{reason}`"))).collect();
    assert!(missing.is_empty(), "docs/troubleshooting.md does not explain {missing:?}");
}

/// Links of a page to other files of the checkout, without anchors.
fn links(page: &str) -> Vec<&str> {
    let targets = page.split("](").skip(1).filter_map(|after| after.split(')').next());
    let files = targets.map(|target| target.split('#').next().unwrap()).filter(|target| !target.contains("://"));
    files.filter(|file| !file.is_empty()).collect()
}

#[test]
fn links_between_pages_lead_somewhere() {
    let root = checkout();
    let mut pages = vec![root.join("README.md"), root.join("charts/netprecursor/README.md")];
    pages.extend(fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    pages.retain(|page| page.extension().is_some_and(|extension| extension == "md"));
    let (mut followed, mut broken) = (0, Vec::new());
    for page in pages {
        for link in links(&fs::read_to_string(&page).unwrap()) {
            followed += 1;
            if !page.parent().unwrap().join(link).exists() {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(followed > 10 && broken.is_empty(), "{followed} links; broken: {broken:?}");
}
