//! The page of `netprecursor dashboard`: its own tests, whether the build that is committed is its sources', and the page in a
//! browser, over imagined data and as the program serves it.

mod server;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::symlink,
    path::{self, Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::Context as _;
use tempfile::TempDir;

use super::{Counts, Finding};
use crate::{
    cargo::Built,
    files, node,
    process::{self, Log, Output, Stop, program},
};
use server::Server;

/// The sources of the page.
const PROJECT: &str = "dashboard";
/// What is built of them, and committed.
const DIST: &str = "dist";
const MODULES: &str = "node_modules";
/// The sources read the table of signals.
const CORE: &str = "core";

const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// A script of the project takes up to two minutes on an idle machine.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// A copy of the sources beside the packages, so that nothing is written into the checkout.
struct Page<'a> {
    place: TempDir,
    browser: PathBuf,
    cli: &'a Path,
    log: &'a Log,
    stop: &'a Stop,
}

/// Returns what does not hold.
type Check = fn(&Page<'_>) -> anyhow::Result<Option<String>>;

/// Runs all checks, each on what the one before it has shown.
///
/// # Errors
/// Node's packages cannot be had, or a program does not start.
pub(super) fn run(built: Option<&Built>, log: &Log, stop: &Stop) -> anyhow::Result<Finding> {
    let Some(built) = built else { return Ok(Finding::skipped("nothing was built", true)) };
    if let Some(missing) = node::missing(Path::new(PROJECT))? {
        return Ok(Finding::skipped(&missing.reason, missing.able));
    }
    let Some(browser) = BROWSERS.iter().find_map(|name| program(name)) else {
        let reason = "neither chromium nor google-chrome is in PATH; scripts/setup.sh installs chromium on Debian 12";
        return Ok(Finding::skipped(reason, program("apt-get").is_some()));
    };
    let modules = node::provide(Path::new(PROJECT), log, stop)?;
    let page = Page { place: place(&modules)?, browser, cli: built.program("netprecursor")?, log, stop };
    let checks: [(&str, Check); 4] = [
        ("its own tests", |page| page.script("test", &[])),
        ("its build", |page| page.is_built()),
        ("over imagined data", |page| page.drive("imagined", &[])),
        ("as the program serves it", |page| page.is_served()),
    ];
    let (mut passed, mut problem) = (0, None);
    for (name, check) in checks {
        problem = check(&page)?.map(|problem| format!("{name}: {problem}"));
        if problem.is_some() {
            break;
        }
        passed += 1;
    }
    Ok(Finding::of(problem.as_slice(), Counts { passed, ..Counts::default() }, Vec::new()))
}

/// Node looks for packages beside the real place of a file and above: the sources are copied, the packages are not.
fn place(modules: &Path) -> anyhow::Result<TempDir> {
    let place = tempfile::tempdir().context("making a temporary directory")?;
    let project = place.path().join(PROJECT);
    fs::create_dir(&project).with_context(|| format!("making {}", project.display()))?;
    for path in files::entries(Path::new(PROJECT))? {
        let name = path.file_name().unwrap_or_default();
        if name != DIST && name != MODULES {
            files::copy(&path, &project.join(name))?;
        }
    }
    for (target, link) in [(modules, project.join(MODULES)), (Path::new(CORE), place.path().join(CORE))] {
        let target = path::absolute(target).with_context(|| format!("where {} is", target.display()))?;
        symlink(target, &link).with_context(|| format!("making {}", link.display()))?;
    }
    Ok(place)
}

impl Page<'_> {
    fn project(&self) -> PathBuf {
        self.place.path().join(PROJECT)
    }

    /// Runs a script of package.json. Returns what went wrong.
    fn script(&self, name: &str, arguments: &[&str]) -> anyhow::Result<Option<String>> {
        let mut npm = npm(self.place.path(), name, arguments);
        Ok(process::run("dashboard", &mut npm, &Output::Log, self.log, LIMIT, self.stop)?.problem())
    }

    /// Builds it, and compares the result to what is committed.
    fn is_built(&self) -> anyhow::Result<Option<String>> {
        if let Some(problem) = self.script("build", &[])? {
            return Ok(Some(problem));
        }
        let committed = Path::new(PROJECT).join(DIST);
        let stale = differing(&self.project().join(DIST), &committed)?;
        Ok((!stale.is_empty()).then(|| {
            let (directory, files) = (committed.display(), stale.join(", "));
            format!("{directory} is stale ({files}); run npm ci && npm run build in {PROJECT}/, and commit the result")
        }))
    }

    /// Drives a browser; its screenshots go into the folder `name` beside the log.
    fn drive(&self, name: &str, more: &[&str]) -> anyhow::Result<Option<String>> {
        let shots = path::absolute(self.log.path().with_extension("")).context("where the log is")?.join(name);
        let (shots, browser) = (shots.to_string_lossy(), self.browser.to_string_lossy());
        let mut arguments = vec!["--out", &*shots, "--chromium", &*browser];
        arguments.extend(more);
        self.script("drive", &arguments)
    }

    /// Drives what the program serves over an agent that is imagined.
    fn is_served(&self) -> anyhow::Result<Option<String>> {
        let beside = |name: &str| self.log.path().with_file_name(name);
        let mut imagined = Command::new("node");
        imagined.arg(self.project().join("dev/agent.mjs")).args(["--port", "0"]);
        let agent = Server::start(&mut imagined, beside("dashboard-agent.log"), self.stop)?;
        let mut program = Command::new(self.cli);
        program.args(["dashboard", "--agent", agent.url(), "--listen", "127.0.0.1:0"]);
        let dashboard = Server::start(&mut program, beside("dashboard-program.log"), self.stop)?;
        self.drive("program", &["--url", dashboard.url()])
    }
}

