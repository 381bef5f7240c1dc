//! Go modules under `e2e/kind/` that pin what is built of Kubernetes, Prometheus and others, and their programs: built once for
//! each content of the module, shared by all checkouts.

mod embedded;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use netprecursor_child::{Ending, Running};
use sha2::{Digest as _, Sha256};

use self::embedded::Embedded;
use crate::{TestbedError, Version, cache, daemon::tail};

/// Where the modules are.
pub const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../kind");

/// Builds in this order and manner have this number; another one makes everything anew.
const RECIPE: &str = "1";

/// The longest that a build takes, modules fetched and all of Kubernetes compiled on a slow machine.
const BUILD_LIMIT: Duration = Duration::from_secs(60 * 60);

/// A folder with a `go.mod`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Module {
    folder: &'static str,
    package: &'static str,
    /// Build tags.
    tags: &'static str,
    /// What is not in it and would not be used, but has to be there.
    embedded: Option<Embedded>,
}

/// The programs that `go.mod` lists as tools.
const TOOLS_OF_GO_MOD: &str = "tool";
/// The program in the folder itself.
const OWN: &str = ".";

/// The key-value store under the API server.
pub const ETCD: Module = Module { folder: "etcd", package: OWN, tags: "", embedded: None };
/// The DNS server of the nodes and of the cluster.
pub const COREDNS: Module = Module { folder: "coredns", package: TOOLS_OF_GO_MOD, tags: "", embedded: None };
/// kind and the current Helm.
pub const TOOLS: Module = Module { folder: "tools", package: TOOLS_OF_GO_MOD, tags: "", embedded: None };
/// The oldest supported Helm.
pub const HELM_3: Module = Module { folder: "helm-3", package: TOOLS_OF_GO_MOD, tags: "", embedded: None };
/// The replacement for runc on hosts without CAP_SYS_RESOURCE.
pub const RUNC_WRAPPER: Module = Module { folder: "runc-wrapper", package: OWN, tags: "", embedded: None };
/// The process that holds a pod's namespaces.
pub const PAUSE: Module = Module { folder: "pause", package: OWN, tags: "", embedded: None };
/// Prometheus and promtool. Discovery in the clouds is most of what there is to build, and tests name their targets.
pub const PROMETHEUS: Module =
    Module { folder: "prometheus", package: TOOLS_OF_GO_MOD, tags: "remove_all_sd", embedded: None };
/// A program that reads dashboards by Grafana's own schema.
pub const GRAFANA: Module = Module { folder: "grafana", package: OWN, tags: "", embedded: None };
/// Alertmanager. Its pages are made by upstream's build alone, which needs Node and Elm; tests ask its API.
pub const ALERTMANAGER: Module = Module {
    folder: "alertmanager",
    package: TOOLS_OF_GO_MOD,
    tags: "",
    embedded: Some(Embedded { module: "github.com/prometheus/alertmanager", folder: "ui/app/dist" }),
};

/// An OpenTelemetry Collector of the parts that tests use: OTLP in, files out.
pub const OTELCOL: Module = Module { folder: "otelcol", package: OWN, tags: "", embedded: None };

/// The programs of a built module.
#[derive(Debug, Clone)]
pub struct Programs(PathBuf);

/// Runs a command that may take minutes.
pub type Runner<'a> = &'a mut dyn FnMut(&mut Command) -> Result<(), String>;

impl Module {
    /// Kubernetes itself. Of the version that kind's nodes run, everything; of the others the API server and the
    /// controller manager.
    pub const fn kubernetes(version: Version) -> Self {
        let folder = match version {
            Version::V1_32 => "kubernetes-1.32",
            Version::V1_34 => "kubernetes-1.34",
            Version::V1_36 => "kubernetes-1.36",
        };
        Self { folder, package: TOOLS_OF_GO_MOD, tags: "", embedded: None }
    }

