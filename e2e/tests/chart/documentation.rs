//! Pages lead to each other.

use std::fs;

use crate::helm::checkout;

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
