#!/usr/bin/env bash
# Installs what `make test` needs on a bare Debian 12 (as root); with the argument `demo` what `make demo` needs of that: who
# looks at the demo does not wait for browsers, virtual machines and clusters; with `release` what `make release` needs, which
# includes compilers and an emulator for the other architecture. Safe to run again: each step first looks.
# Nothing is written into the checkout; caches live in $NETPRECURSOR_CACHE (default: ~/.cache/netprecursor).
# On other distributions install the packages named below by hand; the script then only checks.
set -euo pipefail

cache=${NETPRECURSOR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/netprecursor}
stamp="$cache/setup"
mkdir -p "$stamp"

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: error: %s\n' "$*" >&2; exit 1; }

# What each package is for:
#   build-essential pkg-config curl ca-certificates git  build of the workspace
#   iproute2 nginx-light wrk iperf3 stress-ng procps      lab: namespaces, servers, load
#   nftables                                              redirects connections as a service mesh does, in the tests
#   chromium                                              the dashboard in the tests
#   qemu-system-x86 busybox-static kmod                   virtual machine with Debian's own kernel
#   buildah                                               container images without a daemon
#   python3 python3-venv shellcheck                       training, golden models, tier rest; lint of these scripts
#   gcc-aarch64-linux-gnu libc6-dev-arm64-cross           release: programs for arm64 (rust-web-src has Rust's library);
#                                                         on arm64 the same for amd64
#   qemu-user-static                                      release: starts them and runs their unit tests
# Node, with which the dashboard's page is built and tested, is left to the machine: Debian 12 has an older version than that
# needs. Without it the tier `dashboard` says so.
demo_packages=(build-essential make pkg-config curl ca-certificates git iproute2 nginx-light wrk iperf3 stress-ng procps)
test_packages=(nftables qemu-system-x86 busybox-static kmod python3 python3-venv chromium shellcheck buildah)
release_packages=(buildah qemu-user-static)

# The only place that names it; xtask/src/test/lint.rs runs what this script installs.
deny_version=0.20.2

# The architecture that releases are cross-built for on this machine: packages and Rust's target. Bash knows the machine where
# there is no dpkg.
other_target=
choose_other() {
  local here
  here=$(dpkg --print-architecture 2>/dev/null) || here=$HOSTTYPE
  case "$here" in
    amd64|x86_64) release_packages+=(gcc-aarch64-linux-gnu libc6-dev-arm64-cross); other_target=aarch64-unknown-linux-gnu ;;
    arm64|aarch64) release_packages+=(gcc-x86-64-linux-gnu libc6-dev-amd64-cross); other_target=x86_64-unknown-linux-gnu ;;
    *) die "got a machine with $here, expected amd64 or arm64: make releases on one of them" ;;
  esac
}

# Of the packages named, those that are not installed, one a line.
missing_of() {
  local installed
  installed=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' "$@" 2>/dev/null | sed -n 's/ installed$//p') || true
  comm -23 <(printf '%s\n' "$@" | sort -u) <(sort -u <<<"$installed")
}

