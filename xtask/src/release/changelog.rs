//! The changelog's entries: `## VERSION`, with more words such as a date behind it, and `## Unreleased`.

/// What is not released yet.
pub(super) const UNRELEASED: &str = "Unreleased";

/// The text under the heading of a version, without the heading.
pub(super) fn entry<'a>(changelog: &'a str, version: &str) -> Option<&'a str> {
    let is_of_version =
        |heading: &str| heading.split_whitespace().next().map(|word| word.trim_matches(['[', ']'])) == Some(version);
    changelog.split("\n## ").skip(1).find_map(|section| {
        let (heading, text) = section.split_once('\n')?;
        is_of_version(heading).then(|| text.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGELOG: &str =
        "# Changelog\n\n## Unreleased\n- new\n\n## [1.2.3] - 2026-01-02\n### Added\n- a\n\n## 1.2 – old\n- b\n";

    #[test]
    fn an_entry_is_found_by_its_version_alone() {
        assert_eq!(entry(CHANGELOG, "1.2.3"), Some("### Added\n- a"));
        assert_eq!(entry(CHANGELOG, "1.2"), Some("- b"));
        assert_eq!(entry(CHANGELOG, UNRELEASED), Some("- new"));
        assert_eq!(entry(CHANGELOG, "1.2.4"), None);
    }
}
