//! Builds the workspace once and lists its artifacts.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, bail};
use serde::Deserialize;

use crate::process::{self, Log, Output, Stop};

/// A cold build on two slow cores fits.
const BUILD_LIMIT: Duration = Duration::from_secs(45 * 60);

/// Cargo, the same one that started xtask.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command.args(arguments);
    // Set for xtask's own package; the children get theirs.
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_PKG_") {
            command.env_remove(name);
        }
    }
    command.env_remove("CARGO_MANIFEST_DIR").env_remove("CARGO_MANIFEST_PATH");
    command
}

/// The kind of a test binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The unit tests of a library or a program.
    Unit,
    /// A file of `tests/`.
    Integration,
}

/// A test binary.
#[derive(Debug, Clone)]
pub(crate) struct TestBinary {
    /// The package that it belongs to.
    pub(crate) package: String,
    /// That package's directory, in which its tests run.
    pub(crate) directory: PathBuf,
    /// The target's name.
    pub(crate) name: String,
    /// What it tests.
    pub(crate) kind: Kind,
    /// The program.
    pub(crate) executable: PathBuf,
}

/// The artifacts of a build.
#[derive(Debug, Default)]
pub(crate) struct Built {
    /// Test binaries, ordered by package and name.
    pub(crate) tests: Vec<TestBinary>,
    /// Programs by name.
    pub(crate) programs: BTreeMap<String, PathBuf>,
}

impl Built {
    /// The program `name`.
    pub(crate) fn program(&self, name: &str) -> anyhow::Result<&Path> {
        let found = self.programs.get(name).map(PathBuf::as_path);
        found.with_context(|| format!("the build made no program {name}; it made {:?}", self.programs.keys()))
    }
}

/// Builds every library, program, test and example of the workspace in one go, so that nothing is built twice.
///
/// # Errors
/// The build failed; the compiler's messages are in the log.
pub(crate) fn build_all(log: &Log, stop: &Stop) -> anyhow::Result<Built> {
    build(&["--workspace", "--lib", "--bins", "--tests", "--examples"], log, stop)
}

/// Builds `selection` (flags of cargo).
///
/// # Errors
/// As [`build_all`].
pub(crate) fn build(selection: &[&str], log: &Log, stop: &Stop) -> anyhow::Result<Built> {
    let messages = log.path().with_extension("json");
    let mut command = cargo(&["build", "--message-format=json-render-diagnostics"]);
    command.args(selection);
    let end = process::run("build", &mut command, &Output::File(&messages), log, BUILD_LIMIT, stop)?;
    if let Some(problem) = end.problem() {
        bail!("the build failed ({problem}); its messages are in {}", log.path().display());
    }
    let text = fs::read_to_string(&messages).with_context(|| format!("reading {}", messages.display()))?;
    fs::remove_file(&messages).ok();
    Ok(built(&text))
}

/// Cargo's message about something that it made; other messages have no target.
#[derive(Deserialize)]
struct Artifact {
    manifest_path: PathBuf,
    target: Target,
    profile: Profile,
    executable: Option<PathBuf>,
    package_id: String,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

fn built(messages: &str) -> Built {
    let mut built = Built::default();
    for line in messages.lines() {
        let Ok(artifact) = serde_json::from_str::<Artifact>(line) else { continue };
        let Some(executable) = artifact.executable else { continue };
        let is_kind = |kind: &str| artifact.target.kind.iter().any(|known| known == kind);
        if artifact.profile.test {
            built.tests.push(TestBinary {
                package: package_name(&artifact.package_id, &artifact.manifest_path),
                directory: artifact.manifest_path.parent().map(Path::to_path_buf).unwrap_or_default(),
                kind: if is_kind("test") { Kind::Integration } else { Kind::Unit },
                name: artifact.target.name,
                executable,
            });
        } else if is_kind("bin") {
            built.programs.insert(artifact.target.name, executable);
        }
    }
    built.tests.sort_by(|a, b| (&a.package, &a.name).cmp(&(&b.package, &b.name)));
    built
}

/// The name in a package id: `path+file:///…/dir#name@1.0.0`, or `…/name#1.0.0` where directory and name are the same.
fn package_name(id: &str, manifest: &Path) -> String {
    let named = id.rsplit_once('#').and_then(|(_, name)| name.rsplit_once('@')).map(|(name, _)| name.to_owned());
    named.unwrap_or_else(|| {
        let directory = manifest.parent().and_then(Path::file_name).unwrap_or_default();
        directory.to_string_lossy().into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_and_programs_are_told_apart() {
        let line = |id: &str, kind: &str, test: bool, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","package_id":"{id}","manifest_path":"/w/dir/Cargo.toml",
                "target":{{"kind":["{kind}"],"name":"thing"}},"profile":{{"test":{test}}},"executable":{executable}}}"#
            )
            .replace('\n', "")
        };
        let messages = [
            line("path+file:///w/dir#name@0.1.0", "test", true, "\"/t/thing-1\""),
            line("path+file:///w/dir#0.1.0", "lib", true, "\"/t/thing-2\""),
            line("path+file:///w/dir#name@0.1.0", "bin", false, "\"/t/thing\""),
            line("registry#serde@1.0.0", "lib", false, "null"),
            r#"{"reason":"build-finished","success":true}"#.to_owned(),
        ]
        .join("\n");
        let built = built(&messages);
        assert_eq!(built.program("thing").unwrap(), Path::new("/t/thing"));
        assert!(built.program("other").is_err());
        let tests: Vec<_> = built.tests.iter().map(|test| (test.package.as_str(), test.kind)).collect();
        assert_eq!(tests, [("dir", Kind::Unit), ("name", Kind::Integration)]);
        assert_eq!(built.tests[0].directory, Path::new("/w/dir"));
    }
}
