//! Results of criterion: `new/estimates.json` and `new/benchmark.json` of every benchmark under its home.

use std::{fs, path::Path};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// One benchmark.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Estimate {
    /// As criterion names it: group, function, parameter.
    pub(crate) name: String,
    /// Mean of an iteration.
    pub(crate) ns: f64,
    /// Rows or targets in an iteration.
    pub(crate) elements: u64,
}

#[derive(Deserialize)]
struct Estimates {
    mean: Mean,
}

#[derive(Deserialize)]
struct Mean {
    point_estimate: f64,
}

#[derive(Deserialize)]
struct Benchmark {
    full_id: String,
    throughput: Option<Throughput>,
}

#[derive(Deserialize)]
struct Throughput {
    #[serde(rename = "Elements")]
    elements: Option<u64>,
}

/// All benchmarks under `home`, by name.
///
/// # Errors
/// A file cannot be read, or is not criterion's; or there is none at all.
pub(crate) fn estimates(home: &Path) -> anyhow::Result<Vec<Estimate>> {
    let mut found = Vec::new();
    walk(home, &mut found)?;
    anyhow::ensure!(!found.is_empty(), "got no estimates under {}, expected criterion to leave some", home.display());
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn walk(directory: &Path, found: &mut Vec<Estimate>) -> anyhow::Result<()> {
    for entry in fs::read_dir(directory).with_context(|| format!("reading {}", directory.display()))? {
        let path = entry?.path();
        if path.ends_with("new") {
            found.push(read(&path)?);
        } else if path.is_dir() {
            walk(&path, found)?;
        }
    }
    Ok(())
}

fn read(directory: &Path) -> anyhow::Result<Estimate> {
    let text = |name: &str| {
        let path = directory.join(name);
        fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
    };
    let of = || format!("in {}", directory.display());
    let estimates: Estimates = serde_json::from_str(&text("estimates.json")?).with_context(of)?;
    let benchmark: Benchmark = serde_json::from_str(&text("benchmark.json")?).with_context(of)?;
    Ok(Estimate {
        name: benchmark.full_id,
        ns: estimates.mean.point_estimate,
        elements: benchmark.throughput.and_then(|throughput| throughput.elements).unwrap_or(1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(home: &Path, name: &str, benchmark: &str) {
        let directory = home.join(name).join("new");
        fs::create_dir_all(&directory).unwrap();
        let estimates =
            r#"{"mean":{"confidence_interval":{},"point_estimate":1500.5},"median":{"point_estimate":1.0}}"#;
        fs::write(directory.join("estimates.json"), estimates).unwrap();
        fs::write(directory.join("benchmark.json"), benchmark).unwrap();
    }

    #[test]
    fn every_benchmark_is_found_by_name_with_what_it_counts() {
        let home = tempfile::tempdir().unwrap();
        write(home.path(), "b/plain/30", r#"{"full_id":"b/plain/30","throughput":{"Elements":30}}"#);
        write(home.path(), "a", r#"{"full_id":"a","throughput":null}"#);
        let found = estimates(home.path()).unwrap();
        let expected = |name: &str, elements| Estimate { name: name.into(), ns: 1500.5, elements };
        assert_eq!(found, [expected("a", 1), expected("b/plain/30", 30)]);
    }

    #[test]
    fn a_home_without_benchmarks_is_an_error() {
        let home = tempfile::tempdir().unwrap();
        assert!(estimates(home.path()).unwrap_err().to_string().contains("no estimates"));
    }
}
