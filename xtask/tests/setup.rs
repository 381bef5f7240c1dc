//! scripts/setup.sh with fakes of the programs that it calls, so that it does not touch the machine.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// A machine on which nothing is installed but bash and coreutils. Fakes record their calls in `calls`; dpkg-query
/// knows what `installed` lists, and apt-get adds to it.
struct Machine(tempfile::TempDir);

const DPKG_QUERY: &str = r#"shift 2
for package in "$@"; do
  if grep -qx "$package" "$STATE/installed"; then echo "$package installed"; else missing=1; fi
done
[ -z "$missing" ]"#;

const APT_GET: &str = r#"echo "apt-get $*" >>"$STATE/calls"
if [ "$1" = install ]; then
  [ -x "$NETPRECURSOR_POLICY_RC" ] && echo "services are held back" >>"$STATE/calls"
  [ ! -e "$STATE/broken" ] || { echo "E: no space left on device"; exit 100; }
  for word in "$@"; do case "$word" in -*|install) ;; *) echo "$word" >>"$STATE/installed" ;; esac; done
fi"#;

const CARGO: &str = r#"echo "cargo $*" >>"$STATE/calls"
[ ! -e "$STATE/unbuildable" ] || case "$*" in *$(cat "$STATE/unbuildable")*) echo "error: no such crate"; exit 101 ;; esac
while [ $# -gt 0 ]; do
  case "$1" in --root) root=$2 ;; bpf-linker|cargo-deny) program=$1 ;; esac
  shift
done
mkdir -p "$root/bin" && touch "$root/bin/$program" && chmod +x "$root/bin/$program""#;