/// Runs a script of the project that was placed there. A browser that is killed leaves its profile in `TMPDIR`: there it goes
/// with the place.
fn npm(place: &Path, script: &str, arguments: &[&str]) -> Command {
    let mut npm = Command::new("npm");
    npm.args(["run", script, "--"]).args(arguments).current_dir(place.join(PROJECT)).env("TMPDIR", place);
    npm
}

/// The names of files that two directories do not have alike, byte for byte.
fn differing(made: &Path, committed: &Path) -> anyhow::Result<Vec<String>> {
    let (made, committed) = (contents(made)?, contents(committed)?);
    let names: BTreeSet<&String> = made.keys().chain(committed.keys()).collect();
    Ok(names.into_iter().filter(|name| made.get(*name) != committed.get(*name)).cloned().collect())
}

/// The files of a directory that has nothing else in it.
fn contents(directory: &Path) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let mut contents = BTreeMap::new();
    for path in files::entries(directory)? {
        let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        contents.insert(path.file_name().unwrap_or_default().to_string_lossy().into_owned(), bytes);
    }
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn what_a_script_leaves_behind_goes_with_the_place_of_its_project() {
        let npm = npm(Path::new("/place"), "drive", &[]);
        let variables: Vec<_> = npm.get_envs().collect();
        assert_eq!(variables, [(OsStr::new("TMPDIR"), Some(OsStr::new("/place")))]);
        assert_eq!(npm.get_current_dir(), Some(Path::new("/place/dashboard")));
    }

    #[test]
    fn files_that_are_changed_new_or_gone_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let [made, committed] = ["made", "committed"].map(|name| directory.path().join(name));
        for (place, files) in [
            (&made, [("changed.js", "1"), ("new.css", ""), ("same.html", "x")]),
            (&committed, [("changed.js", "2"), ("gone.svg", ""), ("same.html", "x")]),
        ] {
            fs::create_dir(place).unwrap();
            files.iter().for_each(|(name, text)| fs::write(place.join(name), text).unwrap());
        }
        assert_eq!(differing(&made, &committed).unwrap(), ["changed.js", "gone.svg", "new.css"]);
    }
}
