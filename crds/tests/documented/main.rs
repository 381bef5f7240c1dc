//! What users are given to copy is read.

#![expect(clippy::unwrap_used, reason = "tests say what they expect by unwrapping")]

mod texts;

use std::path::Path;

use netprecursor_crds::policies_from_yaml;

#[test]
fn every_policy_in_examples_and_pages_is_read() {
    let texts = texts::policies(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    let origins: Vec<_> = texts.iter().map(|text| text.origin.as_str()).collect();
    for page in ["README.md", "NOTES.txt", "checkout.yaml", "web-tiers.yaml", "storage-lan.yaml", "demo/policy.yaml"] {
        assert!(origins.iter().any(|origin| origin.ends_with(page)), "no policy in {page}: {origins:?}");
    }
    assert!(texts.iter().any(texts::Text::is_standalone));
    // What needs a cluster is given to an API server, by the tests of the crate e2e.
    for text in texts.iter().filter(|text| !text.origin.contains("/kubernetes/")) {
        if let Err(refusal) = policies_from_yaml(&text.origin, &text.yaml) {
            panic!("{refusal}\n{}", text.yaml);
        }
    }
}
