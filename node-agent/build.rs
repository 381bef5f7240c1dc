//! Builds the BPF object that the agent embeds.
//!
//! The BPF target needs the standard library's source (`-Z build-std=core`) and `bpf-linker`. The first of these
//! compilers that has the source is taken: `NETPRECURSOR_BPF_RUSTC`, rustup's nightly, the distribution's `/usr/bin/rustc`
//! (Debian: rustc-web with rust-web-src), the one in `PATH`. `scripts/setup.sh` installs what is missing.

use std::{
    env,
    error::Error,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

const TARGET: &str = "bpfel-unknown-none";
const CRATE: &str = "netprecursor-agent-ebpf";
/// Set where two builds of one commit shall be the same: for images.
const REPRODUCIBLE: &str = "SOURCE_DATE_EPOCH";

fn main() -> Result<(), Box<dyn Error>> {
    let manifest_dir = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or("CARGO_MANIFEST_DIR is not set")?);
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let source = manifest_dir.join("../node-agent-ebpf");
    let common = manifest_dir.join("../node-agent-common");
    for input in [source.join("src"), source.join("Cargo.toml"), source.join("Cargo.lock"), common.join("src")] {
        println!("cargo::rerun-if-changed={}", input.display());
    }
    for variable in ["NETPRECURSOR_BPF_RUSTC", "NETPRECURSOR_CACHE", REPRODUCIBLE] {
        println!("cargo::rerun-if-env-changed={variable}");
    }

    let checkout = manifest_dir.join("..");
    let is_reproducible = env::var_os(REPRODUCIBLE).is_some();
    let checkout = if is_reproducible { beside(&out_dir, &checkout)? } else { checkout };
    let source = checkout.join("node-agent-ebpf");
    let rustc = compiler_with_source()?;
    let cargo = rustc.with_file_name("cargo");
    let target_dir = out_dir.join("bpf");
    let mut build = Command::new(if cargo.exists() { cargo.as_os_str().to_owned() } else { OsString::from("cargo") });
    // What cargo set for the host's build must not reach the other target's.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO") || text.starts_with("RUST") || matches!(&*text, "TARGET" | "HOST" | "PROFILE") {
            build.env_remove(&name);
        }
    }
    if let Some(home) = env::var_os("CARGO_HOME") {
        build.env("CARGO_HOME", home);
    }
    let status = build
        .current_dir(&source)
        .env("RUSTC", &rustc)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("PATH", path_with_linker()?)
        .env("CARGO_ENCODED_RUSTFLAGS", flags(&rustc, &checkout)?.join("\u{1f}"))
        .args(["build", "--locked", "--release", "-Z", "build-std=core", "--target", TARGET, "--target-dir"])
        .arg(&target_dir)
        .status()?;
    if !status.success() {
        return Err(format!("the BPF programs did not build ({status}); run scripts/setup.sh, then build again").into());
    }
    fs::copy(target_dir.join(TARGET).join("release").join(CRATE), out_dir.join("netprecursor.bpf.o"))?;
    Ok(())
}

/// A copy of what the object is made of, in the build directory, which checkouts share: cargo makes names of functions of the
/// path where a crate lies, and of the flags, which name that path too.
fn beside(out_dir: &Path, checkout: &Path) -> io::Result<PathBuf> {
    let copy = out_dir.join("source");
    if copy.exists() {
        fs::remove_dir_all(&copy)?;
    }
    for part in ["node-agent-ebpf", "node-agent-common"] {
        let (from, to) = (checkout.join(part), copy.join(part));
        copy_all(&from.join("src"), &to.join("src"))?;
        fs::copy(from.join("Cargo.toml"), to.join("Cargo.toml"))?;
    }
    // The lock of the one, and what the other inherits.
    fs::copy(checkout.join("node-agent-ebpf/Cargo.lock"), copy.join("node-agent-ebpf/Cargo.lock"))?;
    fs::copy(checkout.join("Cargo.toml"), copy.join("Cargo.toml"))?;
    Ok(copy)
}

/// A directory with all that is in it.
fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_all(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

/// aya wants the object's own BTF; the kernel's is not needed. It names source files: for a reproducible build by names that
/// are the same wherever it is built, else by their own, so that messages lead to them.
fn flags(rustc: &Path, checkout: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let mut flags = vec!["-Clink-arg=--btf".to_owned(), "-Cdebuginfo=2".to_owned()];
    if env::var_os(REPRODUCIBLE).is_none() {
        return Ok(flags);
    }
    let sysroot = Command::new(rustc).args(["--print", "sysroot"]).env_remove("RUSTUP_TOOLCHAIN").output()?;
    let sysroot = fs::canonicalize(String::from_utf8_lossy(&sysroot.stdout).trim())?;
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
    // The last that fits wins: the checkout may lie inside one of the others.
    let checkout = fs::canonicalize(checkout)?;
    for (path, name) in [(Some(sysroot), "/rust"), (home, "/cargo"), (Some(checkout), "/netprecursor")] {
        flags.extend(path.map(|path| format!("--remap-path-prefix={}={name}", path.display())));
    }
    Ok(flags)
}

fn compiler_with_source() -> Result<PathBuf, String> {
    let named = env::var_os("NETPRECURSOR_BPF_RUSTC").map(PathBuf::from);
    let nightly =
        Command::new("rustup").args(["which", "--toolchain", "nightly", "rustc"]).output().ok().and_then(|found| {
            found.status.success().then(|| PathBuf::from(String::from_utf8_lossy(&found.stdout).trim()))
        });
    let candidates = [named, nightly, Some(PathBuf::from("/usr/bin/rustc")), Some(PathBuf::from("rustc"))];
    candidates.into_iter().flatten().find(|rustc| has_source(rustc)).ok_or_else(|| {
        "no Rust compiler with the library's source was found; expected rustup's nightly with rust-src or Debian's \
         rustc-web with rust-web-src; run scripts/setup.sh, or set NETPRECURSOR_BPF_RUSTC"
            .to_owned()
    })
}

fn has_source(rustc: &Path) -> bool {
    let Ok(found) = Command::new(rustc).args(["--print", "sysroot"]).env_remove("RUSTUP_TOOLCHAIN").output() else {
        return false;
    };
    Path::new(String::from_utf8_lossy(&found.stdout).trim()).join("lib/rustlib/src/rust/library/core").is_dir()
}

/// `PATH` with the set-up script's own tools in front.
fn path_with_linker() -> Result<OsString, env::JoinPathsError> {
    let cache = env::var_os("NETPRECURSOR_CACHE").map(PathBuf::from).or_else(|| {
        let base = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        base.or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))
            .map(|base| base.join("netprecursor"))
    });
    let path = env::var_os("PATH").unwrap_or_default();
    env::join_paths(cache.map(|cache| cache.join("tools/bin")).into_iter().chain(env::split_paths(&path)))
}
