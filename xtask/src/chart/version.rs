//! `Chart.yaml` with the workspace's version, wherever it is repeated.

/// The lines that repeat it, up to the version.
const REPEATED: &[&str] =
    &["version: ", "appVersion: ", "      image: netprecursor/operator:", "      image: netprecursor/agent:"];

/// The description of the chart with `version` in place of what it has.
pub(super) fn stamp(description: &str, version: &str) -> String {
    let stamped = |line: &str| {
        let known = REPEATED.iter().find(|start| line.starts_with(**start));
        known.map_or_else(|| line.to_owned(), |start| format!("{start}{version}"))
    };
    description.lines().map(|line| stamped(line) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chart_application_and_images_get_the_version_and_definitions_keep_theirs() {
        let description = "version: 1.0.0\nappVersion: 1.0.0\nannotations:\n  images: |\n    - name: agent\n      \
                           image: netprecursor/agent:1.0.0\n  crds: |\n    - kind: PrecursorPolicy\n      version: v1alpha1\n";
        assert_eq!(stamp(description, "2.0.0"), description.replace("1.0.0", "2.0.0"));
    }
}