    /// Its folder.
    pub const fn name(self) -> &'static str {
        self.folder
    }

    /// Its programs, from the cache or built now, which takes up to some minutes.
    ///
    /// # Errors
    /// Go is missing, or they do not build.
    pub fn provide(self) -> Result<Programs, TestbedError> {
        self.provide_with(&mut |command| run_within(command, BUILD_LIMIT))
    }

    /// As [`Self::provide`]; `run` runs the build, its output is redirected already.
    ///
    /// # Errors
    /// As [`Self::provide`].
    pub fn provide_with(self, run: Runner<'_>) -> Result<Programs, TestbedError> {
        let store = cache::kind()?.join("bin");
        fs::create_dir_all(&store).map_err(TestbedError::file(&store))?;
        let source = Path::new(DIRECTORY).join(self.folder);
        let go = go_version(&read(&source.join("go.mod"))?)?;
        let embedded = self.embedded.map_or("", |embedded| embedded.folder);
        let digest = digest(&source, &(go + self.tags + embedded))?;
        let target = store.join(format!("{}-{digest}", self.folder));
        // With its name it is whole.
        if target.is_dir() {
            return Ok(Programs(target));
        }
        let lock = store.join(format!("{}.lock", self.folder));
        let held = File::create(&lock).and_then(|file| file.lock().map(|()| file));
        let _held = held.map_err(TestbedError::file(&lock))?;
        if !target.is_dir() {
            self.build(&source, &store, &target, run)?;
        }
        Ok(Programs(target))
    }

    fn build(self, source: &Path, store: &Path, target: &Path, run: Runner<'_>) -> Result<(), TestbedError> {
        let log = store.join(format!("{}.log", self.folder));
        let output = File::create(&log).map_err(TestbedError::file(&log))?;
        let errors = output.try_clone().map_err(TestbedError::file(&log))?;
        let staging = tempfile::tempdir_in(store).map_err(TestbedError::file(store))?;
        // Otherwise a test that takes minutes gives no reason.
        eprintln!("building {} from its Go modules (minutes, once); log: {}", self.folder, log.display());
        // Objects of Kubernetes are gigabytes, and nothing else is ever built from them. A killed build's go as well.
        let objects = store.join(format!("{}.objects", self.folder));
        let failed =
            |got| TestbedError::Build { module: self.folder.to_owned(), got, tail: tail(&log), log: log.clone() };
        let flags = linker_flags(&read(&source.join("go.mod"))?);
        let mut command = Command::new("go");
        command.args(["build", "-mod=readonly", "-buildvcs=false", "-trimpath"]);
        // Kept until it is built.
        let place = tempfile::tempdir_in(store).map_err(TestbedError::file(store))?;
        if let Some(embedded) = self.embedded {
            let original = embedded.fetch(source, &output, &mut *run).map_err(failed)?;
            let go_mod = embedded.complete(&original, source, place.path())?;
            command.arg("-modfile").arg(go_mod);
        }
        command
            .args(["-tags", self.tags, "-ldflags", &flags, "-o"])
            .arg(format!("{}/", staging.path().display()))
            .arg(self.package)
            .current_dir(source)
            .env("CGO_ENABLED", "0")
            .env("GOCACHE", &objects)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors);
        let built = run(&mut command);
        if objects.is_dir() {
            fs::remove_dir_all(&objects).map_err(TestbedError::file(&objects))?;
        }
        built.map_err(failed)?;
        let built = staging.keep();
        fs::rename(&built, target).map_err(TestbedError::file(target))?;
        self.forget_others(store, target);
        Ok(())
    }

    /// Removes what was built of this module from other sources and is not the last one before.
    fn forget_others(self, store: &Path, target: &Path) {
        let prefix = format!("{}-", self.folder);
        let is_ours = |path: &Path| {
            let digest = path.file_name()?.to_str()?.strip_prefix(&prefix)?;
            (path != target && path.is_dir() && digest.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(())
        };
        let Ok(entries) = fs::read_dir(store) else { return };
        cache::keep_last(entries.flatten().map(|entry| entry.path()).filter(|path| is_ours(path).is_some()));
    }
}

impl Programs {
    /// The directory with the programs alone in it.
    pub fn directory(&self) -> &Path {
        &self.0
    }

    /// One of them.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn program(&self, name: &str) -> Result<PathBuf, TestbedError> {
        let path = self.0.join(name);
        if path.is_file() {
            return Ok(path);
        }
        Err(TestbedError::NoSuchProgram { program: name.to_owned(), directory: self.0.clone() })
    }
}

/// Runs a command to its end; one that takes longer is ended with all that it started.
fn run_within(command: &mut Command, limit: Duration) -> Result<(), String> {
    let running = Running::spawn(command, Ending::Killed).map_err(|error| error.to_string())?;
    match running.ended_within(limit).map_err(|error| error.to_string())? {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(status.to_string()),
        None => Err(format!("no end within {limit:?}")),
    }
}

fn go_version(go_mod: &str) -> Result<String, TestbedError> {
    let missing = || TestbedError::MissingProgram { program: "go".to_owned(), remedy: remedy(go_mod) };
    let output = Command::new("go").args(["env", "GOVERSION", "GOARCH"]).output().map_err(|_| missing())?;
    if output.status.success() { Ok(String::from_utf8_lossy(&output.stdout).into_owned()) } else { Err(missing()) }
}

/// How to come by the compiler that a module asks for.
fn remedy(go_mod: &str) -> String {
    let asked = go_mod.lines().find_map(|line| line.strip_prefix("go ")).unwrap_or("1.21");
    format!("install Go {} or newer; with GOTOOLCHAIN=auto, Go 1.21 and newer fetch that by themselves", asked.trim())
}

fn read(path: &Path) -> Result<String, TestbedError> {
    fs::read_to_string(path).map_err(TestbedError::file(path))
}