apt_updated=
install_packages() {
  if ! command -v dpkg-query >/dev/null; then
    say "not a Debian system: expecting that these are installed: $*"
    return 0
  fi
  local missing
  mapfile -t missing < <(missing_of "$@")
  [ ${#missing[@]} -eq 0 ] && return 0
  if [ "$(id -u)" != 0 ]; then
    say "missing packages: ${missing[*]}; got uid $(id -u), expected root; run: sudo apt-get install ${missing[*]}"
    say "going on without: what needs them will say so"
    return 0
  fi
  if [ -z "$apt_updated" ]; then say "apt-get update"; apt-get update -qq; apt_updated=yes; fi
  say "installing ${missing[*]}"
  # Services of packages (nginx) must not start on the machine: the lab runs its own inside namespaces.
  local policy=${NETPRECURSOR_POLICY_RC:-/usr/sbin/policy-rc.d} made=
  if [ ! -e "$policy" ]; then printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod +x "$policy"; made=yes; fi
  local status=0
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null >"$stamp/apt.log" 2>&1 || status=$?
  [ -z "$made" ] || rm -f "$policy"
  [ $status = 0 ] || { tail -n 20 "$stamp/apt.log" >&2; die "apt-get install failed (exit $status); the log is $stamp/apt.log"; }
}

# Rust for the host side: what is there, such as rustup's; else Debian's current compiler (without rustfmt and clippy).
rust_host() {
  export PATH="$PATH:$HOME/.cargo/bin"
  command -v cargo >/dev/null || install_packages rustc-web cargo-web
  command -v cargo >/dev/null || die "got no cargo; expected rustup's, or Debian's rustc-web and cargo-web; install one of them"
}

# Rust for the BPF side needs the library's source (-Z build-std=core) and an LLVM of the compiler's own version:
# rustup's nightly with rust-src where both are there, else Debian's rustc-web with rust-web-src.
nightly_has_source() {
  command -v rustup >/dev/null || return 1
  local root
  root=$(rustc +nightly --print sysroot 2>/dev/null) || return 1
  [ -d "$root/lib/rustlib/src/rust/library/core" ]
}

bpf_toolchain() {
  if nightly_has_source; then
    command -v bpf-linker >/dev/null || linker cargo +nightly install --locked bpf-linker
    return 0
  fi
  install_packages rustc-web cargo-web rust-web-src llvm-22-dev libzstd-dev zlib1g-dev
  [ -x "$cache/tools/bin/bpf-linker" ] && return 0
  command -v llvm-config-22 >/dev/null || { say "no LLVM 22: the BPF programs will not build"; return 0; }
  LLVM_PREFIX=$(llvm-config-22 --prefix) RUSTFLAGS="-L $(llvm-config-22 --libdir)" \
    linker cargo install bpf-linker --version 0.13.0 --locked --no-default-features --features llvm-22
}

# kind makes its nodes with the machine's Docker where one answers. Elsewhere the cluster for tests runs Debian's dockerd
# itself, and makes its nodes from Debian's packages; another vendor's packages are left alone.
cluster_packages() {
  docker version >/dev/null 2>&1 && return 0
  install_packages docker.io debootstrap iptables
}

# Builds the linker with the command given, once.
linker() {
  [ -x "$cache/tools/bin/bpf-linker" ] && return 0
  say "building bpf-linker (one to three minutes, once)"
  "$@" --root "$cache/tools" >"$stamp/bpf-linker.log" 2>&1 ||
    { tail -n 20 "$stamp/bpf-linker.log" >&2; die "bpf-linker did not build; the log is $stamp/bpf-linker.log"; }
}

# Licenses, bans and sources of the dependencies, in the lint tier. Without it the tests run all the same, and say so.
cargo_deny() {
  local tools="$cache/tools/bin" state="$stamp/cargo-deny-$deny_version" log="$stamp/cargo-deny.log" got without
  [ -x "$tools/cargo-deny" ] && [ -e "$state.built" ] && return 0
  # What the lint tier would run: ours before others.
  got=$(PATH="$tools:$PATH" cargo-deny --version 2>/dev/null) || got=
  got=${got##* }
  # In order of versions, the one wanted comes first.
  if [ -n "$got" ] && printf '%s\n%s\n' "$deny_version" "$got" | sort -CV; then return 0; fi
  without="the lint tier skips licenses and sources"
  [ -z "$got" ] || without="the lint tier goes on with $got"
  if [ -e "$state.failed" ]; then
    say "cargo-deny $deny_version did not build earlier; $without; to try again: rm $state.failed"
    return 0
  fi
  say "building cargo-deny $deny_version (up to five minutes on two cores, once)${got:+: the one installed is $got}"
  # It runs for a second or two: optimising it takes longer than it could ever save.
  CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_OPT_LEVEL=1 \
    cargo install cargo-deny --version "$deny_version" --locked --root "$cache/tools" >"$log" 2>&1 ||
    { touch "$state.failed"; say "cargo-deny did not build; $without; the log is $log"; return 0; }
  touch "$state.built"
}

# What compiles the other architecture's standard library where rustup has not installed it.
other_architecture() {
  rustc --print target-libdir --target "$other_target" 2>/dev/null | { read -r library && [ -d "$library" ]; } && return 0
  install_packages rustc-web cargo-web rust-web-src
}

case "$*" in
  '') install_packages "${demo_packages[@]}" "${test_packages[@]}"; cluster_packages ;;
  demo) install_packages "${demo_packages[@]}" ;;
  release) choose_other; install_packages "${demo_packages[@]}" "${release_packages[@]}" ;;
  *) die "got '$*', expected demo, release, or no argument for the tests" ;;
esac
rust_host
bpf_toolchain
case "$*" in
  '') cargo_deny ;;
  release) other_architecture ;;
esac