impl Machine {
    fn new(uid: u32) -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(machine.path("bin")).unwrap();
        fs::write(machine.path("installed"), "").unwrap();
        fs::write(machine.path("calls"), "").unwrap();
        for (name, script) in
            [("dpkg-query", DPKG_QUERY), ("apt-get", APT_GET), ("cargo", CARGO), ("llvm-config-22", "echo /llvm")]
        {
            machine.stand_in(name, script);
        }
        machine.stand_in("id", &format!("echo {uid}"));
        for tool in ["bash", "cat", "chmod", "comm", "grep", "mkdir", "rm", "sed", "sort", "tail", "touch"] {
            let real = ["/usr/bin", "/bin"].map(|directory| Path::new(directory).join(tool));
            std::os::unix::fs::symlink(real.iter().find(|path| path.exists()).unwrap(), machine.path("bin").join(tool))
                .unwrap();
        }
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn stand_in(&self, name: &str, script: &str) {
        let path = self.path("bin").join(name);
        fs::write(&path, format!("#!/bin/bash\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn set_up(&self) -> Output {
        self.set_up_for(&[])
    }

    fn set_up_for(&self, arguments: &[&str]) -> Output {
        Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/setup.sh"))
            .args(arguments)
            .env_clear()
            .env("PATH", self.path("bin"))
            .env("HOME", self.0.path())
            .env("STATE", self.0.path())
            .env("NETPRECURSOR_CACHE", self.path("cache"))
            .env("NETPRECURSOR_POLICY_RC", self.path("policy-rc.d"))
            .output()
            .unwrap()
    }

    fn calls(&self) -> String {
        fs::read_to_string(self.path("calls")).unwrap()
    }
}

fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_bare_machine_gets_what_is_missing_and_the_linker_without_starting_services() {
    let machine = Machine::new(0);
    let output = machine.set_up();
    assert!(output.status.success(), "{}", words(&output));
    let calls = machine.calls();
    assert!(calls.contains("iproute2") && calls.contains("rust-web-src") && calls.contains("bpf-linker"), "{calls}");
    assert!(calls.contains("services are held back") && !machine.path("policy-rc.d").exists(), "{calls}");
    assert_eq!(calls.matches("apt-get update").count(), 1, "{calls}");
}

#[test]
fn the_demo_waits_for_no_browser_and_no_cluster() {
    let machine = Machine::new(0);
    let output = machine.set_up_for(&["demo"]);
    assert!(output.status.success(), "{}", words(&output));
    let calls = machine.calls();
    assert!(calls.contains("nginx-light") && calls.contains("bpf-linker"), "{calls}");
    assert!(
        !["chromium", "qemu", "docker", "buildah", "cargo-deny"].iter().any(|package| calls.contains(package)),
        "{calls}"
    );
    let refused = machine.set_up_for(&["everything"]);
    assert!(!refused.status.success() && words(&refused).contains("got 'everything', expected demo, release"));
}

#[test]
fn a_release_gets_the_other_architecture_and_no_cluster() {
    let machine = Machine::new(0);
    assert!(machine.set_up_for(&["release"]).status.success());
    let calls = machine.calls();
    let needed = ["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross", "qemu-user-static", "buildah", "rust-web-src"];
    assert!(needed.iter().all(|package| calls.contains(package)), "{calls}");
    assert!(!["chromium", "docker", "cargo-deny"].iter().any(|package| calls.contains(package)), "{calls}");
}

#[test]
fn tests_run_without_the_check_of_licenses_and_not_without_the_linker() {
    let machine = Machine::new(0);
    fs::write(machine.path("unbuildable"), "cargo-deny").unwrap();
    let output = machine.set_up();
    assert!(output.status.success() && words(&output).contains("skips licenses"), "{}", words(&output));
    let machine = Machine::new(0);
    fs::write(machine.path("unbuildable"), "bpf-linker").unwrap();
    let output = machine.set_up();
    assert!(!output.status.success() && words(&output).contains("bpf-linker did not build"), "{}", words(&output));
}

#[test]
fn a_second_run_changes_nothing_and_says_nothing() {
    let machine = Machine::new(0);
    machine.set_up();
    fs::write(machine.path("calls"), "").unwrap();
    let output = machine.set_up();
    assert!(output.status.success());
    assert_eq!((machine.calls().as_str(), words(&output).as_str()), ("", ""));
}

#[test]
fn only_what_is_missing_is_installed() {
    let machine = Machine::new(0);
    machine.set_up();
    let installed = fs::read_to_string(machine.path("installed")).unwrap();
    let rest: String = installed.lines().filter(|name| *name != "wrk").map(|name| format!("{name}\n")).collect();
    fs::write(machine.path("installed"), rest).unwrap();
    fs::write(machine.path("calls"), "").unwrap();
    assert!(machine.set_up().status.success());
    let calls = machine.calls();
    let install = calls.lines().find(|call| call.starts_with("apt-get install")).unwrap();
    assert!(install.ends_with("--no-install-recommends wrk"), "{install}");
}

#[test]
fn a_docker_that_answers_is_left_alone() {
    let machine = Machine::new(0);
    machine.set_up();
    assert!(machine.calls().contains("docker.io"), "{}", machine.calls());
    let machine = Machine::new(0);
    machine.stand_in("docker", "[ \"$1\" = version ]");
    machine.set_up();
    assert!(!machine.calls().contains("docker.io"), "{}", machine.calls());
}

#[test]
fn without_root_it_says_what_to_install_and_goes_on() {
    let machine = Machine::new(1000);
    let output = machine.set_up();
    assert!(output.status.success(), "{}", words(&output));
    assert!(words(&output).contains("got uid 1000, expected root; run: sudo apt-get install"), "{}", words(&output));
    assert!(!machine.calls().contains("apt-get"), "{}", machine.calls());
}

#[test]
fn an_installation_that_fails_shows_its_end_and_leaves_services_as_they_were() {
    let machine = Machine::new(0);
    fs::write(machine.path("broken"), "").unwrap();
    let output = machine.set_up();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        words(&output).contains("no space left on device") && words(&output).contains("apt.log"),
        "{}",
        words(&output)
    );
    assert!(!machine.path("policy-rc.d").exists());
}