/// The digest of all inputs: sources, pinned versions and checksums, compiler.
fn digest(source: &Path, go: &str) -> Result<String, TestbedError> {
    let mut files: Vec<PathBuf> = fs::read_dir(source)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
        .map_err(TestbedError::file(source))?;
    files.sort();
    let mut hash = Sha256::new();
    for part in [RECIPE, go] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    for file in &files {
        let content = fs::read(file).map_err(TestbedError::file(file))?;
        hash.update(file.file_name().unwrap_or_default().as_encoded_bytes());
        hash.update([0]);
        hash.update((content.len() as u64).to_le_bytes());
        hash.update(&content);
    }
    Ok(hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

/// No symbols; and, for Kubernetes, the version that its programs shall say they have: only upstream's own build sets it.
fn linker_flags(go_mod: &str) -> String {
    // Alone on a line, or in a block.
    let of =
        |line: &str| line.trim().trim_start_matches("require ").strip_prefix("k8s.io/kubernetes v").map(str::to_owned);
    let Some(version) = go_mod.lines().find_map(of) else { return "-s -w".to_owned() };
    let version = format!("v{}", version.split_whitespace().next().unwrap_or_default());
    let mut numbers = version.trim_start_matches('v').split('.');
    let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    let set = |name: &str, value: &str| format!(" -X k8s.io/component-base/version.{name}={value}");
    format!("-s -w{}{}{}", set("gitVersion", &version), set("gitMajor", major), set("gitMinor", minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Module; 13] = [
        PROMETHEUS,
        GRAFANA,
        ALERTMANAGER,
        OTELCOL,
        ETCD,
        COREDNS,
        TOOLS,
        HELM_3,
        RUNC_WRAPPER,
        PAUSE,
        Module::kubernetes(Version::V1_32),
        Module::kubernetes(Version::V1_34),
        Module::kubernetes(Version::V1_36),
    ];

    #[test]
    fn every_module_has_its_folder_with_pinned_checksums() {
        for module in ALL {
            let folder = Path::new(DIRECTORY).join(module.name());
            let go_mod = read(&folder.join("go.mod")).unwrap();
            assert!(go_mod.contains(&format!("module netprecursor.io/e2e/{}", module.name())), "{}", module.name());
            assert!(!go_mod.contains("require") || folder.join("go.sum").is_file(), "{} has no go.sum", module.name());
        }
    }

    #[test]
    fn kubernetes_says_the_version_that_its_folder_pins() {
        for version in Version::ALL {
            let folder = Path::new(DIRECTORY).join(Module::kubernetes(version).name());
            let flags = linker_flags(&read(&folder.join("go.mod")).unwrap());
            assert!(flags.contains(&format!("version.gitVersion=v{version}.")), "{flags}");
            assert!(flags.contains(&format!("version.gitMinor={}", &version.minor()[2..])), "{flags}");
        }
        assert_eq!(linker_flags("module x\n"), "-s -w");
    }

    #[test]
    fn other_sources_or_another_compiler_make_another_digest() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("main.go"), "package main").unwrap();
        let first = digest(folder.path(), "go1.26").unwrap();
        assert_eq!(digest(folder.path(), "go1.26").unwrap(), first);
        assert_ne!(digest(folder.path(), "go1.27").unwrap(), first);
        fs::write(folder.path().join("main.go"), "package other").unwrap();
        assert_ne!(digest(folder.path(), "go1.26").unwrap(), first);
    }

    #[test]
    fn a_long_line_of_old_builds_is_cut_and_other_modules_stay() {
        let store = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let path = store.path().join(name);
            fs::create_dir(&path).unwrap();
            path
        };
        let (old, last, target) = (make("etcd-00aa"), make("etcd-00bb"), make("etcd-00cc"));
        let (other, staging) = (make("etcd-proxy-00aa"), make("tools-00aa"));
        let past = File::open(&old).unwrap();
        past.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        ETCD.forget_others(store.path(), &target);
        assert!(!old.exists() && last.exists() && target.exists() && other.exists() && staging.exists());
    }

    #[test]
    fn a_build_that_hangs_is_ended() {
        let limit = Duration::from_millis(50);
        assert_eq!(run_within(&mut shell("sleep 600 & wait"), limit), Err("no end within 50ms".to_owned()));
        assert_eq!(run_within(&mut shell("true"), BUILD_LIMIT), Ok(()));
        assert_eq!(run_within(&mut shell("exit 3"), BUILD_LIMIT), Err("exit status: 3".to_owned()));
    }

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn who_has_no_go_learns_which_one_the_module_asks_for() {
        let go_mod = read(&Path::new(DIRECTORY).join(PROMETHEUS.name()).join("go.mod")).unwrap();
        let asked = go_mod.lines().find(|line| line.starts_with("go ")).unwrap();
        assert!(remedy(&go_mod).starts_with(&format!("install Go {} or newer;", &asked[3..])), "{}", remedy(&go_mod));
    }

    #[test]
    fn a_build_that_fails_shows_the_compilers_words() {
        let (store, source) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(source.path().join("go.mod"), "module x\n").unwrap();
        let target = store.path().join("pause-00");
        let error = PAUSE
            .build(source.path(), store.path(), &target, &mut |_| {
                fs::write(store.path().join("pause.log"), "main.go:3: undefined: x\n").unwrap();
                Err("exit status: 1".to_owned())
            })
            .unwrap_err()
            .to_string();
        assert!(error.contains("exit status: 1") && error.contains("| main.go:3: undefined"), "{error}");
        assert!(!target.exists());
    }
}
