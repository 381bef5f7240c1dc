//! An older chart: the checkout's with a lower version and definitions that lack a field. Each test makes it anew, so it
//! never lags behind the checkout.

use std::{
    fs,
    path::{Path, PathBuf},
};

use netprecursor_testbed::TestbedError;

use crate::Error;

/// Its version; the programs are this checkout's.
pub const VERSION: &str = "0.0.9";
/// The field of a policy's rule that its definitions do not have.
pub const LATER_FIELD: &str = "maxFalseAlertsPerDay";

/// Writes it below `directory` and returns its path.
///
/// # Errors
/// A file cannot be read or written, or the chart has no version or no such field any more.
pub fn write(chart: &Path, directory: &Path) -> Result<PathBuf, Error> {
    let target = directory.join("baseline");
    copy(chart, &target)?;
    let older = |text: &str| {
        let is_version = |line: &&str| line.starts_with("version:");
        text.lines().find(is_version).map(|line| text.replacen(line, &format!("version: {VERSION}"), 1))
    };
    edit(&target.join("Chart.yaml"), "a line with the version", older)?;
    for plural in ["precursorpolicies", "clusterprecursorpolicies"] {
        let file = target.join(format!("templates/crds/netprecursor.io_{plural}.yaml"));
        edit(&file, &format!("a field {LATER_FIELD}"), |text| without(text, LATER_FIELD))?;
    }
    Ok(target)
}

fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    fs::create_dir_all(to).map_err(TestbedError::file(to))?;
    for entry in fs::read_dir(from).map_err(TestbedError::file(from))?.flatten() {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to)?;
        } else {
            fs::copy(&from, &to).map_err(TestbedError::file(&from))?;
        }
    }
    Ok(())
}

fn edit(file: &Path, expected: &str, change: impl FnOnce(&str) -> Option<String>) -> Result<(), Error> {
    let text = fs::read_to_string(file).map_err(TestbedError::file(file))?;
    let changed = change(&text).ok_or_else(|| Error::Command {
        command: format!("making an older chart of {}", file.display()),
        got: format!("no change; the file needs {expected}"),
    })?;
    Ok(fs::write(file, changed).map_err(TestbedError::file(file))?)
}

/// A YAML text without a key and all below it; `None` without the key.
fn without(text: &str, key: &str) -> Option<String> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut kept = Vec::new();
    let (mut below, mut found) = (None, false);
    for line in text.lines() {
        if below.is_some_and(|depth| indent(line) > depth || line.trim().is_empty()) {
            continue;
        }
        below = (line.trim() == format!("{key}:")).then(|| indent(line));
        if below.is_none() {
            kept.push(line);
        }
        found |= below.is_some();
    }
    found.then(|| kept.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_goes_with_all_that_is_below_it_and_nothing_else() {
        let text = "a:\n  b:\n    type: string\n\n    minimum: 1\n  c: 1\n";
        assert_eq!(without(text, "b").as_deref(), Some("a:\n  c: 1\n"));
        assert_eq!(without(text, "x"), None);
    }

    #[test]
    fn the_older_chart_differs_in_version_and_field() {
        let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/netprecursor");
        let directory = tempfile::tempdir().unwrap();
        let older = write(&chart, directory.path()).unwrap();
        let read = |path: &str| fs::read_to_string(older.join(path)).unwrap();
        assert!(read("Chart.yaml").contains("\nversion: 0.0.9\n"));
        assert!(!read("templates/crds/netprecursor.io_precursorpolicies.yaml").contains(LATER_FIELD));
        assert!(read("templates/operator/deployment.yaml").contains("kind: Deployment"));
    }
}
