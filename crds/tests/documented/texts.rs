//! The policies that are written somewhere for users to take: examples, YAML in pages, and what the chart prints.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// YAML as users meet it.
#[derive(Debug)]
pub(crate) struct Text {
    /// Where it stands, from the checkout.
    pub(crate) origin: String,
    /// Of one or more documents.
    pub(crate) yaml: String,
}

impl Text {
    /// Whether it is for use outside Kubernetes alone.
    pub(crate) fn is_standalone(&self) -> bool {
        self.origin.contains("/standalone/")
    }
}

/// All of them in the checkout at `root`.
pub(crate) fn policies(root: &Path) -> Vec<Text> {
    let mut texts = Vec::new();
    let mut files = vec![root.join("README.md"), root.join("cli/src/demo/policy.yaml")];
    for folder in ["examples", "docs", "charts/netprecursor"] {
        list(&root.join(folder), &mut files);
    }
    for file in files {
        let origin = file.strip_prefix(root).unwrap().display().to_string();
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let yaml: Vec<String> = match file.extension().and_then(|extension| extension.to_str()) {
            // Of the chart's YAML, nothing is a policy.
            Some("yaml") => Some(text).filter(|_| !origin.starts_with("charts/")).into_iter().collect(),
            Some("md") => blocks(&text, "```yaml", "```"),
            Some("txt") => blocks(&text, "<<EOF", "EOF"),
            _ => continue,
        };
        let is_policy =
            |yaml: &String| yaml.lines().any(|line| line.starts_with("kind: ") && line.ends_with("PrecursorPolicy"));
        texts.extend(yaml.into_iter().filter(is_policy).map(|yaml| Text { origin: origin.clone(), yaml }));
    }
    texts
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { list(&path, files) } else { files.push(path) }
    }
}

/// What stands between a line that ends with `open` and the line `close`, as far to the left as it goes.
fn blocks(text: &str, open: &str, close: &str) -> Vec<String> {
    let (mut blocks, mut lines) = (Vec::new(), text.lines());
    while lines.any(|line| line.trim_end().ends_with(open)) {
        let block: Vec<&str> = lines.by_ref().take_while(|line| line.trim() != close).collect();
        let indent = |line: &&str| line.len() - line.trim_start().len();
        let margin = block.iter().filter(|line| !line.trim().is_empty()).map(indent).min().unwrap_or(0);
        blocks.push(block.iter().map(|line| format!("{}\n", line.get(margin..).unwrap_or_default())).collect());
    }
    blocks
}
